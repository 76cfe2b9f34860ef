use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;

/// What a server does with one call.
#[derive(Clone)]
enum Say {
    Hang,
    Status(u16),
    /// Objects, at a version, with the next page's name.
    List(&'static [&'static str], u32, Option<&'static str>),
    /// Lines of a watch, which then ends, or falls silent.
    Events(Vec<Value>, bool),
}

fn object(name: &str, version: u32) -> Value {
    json!({"metadata": {"name": name, "resourceVersion": version.to_string()}})
}

fn event(kind: &str, name: &str, version: u32) -> Value {
    json!({"type": kind, "object": object(name, version)})
}

fn status(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": format!("no: {code}"), "code": code})
}

async fn answer(say: Say) -> Response<Body> {
    match say {
        Say::Hang => std::future::pending().await,
        Say::Status(code) => {
            let body = Body::from(status(code).to_string());
            Response::builder().status(StatusCode::from_u16(code).unwrap()).body(body).unwrap()
        }
        Say::List(names, version, next) => {
            let items: Vec<Value> = names.iter().map(|name| object(name, version)).collect();
            let metadata = json!({"resourceVersion": version.to_string(), "continue": next});
            Response::new(Body::from(json!({"metadata": metadata, "items": items}).to_string()))
        }
        Say::Events(events, ends) => {
            let lines: Vec<_> = events.iter().map(|e| Ok::<_, std::io::Error>(format!("{e}\n"))).collect();
            let told = futures::stream::iter(lines);
            if ends {
                Response::new(Body::from_stream(told))
            } else {
                Response::new(Body::from_stream(told.chain(futures::stream::pending())))
            }
        }
    }
}

/// A server that says these things one after the other, and then hangs; and what it was asked.
fn server(says: &[Say]) -> (Follow<ConfigMap>, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (kept, says) = (asked.clone(), says.to_vec());
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let mut asked = kept.lock();
        let say = says.get(asked.len()).cloned().unwrap_or(Say::Hang);
        asked.push(request.uri().query().unwrap_or_default().to_owned());
        async move { Ok::<_, std::convert::Infallible>(answer(say).await) }
    });
    let api = Api::namespaced(Client::new(service, "default"), "default");
    (Follow::new(api, Chosen::named("x"), Duration::from_secs(5), "east", "maps"), asked)
}

/// The next words, and by when they were all said.
async fn words(follow: &mut Follow<ConfigMap>, n: usize) -> Vec<String> {
    let mut said = Vec::new();
    for _ in 0..n {
        said.push(match follow.next().await {
            Word::Listing => "listing".to_owned(),
            Word::Applied(object) => format!("+{}", object.name_any()),
            Word::Gone(object) => format!("-{}", object.name_any()),
            Word::Listed => "listed".to_owned(),
            Word::Failed(why) => format!("failed: {why}"),
        });
    }
    said
}

#[tokio::test(start_paused = true)]
async fn a_list_comes_page_by_page_and_its_watch_goes_on_from_where_it_was() {
    let (mut follow, asked) = server(&[
        Say::List(&["a", "b"], 7, Some("more")),
        Say::List(&["c"], 7, None),
        Say::Events(vec![event("ADDED", "d", 8), event("DELETED", "a", 9)], true),
        Say::Events(
            vec![
                json!({"type": "BOOKMARK", "object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"resourceVersion": "12"}}}),
            ],
            true,
        ),
        Say::Events(vec![event("MODIFIED", "b", 13)], false),
    ]);
    assert_eq!(words(&mut follow, 8).await, ["listing", "+a", "+b", "+c", "listed", "+d", "-a", "+b"]);
    let asked = asked.lock();
    assert!(
        asked[1].contains("continue=more") && asked.iter().all(|q| q.contains("fieldSelector=metadata.name"))
    );
    let from: Vec<bool> = [(2, "7"), (3, "9"), (4, "12")]
        .map(|(call, version)| asked[call].contains(&format!("resourceVersion={version}")))
        .into();
    assert_eq!(from, [true; 3], "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_or_refuses_is_asked_again_after_pauses_that_grow() {
    let began = Instant::now();
    let (mut follow, _) = server(&[
        Say::Hang,
        Say::Status(500),
        Say::Status(500),
        Say::List(&["a"], 7, None),
        Say::Events(vec![], false),
        Say::Status(503),
        Say::Events(vec![event("ADDED", "b", 8)], false),
    ]);
    let late = "failed: the API server did not answer within 5s";
    assert_eq!(words(&mut follow, 2).await, ["listing", late]);
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    assert_eq!(words(&mut follow, 4).await, ["listing", "failed: no: 500", "listing", "failed: no: 500"]);
    assert_eq!(words(&mut follow, 3).await, ["listing", "+a", "listed"]);
    assert_eq!(began.elapsed(), Duration::from_millis(5_000 + 100 + 200 + 400));
    let silent = "failed: the API server fell silent for 45s";
    assert_eq!(words(&mut follow, 3).await, [silent, "failed: no: 503", "+b"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_long_ago_is_listed_again() {
    let gone = json!({"type": "ERROR", "object": status(410)});
    let (mut follow, _) = server(&[
        Say::List(&["a"], 7, None),
        Say::Events(vec![gone], false),
        Say::List(&["b"], 9, None),
        Say::Status(410),
        Say::List(&["c"], 11, None),
        // Set back: it knows nothing of that version.
        Say::Status(504),
        Say::List(&["d"], 3, None),
    ]);
    let said = words(&mut follow, 13).await;
    let expected = [
        "listing",
        "+a",
        "listed",
        "listing",
        "+b",
        "listed",
        "listing",
        "+c",
        "listed",
        "failed: no: 504",
        "listing",
        "+d",
        "listed",
    ];
    assert_eq!(said, expected);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_at_once_is_not_begun_at_once() {
    let began = Instant::now();
    let says: Vec<Say> = std::iter::once(Say::List(&[], 7, None))
        .chain(std::iter::repeat_n(Say::Events(vec![], true), 50))
        .chain([Say::Events(vec![event("ADDED", "a", 8)], false)])
        .collect();
    let (mut follow, _) = server(&says);
    assert_eq!(words(&mut follow, 3).await, ["listing", "listed", "+a"]);
    assert_eq!(began.elapsed(), PAUSE_FIRST * 50);
}

#[tokio::test(start_paused = true)]
async fn what_is_forbidden_is_asked_for_later_and_later_up_to_a_minute() {
    let began = Instant::now();
    let says: Vec<Say> = std::iter::repeat_n(Say::Status(403), 12)
        .chain([Say::List(&["a"], 7, None), Say::Events(vec![], false), Say::Status(503)])
        .chain([Say::Events(vec![event("ADDED", "b", 8)], false)])
        .collect();
    let (mut follow, _) = server(&says);
    let said = words(&mut follow, 24).await;
    assert!(said.chunks(2).all(|two| two == ["listing", "failed: no: 403"]), "{said:?}");
    assert_eq!(words(&mut follow, 3).await, ["listing", "+a", "listed"]);
    let pauses: u64 = (0..12).map(|n| (100 << n).min(60_000)).sum();
    assert_eq!(began.elapsed(), Duration::from_millis(pauses));
    let silent = "failed: the API server fell silent for 45s";
    let began = Instant::now();
    assert_eq!(words(&mut follow, 3).await, [silent, "failed: no: 503", "+b"]);
    assert!(began.elapsed() < Duration::from_secs(46), "an outage is another matter: {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_that_are_forbidden_ask_in_turns_until_one_is_allowed() {
    let (allowed, asked): (Arc<Mutex<bool>>, Arc<Mutex<usize>>) = Default::default();
    let turns = Arc::new(Turns::default());
    let (listed, mut told) = tokio::sync::mpsc::channel(1_000);
    for _ in 0..1_000 {
        let (allowed, asked) = (allowed.clone(), asked.clone());
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let watches = request.uri().query().is_some_and(|query| query.contains("watch=true"));
            *asked.lock() += usize::from(!watches);
            let say = match (watches, *allowed.lock()) {
                (true, _) => Say::Hang,
                (false, true) => Say::List(&[], 7, None),
                (false, false) => Say::Status(403),
            };
            async move { Ok::<_, std::convert::Infallible>(answer(say).await) }
        });
        let api: Api<ConfigMap> = Api::namespaced(Client::new(service, "default"), "default");
        let follow = Follow::new(api, Chosen::named("x"), Duration::from_secs(5), "east", "maps");
        let (mut follow, listed) = (follow.in_turns(turns.clone()), listed.clone());
        tokio::spawn(async move {
            while !matches!(follow.next().await, Word::Listed) {}
            listed.send(()).await.unwrap();
            follow.next().await;
        });
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    let before = *asked.lock();
    assert!((1_000..=1_700).contains(&before), "each once, and then one a second: {before}");
    *allowed.lock() = true;
    let began = Instant::now();
    for _ in 0..1_000 {
        told.recv().await.unwrap();
    }
    assert!(began.elapsed() <= Duration::from_secs(2), "{:?}", began.elapsed());
}
