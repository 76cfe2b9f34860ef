//! What the user asked for: bounds, metrics with targets, what counts as complete evidence, behaviour.

use serde::{Deserialize, Serialize};

use crate::behavior::Behavior;
use crate::number::Float;

/// Oldest acceptable sample where a policy names no `maxAge`, in milliseconds: four scrapes at the usual
/// fifteen seconds.
pub const DEFAULT_MAX_AGE_MS: i64 = 60_000;

/// One scaling policy, as far as the decision needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// Fewest replicas; 0 allows scaling to zero.
    pub min_replicas: i32,
    /// Most replicas.
    pub max_replicas: i32,
    /// The highest proposal among these wins.
    pub metrics: Vec<MetricSpec>,
    /// `None` normalises as the HPA does without `behavior`; `Some` is completed with the API's defaults.
    pub behavior: Option<Behavior>,
    /// Whether the decision is written.
    pub mode: Mode,
    /// What the controller was started with, like the HPA controller's flags.
    pub defaults: Defaults,
    /// Time between decisions, in milliseconds; 0 if unknown. Time beyond it was not observed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interval_ms: i64,
}

fn is_zero(ms: &i64) -> bool {
    *ms == 0
}

/// Whether a decision is written to the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Decide and write.
    #[default]
    Active,
    /// Decide and explain, write nothing.
    Shadow,
    /// Keep the replicas as they are. Resuming begins like a restart: nothing is lowered for one window.
    Paused,
}

/// Controller-wide settings that a policy may not override, or overrides piecewise in its behaviour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Defaults {
    /// Relative distance from the target that is left alone, both directions.
    pub tolerance: Float,
    /// Downscale stabilization where the behaviour names none, in milliseconds.
    pub downscale_window_ms: i64,
    /// Without behaviour, one sync at most multiplies the replicas by this...
    pub scale_up_limit_factor: i32,
    /// ...or raises them to this, whichever is more.
    pub scale_up_limit_minimum: i32,
}

impl Default for Defaults {
    /// The HPA controller's (`pkg/controller/podautoscaler/config/v1alpha1/defaults.go`, `horizontal.go`).
    fn default() -> Self {
        Self {
            tolerance: Float::new(0.1),
            downscale_window_ms: 300_000,
            scale_up_limit_factor: 2,
            scale_up_limit_minimum: 4,
        }
    }
}

/// One metric of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricSpec {
    /// Unique within the policy; observations and histories are found by it.
    pub name: String,
    /// What the value is held to.
    pub target: Target,
    /// What a complete answer is.
    pub evidence: EvidenceSpec,
    /// What to do when complete answers stay away.
    pub fallback: Option<Fallback>,
}

/// What a metric's value is held to, in thousandths (`Quantity.MilliValue`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Target {
    /// The value itself should be this; replicas follow `value ÷ target` × ready replicas.
    #[serde(rename_all = "camelCase")]
    Value {
        /// Thousandths, above zero.
        value_milli: i64,
    },
    /// The value divided by the replicas should be this.
    #[serde(rename_all = "camelCase")]
    AverageValue {
        /// Thousandths, above zero.
        average_value_milli: i64,
    },
}

impl Target {
    /// The number to compare with, in thousandths.
    #[must_use]
    pub fn milli(self) -> i64 {
        match self {
            Self::Value { value_milli: milli } | Self::AverageValue { average_value_milli: milli } => milli,
        }
    }
}

/// What makes an answer complete enough to lower replicas on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvidenceSpec {
    /// Oldest acceptable newest sample per cluster, in milliseconds, inclusive.
    pub max_age_ms: i64,
    /// Clusters that must all have answered. Empty: whichever answered, and at least one.
    pub clusters: Vec<String>,
    /// How far back the query reads from its evaluation time, ranges of subqueries included, in milliseconds:
    /// how long a gap in the samples stays in the value. 0 for queries that read only the newest samples.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub window_ms: i64,
}

impl Default for EvidenceSpec {
    fn default() -> Self {
        Self { max_age_ms: DEFAULT_MAX_AGE_MS, clusters: Vec::new(), window_ms: 0 }
    }
}

/// What a metric proposes once its evidence has been insufficient for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fallback {
    /// How long evidence must have been insufficient, in milliseconds.
    pub after_ms: i64,
    /// What is proposed; bounds, windows and rates still apply.
    pub replicas: i32,
    /// When it is proposed.
    pub behavior: FallbackBehavior,
}

/// When a fallback's replicas are proposed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FallbackBehavior {
    /// Only if that raises: the metric still blocks scale-down.
    #[default]
    IfHigher,
    /// Always. The one way to go down without evidence, and only because the user wrote it down; it needs
    /// every insufficient metric of the policy to have such a fallback in force.
    Static,
    /// Propose what there is: hold, and say that it is deliberate.
    CurrentReplicas,
}
