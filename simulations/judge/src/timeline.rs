//! What happened, in order. Offsets are from the start of the load, on one clock for everything.

use std::collections::BTreeMap;
use std::time::Duration;

use simulations_load::generator::Progress;
use simulations_load::recorder::Recorder;

/// A scaled workload: cluster and name.
pub type Target = (String, String);

/// Whether a service's slo held on the requests that were due in one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Second {
    /// From the start of the load.
    pub second: u64,
    /// Requests that were due.
    pub due: u64,
    /// Those of them that failed, were not sent, or took as long as the slo's latency or longer.
    pub over: u64,
    /// Whether the slo held on them.
    pub held: bool,
}

/// A policy, and what it scales.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyId {
    /// Cluster.
    pub cluster: String,
    /// Its namespace, which is also its target's.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Kind of what it scales.
    pub kind: String,
    /// Name of what it scales.
    pub target: String,
}

impl PolicyId {
    /// The workload that it scales.
    pub fn workload(&self) -> Target {
        (self.cluster.clone(), self.target.clone())
    }
}

/// What a policy last said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyState {
    /// Whether the evidence sufficed, once it was judged.
    pub sufficient: Option<bool>,
    /// Why, in the condition's own words.
    pub evidence: String,
    /// The first metric's value, as the policy shows it.
    pub value: Option<f64>,
    /// Its newest value, where that is another: some samples may be missing from it.
    pub newest: Option<f64>,
    /// Whether that metric's own evidence sufficed.
    pub value_sufficient: Option<bool>,
    /// Replicas that it wants.
    pub desired: Option<i32>,
    /// Replicas that its metrics ask for, where each of them asks.
    pub proposal: Option<i32>,
    /// Cause of the last decision.
    pub cause: String,
    /// Why it may not be what the evidence asks for: limits of the last decision.
    pub limits: Vec<String>,
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
    /// What its record says, where it was kept.
    pub record: Option<Kept>,
}

/// What a decision's record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The record's file, below the report's folder.
    pub path: String,
    /// Whether deciding again from its input gives the same decision.
    pub replays: bool,
    /// Whether all of its evidence sufficed.
    pub sufficient: bool,
    /// Replicas that were asked for before it, and at it, and when: milliseconds since 1970.
    pub asked: Vec<(i64, i32)>,
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
#[expect(
    clippy::large_enum_variant,
    reason = "the large ones are the many: a run is mostly decisions and seconds"
)]
pub enum Event {
    /// A scenario's phase or fault began or ended.
    Mark {
        /// Its name.
        name: String,
        /// When it was planned.
        planned: Duration,
    },
    /// A fault found nothing to hit.
    Missed {
        /// The fault's name.
        fault: String,
        /// Why.
        why: String,
    },
    /// The harness did something later than planned, or not at all.
    Late {
        /// What.
        what: String,
        /// How.
        how: String,
    },
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
        /// Which.
        policy: PolicyId,
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
        /// Which policy.
        policy: PolicyId,
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
        second: Second,
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
    /// What became of one load's generator on one cluster, told at the end.
    Sent {
        /// Cluster.
        cluster: String,
        /// The load's name.
        load: String,
        /// Why it did not do what was planned as far as it was let, where it did not.
        broke: Option<String>,
    },
}

/// Everything that happened.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    events: Vec<(Duration, Event)>,
    /// What offset zero is, milliseconds since 1970.
    pub started_ms: i64,
}

impl Timeline {
    /// Appends. Each thing's own offsets ascend; a mark has its planned time, even where it is told a little late.
    pub fn push(&mut self, at: Duration, event: Event) {
        self.events.push((at, event));
    }

    /// Adds what decisions' records say, by digest.
    pub fn keep_records(&mut self, records: &BTreeMap<String, Kept>) {
        for (_, event) in &mut self.events {
            if let Event::Decision { decision, .. } = event {
                decision.record = records.get(&decision.digest).cloned();
            }
        }
    }

    /// Where on this timeline a time is, milliseconds since 1970; what was before its start is at it.
    pub fn offset_of(&self, unix_ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(unix_ms.saturating_sub(self.started_ms)).unwrap_or(0))
    }

    /// In the order in which they were told.
    pub fn events(&self) -> &[(Duration, Event)] {
        &self.events
    }

    /// Whether a time, milliseconds since 1970, is before an offset.
    pub fn is_before(&self, unix_ms: i64, offset: Duration) -> bool {
        let offset_ms = i64::try_from(offset.as_millis()).unwrap_or(i64::MAX);
        unix_ms.saturating_sub(self.started_ms) < offset_ms
    }

    /// Every mark that was made, and when.
    pub fn marks(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.events.iter().filter_map(|(at, e)| match e {
            Event::Mark { name, .. } => Some((name.as_str(), *at)),
            _ => None,
        })
    }

    /// When a mark was made.
    pub fn mark(&self, name: &str) -> Option<Duration> {
        self.events.iter().find_map(|(at, e)| match e {
            Event::Mark { name: n, .. } if n == name => Some(*at),
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

    /// The states of a policy, by cluster and name.
    pub fn policy<'a>(&'a self, of: &'a Target) -> impl Iterator<Item = (Duration, &'a PolicyState)> + 'a {
        self.events.iter().filter_map(move |(at, e)| match e {
            Event::Policy { policy, state } if policy.cluster == of.0 && policy.name == of.1 => {
                Some((*at, state))
            }
            _ => None,
        })
    }

    /// The states of the policies of a workload, whatever they are named.
    pub fn states<'a>(&'a self, on: &'a Target) -> impl Iterator<Item = (Duration, &'a PolicyState)> + 'a {
        self.events.iter().filter_map(move |(at, e)| match e {
            Event::Policy { policy, state } if policy.cluster == on.0 && policy.target == on.1 => {
                Some((*at, state))
            }
            _ => None,
        })
    }

    /// The decisions on a workload, whatever the policies are named.
    pub fn decisions<'a>(&'a self, on: &'a Target) -> impl Iterator<Item = (Duration, &'a Decided)> + 'a {
        self.events.iter().filter_map(move |(at, e)| match e {
            Event::Decision { policy, decision } if policy.cluster == on.0 && policy.target == on.1 => {
                Some((*at, decision))
            }
            _ => None,
        })
    }

    /// When the run ended: the mark, or the last thing that happened.
    pub fn end(&self) -> Duration {
        let last = self.events.iter().map(|(at, _)| *at).max();
        self.mark("end").or(last).unwrap_or_default()
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
