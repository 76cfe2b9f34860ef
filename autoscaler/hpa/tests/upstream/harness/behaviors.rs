//! Behaviour as the cases have it.

use autoscaler_hpa::Float;
use autoscaler_hpa::behavior::{Behavior, RatePolicy, Rules, SelectPolicy};
use serde::Deserialize;

/// Rules as written, where no list of policies is an empty one.
#[derive(Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RulesCase {
    stabilization_window_seconds: Option<i32>,
    select_policy: Option<SelectPolicy>,
    policies: Vec<RatePolicy>,
    tolerance: Option<f64>,
}

#[derive(Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BehaviorCase {
    pub(crate) scale_up: Option<RulesCase>,
    pub(crate) scale_down: Option<RulesCase>,
}

impl RulesCase {
    /// With an empty list for none.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            stabilization_window_seconds: self.stabilization_window_seconds,
            select_policy: self.select_policy,
            policies: Some(self.policies.clone()).filter(|policies| !policies.is_empty()),
            tolerance: self.tolerance.map(Float::new),
        }
    }

    /// In both directions.
    pub(crate) fn both_ways(&self) -> Behavior {
        Behavior { scale_up: Some(self.rules()), scale_down: Some(self.rules()) }
    }
}

impl BehaviorCase {
    pub(crate) fn behavior(&self) -> Behavior {
        let rules = |case: &Option<RulesCase>| case.as_ref().map(RulesCase::rules);
        Behavior { scale_up: rules(&self.scale_up), scale_down: rules(&self.scale_down) }
    }
}
