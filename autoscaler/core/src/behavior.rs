//! `autoscaling/v2` behaviour: stabilization windows, rate policies, tolerances, and how the API completes
//! what the user left out.

use std::borrow::Cow;
use std::sync::LazyLock;

use autoscaler_hpa::behavior as hpa;
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

/// The API's rates for raising: four pods or the double in 15 s, whichever is more.
static RAISING: LazyLock<Rules> = LazyLock::new(|| Rules {
    stabilization_window_seconds: Some(0),
    select_policy: Some(SelectPolicy::Max),
    policies: Some(vec![
        RatePolicy { kind: RateKind::Pods, value: 4, period_seconds: 15 },
        RatePolicy { kind: RateKind::Percent, value: 100, period_seconds: 15 },
    ]),
    tolerance: None,
});

/// The API's rates for lowering: everything in 15 s.
static LOWERING: LazyLock<Rules> = LazyLock::new(|| Rules {
    stabilization_window_seconds: None,
    select_policy: Some(SelectPolicy::Max),
    policies: Some(vec![RatePolicy { kind: RateKind::Percent, value: 100, period_seconds: 15 }]),
    tolerance: None,
});

impl Behavior {
    /// The rules for raising, filled in as `SetDefaults_HorizontalPodAutoscalerBehavior` does.
    #[must_use]
    pub fn raising(&self) -> Cow<'_, Rules> {
        completed(self.scale_up.as_ref(), &RAISING)
    }

    /// The rules for lowering, filled in likewise. The window and the tolerance stay open: the controller's own
    /// settings fill them.
    #[must_use]
    pub fn lowering(&self) -> Cow<'_, Rules> {
        completed(self.scale_down.as_ref(), &LOWERING)
    }

    /// Whether raising is not forbidden as such.
    #[must_use]
    pub fn may_raise(&self) -> bool {
        self.scale_up.as_ref().and_then(|rules| rules.select_policy) != Some(SelectPolicy::Disabled)
    }

    /// Both directions' rules, filled in. Idempotent.
    #[must_use]
    pub fn with_defaults(&self) -> Self {
        Self { scale_up: Some(self.raising().into_owned()), scale_down: Some(self.lowering().into_owned()) }
    }
}

impl Behavior {
    /// As upstream's controller has it.
    pub(crate) fn of_hpa(&self) -> hpa::Behavior {
        let rate = |rate: &RatePolicy| hpa::HpaScalingPolicy {
            kind: match rate.kind {
                RateKind::Pods => hpa::PolicyType::Pods,
                RateKind::Percent => hpa::PolicyType::Percent,
            },
            value: rate.value,
            period_seconds: rate.period_seconds,
        };
        let rules = |rules: &Rules| hpa::HpaScalingRules {
            stabilization_window_seconds: rules.stabilization_window_seconds,
            select_policy: rules.select_policy.map(|select| match select {
                SelectPolicy::Max => hpa::SelectPolicy::Max,
                SelectPolicy::Min => hpa::SelectPolicy::Min,
                SelectPolicy::Disabled => hpa::SelectPolicy::Disabled,
            }),
            policies: rules.policies.as_ref().map(|rates| rates.iter().map(rate).collect()),
            tolerance: rules.tolerance.map(Float::get),
        };
        hpa::Behavior {
            scale_up: self.scale_up.as_ref().map(rules),
            scale_down: self.scale_down.as_ref().map(rules),
        }
    }
}

fn completed<'a>(rules: Option<&'a Rules>, defaults: &'a Rules) -> Cow<'a, Rules> {
    let Some(rules) = rules else { return Cow::Borrowed(defaults) };
    let is_complete = rules.policies.is_some()
        && rules.select_policy.is_some()
        && (rules.stabilization_window_seconds.is_some() || defaults.stabilization_window_seconds.is_none());
    if is_complete {
        return Cow::Borrowed(rules);
    }
    let Rules { stabilization_window_seconds: window, select_policy, policies, tolerance } = rules;
    Cow::Owned(Rules {
        stabilization_window_seconds: window.or(defaults.stabilization_window_seconds),
        select_policy: select_policy.or(defaults.select_policy),
        policies: policies.clone().or_else(|| defaults.policies.clone()),
        tolerance: *tolerance,
    })
}

impl Rules {
    /// The longest period of any rate policy, in milliseconds.
    #[must_use]
    pub fn longest_period_ms(&self) -> i64 {
        let seconds = self.policies.iter().flatten().map(|policy| policy.period_seconds).max();
        i64::from(seconds.unwrap_or(0).max(0)) * 1000
    }
}
