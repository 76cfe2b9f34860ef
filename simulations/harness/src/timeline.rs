//! What happened, in order. Offsets are from the start of the load.

use std::collections::BTreeMap;
use std::time::Duration;

use simulations_load::generator::Progress;
use simulations_load::recorder::Recorder;

use crate::slo;

/// A scaled workload: cluster and name.
pub type Target = (String, String);

/// What a policy last said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyState {
    /// Whether the evidence sufficed, once it was judged.
    pub sufficient: Option<bool>,
    /// Why, in the condition's own words.
    pub evidence: String,
    /// The first metric's value, as the policy shows it.
    pub value: Option<f64>,
    /// Replicas that it wants.
    pub desired: Option<i32>,
    /// Cause of the last decision.
    pub cause: String,
}

/// A decision, as the policy's status tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decided {
    /// When the controller took it, RFC 3339.
    pub time: String,
    /// Replicas before.
    pub from: i32,
    /// Replicas wanted.
    pub to: i32,
    /// Whether they were written.
    pub written: bool,
    /// The main reason, one sentence.
    pub cause: String,
    /// Limits that changed the outcome.
    pub limits: Vec<String>,
    /// SHA-256 of the decision's record.
    pub digest: String,
    /// Each metric as the same status shows it; empty where a newer decision is in it too.
    pub metrics: Vec<DecidedMetric>,
}

/// A metric's value with its evidence and its target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecidedMetric {
    /// Name.
    pub name: String,
    /// The query's value; none where there was none that is a number.
    pub value: Option<f64>,
    /// What it should be: of the whole value, or of each replica.
    pub target: Option<f64>,
    /// `Value` or `AverageValue`.
    pub target_type: String,
    /// Age of the newest sample of the cluster that lags most.
    pub age: Option<Duration>,
    /// Whether the evidence would allow fewer replicas.
    pub sufficient: bool,
    /// Replicas that it asks for.
    pub proposal: Option<i32>,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A scenario's phase or fault began or ended.
    Mark(String),
    /// A workload's `spec.replicas` and ready replicas.
    Replicas {
        /// Which.
        target: Target,
        /// `spec.replicas`.
        wanted: i32,
        /// Ready.
        ready: i32,
    },
    /// A policy's state changed.
    Policy {
        /// Cluster and policy.
        target: Target,
        /// Its state.
        state: PolicyState,
    },
    /// A second of one load on one cluster.
    Load {
        /// Cluster.
        cluster: String,
        /// The load's name.
        load: String,
        /// The service that it is sent to.
        to: String,
        /// The second.
        progress: Progress,
    },
    /// A policy decided; what its status says of it.
    Decision {
        /// Cluster and policy.
        target: Target,
        /// What.
        decision: Decided,
    },
    /// Whether a service's slo held in a second, told once every request that was due in it has ended.
    Slo {
        /// Cluster.
        cluster: String,
        /// Service.
        service: String,
        /// The second.
        second: slo::Second,
    },
    /// A container was started again.
    Restart {
        /// `cluster/pod/container`.
        container: String,
        /// How often so far.
        count: i32,
    },
    /// One load on one cluster, told at the end.
    LoadTotal {
        /// Cluster.
        cluster: String,
        /// The load's name.
        load: String,
        /// The service that it is sent to.
        to: String,
        /// One stage of it, by when requests were due; the whole where absent.
        stage: Option<String>,
        /// How long it was.
        lasted: Duration,
        /// Its distributions.
        recorder: Recorder,
    },
}

/// Everything that happened.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    events: Vec<(Duration, Event)>,
}

impl Timeline {
    /// Appends; offsets ascend.
    pub fn push(&mut self, at: Duration, event: Event) {
        self.events.push((at, event));
    }

    /// In order.
    pub fn events(&self) -> &[(Duration, Event)] {
        &self.events
    }

    /// When a mark was made.
    pub fn mark(&self, name: &str) -> Option<Duration> {
        self.events.iter().find_map(|(at, e)| match e {
            Event::Mark(n) if n == name => Some(*at),
            _ => None,
        })
    }

    /// `(offset, wanted, ready)` of a workload, each time one of them changed.
    pub fn replicas<'a>(&'a self, target: &'a Target) -> impl Iterator<Item = (Duration, i32, i32)> + 'a {
        self.events.iter().filter_map(move |(at, e)| match e {
            Event::Replicas { target: t, wanted, ready } if t == target => Some((*at, *wanted, *ready)),
            _ => None,
        })
    }

    /// A policy's states.
    pub fn policy<'a>(
        &'a self,
        target: &'a Target,
    ) -> impl Iterator<Item = (Duration, &'a PolicyState)> + 'a {
        self.events.iter().filter_map(move |(at, e)| match e {
            Event::Policy { target: t, state } if t == target => Some((*at, state)),
            _ => None,
        })
    }

    /// Every workload that was seen.
    pub fn targets(&self) -> Vec<Target> {
        let mut all: BTreeMap<Target, ()> = BTreeMap::new();
        for (_, e) in &self.events {
            if let Event::Replicas { target, .. } = e {
                all.insert(target.clone(), ());
            }
        }
        all.into_keys().collect()
    }
}
