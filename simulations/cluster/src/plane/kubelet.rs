//! What becomes of a pod, as whoever makes a world says it.

use std::collections::BTreeMap;
use std::time::Duration;

/// Says what becomes of pods, and hears of it as it happens.
pub trait Kubelet: Send {
    /// What becomes of a pod that was just made.
    fn fate(&mut self, pod: &PodSeen<'_>) -> Fate;

    /// Something happened to a pod, now.
    fn happened(&mut self, pod: &PodSeen<'_>, what: Happened) {
        let _ = (pod, what);
    }
}

/// A pod, as far as its fate goes by it.
#[derive(Debug, Clone, Copy)]
pub struct PodSeen<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// Its address, once it has a node.
    pub address: &'a str,
}

/// The course of a pod's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// What happens how long after the pod was made, in order of time. What comes after an end, or after somebody
    /// deleted the pod, does not happen.
    pub steps: Vec<(Duration, Step)>,
    /// How long after its deletion it is gone; its grace, if that is shorter.
    pub gone_after: Duration,
}

impl Fate {
    /// A pod that is ready so long after it was made and stays so, and is gone a second after its deletion.
    pub fn ready_after(wait: Duration) -> Self {
        let steps =
            vec![(Duration::ZERO, Step::Scheduled), (Duration::ZERO, Step::Started), (wait, Step::Ready)];
        Self { steps, gone_after: Duration::from_secs(1) }
    }

    /// A pod that finds no node.
    pub fn unschedulable() -> Self {
        Self { steps: Vec::new(), gone_after: Duration::ZERO }
    }

    /// A pod that runs but is never ready.
    pub fn never_ready() -> Self {
        let mut fate = Self::ready_after(Duration::ZERO);
        fate.steps.pop();
        fate
    }

    /// The same life with one more step in it.
    #[must_use]
    pub fn and(mut self, after: Duration, step: Step) -> Self {
        self.steps.push((after, step));
        self.steps.sort_by_key(|(after, _)| *after);
        self
    }
}

/// A step of a pod's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It has a node and an address.
    Scheduled,
    /// Its containers run: for the first time, or again after a crash.
    Started,
    /// It is ready.
    Ready,
    /// It runs, but is no longer ready.
    Unready,
    /// Its containers ended and wait to be started again.
    Crashed,
    /// It failed for good, as by an eviction.
    Failed,
}

/// What happened to a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// A step of its fate.
    Step(Step),
    /// Somebody deleted it; it ends.
    Terminating,
    /// It is no more.
    Gone,
}
