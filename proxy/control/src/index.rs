//! What is followed, and what each of those depends on: an event touches only the answers that it may change. One
//! version of an answer is shared by all streams that follow it.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use kube::runtime::watcher::Event;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::authority::{Names, Target};
use crate::metrics::Metrics;
use crate::objects;
use crate::resolve;
use crate::state::{Change, State};
use crate::view::{Version, View};

/// Distinct questions followed at once.
const FOLLOWED_MAX: usize = 65_536;

/// Why something is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// More is asked for than is followed.
    #[error("more than {FOLLOWED_MAX} names and addresses are followed already")]
    TooMany,
    /// The name could be one of a host outside, and here it is none.
    #[error("no service of this cluster")]
    Outside,
}

/// What a stream asks of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// `Get`.
    Endpoints,
    /// `GetProfile`.
    Profile,
}

/// One answer that streams follow.
type Topic = Arc<(Question, Target)>;

/// See the module.
#[derive(Debug)]
pub struct Index {
    inner: Mutex<Inner>,
    listed: watch::Sender<bool>,
    domain: Arc<str>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Inner {
    state: State,
    followed: HashMap<Topic, Followed>,
    /// By namespace and name. An address that is a service's is here as well.
    by_service: HashMap<Box<str>, HashMap<Box<str>, HashSet<Topic>>>,
    by_ip: HashMap<IpAddr, HashSet<Topic>>,
    /// What may have changed since the last [`Index::publish`].
    touched: HashSet<Topic>,
}

#[derive(Debug)]
struct Followed {
    sender: watch::Sender<Arc<Version>>,
    service: Option<(Box<str>, Box<str>)>,
}

/// A stream's hold on an answer.
#[derive(Debug)]
pub struct Following {
    receiver: Option<watch::Receiver<Arc<Version>>>,
    topic: Topic,
    index: Arc<Index>,
}

impl Following {
    /// Waits for a version that was not seen.
    pub async fn changed(&mut self) {
        match &mut self.receiver {
            // The index outlives us, and keeps what is followed.
            Some(receiver) => drop(receiver.changed().await),
            None => std::future::pending().await,
        }
    }

    /// The newest version, which is seen thereby.
    pub fn newest(&mut self) -> Option<Arc<Version>> {
        self.receiver.as_mut().map(|r| r.borrow_and_update().clone())
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.receiver = None;
        let mut inner = self.index.inner.lock();
        if inner.followed.get(&self.topic).is_some_and(|f| f.sender.receiver_count() == 0) {
            inner.forget(&self.topic);
            self.index.metrics.followed.set(inner.followed.len() as i64);
        }
    }
}

impl Index {
    /// An index that something else tells what happens; `domain` ends the names of services in profiles.
    pub fn new(domain: &str, metrics: Metrics) -> Self {
        Self { inner: Mutex::default(), listed: watch::Sender::new(false), domain: domain.into(), metrics }
    }

    /// Resolves once everything was listed for the first time.
    pub async fn wait_until_listed(&self) {
        // The sender lives as long as we do.
        let _ = self.listed.subscribe().wait_for(|listed| *listed).await;
    }

    /// Says that everything was listed.
    pub fn set_listed(&self) {
        self.publish();
        self.listed.send_replace(true);
    }

    /// Follows the first of some targets that exists, or the last. What is known now is there at once.
    ///
    /// # Errors
    /// See [`FollowError`].
    pub fn follow(self: &Arc<Self>, question: Question, names: Names) -> Result<Following, FollowError> {
        let mut inner = self.inner.lock();
        let exists = |target: &&Target| resolve::exists(&inner.state, target);
        let target = match names.candidates.iter().find(exists) {
            Some(target) => target,
            None if names.must_exist => return Err(FollowError::Outside),
            None => names.candidates.last().ok_or(FollowError::Outside)?,
        };
        let topic = Arc::new((question, target.clone()));
        let following = |topic, sender: &watch::Sender<_>| Following {
            receiver: Some(sender.subscribe()),
            topic,
            index: self.clone(),
        };
        if let Some((topic, followed)) = inner.followed.get_key_value(&topic) {
            return Ok(following(topic.clone(), &followed.sender));
        }
        if inner.followed.len() >= FOLLOWED_MAX {
            return Err(FollowError::TooMany);
        }
        let view = resolve(&inner.state, &topic, &self.domain);
        let sender = watch::Sender::new(Arc::new(Version::first(view)));
        let following = following(topic.clone(), &sender);
        inner.followed.insert(topic.clone(), Followed { sender, service: None });
        if let Target::Address(address) = topic.1 {
            inner.by_ip.entry(address.ip()).or_default().insert(topic.clone());
        }
        inner.depend(&topic);
        self.metrics.followed.set(inner.followed.len() as i64);
        Ok(following)
    }

    /// Takes an event of the pods' watch; [`publish`](Self::publish) tells what it changed.
    pub fn pod(&self, event: Event<objects::Pod>) {
        self.take(event, State::pod);
    }

    /// Takes an event of the services' watch.
    pub fn service(&self, event: Event<objects::Service>) {
        self.take(event, State::service);
    }

    /// Takes an event of the slices' watch.
    pub fn slice(&self, event: Event<objects::EndpointSlice>) {
        self.take(event, State::slice);
    }

    fn take<T>(&self, event: T, into: impl FnOnce(&mut State, T, &mut Vec<Change>)) {
        let mut changes = Vec::new();
        let mut inner = self.inner.lock();
        into(&mut inner.state, event, &mut changes);
        self.metrics.events.inc();
        if !changes.is_empty() {
            self.metrics.changes.inc_by(changes.len() as u64);
            for change in &changes {
                inner.touch(change);
            }
        }
    }

    /// Works out anew what may have changed, and lets the streams know where it has. Returns how many those are.
    pub fn publish(&self) -> usize {
        let mut told = 0;
        let mut inner = self.inner.lock();
        for topic in std::mem::take(&mut inner.touched) {
            inner.depend(&topic);
            let Some(followed) = inner.followed.get(&topic) else { continue };
            let view = resolve(&inner.state, &topic, &self.domain);
            followed.sender.send_if_modified(|version| {
                let changed = version.view != view;
                if changed {
                    *version = Arc::new(version.next(view));
                }
                told += if changed { followed.sender.receiver_count() } else { 0 };
                changed
            });
        }
        let counts = inner.state.counts();
        self.metrics.pods.set(counts.pods as i64);
        self.metrics.services.set(counts.services as i64);
        self.metrics.slices.set(counts.slices as i64);
        told
    }
}

impl Inner {
    /// Notes what a change may have changed of what is followed.
    fn touch(&mut self, change: &Change) {
        let Self { state, by_service, by_ip, touched, .. } = self;
        let mut at = |ip: &IpAddr| touched.extend(by_ip.get(ip).into_iter().flatten().cloned());
        match change {
            Change::Pod(old, new) => {
                for pod in old.iter().chain(new) {
                    pod.ip.iter().chain(&pod.other_ip).for_each(&mut at);
                }
                // Both have the same name, so the same namespace.
                let Some(namespace) = new.as_ref().or(old.as_ref()).map(|p| &p.namespace) else { return };
                for (name, topics) in by_service.get(&**namespace).into_iter().flatten() {
                    let service = state.service_named(namespace, name);
                    if service.is_some_and(|s| old.iter().chain(new).any(|p| s.selects(p))) {
                        touched.extend(topics.iter().cloned());
                    }
                }
            }
            Change::Service(old, new) => {
                for service in old.iter().chain(new) {
                    service.cluster_ips.iter().for_each(&mut at);
                }
                if let Some(service) = new.as_ref().or(old.as_ref()) {
                    touched.extend(topics(by_service, &service.namespace, &service.name).cloned());
                }
            }
            Change::Slice(old, new) => {
                for slice in old.iter().chain(new) {
                    touched.extend(topics(by_service, &slice.namespace, &slice.service).cloned());
                }
            }
        }
    }

    /// Notes which service an answer is about now.
    fn depend(&mut self, topic: &Topic) {
        let Some(followed) = self.followed.get_mut(topic) else { return };
        let now = resolve::service(&self.state, &topic.1).map(|(ns, name)| (ns.into(), name.into()));
        if followed.service == now {
            return;
        }
        let before = std::mem::replace(&mut followed.service, now.clone());
        if let Some((namespace, name)) = before {
            self.forget_service(&namespace, &name, topic);
        }
        if let Some((namespace, name)) = now {
            self.by_service.entry(namespace).or_default().entry(name).or_default().insert(topic.clone());
        }
    }

    fn forget(&mut self, topic: &Topic) {
        let Some(followed) = self.followed.remove(topic) else { return };
        self.touched.remove(topic);
        if let Some((namespace, name)) = followed.service {
            self.forget_service(&namespace, &name, topic);
        }
        if let Target::Address(address) = topic.1
            && let Some(topics) = self.by_ip.get_mut(&address.ip())
        {
            topics.remove(topic);
            if topics.is_empty() {
                self.by_ip.remove(&address.ip());
            }
        }
    }

    fn forget_service(&mut self, namespace: &str, name: &str, topic: &Topic) {
        let Some(services) = self.by_service.get_mut(namespace) else { return };
        if let Some(topics) = services.get_mut(name) {
            topics.remove(topic);
            if topics.is_empty() {
                services.remove(name);
            }
        }
        if services.is_empty() {
            self.by_service.remove(namespace);
        }
    }
}

fn topics<'a>(
    by_service: &'a HashMap<Box<str>, HashMap<Box<str>, HashSet<Topic>>>,
    namespace: &str,
    name: &str,
) -> impl Iterator<Item = &'a Topic> {
    by_service.get(namespace).and_then(|services| services.get(name)).into_iter().flatten()
}

fn resolve(state: &State, topic: &Topic, domain: &Arc<str>) -> View {
    match topic.0 {
        Question::Endpoints => View::Endpoints(resolve::endpoints(state, &topic.1)),
        Question::Profile => View::Profile(resolve::profile(state, &topic.1, domain)),
    }
}
