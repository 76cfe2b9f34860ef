//! To zero and back: what is active, and for how long nothing was.
//!
//! ```text
//!  a value above its activation, sufficient or not ─► active: the clock starts anew; from zero at least one replica
//!  all at or below it, on sufficient evidence ──────► idle: for as long as the samples' clock ([`crate::support`]) goes on
//!  neither: doubted, and nothing active ────────────► the clock stands still
//! ```
//!
//! The cool-down is counted by the samples' clock and is never shorter than a gap that could hide in them, so that a
//! lie does not take the last replica.

use crate::history::History;
use crate::limit::{Wait, WaitReason};
use crate::policy::{Policy, Zero};
use crate::proposals::Proposals;

/// Keeps in mind since when nothing is active, where that matters.
pub(crate) fn watch(policy: &Policy, history: &mut History, proposals: &Proposals) {
    let Some(support) = history.support.as_ref().filter(|_| policy.zero.is_some()) else {
        history.idle_from_ms = None;
        return;
    };
    if proposals.active {
        history.idle_from_ms = None;
    } else if proposals.evident && !proposals.blocked {
        // The clock may have been begun anew since.
        let from_ms = history.idle_from_ms.unwrap_or(support.clock_ms);
        history.idle_from_ms = Some(from_ms.min(support.clock_ms));
    }
}

/// The policy's way to zero, if it has one and may take it: `min` is the bound at this time.
pub(crate) fn way(policy: &Policy, min: i32) -> Option<Zero> {
    policy.zero.filter(|_| min == 0)
}

/// How long until the last replica may go, if nothing becomes active; zero or less: it may.
pub(crate) fn cooling(zero: Zero, history: &History, now_ms: i64) -> Wait {
    let initial_ms = zero.not_before_ms.map_or(0, |at_ms| at_ms.saturating_sub(now_ms));
    let (clock_ms, span_ms) = history.support.as_ref().map_or((0, 0), |s| (s.clock_ms, s.span_ms));
    let idle_ms = history.idle_from_ms.map_or(0, |from_ms| clock_ms.saturating_sub(from_ms));
    let cooldown_ms = zero.cooldown_ms.max(span_ms);
    let cooldown_ms = cooldown_ms.saturating_sub(idle_ms);
    // Without an idle tick there is nothing to count from.
    let least_ms = if history.idle_from_ms.is_none() { 1 } else { 0 };
    Wait { left_ms: initial_ms.max(cooldown_ms).max(least_ms), why: WaitReason::CoolDown }
}
