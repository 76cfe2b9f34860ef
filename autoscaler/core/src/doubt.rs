//! What speaks against lowering on an answer: each with its cause, its cure and what it says about samples.

use autoscaler_formula::Undefined;
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::observation::FailureKind;
use crate::reasons;

mod words;

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
    /// A cluster has no samples where the window begins, where it had some: another server answers, or it lost them.
    #[serde(rename_all = "camelCase")]
    SamplesLost {
        /// Which.
        cluster: Name,
        /// How long before the evaluation that is, in milliseconds.
        before_ms: i64,
    },
    /// A cluster's samples went ahead of our clock: its own was set, or it caught up after a lag.
    #[serde(rename_all = "camelCase")]
    ClockStepped {
        /// Which.
        cluster: Name,
        /// By how much, beyond a step of its samples, in milliseconds.
        ahead_ms: i64,
    },
    /// A cluster has fewer series where the window begins: pods that ended, or a part of the store that is lost.
    SeriesLost {
        /// Which.
        cluster: Name,
        /// How many there were in an answer before.
        before: u32,
        /// How many there are.
        series: u32,
    },
    /// Series of a cluster are there at both ends of a time, and not within it: a store that was away for a while.
    SeriesBroken {
        /// Which.
        cluster: Name,
        /// How many there are at its beginning.
        before: u32,
        /// How many of these are fresh, and lack a stretch.
        series: u32,
    },
    /// More clusters answer than are remembered, so that one that vanishes would not be missed.
    TooManyClusters {
        /// How many are.
        most: u32,
    },
    /// Who answered another leader could not be handed on.
    ClustersUnknown,
    /// A `Value` target multiplies the ready replicas, and there are none; or a metric of pods would lower by the
    /// values of pods of which none is ready.
    NoneReady,
    /// Of a formula: it has no number.
    Undefined(Undefined),
    /// Of a formula: a metric that it reads has insufficient evidence.
    OfMetric {
        /// Which.
        metric: Name,
    },
    /// Of pods that have been ready for long enough, some have no value, or an old one.
    #[serde(rename_all = "camelCase")]
    PodsUnmeasured {
        /// The first of them.
        pod: Name,
        /// Pods that have been ready for `maxAge` and have a value that is not older.
        measured: u32,
        /// Pods that have been ready for `maxAge`.
        ready: u32,
    },
    /// Pods began to be measured before it was known how many were ready: more may have shared the load.
    #[serde(rename_all = "camelCase")]
    Unwatched {
        /// By how much, in milliseconds.
        left_ms: i64,
    },
    /// The pods themselves could not be looked at, or allow no computation.
    PodsUnknown {
        /// Why.
        why: String,
    },
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
            | Self::PodsUnmeasured { .. }
            | Self::PodsUnknown { .. }
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
            | Self::Unwatched { .. }
            | Self::SamplesLost { .. }
            | Self::ClockStepped { .. }
            | Self::SeriesLost { .. }
            | Self::SeriesBroken { .. }
            | Self::TooManyClusters { .. }
            | Self::ClustersUnknown
            | Self::NoneReady
            | Self::Undefined(_)
            | Self::OfMetric { .. } => (false, false),
        };
        Standing { is_missing, is_blind }
    }

    /// Whether pods have no samples.
    pub(crate) fn is_of_pods(&self) -> bool {
        matches!(self, Self::PodsMissing { .. } | Self::PodsSilent { .. })
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
            | Self::SamplesLost { cluster, .. }
            | Self::ClockStepped { cluster, .. }
            | Self::SeriesLost { cluster, .. }
            | Self::SeriesBroken { cluster, .. }
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
            Self::Failed { kind: FailureKind::Source, .. } => reasons::SOURCE_UNUSABLE,
            Self::Failed { .. } | Self::EvidenceLost { .. } => reasons::QUERY_FAILED,
            Self::Negative => reasons::NEGATIVE_VALUE,
            Self::NoSamples
            | Self::SelectorEmpty { .. }
            | Self::ClusterMissing { .. }
            | Self::TooManyClusters { .. }
            | Self::ClustersUnknown => reasons::CLUSTERS_MISSING,
            Self::Stale { .. } | Self::FromTheFuture { .. } => reasons::STALE_SAMPLES,
            Self::PodsMissing { .. } | Self::PodsSilent { .. } | Self::PodsUnmeasured { .. } => {
                reasons::PODS_MISSING
            }
            Self::PodsUnknown { .. } => reasons::PODS_UNKNOWN,
            Self::Warned { .. } | Self::Incomplete { .. } => reasons::QUERY_WARNINGS,
            Self::Annotated { .. } => reasons::QUERY_ANNOTATED,
            Self::Lagging { .. }
            | Self::Unsettled { .. }
            | Self::Outdated { .. }
            | Self::SamplesLost { .. }
            | Self::ClockStepped { .. }
            | Self::SeriesLost { .. }
            | Self::SeriesBroken { .. }
            | Self::Unwatched { .. } => reasons::NOT_SETTLED,
            Self::NoneReady => reasons::NO_READY_REPLICAS,
            Self::Undefined(_) => reasons::FORMULA_UNDEFINED,
            Self::OfMetric { .. } => reasons::INSUFFICIENT_EVIDENCE,
        }
    }
}
