use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use autoscaler_querier::{Authorization, Outcome, Source};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::*;

/// Gives queriers that nobody asks.
#[derive(Default)]
struct Fake {
    /// Tokens of those that were made, in order.
    made: Mutex<Vec<String>>,
    refuses: AtomicBool,
    forgotten: Mutex<usize>,
}

struct Nobody;

impl Querier for Nobody {
    fn instant(&self, _: &str, _: i64, _: Duration) -> BoxFuture<'static, Outcome> {
        futures::future::pending().boxed()
    }
}

impl Queriers for Fake {
    fn own(&self) -> Arc<dyn Querier> {
        Arc::new(Nobody)
    }

    fn of(&self, _: &str, source: &Source) -> Result<Arc<dyn Querier>, SourceError> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(SourceError::new("tls.key", "belongs to another certificate"));
        }
        if let Some(Authorization::Bearer(token)) = &source.authorization {
            self.made.lock().push(token.expose().to_owned());
        }
        Ok(Arc::new(Nobody))
    }

    fn forget(&self, _: &str) {
        *self.forgotten.lock() += 1;
    }
}

fn policy(name: &str) -> Name {
    Name { cluster: 0, namespace: "default".into(), name: name.into() }
}

/// A source with a token in the Secret `mimir`.
fn named(policy: &Name, host: &str) -> Named {
    let source: Value = json!({
        "addresses": [format!("http://{host}")], "bearerToken": {"secretRef": {"name": "mimir", "key": "token"}},
    });
    let spec = serde_json::from_value(json!({
        "scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 5, "source": source,
        "metrics": [{"name": "m", "query": "up", "target": {"type": "Value", "value": 1}}],
    }));
    Named::of(policy, &spec.unwrap(), 0).unwrap()
}

fn sources() -> (Arc<Fake>, Sources) {
    let fake = Arc::new(Fake::default());
    (fake.clone(), Sources::new(fake, 10))
}

fn held(token: &str) -> Seen {
    Seen::Held([("token".to_owned(), token.as_bytes().to_vec())].into())
}

/// What `querier` says now; `None`: it waits.
fn now(sources: &Sources, source: &Named) -> Option<Result<(), String>> {
    let said = sources.querier(source).now_or_never()?;
    Some(said.map(drop).map_err(|problem| problem.to_string()))
}

fn secret(sources: &Sources) -> Object {
    sources.wanted().borrow().first().unwrap().clone()
}

#[test]
fn a_source_waits_until_its_secret_was_read_and_follows_it() {
    let (fake, sources) = sources();
    let web = named(&policy("web"), "a");
    sources.follow(&policy("web"), [&web].into_iter());
    assert_eq!(now(&sources, &web), None);
    let said = sources.missing(&web).to_string();
    assert_eq!(said, "spec.source: Secret mimir has not been read yet; wait");
    let object = secret(&sources);
    for token in ["first", "second"] {
        sources.see(&object, held(token));
        assert_eq!(now(&sources, &web), Some(Ok(())));
    }
    assert_eq!(*fake.made.lock(), ["first", "second"]);
    sources.see(&object, Seen::Unreadable("connection reset".into()));
    assert_eq!(now(&sources, &web), Some(Ok(())), "what was read stays");
    sources.see(&object, Seen::Absent);
    let said = now(&sources, &web).unwrap().unwrap_err();
    assert_eq!(
        said,
        "spec.source.bearerToken: Secret mimir has no key token; create it in the policy's namespace"
    );
}

#[test]
fn a_secret_that_may_not_be_read_is_named_with_the_server_s_words() {
    let (_, sources) = sources();
    let web = named(&policy("web"), "a");
    sources.follow(&policy("web"), [&web].into_iter());
    sources.see(&secret(&sources), Seen::Unreadable("secrets \"mimir\" is forbidden".into()));
    let said = now(&sources, &web).unwrap().unwrap_err();
    assert!(
        said.starts_with("spec.source: Secret mimir cannot be read: secrets \"mimir\" is forbidden"),
        "{said}"
    );
    sources.see(&secret(&sources), held("t"));
    assert_eq!(now(&sources, &web), Some(Ok(())));
}

#[test]
fn who_names_the_same_shares_it_and_the_last_one_takes_it_along() {
    let (fake, sources) = sources();
    let (web, api, other) =
        (named(&policy("web"), "a"), named(&policy("api"), "a"), named(&policy("web"), "b"));
    sources.follow(&policy("web"), [&web].into_iter());
    sources.follow(&policy("api"), [&api].into_iter());
    sources.see(&secret(&sources), held("t"));
    assert_eq!((web.id.clone(), fake.made.lock().len()), (api.id.clone(), 1));
    // One asks another server from now on; its Secret is known already.
    sources.follow(&policy("web"), [&other].into_iter());
    assert_eq!((now(&sources, &other), fake.made.lock().len()), (Some(Ok(())), 2));
    assert_eq!(*fake.forgotten.lock(), 0);
    sources.follow(&policy("api"), std::iter::empty());
    sources.follow(&policy("web"), std::iter::empty());
    assert_eq!((*fake.forgotten.lock(), sources.wanted().borrow().len()), (2, 0));
    assert!(now(&sources, &web).unwrap().unwrap_err().contains("is not followed any more"));
}

#[test]
fn what_cannot_be_used_is_told_and_what_went_before_goes_on() {
    let (fake, sources) = sources();
    let web = named(&policy("web"), "a");
    sources.follow(&policy("web"), [&web].into_iter());
    fake.refuses.store(true, Ordering::SeqCst);
    sources.see(&secret(&sources), held("first"));
    let said = now(&sources, &web).unwrap().unwrap_err();
    assert_eq!(said, "spec.source.tls.key: belongs to another certificate; correct it, or what it names");
    fake.refuses.store(false, Ordering::SeqCst);
    sources.see(&secret(&sources), held("second"));
    assert_eq!(now(&sources, &web), Some(Ok(())));
    fake.refuses.store(true, Ordering::SeqCst);
    sources.see(&secret(&sources), held("half of a renewed pair"));
    assert_eq!(now(&sources, &web), Some(Ok(())));
}
