//! The servers that policies name in place of the controller's own querier, with what their Secrets hold now.
//!
//! ```text
//!  policies ─► follow() ─► which objects ─► watches, one an object ─► see() ─► resolve ─► Queriers::of
//!                                                                                             │
//!  an evaluation ─► querier() ◄── waits for what was not read yet ◄───────────────────────────┘
//! ```
//!
//! Invariants:
//! - only what some policy names is watched, in that policy's namespace, and kept only while it does;
//! - what is missing or wrong is that source's own problem, named by field and object: nobody else is asked instead;
//! - what Secrets hold goes into a source and nowhere else: not into an event, an effect, a log or a message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use autoscaler_api as api;
use autoscaler_api::{Problem, ScalingPolicySpec};
use autoscaler_engine::objects::Name;
use autoscaler_querier::{Querier, SourceError};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::querier::Queriers;
use crate::querier::resolve::{Reference, references, resolve};

/// A source that a policy names.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// Names cluster, namespace and content: who has the same shares a querier.
    pub id: Arc<str>,
    /// Where it stands in the policy.
    pub at: String,
    /// As written.
    spec: Arc<api::Source>,
}

impl Named {
    /// The source of a policy's metric; `None`: the controller's own querier.
    pub(crate) fn of(policy: &Name, spec: &ScalingPolicySpec, metric: usize) -> Option<Self> {
        let own = spec.metrics.get(metric).and_then(|m| m.source.as_ref());
        let (source, at) = match (own, &spec.source) {
            (Some(own), _) => (own, format!("spec.metrics[{metric}].source")),
            (None, Some(source)) => (source, "spec.source".to_owned()),
            (None, None) => return None,
        };
        let json = serde_json::to_vec(source).unwrap_or_default();
        let digest: String = Sha256::digest(json).iter().take(16).map(|b| format!("{b:02x}")).collect();
        let id = format!("{}/{}/{digest}", policy.cluster, policy.namespace).into();
        Some(Self { id, at, spec: Arc::new(source.clone()) })
    }
}

/// A Secret or a ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Object {
    pub kind: Kind,
    pub name: Name,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Secret,
    ConfigMap,
}

/// What is known of an object. Never printed.
pub(crate) enum Seen {
    NotYet,
    Unreadable(String),
    Absent,
    Held(BTreeMap<String, Vec<u8>>),
}

/// A source that is in use.
struct Entry {
    spec: Arc<api::Source>,
    /// The namespace of its objects.
    place: Name,
    users: BTreeSet<Name>,
    needs: BTreeSet<Object>,
    state: watch::Sender<State>,
}

/// Who answers for a source.
#[derive(Clone)]
enum State {
    /// Its objects were not all read yet.
    Waiting,
    Ready(Arc<dyn Querier>),
    /// What it is made of cannot be used: this, if all of it is there.
    Unusable(Option<SourceError>),
}

#[derive(Default)]
struct Inner {
    entries: BTreeMap<Arc<str>, Entry>,
    seen: BTreeMap<Object, Seen>,
}

/// All sources that policies name.
pub(crate) struct Sources {
    queriers: Arc<dyn Queriers>,
    max_series: usize,
    inner: Mutex<Inner>,
    /// What has to be watched.
    wanted: watch::Sender<BTreeSet<Object>>,
}

impl Sources {
    pub(crate) fn new(queriers: Arc<dyn Queriers>, max_series: usize) -> Self {
        Self { queriers, max_series, inner: Mutex::default(), wanted: watch::Sender::default() }
    }

    /// A policy names these sources from now on, and no others.
    pub(crate) fn follow<'a>(&self, policy: &Name, sources: impl Iterator<Item = &'a Named>) {
        let named: BTreeMap<&Arc<str>, &Named> = sources.map(|source| (&source.id, source)).collect();
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        if named.is_empty() && !inner.entries.values().any(|e| e.users.contains(policy)) {
            return;
        }
        for (id, source) in &named {
            if let Some(entry) = inner.entries.get_mut(*id) {
                entry.users.insert(policy.clone());
                continue;
            }
            let entry = Entry {
                spec: source.spec.clone(),
                place: Name { name: String::new(), ..policy.clone() },
                users: [policy.clone()].into(),
                needs: objects(&source.spec, policy),
                state: watch::Sender::new(State::Waiting),
            };
            for object in &entry.needs {
                inner.seen.entry(object.clone()).or_insert(Seen::NotYet);
            }
            inner.entries.insert((*id).clone(), entry);
            self.renew(inner, id);
        }
        inner.entries.retain(|id, entry| {
            if !named.contains_key(id) {
                entry.users.remove(policy);
            }
            if entry.users.is_empty() {
                self.queriers.forget(id);
            }
            !entry.users.is_empty()
        });
        let wanted: BTreeSet<Object> = inner.entries.values().flat_map(|e| &e.needs).cloned().collect();
        inner.seen.retain(|object, _| wanted.contains(object));
        self.wanted.send_if_modified(|before| {
            let differs = *before != wanted;
            *before = wanted;
            differs
        });
    }

    /// Who answers for a source; waits until its Secrets and ConfigMaps were read.
    ///
    /// # Errors
    /// What is missing or wrong, by the policy's field, without its text.
    pub(crate) async fn querier(&self, source: &Named) -> Result<Arc<dyn Querier>, Problem> {
        let gone = || Problem::new(&source.at, "is not followed any more", "wait for the next evaluation");
        let mut state = {
            let inner = self.inner.lock();
            inner.entries.get(&source.id).map(|e| e.state.subscribe()).ok_or_else(gone)?
        };
        let state =
            state.wait_for(|state| !matches!(state, State::Waiting)).await.map_err(|_| gone())?.clone();
        match state {
            State::Ready(querier) => Ok(querier),
            State::Unusable(Some(e)) => Err(problem(source, &e)),
            State::Waiting | State::Unusable(None) => Err(self.missing(source)),
        }
    }

    /// What keeps a source from being asked.
    pub(crate) fn missing(&self, source: &Named) -> Problem {
        let inner = self.inner.lock();
        let Some(entry) = inner.entries.get(&source.id) else {
            return Problem::new(&source.at, "is not followed any more", "wait for the next evaluation");
        };
        for object in &entry.needs {
            let (message, cure) = match inner.seen.get(object) {
                Some(Seen::Unreadable(why)) => {
                    (format!("cannot be read: {why}"), "let the controller read it (docs/sources.md)")
                }
                None | Some(Seen::NotYet) => ("has not been read yet".to_owned(), "wait"),
                Some(Seen::Absent | Seen::Held(_)) => continue,
            };
            return Problem::new(
                &source.at,
                format!("{:?} {} {message}", object.kind, object.name.name),
                cure,
            );
        }
        match resolve(&entry.spec, &source.at, self.max_series, &|reference| inner.lookup(entry, reference)) {
            Err(problem) => problem,
            Ok(_) => Problem::new(&source.at, "was not usable", "wait for the next evaluation"),
        }
    }

    /// What has to be watched, as it changes.
    pub(crate) fn wanted(&self) -> watch::Receiver<BTreeSet<Object>> {
        self.wanted.subscribe()
    }

    /// A word about an object.
    pub(crate) fn see(&self, object: &Object, seen: Seen) {
        let mut inner = self.inner.lock();
        let Some(known) = inner.seen.get_mut(object) else { return };
        // What was read before stays while nobody can say what is there.
        if matches!(seen, Seen::Unreadable(_)) && !matches!(known, Seen::NotYet | Seen::Unreadable(_)) {
            return;
        }
        *known = seen;
        let users = inner.entries.iter().filter(|(_, e)| e.needs.contains(object));
        let ids: Vec<Arc<str>> = users.map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.renew(&inner, &id);
        }
    }

    /// Makes a source's querier anew, once all that it needs was read.
    fn renew(&self, inner: &Inner, id: &Arc<str>) {
        let Some(entry) = inner.entries.get(id) else { return };
        let waits = |object: &Object| matches!(inner.seen.get(object), None | Some(Seen::NotYet));
        if entry.needs.iter().any(waits) {
            return;
        }
        let resolved =
            resolve(&entry.spec, "source", self.max_series, &|reference| inner.lookup(entry, reference));
        let state = match resolved {
            Err(_) => State::Unusable(None),
            Ok(source) => match self.queriers.of(id, &source) {
                Ok(querier) => State::Ready(querier),
                Err(error) => {
                    let place = &entry.place;
                    tracing::warn!(namespace = place.namespace, %error, "a policy's source cannot be used");
                    // Half of a pair that is being renewed, perhaps: what was there before goes on.
                    if matches!(*entry.state.borrow(), State::Ready(_)) {
                        return;
                    }
                    State::Unusable(Some(error))
                }
            },
        };
        entry.state.send_replace(state);
    }
}

impl Inner {
    fn lookup(&self, entry: &Entry, reference: Reference<'_>) -> Option<Vec<u8>> {
        let (object, key) = object(reference, &entry.place);
        match self.seen.get(&object) {
            Some(Seen::Held(data)) => data.get(key).cloned(),
            _ => None,
        }
    }
}

fn object<'a>(reference: Reference<'a>, place: &Name) -> (Object, &'a str) {
    let (kind, to) = match reference {
        Reference::Secret(to) => (Kind::Secret, to),
        Reference::ConfigMap(to) => (Kind::ConfigMap, to),
    };
    (Object { kind, name: Name { name: to.name.clone(), ..place.clone() } }, &to.key)
}

fn objects(spec: &api::Source, policy: &Name) -> BTreeSet<Object> {
    references(spec).into_iter().map(|reference| object(reference, policy).0).collect()
}

fn problem(source: &Named, e: &SourceError) -> Problem {
    Problem::new(format!("{}.{}", source.at, e.field), e.message.clone(), "correct it, or what it names")
}

#[cfg(test)]
mod tests;
