//! What everything around the engine uses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use autoscaler_engine::objects::Name;
use parking_lot::RwLock;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::defaults::Given;
use crate::metrics::Metrics;
use crate::policies::Asking;
use crate::querier::Queriers;
use crate::records::Keep;
use crate::sources::Sources;

/// Tells the engine; whoever has too much to tell waits.
pub(crate) type Events = mpsc::Sender<autoscaler_engine::Event>;

/// What everything around the engine uses.
pub(crate) struct Shared {
    /// The managed clusters, in the order of the flags.
    pub clusters: Vec<Cluster>,
    /// Answers queries.
    pub queriers: Arc<dyn Queriers>,
    /// The servers that policies name.
    pub sources: Sources,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// The label that tells clusters apart in the metrics.
    pub cluster_label: String,
    /// What holds where a policy does not say.
    pub given: Given,
    /// Where decisions are kept.
    pub records: Arc<dyn Keep>,
    /// Own metrics.
    pub metrics: Metrics,
    /// Where the engine's steady time begins.
    pub started: Instant,
    /// The queries of each policy's latest generation.
    pub plans: Plans,
}

impl Shared {
    /// Milliseconds since the process started, by a clock that nobody sets.
    pub(crate) fn steady_ms(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    /// The moment that is so many milliseconds after the process started.
    pub(crate) fn moment(&self, steady_ms: u64) -> Instant {
        let far = self.started + Duration::from_secs(100 * 365 * 24 * 3600);
        self.started.checked_add(Duration::from_millis(steady_ms)).map_or(far, |at| at.min(far))
    }

    /// A cluster by its number.
    pub(crate) fn cluster(&self, id: u16) -> Option<&Cluster> {
        self.clusters.get(usize::from(id))
    }

    /// A policy is gone.
    pub(crate) fn forget(&self, name: &Name) {
        self.plans.set(name, None, None);
        self.sources.follow(name, std::iter::empty());
    }

    /// A cluster's name.
    pub(crate) fn name(&self, id: u16) -> &str {
        self.cluster(id).map_or("", |c| c.name.as_str())
    }
}

/// The queries of policies that can be followed, as watches last saw them.
#[derive(Debug, Default)]
pub(crate) struct Plans(RwLock<BTreeMap<Name, Generation>>);

/// A generation and its queries.
type Generation = (Option<i64>, Asking);

impl Plans {
    /// This generation's queries are these.
    pub(crate) fn set(&self, name: &Name, generation: Option<i64>, asking: Option<Asking>) {
        match asking {
            Some(asking) => drop(self.0.write().insert(name.clone(), (generation, asking))),
            None => drop(self.0.write().remove(name)),
        }
    }

    /// The queries of that generation; `None` if there is another one by now.
    pub(crate) fn get(&self, name: &Name, generation: Option<i64>) -> Option<Asking> {
        let plans = self.0.read();
        plans.get(name).filter(|(of, _)| *of == generation).map(|(_, asking)| asking.clone())
    }
}
