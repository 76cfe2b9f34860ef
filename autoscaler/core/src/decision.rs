//! What comes out: the replicas, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::History;
use crate::input::FailureKind;
use crate::number::Float;

mod codes;

/// What to do, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decision {
    /// What the target should have.
    pub desired_replicas: i32,
    /// What to write to `/scale`: `Some` only if active and different from what is there.
    pub write: Option<i32>,
    /// One sentence: why this number.
    pub cause: String,
    /// What kept the result from being the plain maximum of the proposals, in the order applied.
    pub limits: Vec<Limit>,
    /// HPA's conditions and `EvidenceSufficient`, as they stand before the write.
    pub conditions: Vec<Condition>,
    /// One per metric, in the policy's order.
    pub metrics: Vec<Verdict>,
    /// For the next decision. After a successful write call [`History::record_written`] on it.
    pub history: History,
}

/// One status condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Condition {
    /// Which condition.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// `True` or `False`.
    pub status: bool,
    /// One word, from [`crate::reasons`].
    pub reason: String,
    /// Cause and cure.
    pub message: String,
}

/// Which condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConditionType {
    /// Whether replicas can be read and written, and whether a window holds them.
    AbleToScale,
    /// Whether the metrics give a number at all.
    ScalingActive,
    /// Whether bounds or rates cut the result.
    ScalingLimited,
    /// Whether the evidence would have been good enough to lower on.
    EvidenceSufficient,
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What one metric said, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Verdict {
    /// The metric's name.
    pub name: String,
    /// The value, if the query gave one.
    pub value: Option<Float>,
    /// Whether this metric may take part in lowering.
    pub evidence: Evidence,
    /// Replicas that its value asks for, if there is a value to compute with.
    pub proposal: Option<i32>,
    /// Replicas that its fallback proposed, if that was in force.
    pub fallback: Option<i32>,
    /// What it contributed to the maximum: nothing, if insufficient evidence asked for no more than there is.
    pub counted: Option<i32>,
}

/// Whether a metric's evidence is good enough to lower on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Evidence {
    /// Fresh, complete, one finite number.
    Sufficient,
    /// May hold or raise.
    #[serde(rename_all = "camelCase")]
    Insufficient {
        /// All of them; never empty.
        doubts: Vec<Doubt>,
        /// Since when without interruption, in milliseconds since the epoch.
        since_ms: i64,
    },
}

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
    /// The query returned no series.
    Empty,
    /// The query returned several series.
    #[serde(rename_all = "camelCase")]
    ManySeries {
        /// How many.
        count: u64,
    },
    /// NaN or infinite.
    NotFinite,
    /// Below zero: demand cannot be.
    Negative,
    /// No cluster's newest sample is known.
    NoAge,
    /// An expected cluster has no sample in the answer.
    #[serde(rename_all = "camelCase")]
    ClusterMissing {
        /// Which.
        cluster: String,
    },
    /// A cluster's newest sample is too old.
    #[serde(rename_all = "camelCase")]
    Stale {
        /// Which.
        cluster: String,
        /// How old, in milliseconds.
        age_ms: i64,
        /// How old it might be, in milliseconds.
        max_age_ms: i64,
    },
    /// A cluster's newest sample is from the future: its clock is wrong, so its age says nothing.
    #[serde(rename_all = "camelCase")]
    FromTheFuture {
        /// Which.
        cluster: String,
        /// How far ahead, in milliseconds.
        ahead_ms: i64,
    },
    /// The querier said that it could not ask or read everything.
    #[serde(rename_all = "camelCase")]
    Warned {
        /// Its first warning.
        first: String,
        /// How many there were.
        count: u64,
    },
    /// A `Value` target multiplies the ready replicas, and there are none.
    NoneReady,
    /// Every sample is fresh again, but the query's range window still holds the gap, so that rates are low.
    #[serde(rename_all = "camelCase")]
    Refilling {
        /// For how much longer, in milliseconds.
        left_ms: i64,
    },
}

/// Something that kept the result from being the plain maximum of the proposals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    /// Which.
    pub kind: LimitKind,
    /// Replicas before it.
    pub from: i32,
    /// Replicas after it.
    pub to: i32,
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitKind {
    /// Lowering was held for want of evidence.
    InsufficientEvidence,
    /// A lower recommendation in the scale-up window.
    ScaleUpStabilized,
    /// A higher recommendation in the scale-down window.
    ScaleDownStabilized,
    /// A higher ask in the time of sufficient evidence that a lowering needs ([`crate::support`]).
    EvidenceTooShort,
    /// The scale-up rate.
    ScaleUpLimit,
    /// The scale-down rate.
    ScaleDownLimit,
    /// `maxReplicas`.
    TooManyReplicas,
    /// `minReplicas`.
    TooFewReplicas,
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
