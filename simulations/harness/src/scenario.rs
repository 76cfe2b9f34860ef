//! What a run is: phases of load, faults, and what must hold. Data only; it will be a file's content.

use std::time::Duration;

use simulations_load::schedule::{Arrivals, Stage};

use crate::judge::Expectation;

/// A named stretch of load, the same for every cluster.
#[derive(Clone, Debug)]
pub struct Phase {
    /// Name, which expectations refer to: a phase's start is a mark.
    pub name: &'static str,
    /// Requests per second, per cluster.
    pub stage: Stage,
}

/// What is done to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// SIGKILL, once.
    Kill,
    /// SIGSTOP, and SIGCONT at the end: alive, and answers nothing.
    Pause,
}

/// Something that goes wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Name: its beginning is the mark `NAME`, its end `NAME ended`.
    pub name: &'static str,
    /// From the start of the load.
    pub at: Duration,
    /// How long; a kill has no length.
    pub lasts: Duration,
    /// What happens.
    pub kind: FaultKind,
    /// Cluster, namespace, the pods' `app` label, and the container. The first such pod by name is hit.
    pub cluster: &'static str,
    /// Namespace.
    pub namespace: &'static str,
    /// Value of the label `app`.
    pub app: &'static str,
    /// Container.
    pub container: &'static str,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Name.
    pub name: &'static str,
    /// Clusters; the first holds the querier and the controller.
    pub clusters: Vec<&'static str>,
    /// Load in order.
    pub phases: Vec<Phase>,
    /// How arrivals are spread.
    pub arrivals: Arrivals,
    /// Where randomness starts.
    pub seed: u64,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What must hold.
    pub expectations: Vec<Expectation>,
}

impl Scenario {
    /// When each phase starts, as `(mark, offset)`.
    pub fn phase_marks(&self) -> Vec<(&'static str, Duration)> {
        let mut at = Duration::ZERO;
        self.phases
            .iter()
            .map(|p| {
                let mark = (p.name, at);
                at += p.stage.duration;
                mark
            })
            .collect()
    }

    /// Length of the load.
    pub fn duration(&self) -> Duration {
        self.phases.iter().map(|p| p.stage.duration).sum()
    }
}
