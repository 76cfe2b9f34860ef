//! Which streams are open and what each of them knows: one value per service port in use, recomputed when pods
//! or services change, shared by all proxies that ask for it.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use kube::runtime::reflector::{ObjectRef, Store};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::authority::Authority;
use crate::endpoints::Endpoints;
use crate::metrics::Metrics;
use crate::objects::{Pod, Service};

/// Distinct service ports followed at once.
const FOLLOWED_MAX: usize = 10_000;

/// More service ports are asked for than are followed.
#[derive(Debug, thiserror::Error)]
#[error("more than {FOLLOWED_MAX} service ports are followed already")]
pub struct TooMany;

/// See the module.
#[derive(Debug)]
pub struct Index {
    services: Store<Service>,
    pods: Store<Pod>,
    followed: Mutex<HashMap<Authority, watch::Sender<Arc<Endpoints>>>>,
    listed: watch::Sender<bool>,
    metrics: Metrics,
}

impl Index {
    /// An index over two stores that something else fills.
    pub fn new(services: Store<Service>, pods: Store<Pod>, metrics: Metrics) -> Self {
        Self { services, pods, followed: Mutex::default(), listed: watch::Sender::new(false), metrics }
    }

    /// Resolves once both stores were filled for the first time.
    pub async fn wait_until_listed(&self) {
        // The sender lives as long as we do.
        let _ = self.listed.subscribe().wait_for(|listed| *listed).await;
    }

    /// Says that both stores were filled.
    pub fn set_listed(&self) {
        self.refresh();
        self.listed.send_replace(true);
    }

    /// Follows a service's port. The receiver holds what is known now.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn follow(&self, authority: &Authority) -> Result<watch::Receiver<Arc<Endpoints>>, TooMany> {
        let mut followed = self.followed.lock();
        if let Some(sender) = followed.get(authority) {
            return Ok(sender.subscribe());
        }
        if followed.len() >= FOLLOWED_MAX {
            followed.retain(|_, sender| sender.receiver_count() > 0);
            if followed.len() >= FOLLOWED_MAX {
                return Err(TooMany);
            }
        }
        let sender = watch::Sender::new(Arc::new(self.resolve(authority, &self.pods.state())));
        let receiver = sender.subscribe();
        followed.insert(authority.clone(), sender);
        Ok(receiver)
    }

    /// Recomputes what is followed, after the stores changed.
    pub fn refresh(&self) {
        let pods = self.pods.state();
        self.metrics.pods.set(pods.len() as i64);
        self.metrics.services.set(self.services.len() as i64);
        let mut followed = self.followed.lock();
        followed.retain(|_, sender| sender.receiver_count() > 0);
        for (authority, sender) in followed.iter() {
            let now = self.resolve(authority, &pods);
            sender.send_if_modified(|before| {
                let changed = **before != now;
                if changed {
                    *before = Arc::new(now);
                }
                changed
            });
        }
        self.metrics.followed.set(followed.len() as i64);
    }

    fn resolve(&self, authority: &Authority, pods: &[Arc<Pod>]) -> Endpoints {
        let key = ObjectRef::new(&authority.service).within(&authority.namespace);
        let service = self.services.get(&key);
        let here = |p: &&Pod| p.metadata.namespace.as_deref() == Some(&authority.namespace);
        Endpoints::resolve(service.as_deref(), pods.iter().map(|p| &**p).filter(here), authority.port)
    }
}
