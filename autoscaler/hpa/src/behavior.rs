//! `behavior` of `autoscaling/v2`, and how the API completes what the user left out.

use serde::{Deserialize, Serialize};

use crate::number::Float;

/// Both directions' rules as written (`HorizontalPodAutoscalerBehavior`); `None` takes the API's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Behavior {
    /// Rules for raising.
    pub scale_up: Option<Rules>,
    /// Rules for lowering.
    pub scale_down: Option<Rules>,
}

/// One direction's rules as written (`HPAScalingRules`); `None` takes the API's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rules {
    /// Seconds of recommendations that are looked at; up defaults to 0, down to the controller's window.
    pub stabilization_window_seconds: Option<i32>,
    /// Which policy counts; [`SelectPolicy::Max`] by default.
    pub select_policy: Option<SelectPolicy>,
    /// Rates. `None` takes the defaults; an empty list, which the API refuses, stays one.
    pub policies: Option<Vec<RatePolicy>>,
    /// Relative distance from the target that is left alone, see [`tolerance_of_milli`]; `None` takes the
    /// controller's.
    pub tolerance: Option<Float>,
}

/// Which of several rate policies counts (`ScalingPolicySelect`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SelectPolicy {
    /// The one that allows the largest change.
    #[default]
    Max,
    /// The one that allows the smallest change.
    Min,
    /// No change in this direction.
    Disabled,
}

/// How much may change within a period (`HPAScalingPolicy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RatePolicy {
    /// What `value` counts.
    #[serde(rename = "type")]
    pub kind: RateKind,
    /// Replicas, or percent of the replicas at the period's start.
    pub value: i32,
    /// The period in seconds.
    pub period_seconds: i32,
}

/// What a rate policy's value counts (`HPAScalingPolicyType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RateKind {
    /// Replicas.
    Pods,
    /// Percent of the replicas at the period's start.
    Percent,
}

/// The API's rates for raising: four pods or the double in 15 s, whichever is more.
const RAISING: &[RatePolicy] = &[
    RatePolicy { kind: RateKind::Pods, value: 4, period_seconds: 15 },
    RatePolicy { kind: RateKind::Percent, value: 100, period_seconds: 15 },
];

/// The API's rates for lowering: everything in 15 s.
const LOWERING: &[RatePolicy] = &[RatePolicy { kind: RateKind::Percent, value: 100, period_seconds: 15 }];

/// One direction's rules with nothing left open but the controller's own defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompleteRules<'a> {
    /// `None` only downwards: the controller's window.
    pub window_seconds: Option<i32>,
    /// Which policy counts.
    pub select: SelectPolicy,
    /// Rates.
    pub policies: &'a [RatePolicy],
    /// `None`: the controller's.
    pub tolerance: Option<Float>,
}

/// Both directions' [`CompleteRules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompleteBehavior<'a> {
    /// Rules for raising.
    pub up: CompleteRules<'a>,
    /// Rules for lowering.
    pub down: CompleteRules<'a>,
}

impl Behavior {
    /// Fills in what is left out: upwards no window and the larger of 4 pods and 100 % in 15 s, downwards 100 %
    /// in 15 s with the window left to the controller. Complete rules come through unchanged.
    ///
    /// Upstream: `pkg/apis/autoscaling/v2/defaults.go`, `SetDefaults_HorizontalPodAutoscalerBehavior`.
    #[must_use]
    pub fn complete(&self) -> CompleteBehavior<'_> {
        CompleteBehavior {
            up: completed(self.scale_up.as_ref(), Some(0), RAISING),
            down: completed(self.scale_down.as_ref(), None, LOWERING),
        }
    }

    /// Whether raising is not forbidden as such.
    #[must_use]
    pub fn may_raise(&self) -> bool {
        self.complete().up.select != SelectPolicy::Disabled
    }
}

fn completed<'a>(
    rules: Option<&'a Rules>,
    window_seconds: Option<i32>,
    policies: &'a [RatePolicy],
) -> CompleteRules<'a> {
    CompleteRules {
        window_seconds: rules.and_then(|rules| rules.stabilization_window_seconds).or(window_seconds),
        select: rules.and_then(|rules| rules.select_policy).unwrap_or_default(),
        policies: rules.and_then(|rules| rules.policies.as_deref()).unwrap_or(policies),
        tolerance: rules.and_then(|rules| rules.tolerance),
    }
}

/// A tolerance from the thousandths of its quantity, with the rounding of upstream's `AsApproximateFloat64`:
/// the API server stores `0.15` as `150m`, which is 150 × 10⁻³ there, not the float that is nearest to 0.15.
#[must_use]
pub fn tolerance_of_milli(milli: i64) -> f64 {
    if milli % 1000 == 0 { (milli / 1000) as f64 } else { milli as f64 * 1e-3 }
}
