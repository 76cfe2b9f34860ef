//! Rate policies: how far replicas may go from where a period began.

use crate::arithmetic::Arithmetic;
use crate::behavior::{CompleteBehavior, CompleteRules, RateKind, RatePolicy, SelectPolicy};
use crate::state::{ScaleEvent, State, put};

/// The written changes that both directions' rates are computed from.
#[derive(Clone, Copy, Debug)]
pub struct Changes<'a> {
    /// The time to count back from, in milliseconds.
    pub now_ms: i64,
    /// Raises.
    pub up: &'a [ScaleEvent],
    /// Cuts.
    pub down: &'a [ScaleEvent],
}

impl Changes<'_> {
    /// Replicas when the period began, as far as the changes of both directions know.
    #[must_use]
    pub fn period_start(self, current: i32, period_seconds: i32) -> i64 {
        i64::from(current)
            .saturating_sub(change_in_period(self.up, period_seconds, self.now_ms))
            .saturating_add(change_in_period(self.down, period_seconds, self.now_ms))
    }
}

/// Highest replicas that the rules allow now; below `current` where more was added than a period allows.
/// Percentages are of floats and rounded up, so that 50 replicas and 10 % allow 56, and 10 % of one raise at all.
///
/// Upstream: `horizontal.go`, `calculateScaleUpLimitWithScalingRules`.
#[must_use]
pub fn up_limit<A: Arithmetic>(current: i32, rules: CompleteRules<'_>, changes: Changes<'_>) -> i32 {
    let limits = rules.policies.iter().map(|policy: &RatePolicy| {
        let start = A::start(changes.period_start(current, policy.period_seconds));
        match policy.kind {
            RateKind::Pods => A::sum(start.saturating_add(i64::from(policy.value))),
            RateKind::Percent => A::whole((start as f64 * (1.0 + f64::from(policy.value) / 100.0)).ceil()),
        }
    });
    match rules.select {
        SelectPolicy::Disabled => current,
        SelectPolicy::Min => limits.min().unwrap_or(i32::MAX),
        SelectPolicy::Max => limits.max().unwrap_or(i32::MIN),
    }
}

/// Lowest replicas that the rules allow now; above `current` where more was removed than a period allows.
/// Percentages are of floats and truncated.
///
/// Upstream: `horizontal.go`, `calculateScaleDownLimitWithBehaviors`.
#[must_use]
pub fn down_limit<A: Arithmetic>(current: i32, rules: CompleteRules<'_>, changes: Changes<'_>) -> i32 {
    let limits = rules.policies.iter().map(|policy: &RatePolicy| {
        let start = A::start(changes.period_start(current, policy.period_seconds));
        match policy.kind {
            RateKind::Pods => A::sum(start.saturating_sub(i64::from(policy.value))),
            RateKind::Percent => A::whole(start as f64 * (1.0 - f64::from(policy.value) / 100.0)),
        }
    });
    match rules.select {
        SelectPolicy::Disabled => current,
        // The smallest change leaves the most replicas.
        SelectPolicy::Min => limits.max().unwrap_or(i32::MIN),
        SelectPolicy::Max => limits.min().unwrap_or(i32::MAX),
    }
}

/// Sum of the changes that are younger than the period; one exactly as old is not.
///
/// Upstream: `horizontal.go`, `getReplicasChangePerPeriod`, whose 32 bits are cut by
/// [`start`](Arithmetic::start).
#[must_use]
pub fn change_in_period(events: &[ScaleEvent], period_seconds: i32, now_ms: i64) -> i64 {
    let cutoff = now_ms.saturating_sub(i64::from(period_seconds).saturating_mul(1000));
    let recent = events.iter().filter(|event| event.at_ms > cutoff);
    recent.fold(0i64, |sum, event| sum.saturating_add(i64::from(event.change)))
}

/// The longest period of the rules, in seconds.
///
/// Upstream: `horizontal.go`, `getLongestPolicyPeriod`.
fn longest_period_seconds(rules: CompleteRules<'_>) -> i32 {
    rules.policies.iter().map(|policy| policy.period_seconds).max().unwrap_or(0).max(0)
}

/// Remembers a change of either direction, in the last slot of what is older than the rules' longest period.
///
/// Upstream: `horizontal.go`, `storeScaleEvent` and `markScaleEventsOutdated`.
pub fn remember(events: &mut Vec<ScaleEvent>, change: i32, rules: CompleteRules<'_>, now_ms: i64) {
    let longest_ms = i64::from(longest_period_seconds(rules)).saturating_mul(1000);
    let cutoff = now_ms.saturating_sub(longest_ms);
    let mut free = None;
    for (i, event) in events.iter_mut().enumerate() {
        event.outdated |= event.at_ms < cutoff;
        if event.outdated {
            free = Some(i);
        }
    }
    put(events, free, ScaleEvent { at_ms: now_ms, change, outdated: false });
}

/// Remembers that replicas were written, if there is `behavior`; a failed write is not told.
///
/// Upstream: `horizontal.go`, `storeScaleEvent`.
pub fn written(
    state: &mut State,
    behavior: Option<CompleteBehavior<'_>>,
    current: i32,
    desired: i32,
    now_ms: i64,
) {
    let Some(behavior) = behavior else { return };
    let (events, rules, change) = if desired > current {
        (&mut state.scale_up_events, behavior.up, desired.wrapping_sub(current))
    } else {
        (&mut state.scale_down_events, behavior.down, current.wrapping_sub(desired))
    };
    remember(events, change, rules, now_ms);
}
