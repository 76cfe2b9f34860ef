//! The order in which things are decided.

use crate::behavior::{Behavior, Rules};
use crate::conditions;
use crate::decision::{Condition, Decision, Limit, LimitKind};
use crate::history::{History, Recommendation};
use crate::input::Input;
use crate::normalize::{
    Changes, Windows, limit, limit_with_behavior, scale_up_limit_without_behavior, stabilize,
    stabilize_with_behavior,
};
use crate::policy::{Mode, Policy};
use crate::proposals::{Proposals, propose};
use crate::reasons;
use crate::support::Support;

/// Decides. Total: any input gives a decision, and the same input gives the same one.
#[must_use]
pub fn decide(input: &Input) -> Decision {
    let current = input.scale.spec_replicas;
    let mut history = input.history.clone();
    history.clamp_to(input.now_ms);
    // First sight: a controller that just started knows of no higher recommendation, so the replicas that it
    // finds count as one.
    history
        .recommendations
        .get_or_insert_with(|| vec![Recommendation { at_ms: input.now_ms, replicas: current }]);
    let proposals = propose(input, &mut history);
    let support = history.support.get_or_insert_with(|| Support::first_sight(current));
    support.advance(&input.policy, input.now_ms, !proposals.blocked);

    let outcome = if let Some(problem) = input.policy.problem() {
        held(input, reasons::INVALID_POLICY, format!("the policy contradicts itself: {problem}"))
    } else if input.policy.mode == Mode::Paused {
        (history.recommendations, history.support) = (None, None);
        held(input, reasons::SCALING_PAUSED, "the policy is paused".to_owned())
    } else if current == 0 && input.policy.min_replicas != 0 {
        let cause = "scaling is disabled since the replica count of the target is zero";
        held(input, reasons::SCALING_DISABLED, cause.to_owned())
    } else if let Some(outcome) = beyond_bounds(input) {
        outcome
    } else {
        by_metrics(input, &proposals, &mut history)
    };

    history.compact(input.now_ms, windows(&input.policy).longest_ms());
    let mut conditions = outcome.conditions;
    conditions.push(conditions::evidence(&proposals.verdicts));
    let active = input.policy.mode == Mode::Active;
    Decision {
        desired_replicas: outcome.desired,
        write: Some(outcome.desired).filter(|desired| active && *desired != current),
        cause: outcome.cause,
        limits: outcome.limits,
        conditions,
        metrics: proposals.verdicts,
        history,
    }
}

struct Outcome {
    desired: i32,
    cause: String,
    limits: Vec<Limit>,
    conditions: Vec<Condition>,
}

/// No change, and no metric that could bring one.
fn held(input: &Input, reason: &str, cause: String) -> Outcome {
    Outcome {
        desired: input.scale.spec_replicas,
        conditions: vec![
            conditions::got_scale(),
            conditions::inactive(reason, &cause),
            conditions::limited(None),
        ],
        cause,
        limits: Vec::new(),
    }
}

/// Bounds are the user's word, not evidence: they hold at once, whatever metrics, windows and rates say.
fn beyond_bounds(input: &Input) -> Option<Outcome> {
    let Policy { min_replicas: min, max_replicas: max, .. } = input.policy;
    let current = input.scale.spec_replicas;
    let (desired, kind, cause) = if current > max {
        (max, LimitKind::TooManyReplicas, format!("{current} replicas are above maxReplicas, {max}"))
    } else if current < min {
        (min, LimitKind::TooFewReplicas, format!("{current} replicas are below minReplicas, {min}"))
    } else {
        return None;
    };
    Some(Outcome {
        desired,
        cause,
        limits: vec![Limit { kind, from: current, to: desired }],
        conditions: vec![conditions::got_scale(), conditions::limited(Some(kind))],
    })
}

fn by_metrics(input: &Input, proposals: &Proposals, history: &mut History) -> Outcome {
    let current = input.scale.spec_replicas;
    let would_lower = proposals.highest.as_ref().is_none_or(|(replicas, _)| *replicas < current);
    if proposals.highest.is_none() || (proposals.blocked && would_lower) {
        let kind = LimitKind::InsufficientEvidence;
        let held_from = proposals.highest.as_ref().map(|(replicas, _)| *replicas);
        return Outcome {
            desired: current,
            cause: conditions::cause_of_hold(proposals),
            limits: held_from.map(|from| Limit { kind, from, to: current }).into_iter().collect(),
            conditions: vec![
                conditions::got_scale(),
                conditions::active_or_failed(proposals, would_lower),
                conditions::limited(Some(kind)),
            ],
        };
    }
    let (proposed, metric) = proposals.highest.clone().unwrap_or((current, String::new()));
    let (desired, steps) = normalize(input, proposed, proposals.evident, history);
    // Windows and rates cannot lower what was not proposed to be lowered; the rule does not lean on that.
    let desired = if proposals.blocked { desired.max(current) } else { desired };
    let stabilized = steps.stabilized.as_ref();
    let limited = steps.limited.as_ref();
    Outcome {
        desired,
        cause: conditions::cause(input, proposals, (proposed, &metric), desired, limited.or(stabilized)),
        conditions: vec![
            conditions::able(stabilized.map(|limit| limit.kind)),
            conditions::active_or_failed(proposals, would_lower),
            conditions::limited(limited.map(|limit| limit.kind)),
        ],
        limits: stabilized.into_iter().chain(limited).cloned().collect(),
    }
}

struct Steps {
    stabilized: Option<Limit>,
    limited: Option<Limit>,
}

/// Stabilization, rates, bounds.
fn normalize(input: &Input, proposed: i32, is_evident: bool, history: &mut History) -> (i32, Steps) {
    let Policy { min_replicas: min, max_replicas: max, defaults, behavior, .. } = &input.policy;
    let current = input.scale.spec_replicas;
    let behavior = behavior.as_ref().map(Behavior::with_defaults);

    let windows = windows(&input.policy);
    let recommendations = history.recommendations.get_or_insert_default();
    let (mut stabilized, mut stabilized_by) = match &behavior {
        // The only window is the downscale one, whichever way the proposal points.
        None => {
            let stabilized = stabilize(recommendations, input.now_ms, windows.down_ms, proposed);
            (stabilized, LimitKind::ScaleDownStabilized)
        }
        Some(_) => {
            let up = proposed >= current;
            let stabilized =
                stabilize_with_behavior(recommendations, input.now_ms, windows, current, proposed);
            (stabilized, if up { LimitKind::ScaleUpStabilized } else { LimitKind::ScaleDownStabilized })
        }
    };
    let support = history.support.get_or_insert_default();
    // Static fallbacks alone are the user's word and wait for nothing; a metric beside them may be a lie.
    let supported = support.highest().filter(|_| is_evident).map_or(stabilized, |asked| asked.min(current));
    if stabilized < supported {
        (stabilized, stabilized_by) = (supported, LimitKind::EvidenceTooShort);
    }
    support.ask(proposed);
    let (desired, limited_by) = match behavior {
        None => {
            let (factor, minimum) = (defaults.scale_up_limit_factor, defaults.scale_up_limit_minimum);
            // A factor below one must not turn a limit on raising into a reason to lower.
            let up_limit = scale_up_limit_without_behavior(current, factor, minimum).max(current);
            limit(stabilized, *min, *max, up_limit)
        }
        Some(Behavior { scale_up, scale_down }) => {
            let (up, down) = (scale_up.unwrap_or_default(), scale_down.unwrap_or_default());
            let changes = Changes {
                now_ms: input.now_ms,
                up: &history.scale_up_events,
                down: &history.scale_down_events,
            };
            limit_with_behavior(stabilized, current, (*min, *max), (&up, &down), changes)
        }
    };
    let changed = |kind, from, to| Limit { kind, from, to };
    let steps = Steps {
        stabilized: (stabilized != proposed).then(|| changed(stabilized_by, proposed, stabilized)),
        limited: limited_by.map(|kind| changed(kind, stabilized, desired)),
    };
    // Both limits keep the bounds for every replica count within them; this says so for all inputs.
    (desired.max(*min).min(*max), steps)
}

/// The windows in force.
fn windows(policy: &Policy) -> Windows {
    let behavior = policy.behavior.as_ref();
    let window_ms = |rules: Option<&Rules>| {
        rules.and_then(|rules| rules.stabilization_window_seconds).map(|seconds| i64::from(seconds) * 1000)
    };
    Windows {
        up_ms: window_ms(behavior.and_then(|b| b.scale_up.as_ref())).unwrap_or(0),
        down_ms: window_ms(behavior.and_then(|b| b.scale_down.as_ref()))
            .unwrap_or(policy.defaults.downscale_window_ms),
    }
}

impl Windows {
    fn longest_ms(self) -> i64 {
        self.up_ms.max(self.down_ms)
    }
}

impl Policy {
    /// Why nothing can be decided by this policy, if so: a contradiction that no evidence resolves.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let Self { min_replicas: min, max_replicas: max, metrics, .. } = self;
        if *min < 0 {
            return Some(format!("minReplicas is {min}; make it 0 or more"));
        }
        if *max < 1 {
            return Some(format!("maxReplicas is {max}; make it 1 or more"));
        }
        if min > max {
            return Some(format!("minReplicas {min} is above maxReplicas {max}; swap or change them"));
        }
        if metrics.is_empty() {
            return Some("metrics is empty; name at least one".to_owned());
        }
        for (index, metric) in metrics.iter().enumerate() {
            let name = &metric.name;
            if metric.target.milli() <= 0 {
                return Some(format!("metric {name}'s target is not above zero; raise it"));
            }
            if metrics.iter().take(index).any(|other| &other.name == name) {
                return Some(format!("two metrics are named {name}; rename one"));
            }
        }
        None
    }
}
