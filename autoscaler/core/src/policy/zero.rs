//! How the last replica goes, where `minReplicas` is 0.

use serde::{Deserialize, Serialize};

/// How the last replica goes, and when the first one comes back.
///
/// KEDA's terms (`cooldownPeriod`, `initialCooldownPeriod`): the last replica goes once nothing was active for the
/// cool-down, and the first one comes as soon as something is. What is active is above its activation threshold
/// ([`super::MetricSpec::activation_milli`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Zero {
    /// How long sufficient evidence must have shown nothing active, in milliseconds of its samples.
    pub cooldown_ms: i64,
    /// The last replica does not go before this, in milliseconds since the epoch: an initial cool-down's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before_ms: Option<i64>,
}

impl Default for Zero {
    /// KEDA's (`pkg/scaling/executor/scale_scaledobjects.go`, `defaultCooldownPeriod`).
    fn default() -> Self {
        Self { cooldown_ms: 300_000, not_before_ms: None }
    }
}
