//! From what metrics want to what is written: windows, rates, bounds, and which of them spoke.

use crate::amd64::integer;
use crate::arithmetic::{Arithmetic, Go};
use crate::behavior::CompleteBehavior;
use crate::rates::{Changes, down_limit, up_limit};
use crate::reasons;
use crate::settings::Settings;
use crate::stabilize::{Windows, stabilize, stabilize_with_windows};
use crate::state::{Recommendation, State};

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

/// What keeps replicas from what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// A lower recommendation in the window up.
    ScaleUpStabilized,
    /// A higher recommendation in the window down.
    ScaleDownStabilized,
    /// The rate up.
    ScaleUpLimit,
    /// The rate down.
    ScaleDownLimit,
    /// `maxReplicas`.
    TooManyReplicas,
    /// `minReplicas`.
    TooFewReplicas,
}

impl Limit {
    /// Upstream's reason for it: of `AbleToScale` for the first two, else of `ScalingLimited`.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::ScaleUpStabilized => reasons::SCALE_UP_STABILIZED,
            Self::ScaleDownStabilized => reasons::SCALE_DOWN_STABILIZED,
            Self::ScaleUpLimit => reasons::SCALE_UP_LIMIT,
            Self::ScaleDownLimit => reasons::SCALE_DOWN_LIMIT,
            Self::TooManyReplicas => reasons::TOO_MANY_REPLICAS,
            Self::TooFewReplicas => reasons::TOO_FEW_REPLICAS,
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Normalized {
    /// Replicas to write.
    pub desired: i32,
    /// Replicas after the windows.
    pub stabilized: i32,
    /// The window that holds back, where `stabilized` is not what was wanted.
    pub stabilized_by: Option<Limit>,
    /// The rate or bound that holds back, where `desired` is not `stabilized`.
    pub limited_by: Option<Limit>,
}

/// Normalizes by the rules that are older than `behavior`.
///
/// Upstream: `horizontal.go`, `normalizeDesiredReplicas`.
pub fn normalize(wish: Wish, state: &mut State, settings: &Settings, now_ms: i64) -> Normalized {
    let recommendations = state.recommendations.get_or_insert_default();
    let now = Recommendation { replicas: wish.wanted, at_ms: now_ms };
    let stabilized = stabilize(recommendations, now, settings.downscale_stabilization_ms);
    let stabilized_by = (stabilized != wish.wanted).then_some(Limit::ScaleDownStabilized);
    let up_limit = up_limit_without_behavior(wish.current, settings);
    let (desired, limited_by) = bound(Wish { wanted: stabilized, ..wish }, up_limit);
    Normalized { desired, stabilized, stabilized_by, limited_by }
}

/// At most the settings' factor upwards in one sync.
///
/// Upstream: `horizontal.go`, `calculateScaleUpLimit`.
#[must_use]
pub fn up_limit_without_behavior(current: i32, settings: &Settings) -> i32 {
    let factor = settings.scale_up_limit_factor * f64::from(current);
    integer(factor.max(settings.scale_up_limit_minimum))
}

/// Both bounds, and the most that may be raised to.
///
/// Upstream: `horizontal.go`, `convertDesiredReplicasWithRules`.
#[must_use]
pub fn bound(wish: Wish, up_limit: i32) -> (i32, Option<Limit>) {
    let Wish { wanted, min, max, .. } = wish;
    let (highest, limit) =
        if max > up_limit { (up_limit, Limit::ScaleUpLimit) } else { (max, Limit::TooManyReplicas) };
    if wanted < min {
        (min, Some(Limit::TooFewReplicas))
    } else if wanted > highest {
        (highest, Some(limit))
    } else {
        (wanted, None)
    }
}

/// Normalizes by `behavior`. The window down may be left to the settings, whose seconds are then whole ones.
///
/// Upstream: `horizontal.go`, `normalizeDesiredReplicasWithBehaviors`.
pub fn normalize_with_behavior(
    wish: Wish,
    behavior: CompleteBehavior<'_>,
    state: &mut State,
    settings: &Settings,
    now_ms: i64,
) -> Normalized {
    let own: i32 = integer((settings.downscale_stabilization_ms / 1000) as f64);
    let ms = |seconds: i32| i64::from(seconds).saturating_mul(1000);
    let windows = Windows {
        up_ms: ms(behavior.up.window_seconds.unwrap_or(0)),
        down_ms: ms(behavior.down.window_seconds.unwrap_or(own)),
    };
    let recommendations = state.recommendations.get_or_insert_default();
    let now = Recommendation { replicas: wish.wanted, at_ms: now_ms };
    let stabilized = stabilize_with_windows(recommendations, wish.current, now, windows);
    let window =
        if wish.wanted >= wish.current { Limit::ScaleUpStabilized } else { Limit::ScaleDownStabilized };
    let stabilized_by = (stabilized != wish.wanted).then_some(window);
    let changes = Changes { now_ms, up: &state.scale_up_events, down: &state.scale_down_events };
    let (desired, limited_by) = limit_rate::<Go>(Wish { wanted: stabilized, ..wish }, behavior, changes);
    Normalized { desired, stabilized, stabilized_by, limited_by }
}

/// Rates and the bound in the direction of travel; the other bound is not looked at. A period that already saw more
/// than it allows holds, and takes nothing back.
///
/// Upstream: `horizontal.go`, `convertDesiredReplicasWithBehaviorRate`.
#[must_use]
pub fn limit_rate<A: Arithmetic>(
    wish: Wish,
    behavior: CompleteBehavior<'_>,
    changes: Changes<'_>,
) -> (i32, Option<Limit>) {
    let Wish { current, wanted, min, max } = wish;
    if wanted > current {
        let rate = up_limit::<A>(current, behavior.up, changes).max(current);
        let (highest, limit) =
            if max > rate { (rate, Limit::ScaleUpLimit) } else { (max, Limit::TooManyReplicas) };
        if wanted > highest {
            return (highest, Some(limit));
        }
    } else if wanted < current {
        let rate = down_limit::<A>(current, behavior.down, changes).min(current);
        let (lowest, limit) =
            if min < rate { (rate, Limit::ScaleDownLimit) } else { (min, Limit::TooFewReplicas) };
        if wanted < lowest {
            return (lowest, Some(limit));
        }
    }
    (wanted, None)
}
