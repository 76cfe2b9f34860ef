//! `behavior` of `autoscaling/v2`, and how the API completes what the user left out.

use serde::{Deserialize, Serialize};

/// `HorizontalPodAutoscalerBehavior`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Behavior {
    /// Rules for raising.
    pub scale_up: Option<HpaScalingRules>,
    /// Rules for lowering.
    pub scale_down: Option<HpaScalingRules>,
}

/// `HPAScalingRules`: one direction's rules as written; `None` takes the API's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HpaScalingRules {
    /// Seconds of recommendations that are looked at; up defaults to 0, down to the controller's window.
    pub stabilization_window_seconds: Option<i32>,
    /// Which policy counts; [`SelectPolicy::Max`] by default.
    pub select_policy: Option<SelectPolicy>,
    /// Rates. `None` takes the defaults; an empty list, which the API refuses, stays one.
    pub policies: Option<Vec<HpaScalingPolicy>>,
    /// Relative distance from the target that is left alone, see [`tolerance_of_milli`]; `None` takes the
    /// controller's.
    pub tolerance: Option<f64>,
}

/// `ScalingPolicySelect`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SelectPolicy {
    /// The policy with the largest change.
    #[default]
    Max,
    /// The policy with the smallest change.
    Min,
    /// No change in this direction.
    Disabled,
}

/// `HPAScalingPolicy`: how much may change within a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HpaScalingPolicy {
    /// What `value` counts.
    #[serde(rename = "type")]
    pub kind: PolicyType,
    /// Replicas, or percent of the replicas at the period's start.
    pub value: i32,
    /// The period in seconds.
    pub period_seconds: i32,
}

/// `HPAScalingPolicyType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyType {
    /// Replicas.
    Pods,
    /// Percent of the replicas at the period's start.
    Percent,
}

/// One direction's rules with nothing left open but the controller's own defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// `None` only downwards: the controller's window.
    pub window_seconds: Option<i32>,
    /// Which policy counts.
    pub select: SelectPolicy,
    /// Rates.
    pub policies: Vec<HpaScalingPolicy>,
    /// `None`: the controller's.
    pub tolerance: Option<f64>,
}

/// Both directions' [`Rules`].
#[derive(Clone, Debug, PartialEq)]
pub struct CompleteBehavior {
    /// Rules for raising.
    pub up: Rules,
    /// Rules for lowering.
    pub down: Rules,
}

impl Behavior {
    /// Fills in what is left out: upwards no window and the larger of 4 pods and 100 % in 15 s, downwards 100 %
    /// in 15 s with the window left to the controller. Complete rules come through unchanged.
    ///
    /// Upstream: `pkg/apis/autoscaling/v2/defaults.go`, `SetDefaults_HorizontalPodAutoscalerBehavior`.
    #[must_use]
    pub fn complete(&self) -> CompleteBehavior {
        let rate = |kind, value| HpaScalingPolicy { kind, value, period_seconds: 15 };
        let complete = |rules: &Option<HpaScalingRules>, window_seconds, policies: Vec<HpaScalingPolicy>| {
            let rules = rules.clone().unwrap_or_default();
            Rules {
                window_seconds: rules.stabilization_window_seconds.or(window_seconds),
                select: rules.select_policy.unwrap_or_default(),
                policies: rules.policies.unwrap_or(policies),
                tolerance: rules.tolerance,
            }
        };
        CompleteBehavior {
            up: complete(
                &self.scale_up,
                Some(0),
                vec![rate(PolicyType::Pods, 4), rate(PolicyType::Percent, 100)],
            ),
            down: complete(&self.scale_down, None, vec![rate(PolicyType::Percent, 100)]),
        }
    }
}

/// A tolerance from the thousandths of its quantity, with the rounding of upstream's `AsApproximateFloat64`:
/// the API server stores `0.15` as `150m`, which is 150 × 10⁻³ there, not the float that is nearest to 0.15.
#[must_use]
pub fn tolerance_of_milli(milli: i64) -> f64 {
    if milli % 1000 == 0 { (milli / 1000) as f64 } else { milli as f64 * 1e-3 }
}
