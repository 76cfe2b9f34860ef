//! What the user asked for: bounds, metrics with targets, what counts as complete evidence, behaviour.

use serde::{Deserialize, Serialize};

use crate::behavior::{Behavior, Rules};
use crate::name::Name;
use crate::number::Float;

mod evidence;
mod fallback;

pub use evidence::{DEFAULT_MAX_AGE_MS, EvidenceSpec, PodEvidence};
pub use fallback::{Fallback, FallbackBehavior};

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

impl Policy {
    /// The behaviour's tolerances, else the controller's: below the target, above it.
    #[must_use]
    pub fn tolerances(&self) -> (f64, f64) {
        let of = |rules: Option<&Rules>| {
            rules.and_then(|rules| rules.tolerance).unwrap_or(self.defaults.tolerance).get()
        };
        let behavior = self.behavior.as_ref();
        (of(behavior.and_then(|b| b.scale_down.as_ref())), of(behavior.and_then(|b| b.scale_up.as_ref())))
    }

    /// How far back recommendations count, in milliseconds: for lowering, for raising.
    #[must_use]
    pub fn stabilization_ms(&self) -> (i64, i64) {
        let behavior = self.behavior.as_ref();
        let of = |rules: Option<&Rules>| {
            let seconds = rules.and_then(|rules| rules.stabilization_window_seconds);
            seconds.map(|seconds| i64::from(seconds) * 1000)
        };
        let down_ms = of(behavior.and_then(|b| b.scale_down.as_ref()));
        let up_ms = of(behavior.and_then(|b| b.scale_up.as_ref()));
        (down_ms.unwrap_or(self.defaults.downscale_window_ms), up_ms.unwrap_or(0))
    }

    /// Why nothing can be decided by this policy, if so: a contradiction that no evidence resolves.
    #[must_use]
    pub fn problem(&self) -> Option<Problem> {
        let Self { min_replicas: min, max_replicas: max, metrics, .. } = self;
        if *min < 0 {
            return Some(Problem::MinNegative { min: *min });
        }
        if *max < 1 {
            return Some(Problem::MaxTooSmall { max: *max });
        }
        if min > max {
            return Some(Problem::Bounds { min: *min, max: *max });
        }
        if metrics.is_empty() {
            return Some(Problem::NoMetrics);
        }
        metrics.iter().enumerate().find_map(|(index, metric)| {
            let before = metrics.get(..index).unwrap_or_default();
            if metric.target.milli() <= 0 {
                Some(Problem::Target { metric: metric.name.clone() })
            } else if before.iter().any(|other| other.name == metric.name) {
                Some(Problem::TwiceNamed { metric: metric.name.clone() })
            } else {
                None
            }
        })
    }
}

/// A contradiction in a policy, with its cure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Problem {
    /// Fewer than no replicas.
    #[error("minReplicas is {min}; make it 0 or more")]
    MinNegative {
        /// As written.
        min: i32,
    },
    /// Never a replica.
    #[error("maxReplicas is {max}; make it 1 or more")]
    MaxTooSmall {
        /// As written.
        max: i32,
    },
    /// The bounds exclude each other.
    #[error("minReplicas {min} is above maxReplicas {max}; swap or change them")]
    Bounds {
        /// As written.
        min: i32,
        /// As written.
        max: i32,
    },
    /// Nothing to decide by.
    #[error("metrics is empty; name at least one")]
    NoMetrics,
    /// Nothing to hold a value to.
    #[error("metric {metric}'s target is not above zero; raise it")]
    Target {
        /// Which.
        metric: Name,
    },
    /// Observations could not be told apart.
    #[error("two metrics are named {metric}; rename one")]
    TwiceNamed {
        /// Which.
        metric: Name,
    },
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
    pub name: Name,
    /// A number that changes when the query does: what was learned of other samples is then forgotten.
    #[serde(default, skip_serializing_if = "is_none")]
    pub revision: u64,
    /// What the value is held to.
    pub target: Target,
    /// What a complete answer is.
    pub evidence: EvidenceSpec,
    /// What to do when complete answers stay away.
    pub fallback: Option<Fallback>,
}

impl MetricSpec {
    /// The longest blind span that is no gap, in milliseconds: as long as samples may be old, or a window long where
    /// clusters' series are `skew_ms` apart, and three decisions, one of which may have failed or come late.
    #[must_use]
    pub fn longest_ordinary_ms(&self, interval_ms: i64, skew_ms: i64) -> i64 {
        let window_ms = self.evidence.window_ms;
        let window_ms = if window_ms > 0 { window_ms.saturating_add(skew_ms.max(0)) } else { i64::MAX };
        let age_ms = self.evidence.max_age_ms.max(0).min(window_ms);
        age_ms.saturating_add(interval_ms.max(0).saturating_mul(3))
    }
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

fn is_none(revision: &u64) -> bool {
    *revision == 0
}
