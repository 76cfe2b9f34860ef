//! What the user asked for: bounds, metrics with targets, what counts as complete evidence, behaviour.

use autoscaler_hpa::behavior::{Behavior, Rules};
use autoscaler_hpa::ratio::Tolerances;
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::number::Float;

mod evidence;
mod fallback;
mod formula;
mod kind;
mod pause;
mod zero;

pub use evidence::{DEFAULT_MAX_AGE_MS, EvidenceSpec, PodEvidence};
pub use fallback::{Fallback, FallbackBehavior};
pub use formula::FormulaSpec;
pub use kind::MetricKind;
pub use pause::Pause;
pub use zero::Zero;

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
    /// Whose rules decide.
    #[serde(default, skip_serializing_if = "Compatibility::is_none")]
    pub compatibility: Compatibility,
    /// What the controller was started with, like the HPA controller's flags.
    pub defaults: Defaults,
    /// Time between decisions, in milliseconds; 0 if unknown. Time beyond it was not observed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interval_ms: i64,
    /// How the last replica goes; `None`: as any other, and no activation counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zero: Option<Zero>,
    /// What is paused, beside [`Mode::Paused`].
    #[serde(default, skip_serializing_if = "Pause::is_none")]
    pub pause: Pause,
    /// One number out of several metrics, which proposes like a metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formula: Option<FormulaSpec>,
}

fn is_zero(ms: &i64) -> bool {
    *ms == 0
}

impl Policy {
    /// The behaviour's tolerances, else the controller's.
    #[must_use]
    pub fn tolerances(&self) -> Tolerances {
        let of = |rules: Option<&Rules>| {
            rules.and_then(|rules| rules.tolerance).unwrap_or(self.defaults.tolerance).get()
        };
        let behavior = self.behavior.as_ref();
        Tolerances {
            down: of(behavior.and_then(|b| b.scale_down.as_ref())),
            up: of(behavior.and_then(|b| b.scale_up.as_ref())),
        }
    }

    /// Whether the decision looks at the target's pods ([`crate::Input::pods`]).
    #[must_use]
    pub fn needs_pods(&self) -> bool {
        self.compatibility == Compatibility::Hpa || self.metrics.iter().any(|metric| metric.kind.is_by_pod())
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
        if let Some(replicas) = self.pause.replicas.filter(|replicas| !(0..=*max).contains(replicas)) {
            return Some(Problem::PauseReplicas { replicas, max: *max });
        }
        if let Some(problem) = self.formula.as_ref().and_then(|formula| self.problem_of(formula)) {
            return Some(problem);
        }
        metrics.iter().enumerate().find_map(|(index, metric)| {
            let before = metrics.get(..index).unwrap_or_default();
            if metric.target == Target::None {
                let is_read =
                    self.formula.as_ref().is_some_and(|formula| formula.expression.reads(&metric.name));
                (!is_read).then(|| Problem::NoTarget { metric: metric.name.clone() })
            } else if metric.target.milli() <= 0 {
                Some(Problem::Target { metric: metric.name.clone() })
            } else if !metric.kind.takes(metric.target) {
                Some(Problem::TargetType { metric: metric.name.clone() })
            } else if before.iter().any(|other| other.name == metric.name) {
                Some(Problem::TwiceNamed { metric: metric.name.clone() })
            } else {
                None
            }
        })
    }
}

impl Policy {
    fn problem_of(&self, formula: &FormulaSpec) -> Option<Problem> {
        if formula.target.milli() <= 0 {
            return Some(Problem::FormulaTarget);
        }
        let unknown = formula.expression.metrics().iter().find(|mention| {
            let name = mention.name.as_str();
            self.metrics.iter().all(|metric| metric.name != *name)
        });
        unknown.map(|mention| Problem::FormulaMetric { metric: mention.name.as_str().into() })
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
    /// It would say nothing to anybody.
    #[error("metric {metric} has no target, and the formula does not read it; write either")]
    NoTarget {
        /// Which.
        metric: Name,
    },
    /// Nothing to hold the formula's number to.
    #[error("the formula's target is not above zero; raise it")]
    FormulaTarget,
    /// A metric that the policy does not have.
    #[error("the formula reads {metric}, which is no metric of the policy; add it, or correct the name")]
    FormulaMetric {
        /// Which.
        metric: Name,
    },
    /// Paused at a number that cannot be.
    #[error("pause.replicas is {replicas}; make it 0 to maxReplicas, {max}")]
    PauseReplicas {
        /// As written.
        replicas: i32,
        /// As written.
        max: i32,
    },
    /// A kind of metric that cannot be held to such a target.
    #[error(
        "metric {metric} cannot have its type of target; write Utilization or AverageValue for resources, \
         AverageValue for Pods, Value or AverageValue for a query"
    )]
    TargetType {
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

/// Whose rules decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compatibility {
    /// This crate's: nothing is lowered on insufficient evidence.
    #[default]
    None,
    /// The HPA's of Kubernetes 1.35, to the letter: values are taken as they are, whatever their age, and replicas
    /// fall on what is left of them.
    #[serde(rename = "HPA")]
    Hpa,
}

impl Compatibility {
    fn is_none(&self) -> bool {
        *self == Self::None
    }
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
    /// For how long after its start a pod's CPU counts only while the pod is ready, in milliseconds.
    #[serde(default = "cpu_initialization_period_ms", skip_serializing_if = "is_cpu_initialization_period")]
    pub cpu_initialization_period_ms: i64,
    /// Until when after its start a pod that is unready counts as never ready, in milliseconds.
    #[serde(default = "initial_readiness_delay_ms", skip_serializing_if = "is_initial_readiness_delay")]
    pub initial_readiness_delay_ms: i64,
}

fn cpu_initialization_period_ms() -> i64 {
    300_000
}

fn is_cpu_initialization_period(ms: &i64) -> bool {
    *ms == cpu_initialization_period_ms()
}

fn initial_readiness_delay_ms() -> i64 {
    30_000
}

fn is_initial_readiness_delay(ms: &i64) -> bool {
    *ms == initial_readiness_delay_ms()
}

impl Default for Defaults {
    /// The HPA controller's (`pkg/controller/podautoscaler/config/v1alpha1/defaults.go`, `horizontal.go`).
    fn default() -> Self {
        Self {
            tolerance: Float::new(0.1),
            downscale_window_ms: 300_000,
            scale_up_limit_factor: 2,
            scale_up_limit_minimum: 4,
            cpu_initialization_period_ms: cpu_initialization_period_ms(),
            initial_readiness_delay_ms: initial_readiness_delay_ms(),
        }
    }
}

impl Defaults {
    /// As upstream's controller has them.
    pub(crate) fn settings(&self) -> autoscaler_hpa::Settings {
        autoscaler_hpa::Settings {
            tolerance: self.tolerance.get(),
            downscale_stabilization_ms: self.downscale_window_ms,
            cpu_initialization_period_ms: self.cpu_initialization_period_ms,
            initial_readiness_delay_ms: self.initial_readiness_delay_ms,
            scale_up_limit_factor: f64::from(self.scale_up_limit_factor),
            scale_up_limit_minimum: f64::from(self.scale_up_limit_minimum),
            ..autoscaler_hpa::Settings::default()
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
    /// What is measured.
    #[serde(default, skip_serializing_if = "MetricKind::is_query")]
    pub kind: MetricKind,
    /// What the value is held to.
    pub target: Target,
    /// What a complete answer is.
    pub evidence: EvidenceSpec,
    /// What to do when complete answers stay away.
    pub fallback: Option<Fallback>,
    /// Above this the workload is active ([`Zero`]), in thousandths.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub activation_milli: i64,
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
    /// Of a resource: the share of the pods' requests that is used should be this.
    #[serde(rename_all = "camelCase")]
    Utilization {
        /// Percent, above zero.
        average_utilization: i32,
    },
    /// Nothing: it proposes nothing, and a formula reads it.
    None,
}

impl Target {
    /// The number to compare with, in thousandths; of a utilization, thousandths of a percent; 0 if there is none.
    #[must_use]
    pub fn milli(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Value { value_milli: milli } | Self::AverageValue { average_value_milli: milli } => milli,
            Self::Utilization { average_utilization: percent } => i64::from(percent) * 1000,
        }
    }
}

fn is_none(revision: &u64) -> bool {
    *revision == 0
}
