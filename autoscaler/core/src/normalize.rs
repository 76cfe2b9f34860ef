//! From a proposal to what may be done now: stabilization windows, rate policies, bounds (`horizontal.go`).
//!
//! ```text
//!  proposal ─► stabilize (what was proposed lately) ─► limit (how fast, how far) ─► desired
//! ```
//!
//! Ties are upstream's, and not all alike: without behaviour a recommendation exactly as old as the window
//! still counts, with behaviour neither a recommendation nor a change exactly as old as its window does.
//! Where upstream's 32-bit sums would wrap, these are wider and saturate.

use crate::behavior::{RateKind, Rules, SelectPolicy};
use crate::limit::LimitKind;
use crate::past::{Recommendation, ScaleEvent};

/// What recommendations are counted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// In milliseconds since the epoch.
    pub now_ms: i64,
    /// Milliseconds spent holding for want of evidence, which the scale-down window leaves out; upstream has no
    /// such time.
    pub held_ms: i64,
}

/// Highest recommendation of the window; remembers `desired` (`stabilizeRecommendation`).
pub fn stabilize(
    recommendations: &mut Vec<Recommendation>,
    clock: Clock,
    window_ms: i64,
    desired: i32,
) -> i32 {
    let cutoff = clock.now_ms.saturating_sub(window_ms);
    let is_recent = |rec: &Recommendation| rec.counted_ms(clock.held_ms) >= cutoff;
    let highest = recommendations.iter().filter(|rec| is_recent(rec)).map(|rec| rec.replicas).max();
    remember(recommendations, |rec| !is_recent(rec), clock, desired);
    desired.max(highest.unwrap_or(desired))
}

/// Pulls `current` between the lowest recommendation of the up window and the highest of the down window;
/// remembers `desired` (`stabilizeRecommendationWithBehaviors`).
pub fn stabilize_with_behavior(
    recommendations: &mut Vec<Recommendation>,
    clock: Clock,
    windows: Windows,
    current: i32,
    desired: i32,
) -> i32 {
    let up_cutoff = clock.now_ms.saturating_sub(windows.up_ms);
    let down_cutoff = clock.now_ms.saturating_sub(windows.down_ms);
    let (mut lowest, mut highest) = (desired, desired);
    for rec in recommendations.iter() {
        if rec.at_ms > up_cutoff {
            lowest = lowest.min(rec.replicas);
        }
        if rec.counted_ms(clock.held_ms) > down_cutoff {
            highest = highest.max(rec.replicas);
        }
    }
    let is_obsolete =
        |rec: &Recommendation| rec.at_ms < up_cutoff && rec.counted_ms(clock.held_ms) < down_cutoff;
    remember(recommendations, is_obsolete, clock, desired);
    // Not `clamp`: upstream's order decides if ever lowest > highest.
    current.max(lowest).min(highest)
}

/// How far back recommendations count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// For raising, in milliseconds.
    pub up_ms: i64,
    /// For lowering, in milliseconds.
    pub down_ms: i64,
}

/// Upstream uses the last obsolete slot again, and appends only where there is none.
fn remember(
    recommendations: &mut Vec<Recommendation>,
    obsolete: impl Fn(&Recommendation) -> bool,
    clock: Clock,
    replicas: i32,
) {
    let fresh = Recommendation { at_ms: clock.now_ms, replicas, held_ms: clock.held_ms };
    match recommendations.iter_mut().rev().find(|rec| obsolete(rec)) {
        Some(slot) => *slot = fresh,
        None => recommendations.push(fresh),
    }
}

/// Bounds, and one sync's largest raise (`convertDesiredReplicasWithRules`).
///
/// `up_limit` is [`scale_up_limit_without_behavior`]'s.
#[must_use]
pub fn limit(desired: i32, min: i32, max: i32, up_limit: i32) -> (i32, Option<LimitKind>) {
    let (most, kind) =
        if max > up_limit { (up_limit, LimitKind::ScaleUpLimit) } else { (max, LimitKind::TooManyReplicas) };
    if desired < min {
        (min, Some(LimitKind::TooFewReplicas))
    } else if desired > most {
        (most, Some(kind))
    } else {
        (desired, None)
    }
}

/// The most that one sync period may raise to where there is no behaviour (`calculateScaleUpLimit`), from the
/// replicas at its start.
#[must_use]
pub fn scale_up_limit_without_behavior(current: i32, factor: i32, minimum: i32) -> i32 {
    current.saturating_mul(factor).max(minimum)
}

/// What both directions' rates are computed from.
#[derive(Clone, Copy, Debug)]
pub struct Changes<'a> {
    /// The time to count back from, in milliseconds since the epoch.
    pub now_ms: i64,
    /// Raises that were written.
    pub up: &'a [ScaleEvent],
    /// Lowerings that were written.
    pub down: &'a [ScaleEvent],
}

/// Rates, then the bound in the direction of travel only (`convertDesiredReplicasWithBehaviorRate`).
#[must_use]
pub fn limit_with_behavior(
    desired: i32,
    current: i32,
    (min, max): (i32, i32),
    (up, down): (&Rules, &Rules),
    changes: Changes<'_>,
) -> (i32, Option<LimitKind>) {
    if desired > current {
        // A period that already saw more than it allows holds; it does not take back.
        let rate = scale_up_limit(current, up, changes).max(current);
        let (most, kind) =
            if max > rate { (rate, LimitKind::ScaleUpLimit) } else { (max, LimitKind::TooManyReplicas) };
        if desired > most {
            return (most, Some(kind));
        }
    } else if desired < current {
        let rate = scale_down_limit(current, down, changes).min(current);
        let (least, kind) =
            if min < rate { (rate, LimitKind::ScaleDownLimit) } else { (min, LimitKind::TooFewReplicas) };
        if desired < least {
            return (least, Some(kind));
        }
    }
    (desired, None)
}

/// The most that the rate policies allow now (`calculateScaleUpLimitWithScalingRules`).
#[must_use]
pub fn scale_up_limit(current: i32, rules: &Rules, changes: Changes<'_>) -> i32 {
    let allowed = rules.policies.iter().flatten().map(|policy| {
        let start = changes.at_start_of_period(current, policy.period_seconds);
        match policy.kind {
            RateKind::Pods => saturate(start.saturating_add(i64::from(policy.value))),
            // Rounded up, or ten percent of one replica would never raise.
            RateKind::Percent => (start as f64 * (1.0 + f64::from(policy.value) / 100.0)).ceil() as i32,
        }
    });
    match rules.select_policy.unwrap_or_default() {
        SelectPolicy::Disabled => current,
        SelectPolicy::Min => allowed.min().unwrap_or(current),
        SelectPolicy::Max => allowed.max().unwrap_or(current),
    }
}

/// The least that the rate policies allow now (`calculateScaleDownLimitWithBehaviors`).
#[must_use]
pub fn scale_down_limit(current: i32, rules: &Rules, changes: Changes<'_>) -> i32 {
    let allowed = rules.policies.iter().flatten().map(|policy| {
        let start = changes.at_start_of_period(current, policy.period_seconds);
        match policy.kind {
            RateKind::Pods => saturate(start.saturating_sub(i64::from(policy.value))),
            RateKind::Percent => (start as f64 * (1.0 - f64::from(policy.value) / 100.0)) as i32,
        }
    });
    match rules.select_policy.unwrap_or_default() {
        SelectPolicy::Disabled => current,
        // The smallest change leaves the most replicas.
        SelectPolicy::Min => allowed.max().unwrap_or(current),
        SelectPolicy::Max => allowed.min().unwrap_or(current),
    }
}

impl Windows {
    /// The longer one.
    #[must_use]
    pub fn longest_ms(self) -> i64 {
        self.up_ms.max(self.down_ms)
    }
}

impl Changes<'_> {
    /// The replicas when the period began, as far as written changes tell.
    #[must_use]
    pub fn at_start_of_period(self, current: i32, period_seconds: i32) -> i64 {
        i64::from(current)
            .saturating_sub(change_in_period(self.up, self.now_ms, period_seconds))
            .saturating_add(change_in_period(self.down, self.now_ms, period_seconds))
    }
}

/// Sum of the changes younger than the period (`getReplicasChangePerPeriod`).
#[must_use]
pub fn change_in_period(events: &[ScaleEvent], now_ms: i64, period_seconds: i32) -> i64 {
    let cutoff = now_ms.saturating_sub(i64::from(period_seconds) * 1000);
    let recent = events.iter().filter(|event| event.at_ms > cutoff);
    recent.fold(0, |sum: i64, event| sum.saturating_add(i64::from(event.change)))
}

/// Remembers a written change (`storeScaleEvent`): the last slot older than the longest period is used
/// again, all such slots are marked.
pub fn store_scale_event(events: &mut Vec<ScaleEvent>, rules: &Rules, now_ms: i64, change: i32) {
    let cutoff = now_ms.saturating_sub(rules.longest_period_ms());
    for event in events.iter_mut() {
        event.outdated |= event.at_ms < cutoff;
    }
    let fresh = ScaleEvent { at_ms: now_ms, change, outdated: false };
    match events.iter_mut().rev().find(|event| event.outdated) {
        Some(slot) => *slot = fresh,
        None => events.push(fresh),
    }
}

/// Into the range of replica counts.
#[must_use]
pub fn saturate(replicas: i64) -> i32 {
    replicas.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}
