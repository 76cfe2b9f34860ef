//! `autoscaling/v2` behaviour: stabilization windows, rate policies, tolerances, and how the API completes
//! what the user left out.

use serde::{Deserialize, Serialize};

use crate::number::Float;

/// Both directions' rules; `None` fields take the API's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Behavior {
    /// Rules for raising.
    pub scale_up: Option<Rules>,
    /// Rules for lowering.
    pub scale_down: Option<Rules>,
}

/// One direction's rules (`HPAScalingRules`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rules {
    /// Seconds of recommendations that are considered; up defaults to 0, down to the controller's window.
    pub stabilization_window_seconds: Option<i32>,
    /// Which policy counts; default [`SelectPolicy::Max`].
    pub select_policy: Option<SelectPolicy>,
    /// Rates. `None` takes the defaults; an empty list allows no change.
    pub policies: Option<Vec<RatePolicy>>,
    /// Relative distance from the target that is left alone; `None` takes the controller's.
    pub tolerance: Option<Float>,
}

/// Which of several rate policies counts.
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

/// How much may change within a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RatePolicy {
    /// What `value` counts.
    #[serde(rename = "type")]
    pub kind: RateKind,
    /// Replicas, or percent of the replicas at the period's start.
    pub value: i32,
    /// The period.
    pub period_seconds: i32,
}

/// What a rate policy's value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RateKind {
    /// Replicas.
    Pods,
    /// Percent of the replicas at the period's start.
    Percent,
}

impl Behavior {
    /// Fills in what the user left out, as `SetDefaults_HorizontalPodAutoscalerBehavior` does. The down
    /// window and the tolerances stay open: the controller's own settings fill them. Idempotent.
    #[must_use]
    pub fn with_defaults(&self) -> Self {
        let up = self.scale_up.clone().unwrap_or_default();
        let down = self.scale_down.clone().unwrap_or_default();
        Self {
            scale_up: Some(Rules {
                stabilization_window_seconds: up.stabilization_window_seconds.or(Some(0)),
                select_policy: up.select_policy.or(Some(SelectPolicy::Max)),
                policies: up.policies.or_else(|| {
                    Some(vec![
                        RatePolicy { kind: RateKind::Pods, value: 4, period_seconds: 15 },
                        RatePolicy { kind: RateKind::Percent, value: 100, period_seconds: 15 },
                    ])
                }),
                tolerance: up.tolerance,
            }),
            scale_down: Some(Rules {
                stabilization_window_seconds: down.stabilization_window_seconds,
                select_policy: down.select_policy.or(Some(SelectPolicy::Max)),
                policies: down.policies.or_else(|| {
                    Some(vec![RatePolicy { kind: RateKind::Percent, value: 100, period_seconds: 15 }])
                }),
                tolerance: down.tolerance,
            }),
        }
    }
}

impl Rules {
    /// The longest period of any rate policy, in milliseconds.
    #[must_use]
    pub fn longest_period_ms(&self) -> i64 {
        let seconds = self.policies.iter().flatten().map(|policy| policy.period_seconds).max();
        i64::from(seconds.unwrap_or(0).max(0)) * 1000
    }
}
