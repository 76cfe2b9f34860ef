//! What becomes of pods that are made while something is wrong with nodes and images.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use simulations_cluster::{Fate, Happened, Kubelet, PodSeen, Step};
use simulations_kernel::{Schedule, Streams, shrink, swarm};

use crate::metrics::Metrics;

/// What goes wrong with pods that are made meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PodFault {
    /// They are ready later.
    Slow {
        /// By so many milliseconds.
        ms: u64,
    },
    /// They are never ready.
    NeverReady,
    /// They find no node.
    Unschedulable,
    /// They crash once they are ready, and start again.
    Crashes {
        /// How long after they were ready, in milliseconds.
        after_ms: u64,
        /// How long it takes until they are ready again, in milliseconds.
        again_ms: u64,
    },
    /// They are evicted.
    Evicted {
        /// How long after they were ready, in milliseconds.
        after_ms: u64,
    },
    /// They flap: ready, not ready, ready again.
    Flaps {
        /// How long each lasts, in milliseconds.
        every_ms: u64,
    },
    /// They take long to end.
    Lingers {
        /// Milliseconds after their deletion.
        ms: u64,
    },
}

/// Every kind, and how it is drawn.
pub const SOURCES: &[swarm::Source<PodFault, ()>] = &[
    swarm::Source { name: "pods-slow", draw: |s, ()| PodFault::Slow { ms: 1000 + s.below(240_000) } },
    swarm::Source { name: "pods-never-ready", draw: |_, ()| PodFault::NeverReady },
    swarm::Source { name: "pods-unschedulable", draw: |_, ()| PodFault::Unschedulable },
    swarm::Source {
        name: "pods-crash",
        draw: |s, ()| PodFault::Crashes { after_ms: s.below(120_000), again_ms: 1000 + s.below(30_000) },
    },
    swarm::Source { name: "pods-evicted", draw: |s, ()| PodFault::Evicted { after_ms: s.below(300_000) } },
    swarm::Source { name: "pods-flap", draw: |s, ()| PodFault::Flaps { every_ms: 1000 + s.below(30_000) } },
    swarm::Source { name: "pods-linger", draw: |s, ()| PodFault::Lingers { ms: s.below(30_000) } },
];

impl PodFault {
    /// For how long after its end the pods that it befell can still come and go, in milliseconds.
    pub fn tail_ms(&self) -> u64 {
        match self {
            Self::Slow { ms } | Self::Lingers { ms } => *ms,
            Self::NeverReady | Self::Unschedulable => 0,
            Self::Crashes { after_ms, again_ms } => after_ms.saturating_add(*again_ms),
            Self::Evicted { after_ms } => *after_ms,
            Self::Flaps { every_ms } => every_ms.saturating_mul(FLAPS),
        }
    }
}

/// How often one that flaps changes.
const FLAPS: u64 = 6;

impl shrink::Kind for PodFault {
    fn milder(&self) -> Vec<Self> {
        match self {
            Self::Slow { ms } if *ms > 1000 => vec![Self::Slow { ms: ms / 2 }],
            Self::Lingers { ms } if *ms > 1000 => vec![Self::Lingers { ms: ms / 2 }],
            _ => Vec::new(),
        }
    }
}

/// How pods of a cluster live, and how its metrics learn of it.
#[derive(Debug)]
pub struct Pods {
    cluster: usize,
    metrics: Metrics,
    faults: Arc<Schedule<PodFault>>,
    streams: Streams,
    start_ms: (u64, u64),
    /// Pods that were made, so that one of a name that was there before has its own luck.
    made: Mutex<u64>,
}

impl Pods {
    /// The pods of a cluster, which are ready between so many and so many milliseconds after they were made.
    pub fn new(
        metrics: &Metrics,
        cluster: usize,
        start_ms: (u64, u64),
        faults: Arc<Schedule<PodFault>>,
        streams: &Streams,
    ) -> Self {
        let streams = streams.of("pods").of(&cluster.to_string());
        Self { cluster, metrics: metrics.clone(), faults, streams, start_ms, made: Mutex::new(0) }
    }
}

impl Kubelet for Pods {
    fn fate(&mut self, pod: &PodSeen<'_>) -> Fate {
        let made = {
            let mut made = self.made.lock();
            *made += 1;
            *made
        };
        let mut luck = self.streams.stream(&format!("{} {made}", pod.name));
        let (least, most) = self.start_ms;
        let usual = least + luck.below(most.saturating_sub(least).saturating_add(1));
        let now = self.metrics.now_ms();
        let faults = self.faults.on(u64::try_from(now).unwrap_or(0));
        faults.fold(Fate::ready_after(Duration::from_millis(usual)), |fate, fault| fault.kind.befalls(fate))
    }

    fn happened(&mut self, pod: &PodSeen<'_>, what: Happened) {
        self.metrics.fleet(self.cluster, |fleet, now| match what {
            Happened::Step(Step::Scheduled) => {}
            Happened::Step(Step::Started) => fleet.started(pod.name, now),
            Happened::Step(Step::Ready) => fleet.served(pod.name, now),
            // Whoever is being ended gets no new requests, but can still be asked for its metrics.
            Happened::Step(Step::Unready) | Happened::Terminating => fleet.served_no_longer(pod.name, now),
            Happened::Step(Step::Crashed | Step::Failed) | Happened::Gone => fleet.ended(pod.name, now),
        });
    }
}

impl PodFault {
    fn befalls(&self, mut fate: Fate) -> Fate {
        let is_ready = |(_, step): &&(Duration, Step)| *step == Step::Ready;
        let ready = fate.steps.iter().find(is_ready).map(|(at, _)| *at);
        let befalls_who_is_ready =
            matches!(self, Self::Crashes { .. } | Self::Evicted { .. } | Self::Flaps { .. });
        if befalls_who_is_ready && ready.is_none() {
            // One without a node does not flap: it would be ready, and serve nothing.
            return fate;
        }
        let later = |ms: u64| ready.unwrap_or_default().saturating_add(Duration::from_millis(ms));
        match self {
            Self::Slow { ms } => {
                let wait = Duration::from_millis(*ms);
                let runs = fate.steps.iter().position(|(_, step)| *step == Step::Started);
                for (at, _) in fate.steps.iter_mut().skip(runs.map_or(0, |i| i + 1)) {
                    *at = at.saturating_add(wait);
                }
                fate
            }
            Self::NeverReady => {
                fate.steps.retain(|(_, step)| *step != Step::Ready);
                fate
            }
            Self::Unschedulable => Fate::unschedulable(),
            Self::Crashes { after_ms, again_ms } => {
                let again = later(after_ms.saturating_add(*again_ms));
                fate.and(later(*after_ms), Step::Crashed).and(again, Step::Started).and(again, Step::Ready)
            }
            Self::Evicted { after_ms } => fate.and(later(*after_ms), Step::Failed),
            Self::Flaps { every_ms } => (1..=FLAPS).fold(fate, |fate, i| {
                let step = if i % 2 == 1 { Step::Unready } else { Step::Ready };
                fate.and(later(every_ms.saturating_mul(i)), step)
            }),
            Self::Lingers { ms } => Fate { gone_after: Duration::from_millis(*ms), ..fate },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_change_a_life_and_its_steps_stay_in_order() {
        let usual = Fate::ready_after(Duration::from_secs(2));
        let all: Vec<PodFault> =
            SOURCES.iter().map(|s| (s.draw)(&mut Streams::new(1).stream(s.name), &())).collect();
        for fault in &all {
            let fate = fault.befalls(usual.clone());
            assert_ne!(fate, usual, "{fault:?}");
            assert!(fate.steps.is_sorted_by_key(|(at, _)| *at), "{fate:?}");
            // Two misfortunes at once are no crash of the world.
            for other in &all {
                let both = other.befalls(fate.clone());
                assert!(both.steps.is_sorted_by_key(|(at, _)| *at), "{fault:?} {other:?}");
                let steps = |wanted| both.steps.iter().position(|(_, step)| *step == wanted);
                assert!(
                    steps(Step::Ready).is_none_or(|ready| steps(Step::Started).is_some_and(|s| s < ready)),
                    "ready, and never started: {fault:?} {other:?}"
                );
            }
        }
    }
}
