//! What a controller process remembers of one HorizontalPodAutoscaler, and nobody else does.

use serde::{Deserialize, Serialize};

/// Recommendations and changes. Lost with the process upstream; a new process begins with the default.
///
/// Slots of what is too old are written over, one by one, so that each list is no longer than the number of syncs
/// within the longest window or period that it ever served, and one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Proposals before stabilization; `None` until the target was first seen.
    pub recommendations: Option<Vec<Recommendation>>,
    /// Successful raises, if there is `behavior`.
    pub scale_up_events: Vec<ScaleEvent>,
    /// Successful cuts, if there is `behavior`.
    pub scale_down_events: Vec<ScaleEvent>,
}

/// What metrics asked for at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recommendation {
    /// Replicas before stabilization, rates and bounds.
    pub replicas: i32,
    /// When.
    pub at_ms: i64,
}

/// A change that was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaleEvent {
    /// When, in milliseconds.
    pub at_ms: i64,
    /// By how many replicas, whichever the direction.
    pub change: i32,
    /// Older than any period of the rules at some later change: its slot is free.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outdated: bool,
}

/// Writes into the slot at `free`, or behind the last.
pub(crate) fn put<T>(slots: &mut Vec<T>, free: Option<usize>, item: T) {
    match free.and_then(|i| slots.get_mut(i)) {
        Some(slot) => *slot = item,
        None => slots.push(item),
    }
}
