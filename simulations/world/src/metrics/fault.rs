//! What can go wrong between a pod's counters and an answer.

use serde::{Deserialize, Serialize};
use simulations_kernel::{Fault, Stream, shrink, swarm};

/// Whose samples a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Which of the world's clusters.
    pub cluster: usize,
    /// Into how many about equal parts its pods are divided: 1 is all of them.
    pub of: u64,
    /// Which of these, from 0.
    pub is: u64,
}

impl Part {
    /// All of a cluster.
    pub fn all(cluster: usize) -> Self {
        Self { cluster, of: 1, is: 0 }
    }

    /// One part of several.
    pub fn one_of(cluster: usize, of: u64, is: u64) -> Self {
        Self { cluster, of: of.max(1), is: is % of.max(1) }
    }

    fn drawn(stream: &mut Stream, clusters: usize) -> Self {
        let cluster = usize::try_from(stream.below(clusters as u64)).unwrap_or(0);
        let of = stream.pick(&[1, 1, 2, 3]).copied().unwrap_or(1);
        Self::one_of(cluster, of, stream.below(of))
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MetricFault {
    /// Samples arrive later, by so much.
    Lag {
        /// Whose.
        part: Part,
        /// Milliseconds.
        ms: i64,
    },
    /// Samples arrive later and later.
    Growing {
        /// Whose.
        part: Part,
        /// Milliseconds that are added each second.
        per_second_ms: i64,
    },
    /// Nothing arrives; afterwards all that was missed does, in order.
    Backlog {
        /// Whose.
        part: Part,
        /// How long a second of it takes to be worked off, in milliseconds.
        drain_ms: i64,
    },
    /// What is scraped meanwhile never arrives, markers of staleness included.
    Cut {
        /// Whose.
        part: Part,
    },
    /// Nothing is scraped, and at its end all that was before is gone: a store that lost its data, or a younger one in
    /// its place.
    Lost {
        /// Whose.
        part: Part,
    },
    /// Some samples arrive later than those after them.
    Late {
        /// Whose.
        part: Part,
        /// How many of a thousand.
        permille: u64,
        /// By how much, in milliseconds.
        ms: i64,
    },
    /// Scraping sees a clock that is ahead, or behind below zero.
    Clock {
        /// Whose.
        part: Part,
        /// Milliseconds.
        ahead_ms: i64,
    },
    /// What is scraped is not a number.
    NotANumber {
        /// Whose.
        part: Part,
    },
    /// Each series is there twice, under another label `replica`.
    Copies {
        /// Whose.
        part: Part,
    },
    /// Answers lack what is there: a store was lost, or one querier of several behind an address does not know it.
    Hidden {
        /// Whose.
        part: Part,
        /// Of how many of a thousand answers.
        permille: u64,
        /// How the answer says so.
        told: Told,
    },
    /// The querier refuses with a status.
    Refused {
        /// HTTP status, such as 503.
        status: u16,
    },
    /// Nobody can be reached.
    Unreachable,
    /// No answer comes.
    Hangs,
    /// Answers come late.
    Slow {
        /// Milliseconds.
        ms: u64,
    },
    /// What comes is no answer of a Prometheus API.
    Garbage,
}

/// How a server says that its answer is not all there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Told {
    /// It does not.
    #[default]
    Nothing,
    /// By a warning, as Thanos does.
    Warning,
    /// By `isPartial`, as VictoriaMetrics does.
    IsPartial,
}

/// When a sample that was scraped at a time arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// At this time or later. Samples behind it wait for it.
    NotBefore(i64),
    /// This one comes so much later; those behind it do not wait.
    Later(i64),
    /// It does not.
    Never,
}

impl MetricFault {
    /// Whose samples it is about; `None`: whole answers.
    pub fn part(&self) -> Option<Part> {
        match self {
            Self::Lag { part, .. }
            | Self::Growing { part, .. }
            | Self::Backlog { part, .. }
            | Self::Cut { part }
            | Self::Lost { part }
            | Self::Late { part, .. }
            | Self::Clock { part, .. }
            | Self::NotANumber { part }
            | Self::Copies { part }
            | Self::Hidden { part, .. } => Some(*part),
            Self::Refused { .. } | Self::Unreachable | Self::Hangs | Self::Slow { .. } | Self::Garbage => {
                None
            }
        }
    }

    /// For how long after its end a fault that lasted so long can still be seen in answers, in milliseconds.
    pub fn tail_ms(&self, lasted_ms: i64) -> i64 {
        match self {
            Self::Lag { ms, .. } | Self::Late { ms, .. } => *ms,
            Self::Growing { per_second_ms: of_a_second, .. }
            | Self::Backlog { drain_ms: of_a_second, .. } => lasted_ms.saturating_mul(*of_a_second) / 1000,
            // What was dated ahead is newer than what comes next, until that has caught up.
            Self::Clock { ahead_ms, .. } => (*ahead_ms).max(0),
            _ => 0,
        }
    }

    /// When what is scraped at a time arrives, for a fault that is on from a time up to another; `None`: as ever.
    pub(crate) fn arrival(&self, from_ms: i64, to_ms: i64, scraped_ms: i64) -> Option<Arrival> {
        // What came before the fault is not touched by it.
        let since = scraped_ms.checked_sub(from_ms).filter(|s| *s >= 0)?;
        let is_on = scraped_ms < to_ms;
        let lasted = since.min(to_ms - from_ms);
        // What is scraped after the end waits behind what was scraped before it.
        let last = scraped_ms.min(to_ms);
        match self {
            Self::Lag { ms, .. } => Some(Arrival::NotBefore(last + ms)),
            Self::Growing { per_second_ms, .. } => {
                Some(Arrival::NotBefore(last + lasted.saturating_mul(*per_second_ms) / 1000))
            }
            Self::Backlog { drain_ms, .. } => {
                Some(Arrival::NotBefore(to_ms + lasted.saturating_mul(*drain_ms) / 1000))
            }
            Self::Cut { .. } | Self::Lost { .. } if is_on => Some(Arrival::Never),
            Self::Late { ms, .. } if is_on => Some(Arrival::Later(*ms)),
            _ => None,
        }
    }
}

/// Every kind, and how it is drawn for a world of so many clusters.
pub const SOURCES: &[swarm::Source<MetricFault, usize>] = &[
    swarm::Source {
        name: "lag",
        draw: |s, n| MetricFault::Lag { part: Part::drawn(s, *n), ms: s.between(500, 45_000) },
    },
    swarm::Source {
        name: "growing",
        draw: |s, n| MetricFault::Growing { part: Part::drawn(s, *n), per_second_ms: s.between(20, 1000) },
    },
    swarm::Source {
        name: "backlog",
        draw: |s, n| MetricFault::Backlog { part: Part::drawn(s, *n), drain_ms: s.between(0, 500) },
    },
    swarm::Source { name: "cut", draw: |s, n| MetricFault::Cut { part: Part::drawn(s, *n) } },
    swarm::Source { name: "lost", draw: |s, n| MetricFault::Lost { part: Part::drawn(s, *n) } },
    swarm::Source {
        name: "late",
        draw: |s, n| MetricFault::Late {
            part: Part::drawn(s, *n),
            permille: s.below(1000),
            ms: s.between(1000, 30_000),
        },
    },
    swarm::Source {
        name: "clock",
        draw: |s, n| MetricFault::Clock {
            part: Part::all(Part::drawn(s, *n).cluster),
            ahead_ms: s.between(-25_000, 25_000),
        },
    },
    swarm::Source { name: "nan", draw: |s, n| MetricFault::NotANumber { part: Part::drawn(s, *n) } },
    swarm::Source { name: "copies", draw: |s, n| MetricFault::Copies { part: Part::drawn(s, *n) } },
    swarm::Source {
        name: "hidden",
        draw: |s, n| MetricFault::Hidden {
            part: Part::drawn(s, *n),
            permille: if s.chance(0.5) { 1000 } else { s.between(100, 900).unsigned_abs() },
            told: s
                .pick(&[Told::Nothing, Told::Nothing, Told::Warning, Told::IsPartial])
                .copied()
                .unwrap_or_default(),
        },
    },
    swarm::Source {
        name: "refused",
        draw: |s, _| MetricFault::Refused {
            status: s.pick(&[422, 429, 500, 502, 503]).copied().unwrap_or(503),
        },
    },
    swarm::Source { name: "unreachable", draw: |_, _| MetricFault::Unreachable },
    swarm::Source { name: "hangs", draw: |_, _| MetricFault::Hangs },
    swarm::Source { name: "slow", draw: |s, _| MetricFault::Slow { ms: 50 + s.below(5000) } },
    swarm::Source { name: "garbage", draw: |_, _| MetricFault::Garbage },
];

impl shrink::Kind for MetricFault {
    fn milder(&self) -> Vec<Self> {
        match self {
            Self::Lag { part, ms } if *ms > 1000 => vec![Self::Lag { part: *part, ms: ms / 2 }],
            Self::Growing { part, per_second_ms } if *per_second_ms > 50 => {
                vec![Self::Growing { part: *part, per_second_ms: per_second_ms / 2 }]
            }
            Self::Backlog { part, drain_ms } if *drain_ms > 0 => {
                vec![Self::Backlog { part: *part, drain_ms: 0 }]
            }
            Self::Clock { part, ahead_ms } if ahead_ms.abs() > 500 => {
                vec![Self::Clock { part: *part, ahead_ms: ahead_ms / 2 }]
            }
            Self::Late { part, permille, ms } if *ms > 1000 => {
                vec![Self::Late { part: *part, permille: *permille, ms: ms / 2 }]
            }
            Self::Slow { ms } if *ms > 50 => vec![Self::Slow { ms: ms / 2 }],
            _ => Vec::new(),
        }
    }
}

/// Whether a fault is about a pod of one of the clusters.
pub(crate) fn concerns(fault: &Fault<MetricFault>, cluster: usize) -> bool {
    fault.kind.part().is_some_and(|part| part.cluster == cluster)
}
