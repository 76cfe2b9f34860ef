//! One number out of several metrics, and what it is held to.

use autoscaler_formula::Formula;
use serde::{Deserialize, Serialize};

use super::Target;

/// One number out of several metrics, and what it is held to. Its evidence is that of all metrics that it reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FormulaSpec {
    /// How the number comes of the metrics' values, which it names.
    pub expression: Formula,
    /// What the number is held to; not [`Target::None`].
    pub target: Target,
    /// Above this the workload is active ([`super::Zero`]), in thousandths.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub activation_milli: i64,
}

fn is_zero(milli: &i64) -> bool {
    *milli == 0
}
