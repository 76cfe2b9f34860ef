//! Rate policies: how far replicas may go from where a period began.

use crate::amd64::integer;
use crate::behavior::{CompleteBehavior, HpaScalingPolicy, PolicyType, Rules, SelectPolicy};
use crate::state::{ScaleEvent, State, put};

/// Highest replicas that the rules allow now; below `current` where more was added than a period allows.
/// Percentages are of floats and rounded up, so that 50 replicas and 10 % allow 56.
///
/// Upstream: `horizontal.go`, `calculateScaleUpLimitWithScalingRules`.
#[must_use]
pub fn up_limit(current: i32, state: &State, rules: &Rules, now_ms: i64) -> i32 {
    let limit = |policy: &HpaScalingPolicy| {
        let start = period_start(current, state, policy.period_seconds, now_ms);
        match policy.kind {
            PolicyType::Pods => start.wrapping_add(policy.value),
            PolicyType::Percent => {
                integer((f64::from(start) * (1.0 + f64::from(policy.value) / 100.0)).ceil())
            }
        }
    };
    let limits = rules.policies.iter().map(limit);
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
pub fn down_limit(current: i32, state: &State, rules: &Rules, now_ms: i64) -> i32 {
    let limit = |policy: &HpaScalingPolicy| {
        let start = period_start(current, state, policy.period_seconds, now_ms);
        match policy.kind {
            PolicyType::Pods => start.wrapping_sub(policy.value),
            PolicyType::Percent => integer(f64::from(start) * (1.0 - f64::from(policy.value) / 100.0)),
        }
    };
    let limits = rules.policies.iter().map(limit);
    match rules.select {
        SelectPolicy::Disabled => current,
        SelectPolicy::Min => limits.max().unwrap_or(i32::MIN),
        SelectPolicy::Max => limits.min().unwrap_or(i32::MAX),
    }
}

/// Replicas when the period began, as far as the events of both directions know.
fn period_start(current: i32, state: &State, period_seconds: i32, now_ms: i64) -> i32 {
    let added = change_in_period(&state.scale_up_events, period_seconds, now_ms);
    let removed = change_in_period(&state.scale_down_events, period_seconds, now_ms);
    current.wrapping_sub(added).wrapping_add(removed)
}

/// Sum of the changes that are younger than the period; one exactly as old is not.
///
/// Upstream: `horizontal.go`, `getReplicasChangePerPeriod`.
#[must_use]
pub fn change_in_period(events: &[ScaleEvent], period_seconds: i32, now_ms: i64) -> i32 {
    let cutoff = now_ms.saturating_sub(i64::from(period_seconds).saturating_mul(1000));
    let recent = events.iter().filter(|event| event.at_ms > cutoff);
    recent.fold(0i32, |sum, event| sum.wrapping_add(event.change))
}

/// The longest period of the rules, in seconds.
///
/// Upstream: `horizontal.go`, `getLongestPolicyPeriod`.
#[must_use]
pub fn longest_period_seconds(rules: &Rules) -> i32 {
    rules.policies.iter().map(|policy| policy.period_seconds).max().unwrap_or(0).max(0)
}

/// Remembers a change of either direction, in the last slot of what is older than the longest period.
///
/// Upstream: `horizontal.go`, `storeScaleEvent` and `markScaleEventsOutdated`.
pub fn remember(events: &mut Vec<ScaleEvent>, change: i32, longest_period_seconds: i32, now_ms: i64) {
    let cutoff = now_ms.saturating_sub(i64::from(longest_period_seconds).saturating_mul(1000));
    let mut free = None;
    for (i, event) in events.iter_mut().enumerate() {
        event.outdated |= event.at_ms < cutoff;
        if event.outdated {
            free = Some(i);
        }
    }
    put(events, free, ScaleEvent { change, at_ms: now_ms, outdated: false });
}

/// Remembers that replicas were written, if there is `behavior`; a failed write is not told.
///
/// Upstream: `horizontal.go`, `storeScaleEvent`.
pub fn written(
    state: &mut State,
    behavior: Option<&CompleteBehavior>,
    current: i32,
    desired: i32,
    now_ms: i64,
) {
    let Some(behavior) = behavior else { return };
    let (events, rules, change) = if desired > current {
        (&mut state.scale_up_events, &behavior.up, desired.wrapping_sub(current))
    } else {
        (&mut state.scale_down_events, &behavior.down, current.wrapping_sub(desired))
    };
    remember(events, change, longest_period_seconds(rules), now_ms);
}
