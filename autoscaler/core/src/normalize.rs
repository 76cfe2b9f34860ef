//! From a proposal to what may be done now: stabilization windows, rate policies, bounds, by [`autoscaler_hpa`].
//!
//! ```text
//!  proposal ─► stabilize (what was proposed lately) ─► limit (how fast, how far) ─► desired
//! ```
//!
//! What departs from upstream, and why:
//!
//! - time spent holding for want of evidence makes no recommendation older for the window down
//!   ([`Recommendation::counted_ms`]): what was asked for before would else be forgotten while nobody could see;
//! - sums and casts saturate ([`Saturating`]): a wrapped sum would lower a large target to its minimum;
//! - an empty list of rates allows no change; upstream, whose API refuses one, would allow any or none by
//!   `selectPolicy`.

use autoscaler_hpa::arithmetic::Arithmetic;
use autoscaler_hpa::behavior::{Behavior, CompleteBehavior, CompleteRules, SelectPolicy};
use autoscaler_hpa::normalize::{self, Wish};
use autoscaler_hpa::rates::Changes;
use autoscaler_hpa::stabilize::Recommended;

use crate::limit::LimitKind;
use crate::past::Recommendation;

impl Recommended for Recommendation {
    fn replicas(&self) -> i32 {
        self.replicas
    }

    fn at_ms(&self) -> i64 {
        self.at_ms
    }

    fn counts_from_ms(&self, now: &Self) -> i64 {
        self.counted_ms(now.held_ms)
    }
}

/// What does not fit becomes the nearest that does, and NaN zero.
#[derive(Clone, Copy, Debug)]
pub struct Saturating;

impl Arithmetic for Saturating {
    fn start(sum: i64) -> i64 {
        sum
    }

    fn sum(sum: i64) -> i32 {
        sum.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
    }

    fn whole(x: f64) -> i32 {
        x as i32
    }
}

/// Rates, then the bound in the direction of travel only.
#[must_use]
pub fn limit_with_behavior(
    wish: Wish,
    behavior: &Behavior,
    changes: Changes<'_>,
) -> (i32, Option<LimitKind>) {
    let CompleteBehavior { up, down } = behavior.complete();
    let behavior = CompleteBehavior { up: strict(up), down: strict(down) };
    let (desired, limit) = normalize::limit_rate::<Saturating>(wish, behavior, changes);
    (desired, limit.map(LimitKind::from))
}

/// Bounds, and the most that one sync period may raise to where there is no behaviour.
#[must_use]
pub fn limit(wish: Wish, up_limit: i32) -> (i32, Option<LimitKind>) {
    let (desired, limit) = normalize::bound(wish, up_limit);
    (desired, limit.map(LimitKind::from))
}

/// The most that one sync period may raise to where there is no behaviour, from the replicas at its start.
#[must_use]
pub fn scale_up_limit_without_behavior(current: i32, factor: i32, minimum: i32) -> i32 {
    current.saturating_mul(factor).max(minimum)
}

/// Rules in which an empty list of rates allows no change.
fn strict(rules: CompleteRules<'_>) -> CompleteRules<'_> {
    let select = if rules.policies.is_empty() { SelectPolicy::Disabled } else { rules.select };
    CompleteRules { select, ..rules }
}
