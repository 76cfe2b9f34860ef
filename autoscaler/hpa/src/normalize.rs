//! From what metrics want to what is written: windows, rates, bounds, and which of them spoke.

use crate::amd64::integer;
use crate::behavior::CompleteBehavior;
use crate::rates::{down_limit, up_limit};
use crate::settings::Settings;
use crate::stabilize::{stabilize, stabilize_with_windows};
use crate::state::State;

/// What is normalized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Replicas that are ordered now.
    pub current: i32,
    /// Replicas that metrics ask for, not negative.
    pub wanted: i32,
    /// Lower bound.
    pub min: i32,
    /// Upper bound.
    pub max: i32,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Normalized {
    /// Replicas to write.
    pub desired: i32,
    /// Replicas after the windows.
    pub stabilized: i32,
    /// Reason of `AbleToScale`.
    pub stability: &'static str,
    /// Reason of `ScalingLimited`, which holds where `desired` is not `stabilized`.
    pub limit: &'static str,
}

/// Normalizes by the rules that are older than `behavior`.
///
/// Upstream: `horizontal.go`, `normalizeDesiredReplicas`.
pub fn normalize(wish: Wish, state: &mut State, settings: &Settings, now_ms: i64) -> Normalized {
    let recommendations = state.recommendations.get_or_insert_default();
    let stabilized = stabilize(recommendations, wish.wanted, settings.downscale_stabilization_ms, now_ms);
    let stability = if stabilized == wish.wanted { "ReadyForNewScale" } else { "ScaleDownStabilized" };
    let (desired, limit) = bound(Wish { wanted: stabilized, ..wish }, settings);
    Normalized { desired, stabilized, stability, limit }
}

/// Bounds, and at most the settings' factor upwards in one sync.
///
/// Upstream: `horizontal.go`, `convertDesiredReplicasWithRules` and `calculateScaleUpLimit`.
#[must_use]
pub fn bound(wish: Wish, settings: &Settings) -> (i32, &'static str) {
    let factor = settings.scale_up_limit_factor * f64::from(wish.current);
    let limit: i32 = integer(factor.max(settings.scale_up_limit_minimum));
    let (highest, reason) =
        if wish.max > limit { (limit, "ScaleUpLimit") } else { (wish.max, "TooManyReplicas") };
    if wish.wanted < wish.min {
        (wish.min, "TooFewReplicas")
    } else if wish.wanted > highest {
        (highest, reason)
    } else {
        (wish.wanted, "DesiredWithinRange")
    }
}

/// Normalizes by `behavior`. The window down may be left to the settings, whose seconds are then whole ones.
///
/// Upstream: `horizontal.go`, `normalizeDesiredReplicasWithBehaviors`.
pub fn normalize_with_behavior(
    wish: Wish,
    behavior: &CompleteBehavior,
    state: &mut State,
    settings: &Settings,
    now_ms: i64,
) -> Normalized {
    let own: i32 = integer((settings.downscale_stabilization_ms / 1000) as f64);
    let stabilized = stabilize_with_windows(
        state.recommendations.get_or_insert_default(),
        wish.current,
        wish.wanted,
        behavior.up.window_seconds.unwrap_or(0),
        behavior.down.window_seconds.unwrap_or(own),
        now_ms,
    );
    let stability = if stabilized == wish.wanted {
        "ReadyForNewScale"
    } else if wish.wanted >= wish.current {
        "ScaleUpStabilized"
    } else {
        "ScaleDownStabilized"
    };
    let (desired, limit) = limit_rate(Wish { wanted: stabilized, ..wish }, behavior, state, now_ms);
    Normalized { desired, stabilized, stability, limit }
}

/// Rates and the bound in the direction of travel; the other bound is not looked at.
///
/// Upstream: `horizontal.go`, `convertDesiredReplicasWithBehaviorRate`.
#[must_use]
pub fn limit_rate(
    wish: Wish,
    behavior: &CompleteBehavior,
    state: &State,
    now_ms: i64,
) -> (i32, &'static str) {
    let Wish { current, wanted, min, max } = wish;
    if wanted > current {
        let limit = up_limit(current, state, &behavior.up, now_ms).max(current);
        let (highest, reason) = if max > limit { (limit, "ScaleUpLimit") } else { (max, "TooManyReplicas") };
        if wanted > highest {
            return (highest, reason);
        }
    } else if wanted < current {
        let limit = down_limit(current, state, &behavior.down, now_ms).min(current);
        let (lowest, reason) = if min < limit { (limit, "ScaleDownLimit") } else { (min, "TooFewReplicas") };
        if wanted < lowest {
            return (lowest, reason);
        }
    }
    (wanted, "DesiredWithinRange")
}
