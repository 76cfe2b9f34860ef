//! What speaks against lowering on an answer: each with its cause, its cure and what it says about samples.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::number::seconds;
use crate::observation::FailureKind;
use crate::reasons;

/// One reason not to lower on a metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Doubt {
    /// The policy's metric has no observation.
    NotObserved,
    /// The query gave no value.
    #[serde(rename_all = "camelCase")]
    Failed {
        /// What went wrong.
        kind: FailureKind,
        /// In the querier's or the client's words.
        message: String,
    },
    /// There is a value, but the samples behind it could not be asked for.
    EvidenceLost {
        /// In the client's words.
        message: String,
    },
    /// NaN or infinite.
    NotFinite,
    /// Below zero: demand cannot be.
    Negative,
    /// No cluster's newest sample is known, and none is expected by name.
    NoSamples,
    /// One selector of several sees no samples at all.
    SelectorEmpty {
        /// Its text.
        selector: Name,
    },
    /// An expected cluster has no sample in the answer.
    #[serde(rename_all = "camelCase")]
    ClusterMissing {
        /// Which.
        cluster: Name,
        /// It is expected because it answered once, not because the policy names it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        remembered: bool,
    },
    /// A cluster's newest sample is too old.
    #[serde(rename_all = "camelCase")]
    Stale {
        /// Which.
        cluster: Name,
        /// How old, in milliseconds.
        age_ms: i64,
        /// How old it might be, in milliseconds.
        max_age_ms: i64,
    },
    /// A cluster's newest sample is from the future: its clock or ours is wrong, so its age says nothing.
    #[serde(rename_all = "camelCase")]
    FromTheFuture {
        /// Which.
        cluster: Name,
        /// How far ahead, in milliseconds.
        ahead_ms: i64,
    },
    /// Fewer of the target's pods have fresh samples than have been ready for long enough to have some.
    #[serde(rename_all = "camelCase")]
    PodsMissing {
        /// Where.
        cluster: Name,
        /// Pods with fresh samples.
        fresh: u32,
        /// Pods that have been ready for `maxAge`.
        ready: u32,
    },
    /// Series of pods stopped without a staleness marker, as when a part of the way of the samples is lost.
    PodsSilent {
        /// Where.
        cluster: Name,
        /// How many pods.
        pods: u32,
    },
    /// The querier warned that it could not ask or read everything.
    #[serde(rename_all = "camelCase")]
    Warned {
        /// Its first warning.
        first: String,
        /// How many there were.
        count: u64,
    },
    /// The querier marked the answer as incomplete.
    Incomplete {
        /// In its words.
        said: String,
    },
    /// The query itself was warned of (`PromQL warning:`); its samples are there.
    Annotated {
        /// The first warning.
        first: String,
    },
    /// Evaluated where a cluster's samples are not there yet, and there is no settled value.
    #[serde(rename_all = "camelCase")]
    Lagging {
        /// Which cluster.
        cluster: Name,
        /// How far its slowest series is behind, in milliseconds.
        lag_ms: i64,
        /// How far it might be, in milliseconds.
        most_ms: i64,
    },
    /// A cluster's samples end before the settled time in this answer: another querier gave the one before.
    #[serde(rename_all = "camelCase")]
    Unsettled {
        /// Which cluster.
        cluster: Name,
        /// By how much, in milliseconds.
        behind_ms: i64,
    },
    /// The settled time is from long before this answer's samples, as after a controller stood still.
    #[serde(rename_all = "camelCase")]
    Outdated {
        /// How long before, in milliseconds.
        behind_ms: i64,
    },
    /// A `Value` target multiplies the ready replicas, and there are none.
    NoneReady,
}

/// What a tick says about a metric's evidence beyond itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Evidence is missing: fallbacks count from it.
    pub is_missing: bool,
    /// It cannot be vouched that the samples are there: the blind span goes on.
    pub is_blind: bool,
}

impl Doubt {
    /// What the doubt says beyond its tick.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let (is_missing, is_blind) = match self {
            // Its samples are judged beside it.
            Self::Failed {
                kind: FailureKind::Empty | FailureKind::ManySeries | FailureKind::NotANumber,
                ..
            }
            | Self::NotFinite
            | Self::Negative => (true, false),
            Self::NotObserved
            | Self::Failed { .. }
            | Self::EvidenceLost { .. }
            | Self::NoSamples
            | Self::SelectorEmpty { .. }
            | Self::ClusterMissing { .. }
            | Self::Stale { .. }
            | Self::FromTheFuture { .. }
            | Self::PodsMissing { .. }
            | Self::PodsSilent { .. }
            | Self::Warned { .. }
            | Self::Incomplete { .. } => (true, true),
            Self::Annotated { .. }
            | Self::Lagging { .. }
            | Self::Unsettled { .. }
            | Self::Outdated { .. }
            | Self::NoneReady => (false, false),
        };
        Standing { is_missing, is_blind }
    }

    /// Whether the value is of old samples.
    #[must_use]
    pub fn is_of_age(&self) -> bool {
        matches!(self, Self::Stale { .. } | Self::FromTheFuture { .. })
    }

    /// The cluster that is doubted, if one is.
    #[must_use]
    pub fn cluster(&self) -> Option<&Name> {
        match self {
            Self::ClusterMissing { cluster, .. }
            | Self::Stale { cluster, .. }
            | Self::FromTheFuture { cluster, .. }
            | Self::PodsMissing { cluster, .. }
            | Self::PodsSilent { cluster, .. }
            | Self::Lagging { cluster, .. }
            | Self::Unsettled { cluster, .. } => Some(cluster),
            _ => None,
        }
    }

    /// The condition reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotObserved => reasons::NOT_OBSERVED,
            Self::Failed { kind: FailureKind::Empty, .. } => reasons::EMPTY_RESULT,
            Self::Failed { kind: FailureKind::ManySeries, .. } => reasons::MANY_SERIES,
            Self::Failed { kind: FailureKind::NotANumber, .. } | Self::NotFinite => reasons::NOT_A_NUMBER,
            Self::Failed { .. } | Self::EvidenceLost { .. } => reasons::QUERY_FAILED,
            Self::Negative => reasons::NEGATIVE_VALUE,
            Self::NoSamples | Self::SelectorEmpty { .. } | Self::ClusterMissing { .. } => {
                reasons::CLUSTERS_MISSING
            }
            Self::Stale { .. } | Self::FromTheFuture { .. } => reasons::STALE_SAMPLES,
            Self::PodsMissing { .. } | Self::PodsSilent { .. } => reasons::PODS_MISSING,
            Self::Warned { .. } | Self::Incomplete { .. } => reasons::QUERY_WARNINGS,
            Self::Annotated { .. } => reasons::QUERY_ANNOTATED,
            Self::Lagging { .. } | Self::Unsettled { .. } | Self::Outdated { .. } => reasons::NOT_SETTLED,
            Self::NoneReady => reasons::NO_READY_REPLICAS,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn cure(&self) -> &'static str {
        match self {
            Self::NotObserved => "report this to the controller's authors",
            Self::Failed { kind, .. } => match kind {
                FailureKind::Unreachable => "check the querier's address and that it runs",
                FailureKind::Timeout => "make the query cheaper or the deadline longer",
                FailureKind::BadQuery => "correct the query",
                FailureKind::Execution => "look at the querier's log",
                FailureKind::BadResponse => "check that the address is a Prometheus HTTP API",
                FailureKind::Empty => "check the query's labels, and that the workload is scraped",
                FailureKind::ManySeries => "aggregate the query to one series, for example with sum()",
                FailureKind::NotANumber => Self::NotFinite.cure(),
                FailureKind::Other => "look at the controller's log",
            },
            Self::EvidenceLost { .. } => "make the query cheaper or the deadline longer",
            Self::NotFinite => "guard the query against division by zero",
            Self::Negative => "correct the query: demand cannot be negative",
            Self::NoSamples => {
                "check the scrape; if no series is normal, write into evidence.selectors what must be there"
            }
            Self::SelectorEmpty { .. } => {
                "check its scrape; if no series is normal, write into evidence.selectors what must be there"
            }
            Self::ClusterMissing { remembered: true, .. } => {
                "check that cluster's scrape, receive and store; if it is gone for good, name the clusters that \
                 remain in evidence.clusters"
            }
            Self::ClusterMissing { .. } => "check that cluster's scrape, receive and store",
            Self::Stale { .. } => "check that cluster's scrape, or raise evidence.maxAge",
            Self::FromTheFuture { .. } => "check that cluster's clock, and the controller's",
            Self::PodsMissing { .. } => {
                "check those pods' scrape; if not all of them have these series, write evidence.pods: Ignore"
            }
            Self::PodsSilent { .. } => {
                "check their scrape and its way; if series end without staleness markers, write evidence.pods: \
                 Ignore"
            }
            Self::Warned { .. } | Self::Incomplete { .. } => "check the querier's stores",
            Self::Annotated { .. } => "correct the query, or what it reads",
            Self::Lagging { .. } | Self::Unsettled { .. } | Self::Outdated { .. } => {
                "wait for the next evaluation"
            }
            Self::NoneReady => "check why no replica becomes ready",
        }
    }
}

/// A cluster's samples in a sentence; series without a cluster label have no cluster to name.
struct Whose<'a>(&'a Name);

impl fmt::Display for Whose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("its") } else { write!(f, "cluster {}'s", self.0) }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotObserved => f.write_str("it was not observed"),
            Self::Failed { kind: FailureKind::Empty, message } if message.is_empty() => {
                f.write_str("its query returned no series")
            }
            Self::Failed { kind, message } => write!(f, "its query failed ({kind:?}): {message}"),
            Self::EvidenceLost { message } => write!(f, "its samples could not be asked for: {message}"),
            Self::NotFinite => f.write_str("its value is not a finite number"),
            Self::Negative => f.write_str("its value is negative"),
            Self::NoSamples => f.write_str("no sample of what it reads was found"),
            Self::SelectorEmpty { selector } => write!(f, "no sample of {selector} was found"),
            Self::ClusterMissing { cluster, .. } if cluster.is_empty() => {
                f.write_str("its series without a cluster label are gone")
            }
            Self::ClusterMissing { cluster, remembered } => {
                let since = if *remembered { ", where it was before" } else { "" };
                write!(f, "cluster {cluster} has no sample in the answer{since}")
            }
            Self::Stale { cluster, age_ms, max_age_ms } => write!(
                f,
                "{} newest sample is {} old, more than {}",
                Whose(cluster),
                seconds(*age_ms),
                seconds(*max_age_ms)
            ),
            Self::FromTheFuture { cluster, ahead_ms } => {
                write!(f, "{} newest sample is {} in the future", Whose(cluster), seconds(*ahead_ms))
            }
            Self::PodsMissing { cluster, fresh, ready } => {
                let place = if cluster.is_empty() { String::new() } else { format!(" in cluster {cluster}") };
                write!(f, "{fresh} of the {ready} pods that are ready{place} have fresh samples")
            }
            Self::PodsSilent { cluster, pods } => {
                let place = if cluster.is_empty() { String::new() } else { format!(" in cluster {cluster}") };
                let whose = if *pods == 1 { "pod" } else { "pods" };
                write!(f, "the series of {pods} {whose}{place} stopped without a staleness marker")
            }
            Self::Warned { first, count: 1 } => write!(f, "the querier warned: {first}"),
            Self::Warned { first, count } => {
                write!(f, "the querier warned: {first} (and {} more)", count.saturating_sub(1))
            }
            Self::Incomplete { said } => write!(f, "the querier's answer is incomplete: {said}"),
            Self::Annotated { first } => write!(f, "the querier said of the query: {first}"),
            Self::Lagging { cluster, lag_ms, most_ms } => write!(
                f,
                "{} samples end {} before the evaluation, more than {}, so its value is too low",
                Whose(cluster),
                seconds(*lag_ms),
                seconds(*most_ms)
            ),
            Self::Unsettled { cluster, behind_ms } => write!(
                f,
                "{} samples end {} before those of the answer before",
                Whose(cluster),
                seconds(*behind_ms)
            ),
            Self::Outdated { behind_ms } => {
                write!(f, "its settled value is from {} before its newest samples", seconds(*behind_ms))
            }
            Self::NoneReady => f.write_str("no replica is ready for its ratio to multiply"),
        }
    }
}
