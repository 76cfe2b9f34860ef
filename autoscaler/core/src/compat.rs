//! `compatibility: HPA`: the whole decision is upstream's, by [`autoscaler_hpa`].
//!
//! What remains this crate's own: a policy that contradicts itself and a paused one change nothing, fallbacks are not
//! looked at, and recommendations are compacted where there are more than [`MAX_RECOMMENDATIONS`], which loses none that
//! count while the windows stay as they are.

use autoscaler_hpa::Pending;
use autoscaler_hpa::normalize::Normalized;
use autoscaler_hpa::status::MetricValueStatus;

use crate::decision::{Cause, Decision};
use crate::doubt::Doubt;
use crate::history::{History, MetricHistory};
use crate::input::Input;
use crate::limit::{Limit, LimitKind};
use crate::number::Float;
use crate::observation::{FailureKind, Reading};
use crate::policy::{MetricSpec, Mode, Policy};
use crate::upstream::{observation, sync};
use crate::verdict::{Evidence, Verdict};

/// Most recommendations that are remembered as upstream does, one a decision of the longest window: enough for an hour
/// of upstream's period.
const MAX_RECOMMENDATIONS: usize = 512;

/// Decides as upstream does.
pub(crate) fn decide(input: &Input) -> Decision {
    let (policy, current) = (&input.policy, input.scale.spec_replicas);
    let mut history = History {
        // Of these upstream knows nothing; a policy that stops being compatible begins anew.
        held_ms: 0,
        ready: Default::default(),
        support: None,
        decided_ms: Some(input.now_ms),
        ..input.history.clone()
    };
    history.align_with(policy);
    if let Some(problem) = policy.problem() {
        return held(input, history, Cause::Invalid(problem));
    }
    if policy.mode == Mode::Paused {
        history.recommendations = None;
        return held(input, history, Cause::Paused);
    }
    let (pending, state) = sync(input);
    let (down_ms, up_ms) = policy.stabilization_ms();
    history.take_state(state);
    if history.recommendations.as_ref().is_some_and(|all| all.len() > MAX_RECOMMENDATIONS) {
        history.compact(input.now_ms, down_ms.max(up_ms));
    }
    let desired = pending.write().unwrap_or(current);
    let (cause, limits) = cause(input, &pending);
    let metrics = verdicts(input, &pending, &mut history.metrics);
    Decision {
        desired_replicas: desired,
        write: pending.write().filter(|_| policy.mode == Mode::Active),
        cause,
        limits,
        metrics,
        formula: None,
        history,
    }
}

fn cause(input: &Input, pending: &Pending) -> (Cause, Vec<Limit>) {
    let Policy { min_replicas: min, max_replicas: max, .. } = input.policy;
    let current = input.scale.spec_replicas;
    let bound = |kind, to| vec![Limit::new(kind, current, to)];
    if current == 0 && min != 0 {
        return (Cause::Disabled, Vec::new());
    }
    if current > max {
        return (Cause::AboveMaximum, bound(LimitKind::TooManyReplicas, max));
    }
    if current < min {
        return (Cause::BelowMinimum, bound(LimitKind::TooFewReplicas, min));
    }
    let (Some(proposal), Some(normalized)) = (pending.proposal(), pending.normalized()) else {
        return (Cause::MetricsFailed, Vec::new());
    };
    let proposed = proposal.replicas.max(0);
    let mut limits = Vec::new();
    let Normalized { desired, stabilized, stabilized_by, limited_by } = normalized;
    limits.extend(stabilized_by.map(|limit| Limit::new(limit.into(), proposed, stabilized)));
    limits.extend(limited_by.map(|limit| Limit::new(limit.into(), stabilized, desired)));
    (Cause::Metric { index: proposal.metric, replicas: proposed }, limits)
}

/// What each metric said; nothing where upstream did not ask it.
fn verdicts(input: &Input, pending: &Pending, known: &mut [MetricHistory]) -> Vec<Verdict> {
    let specs = input.policy.metrics.iter().zip(known).enumerate();
    let verdict = |(index, (spec, known)): (usize, (&MetricSpec, &mut MetricHistory))| {
        let result = pending.results().get(index);
        let shown = pending.metrics().get(index).and_then(Option::as_ref).map(|metric| shown(metric.current));
        let proposal = result.and_then(|result| result.as_ref().ok()).copied();
        let evidence = match result {
            Some(Err(why)) => {
                let since_ms = *known.insufficient_since_ms.get_or_insert(input.now_ms);
                Evidence::Insufficient { doubts: vec![doubt(input, spec, why)], since_ms }
            }
            _ => {
                known.insufficient_since_ms = None;
                Evidence::NotJudged
            }
        };
        Verdict {
            name: spec.name.clone(),
            value: shown.map(Float::new),
            value_ms: shown.map(|_| input.now_ms),
            evidence,
            proposal,
            fallback: None,
            counted: proposal,
        }
    };
    specs.map(verdict).collect()
}

fn doubt(input: &Input, spec: &MetricSpec, why: &str) -> Doubt {
    match observation(input, spec).map(|seen| &seen.newest) {
        None => Doubt::NotObserved,
        Some(Reading::Failed { kind, message }) => Doubt::Failed { kind: *kind, message: message.clone() },
        Some(Reading::Value(value)) if !value.get().is_finite() => Doubt::NotFinite,
        Some(Reading::Series(values)) if values.is_empty() => {
            Doubt::Failed { kind: FailureKind::Empty, message: String::new() }
        }
        Some(_) => Doubt::PodsUnknown { why: why.to_owned() },
    }
}

/// What upstream's status would show.
fn shown(current: MetricValueStatus) -> f64 {
    let milli = current.value_milli.or(current.average_value_milli).unwrap_or_default();
    current.average_utilization.map_or(milli as f64 / 1000.0, f64::from)
}

/// Nothing is asked and nothing changes.
fn held(input: &Input, history: History, cause: Cause) -> Decision {
    let verdict = |spec: &MetricSpec| Verdict {
        name: spec.name.clone(),
        value: None,
        value_ms: None,
        evidence: Evidence::NotJudged,
        proposal: None,
        fallback: None,
        counted: None,
    };
    Decision {
        desired_replicas: input.scale.spec_replicas,
        write: None,
        cause,
        limits: Vec::new(),
        metrics: input.policy.metrics.iter().map(verdict).collect(),
        formula: None,
        history,
    }
}
