//! The order in which things are decided.

use autoscaler_hpa::arithmetic::Arithmetic;
use autoscaler_hpa::behavior::Behavior;
use autoscaler_hpa::normalize::Wish;
use autoscaler_hpa::rates::Changes;
use autoscaler_hpa::stabilize::{Windows, stabilize, stabilize_with_windows};

use crate::compat;
use crate::coverage::BlindSpan;
use crate::decision::{Cause, Decision};
use crate::history::History;
use crate::input::Input;
use crate::limit::{Limit, LimitKind, Wait, WaitReason};
use crate::normalize::{Saturating, limit, limit_with_behavior, scale_up_limit_without_behavior};
use crate::policy::{Compatibility, Mode, Policy};
use crate::proposals::{By, Proposals, propose};
use crate::schedule::Bounds;
use crate::support::Support;
use crate::zero;

/// Upstream's sync period, in seconds: how often its limit on raises without behaviour applies.
const SYNC_PERIOD_S: i32 = 15;

/// Decides. Total: any input gives a decision, and the same input gives the same one.
#[must_use]
pub fn decide(input: &Input) -> Decision {
    if input.policy.compatibility == Compatibility::Hpa {
        return compat::decide(input);
    }
    let current = input.scale.spec_replicas;
    let policy = &input.policy;
    let mut history = input.history.clone();
    history.clamp_to(input.now_ms);
    history.align_with(policy);
    // First sight: a controller that just started knows of no higher recommendation, so the replicas that it
    // finds count as one.
    let now_ms = input.now_ms;
    let found = history.recommendation(now_ms, current);
    history.recommendations.get_or_insert_with(|| vec![found]);
    history.ready.see(now_ms, input.scale.ready_replicas, ready_since_ms(input));
    let proposals = propose(input, &mut history);
    let support = history.support.get_or_insert_with(|| Support::first_sight(current));
    let is_apart = support.advance(proposals.step);
    zero::watch(policy, &mut history, &proposals, is_apart);
    let decided_ms = history.decided_ms.replace(now_ms).unwrap_or(now_ms);

    let held = |cause| Outcome { desired: current, cause, limits: Vec::new() };
    let outcome = if let Some(problem) = policy.problem() {
        held(Cause::Invalid(problem))
    } else if policy.mode == Mode::Paused || policy.pause.replicas.is_some() {
        (history.recommendations, history.support, history.held_ms) = (None, None, 0);
        history.idle_from_ms = None;
        let at = policy.pause.replicas.filter(|_| policy.mode != Mode::Paused);
        history.parked |= at == Some(0);
        Outcome { desired: at.unwrap_or(current), ..held(Cause::Paused) }
    } else if current == 0 && policy.min_replicas != 0 && !history.parked {
        held(Cause::Disabled)
    } else {
        history.parked &= current == 0;
        let bounds = Bounds::of(policy, &input.schedules);
        match beyond_bounds(input, &bounds) {
            Some(outcome) => {
                // What is asked for meanwhile supports what comes after.
                if let Some((proposed, _)) = proposals.highest
                    && !(proposals.blocked && proposed < current)
                {
                    history.support.get_or_insert_default().ask(proposed);
                }
                outcome
            }
            None => pause(input, by_metrics(input, &bounds, &proposals, &mut history)),
        }
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
        formula: proposals.formula,
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
///
/// A paused direction is not gone in for a schedule's sake; the policy's own bounds it is.
fn beyond_bounds(input: &Input, bounds: &Bounds) -> Option<Outcome> {
    let (policy, current) = (&input.policy, input.scale.spec_replicas);
    let (desired, by, kind, cause) = if current > bounds.max {
        // A schedule's ceiling is left; the policy's own may be beyond it.
        let ceiling = if policy.pause.scale_down { policy.max_replicas } else { bounds.max };
        let by = bounds.max_by.clone().filter(|_| !policy.pause.scale_down);
        (current.min(ceiling), by, LimitKind::TooManyReplicas, Cause::AboveMaximum)
    } else if current < bounds.min {
        let floor = if policy.pause.scale_up { policy.min_replicas } else { bounds.min };
        let by = bounds.min_by.clone().filter(|_| !policy.pause.scale_up);
        (current.max(floor), by, LimitKind::TooFewReplicas, Cause::BelowMinimum)
    } else {
        return None;
    };
    if desired == current {
        return None;
    }
    let limits = vec![Limit { schedule: by, ..Limit::new(kind, current, desired) }];
    Some(Outcome { desired, cause, limits })
}

/// Leaves alone what is paused.
fn pause(input: &Input, mut outcome: Outcome) -> Outcome {
    let (pause, current, desired) = (input.policy.pause, input.scale.spec_replicas, outcome.desired);
    let kind = if desired > current && pause.scale_up {
        LimitKind::ScaleUpPaused
    } else if desired < current && pause.scale_down {
        LimitKind::ScaleDownPaused
    } else {
        return outcome;
    };
    outcome.limits.push(Limit::new(kind, desired, current));
    outcome.desired = current;
    outcome
}

fn by_metrics(input: &Input, bounds: &Bounds, proposals: &Proposals, history: &mut History) -> Outcome {
    let current = input.scale.spec_replicas;
    let held = |from: Option<i32>| {
        let limits = from.map(|from| Limit::new(LimitKind::InsufficientEvidence, from, current));
        let limits = limits.into_iter().collect();
        Outcome { desired: current, cause: Cause::InsufficientEvidence, limits }
    };
    let way = zero::way(&input.policy, bounds.min);
    let Some((proposed, by)) = proposals.highest else { return held(None) };
    let cause = |replicas| match by {
        By::Metric(index) => Cause::Metric { index, replicas },
        By::Formula => Cause::Formula { replicas },
    };
    if way.is_some() && current == 0 && !proposals.active {
        // What is there is below its threshold, so nothing is asked for; and nothing is remembered of it.
        let limit = Limit::new(LimitKind::BelowActivation, proposed, 0);
        let limits = Some(limit).filter(|_| proposed > 0).into_iter().collect();
        return Outcome { desired: 0, cause: cause(proposed), limits };
    }
    if proposals.blocked && proposed < current {
        return held(Some(proposed));
    }
    let wait = way.map(|zero| zero::cooling(zero, history, input.now_ms));
    let is_cool = wait.is_some_and(|wait| wait.left_ms <= 0) && !proposals.blocked && !proposals.active;
    let (proposed, cause) = match (is_cool && current > 0, way.is_some() && current == 0) {
        (true, _) => (0, Cause::Idle),
        // Active: one at least, whatever windows and rates leave of it.
        (_, true) => (proposed.max(1), cause(proposed.max(1))),
        _ => (proposed, cause(proposed)),
    };
    let raises = input.policy.behavior.as_ref().is_none_or(Behavior::may_raise);
    let floor = match way {
        Some(_) if !is_cool && (current > 0 || raises) => bounds.max.min(1),
        _ => bounds.min,
    };
    let within = Bounds { min: floor, ..bounds.clone() };
    let (mut desired, mut limits) = normalize(input, proposed, &within, proposals, history);
    if let Some(wait) = wait.filter(|_| floor > bounds.min && current > 0)
        && let Some(limit) = limits.iter_mut().find(|limit| limit.kind == LimitKind::TooFewReplicas)
    {
        (limit.kind, limit.wait) = (LimitKind::CoolingDown, Some(wait));
    }
    // Windows and rates cannot lower what was not proposed to be lowered; the rule does not lean on that.
    if proposals.blocked {
        desired = desired.max(current);
    }
    Outcome { desired, cause, limits }
}

/// Stabilization, support, rates, bounds.
fn normalize(
    input: &Input,
    proposed: i32,
    bounds: &Bounds,
    proposals: &Proposals,
    history: &mut History,
) -> (i32, Vec<Limit>) {
    let Policy { defaults, behavior, .. } = &input.policy;
    let Bounds { min, max, .. } = bounds;
    let current = input.scale.spec_replicas;
    let (down_ms, up_ms) = input.policy.stabilization_ms();
    let now = history.recommendation(input.now_ms, proposed);
    let recommendations = history.recommendations.get_or_insert_default();
    let (mut stabilized, mut stabilized_by) = match behavior {
        // The only window is the downscale one, whichever way the proposal points.
        None => (stabilize(recommendations, now, down_ms), LimitKind::ScaleDownStabilized),
        Some(_) => {
            let windows = Windows { up_ms, down_ms };
            let is_up = proposed >= current;
            let kind = if is_up { LimitKind::ScaleUpStabilized } else { LimitKind::ScaleDownStabilized };
            (stabilize_with_windows(recommendations, current, now, windows), kind)
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
    let wish = Wish { current, wanted: stabilized, min: *min, max: *max };
    let (desired, limited_by) = match behavior {
        None => {
            let (factor, minimum) = (defaults.scale_up_limit_factor, defaults.scale_up_limit_minimum);
            let start = Saturating::sum(changes.period_start(current, SYNC_PERIOD_S));
            // A factor below one must not turn a limit on raising into a reason to lower.
            let up_limit = scale_up_limit_without_behavior(start, factor, minimum).max(current);
            limit(wish, up_limit)
        }
        Some(behavior) => limit_with_behavior(wish, behavior, changes),
    };
    let mut limits = Vec::new();
    if stabilized != proposed {
        limits.push(Limit { wait, ..Limit::new(stabilized_by, proposed, stabilized) });
    }
    limits.extend(limited_by.map(|kind| Limit {
        schedule: match kind {
            LimitKind::TooFewReplicas => bounds.min_by.clone(),
            LimitKind::TooManyReplicas => bounds.max_by.clone(),
            _ => None,
        },
        ..Limit::new(kind, stabilized, desired)
    }));
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
