//! What a metric proposes once its evidence has been missing for a while.

use serde::{Deserialize, Serialize};

/// What a metric proposes once its evidence has been missing for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fallback {
    /// How long evidence must have been missing, in milliseconds.
    pub after_ms: i64,
    /// What is proposed; bounds, windows and rates still apply.
    pub replicas: i32,
    /// When it is proposed.
    pub behavior: FallbackBehavior,
}

/// How a fallback's replicas and the current ones combine. Bounds, windows and rates still apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FallbackBehavior {
    /// Only if that raises: the metric still blocks scale-down.
    #[default]
    IfHigher,
    /// Only if that lowers. Like [`Self::Static`] the user's word for going down without evidence.
    IfLower,
    /// Always, but not below what fresh samples ask for. It lowers without evidence only because the user
    /// wrote it down, and needs every insufficient metric of the policy to have such a fallback in force.
    Static,
    /// Propose what there is: hold, and say that it is deliberate.
    CurrentReplicas,
    /// The higher of both, as KEDA has it.
    CurrentReplicasIfHigher,
    /// The lower of both, as KEDA has it.
    CurrentReplicasIfLower,
}

impl FallbackBehavior {
    /// What is proposed, with `current` replicas there.
    #[must_use]
    pub fn proposes(self, replicas: i32, current: i32) -> Option<i32> {
        match self {
            Self::IfHigher => Some(replicas).filter(|replicas| *replicas > current),
            Self::IfLower => Some(replicas).filter(|replicas| *replicas < current),
            Self::Static => Some(replicas),
            Self::CurrentReplicas => Some(current),
            Self::CurrentReplicasIfHigher => Some(replicas.max(current)),
            Self::CurrentReplicasIfLower => Some(replicas.min(current)),
        }
    }

    /// Whether the user chose to go down without evidence.
    #[must_use]
    pub fn may_lower(self) -> bool {
        matches!(self, Self::Static | Self::IfLower | Self::CurrentReplicasIfLower)
    }
}
