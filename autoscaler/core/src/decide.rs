//! The order in which things are decided.

use crate::coverage::BlindSpan;
use crate::decision::{Cause, Decision};
use crate::history::History;
use crate::input::Input;
use crate::limit::{Limit, LimitKind, Wait, WaitReason};
use crate::normalize::{
    Changes, Windows, limit, limit_with_behavior, saturate, scale_up_limit_without_behavior, stabilize,
    stabilize_with_behavior,
};
use crate::past::Recommendation;
use crate::policy::{Mode, Policy};
use crate::proposals::{Proposals, propose};
use crate::support::Support;

/// Upstream's sync period, in seconds: how often its limit on raises without behaviour applies.
const SYNC_PERIOD_S: i32 = 15;

/// Decides. Total: any input gives a decision, and the same input gives the same one.
#[must_use]
pub fn decide(input: &Input) -> Decision {
    let current = input.scale.spec_replicas;
    let policy = &input.policy;
    let mut history = input.history.clone();
    history.clamp_to(input.now_ms);
    history.align_with(policy);
    // First sight: a controller that just started knows of no higher recommendation, so the replicas that it
    // finds count as one.
    let (now_ms, held_ms) = (input.now_ms, history.held_ms);
    history
        .recommendations
        .get_or_insert_with(|| vec![Recommendation { at_ms: now_ms, replicas: current, held_ms }]);
    history.ready.see(now_ms, input.scale.ready_replicas, ready_since_ms(input));
    let proposals = propose(input, &mut history);
    let support = history.support.get_or_insert_with(|| Support::first_sight(current));
    support.advance(proposals.step);
    let decided_ms = history.decided_ms.replace(now_ms).unwrap_or(now_ms);

    let held = |cause| Outcome { desired: current, cause, limits: Vec::new() };
    let outcome = if let Some(problem) = policy.problem() {
        held(Cause::Invalid(problem))
    } else if policy.mode == Mode::Paused {
        (history.recommendations, history.support, history.held_ms) = (None, None, 0);
        held(Cause::Paused)
    } else if current == 0 && policy.min_replicas != 0 {
        held(Cause::Disabled)
    } else if let Some(outcome) = beyond_bounds(input) {
        outcome
    } else {
        by_metrics(input, &proposals, &mut history)
    };
    if outcome.cause == Cause::InsufficientEvidence {
        let passed_ms = now_ms.saturating_sub(decided_ms).max(0);
        history.held_ms = history.held_ms.saturating_add(passed_ms);
    }

    let (down_ms, up_ms) = policy.stabilization_ms();
    history.compact(now_ms, down_ms.max(up_ms));
    let is_active = policy.mode == Mode::Active;
    Decision {
        desired_replicas: outcome.desired,
        write: Some(outcome.desired).filter(|desired| is_active && *desired != current),
        cause: outcome.cause,
        limits: outcome.limits,
        metrics: proposals.verdicts,
        history,
    }
}

struct Outcome {
    desired: i32,
    cause: Cause,
    limits: Vec<Limit>,
}

/// What was before it need not be known of the ready replicas: beyond every window and age.
fn ready_since_ms(input: &Input) -> i64 {
    let spans = input.policy.metrics.iter().map(|metric| {
        let evidence = &metric.evidence;
        evidence.window_ms.max(0).saturating_add(evidence.max_age_ms.max(0).saturating_mul(2))
    });
    let longest_ms =
        spans.max().unwrap_or(0).saturating_add(input.policy.interval_ms.max(0).saturating_mul(2));
    input.now_ms.saturating_sub(longest_ms)
}

/// Bounds are the user's word, not evidence: they hold at once, whatever metrics, windows and rates say.
fn beyond_bounds(input: &Input) -> Option<Outcome> {
    let Policy { min_replicas: min, max_replicas: max, .. } = input.policy;
    let current = input.scale.spec_replicas;
    let (desired, kind, cause) = if current > max {
        (max, LimitKind::TooManyReplicas, Cause::AboveMaximum)
    } else if current < min {
        (min, LimitKind::TooFewReplicas, Cause::BelowMinimum)
    } else {
        return None;
    };
    let limits = vec![Limit { kind, from: current, to: desired, wait: None }];
    Some(Outcome { desired, cause, limits })
}

fn by_metrics(input: &Input, proposals: &Proposals, history: &mut History) -> Outcome {
    let current = input.scale.spec_replicas;
    let held = |from: Option<i32>| {
        let kind = LimitKind::InsufficientEvidence;
        let limits = from.map(|from| Limit { kind, from, to: current, wait: None }).into_iter().collect();
        Outcome { desired: current, cause: Cause::InsufficientEvidence, limits }
    };
    let Some((proposed, index)) = proposals.highest else { return held(None) };
    if proposals.blocked && proposed < current {
        return held(Some(proposed));
    }
    let (desired, limits) = normalize(input, proposed, proposals, history);
    // Windows and rates cannot lower what was not proposed to be lowered; the rule does not lean on that.
    let desired = if proposals.blocked { desired.max(current) } else { desired };
    Outcome { desired, cause: Cause::Metric { index, replicas: proposed }, limits }
}

/// Stabilization, support, rates, bounds.
fn normalize(
    input: &Input,
    proposed: i32,
    proposals: &Proposals,
    history: &mut History,
) -> (i32, Vec<Limit>) {
    let Policy { min_replicas: min, max_replicas: max, defaults, behavior, .. } = &input.policy;
    let current = input.scale.spec_replicas;
    let (down_ms, up_ms) = input.policy.stabilization_ms();
    let clock = history.clock(input.now_ms);
    let recommendations = history.recommendations.get_or_insert_default();
    let (mut stabilized, mut stabilized_by) = match behavior {
        // The only window is the downscale one, whichever way the proposal points.
        None => (stabilize(recommendations, clock, down_ms, proposed), LimitKind::ScaleDownStabilized),
        Some(_) => {
            let windows = Windows { up_ms, down_ms };
            let is_up = proposed >= current;
            let kind = if is_up { LimitKind::ScaleUpStabilized } else { LimitKind::ScaleDownStabilized };
            (stabilize_with_behavior(recommendations, clock, windows, current, proposed), kind)
        }
    };
    // Static fallbacks alone are the user's word and wait for nothing; a metric beside them may be a lie.
    let asked = history.support.as_ref().and_then(Support::highest).filter(|_| proposals.evident);
    let mut wait = None;
    if let Some(supported) = asked.map(|asked| asked.min(current)).filter(|asked| stabilized < *asked) {
        wait = Some(how_long(input, history, supported.saturating_sub(1)));
        (stabilized, stabilized_by) = (supported, LimitKind::EvidenceTooShort);
    }
    history.support.get_or_insert_default().ask(proposed);
    let changes =
        Changes { now_ms: input.now_ms, up: &history.scale_up_events, down: &history.scale_down_events };
    let (desired, limited_by) = match behavior {
        None => {
            let (factor, minimum) = (defaults.scale_up_limit_factor, defaults.scale_up_limit_minimum);
            let start = saturate(changes.at_start_of_period(current, SYNC_PERIOD_S));
            // A factor below one must not turn a limit on raising into a reason to lower.
            let up_limit = scale_up_limit_without_behavior(start, factor, minimum).max(current);
            limit(stabilized, *min, *max, up_limit)
        }
        Some(behavior) => {
            let rules = (&*behavior.raising(), &*behavior.lowering());
            limit_with_behavior(stabilized, current, (*min, *max), rules, changes)
        }
    };
    let mut limits = Vec::new();
    if stabilized != proposed {
        limits.push(Limit { kind: stabilized_by, from: proposed, to: stabilized, wait });
    }
    limits.extend(limited_by.map(|kind| Limit { kind, from: stabilized, to: desired, wait: None }));
    // Both limits keep the bounds for every replica count within them; this says so for all inputs.
    (desired.max(*min).min(*max), limits)
}

/// How long until nothing above `replicas` counts as asked for, if samples go on coming.
fn how_long(input: &Input, history: &History, replicas: i32) -> Wait {
    let span_ms = history.support.as_ref().map_or(0, |support| support.left_ms(replicas));
    let mut wait = Wait { left_ms: span_ms, why: WaitReason::BlindSpan };
    let Some(reached_ms) = history.support.as_ref().and_then(|support| support.reached_ms) else {
        return wait;
    };
    for (spec, known) in input.policy.metrics.iter().zip(&history.metrics) {
        let Some(window) = spec.evidence.window(reached_ms) else { continue };
        let Some(BlindSpan { from_ms, to_ms, .. }) = known.coverage.gap_at(window) else { continue };
        let begins = from_ms.is_none_or(|from_ms| from_ms <= window.start_ms);
        let until_ms = if begins || window.sums { window.start_ms } else { window.end_ms };
        let left_ms = to_ms.saturating_sub(until_ms).saturating_add(span_ms);
        if left_ms > wait.left_ms {
            let why = if from_ms.is_none() { WaitReason::FirstSight } else { WaitReason::Gap };
            wait = Wait { left_ms, why };
        }
    }
    wait
}
