//! What is paused of a policy that is not paused as a whole.

use serde::{Deserialize, Serialize};

/// What is paused. Bounds that do not come from a schedule hold all the same: they are the user's word.
///
/// KEDA has annotations for it: `paused-scale-out`, `paused-scale-in`, `paused-replicas`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pause {
    /// Nothing is raised.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scale_up: bool,
    /// Nothing is lowered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scale_down: bool,
    /// Replicas are these and stay so; below `minReplicas` too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
}

impl Pause {
    /// Whether nothing is.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
