//! From evidence to one number: each metric's verdict, and the highest of what may be counted.
//!
//! ```text
//!  observation ─► judge ─► value ─► replicas ─┐
//!                   │                         ├─► counted ─► highest, and whether lowering is blocked
//!                   └─► doubts ─► fallback ───┘
//! ```
//!
//! The rule of this crate is kept here: what an insufficient metric asks for is counted only where it raises,
//! and while there is one, nothing is lowered.

use crate::behavior::Rules;
use crate::decision::{Doubt, Evidence, Verdict};
use crate::evidence::judge;
use crate::history::History;
use crate::input::Input;
use crate::policy::{FallbackBehavior, MetricSpec, Policy, Target};
use crate::replicas::{Answer, Tolerances, replicas, to_milli};

/// All metrics' verdicts, and what they come to.
#[derive(Clone, Debug)]
pub(crate) struct Proposals {
    /// In the policy's order.
    pub(crate) verdicts: Vec<Verdict>,
    /// The highest counted proposal, and the first metric that made it.
    pub(crate) highest: Option<(i32, String)>,
    /// An insufficient metric forbids lowering.
    pub(crate) blocked: bool,
    /// Some metric's evidence is sufficient: not all that is proposed is the user's word.
    pub(crate) evident: bool,
}

/// Judges every metric; updates since when each is insufficient.
pub(crate) fn propose(input: &Input, history: &mut History) -> Proposals {
    let policy = &input.policy;
    let tolerances = tolerances(policy);
    let is_named = |name: &String| policy.metrics.iter().any(|metric| &metric.name == name);
    history.insufficient_since_ms.retain(|name, _| is_named(name));
    history.refilling_since_ms.retain(|name, _| is_named(name));

    let mut blocked = false;
    let mut verdicts = Vec::with_capacity(policy.metrics.len());
    for spec in &policy.metrics {
        let verdict = verdict(input, spec, tolerances, history);
        let chosen = spec.fallback.as_ref().is_some_and(|f| f.behavior == FallbackBehavior::Static);
        blocked |= verdict.evidence.is_insufficient() && !(chosen && verdict.fallback.is_some());
        verdicts.push(verdict);
    }
    let mut highest: Option<(i32, String)> = None;
    for verdict in &verdicts {
        if let Some(counted) = verdict.counted
            && highest.as_ref().is_none_or(|(replicas, _)| counted > *replicas)
        {
            highest = Some((counted, verdict.name.clone()));
        }
    }
    let evident = verdicts.iter().any(|verdict| !verdict.evidence.is_insufficient());
    Proposals { verdicts, highest, blocked, evident }
}

fn verdict(input: &Input, spec: &MetricSpec, tolerances: Tolerances, history: &mut History) -> Verdict {
    let scale = &input.scale;
    let current = scale.spec_replicas;
    let mut judgement = judge(spec, input.observations.iter().find(|seen| seen.name == spec.name));
    if let Some(left_ms) = history.refill(spec, input.now_ms, judgement.seen()) {
        judgement.doubts.push(Doubt::Refilling { left_ms });
    }
    let answer = judgement.usable.map(|value| replicas(to_milli(value), spec.target, scale, tolerances));
    let proposal = match answer {
        None => None,
        Some(Answer::NoneReady) => {
            judgement.doubts.push(Doubt::NoneReady);
            None
        }
        Some(Answer::WithinTolerance) => Some(unchanged(spec, input)),
        Some(Answer::Replicas(replicas)) => Some(above_target(spec, judgement.usable, replicas, current)),
    };
    let mut verdict = Verdict {
        name: spec.name.clone(),
        value: judgement.value,
        evidence: Evidence::Sufficient,
        proposal,
        fallback: None,
        counted: proposal,
    };
    if judgement.doubts.is_empty() {
        history.insufficient_since_ms.remove(&spec.name);
    } else {
        let since_ms = *history.insufficient_since_ms.entry(spec.name.clone()).or_insert(input.now_ms);
        verdict.fallback = fallback(spec, input.now_ms.saturating_sub(since_ms), current);
        verdict.evidence = Evidence::Insufficient { doubts: judgement.doubts, since_ms };
        verdict.counted = proposal.filter(|proposal| *proposal > current).max(verdict.fallback);
    }
    verdict
}

/// A ratio above one multiplies only the ready replicas, so while others start or fail it may ask for fewer
/// than there are. What is above its target never lowers.
fn above_target(spec: &MetricSpec, value: Option<f64>, replicas: i32, current: i32) -> i32 {
    match (spec.target, value) {
        (Target::Value { value_milli }, Some(value)) if to_milli(value) > value_milli => {
            replicas.max(current)
        }
        _ => replicas,
    }
}

/// What "leave things alone" comes to. Upstream answers an average with `status.replicas`; while new replicas
/// have not reached the status, that would take back the raise that ordered them, so it is never less than
/// what is ordered.
fn unchanged(spec: &MetricSpec, input: &Input) -> i32 {
    match spec.target {
        Target::Value { .. } => input.scale.spec_replicas,
        Target::AverageValue { .. } => input.scale.status_replicas.max(input.scale.spec_replicas),
    }
}

/// What the fallback proposes, if evidence has been insufficient for long enough.
fn fallback(spec: &MetricSpec, insufficient_ms: i64, current: i32) -> Option<i32> {
    let fallback = spec.fallback.as_ref().filter(|fallback| insufficient_ms >= fallback.after_ms)?;
    match fallback.behavior {
        FallbackBehavior::IfHigher => Some(fallback.replicas).filter(|replicas| *replicas > current),
        FallbackBehavior::Static => Some(fallback.replicas),
        FallbackBehavior::CurrentReplicas => Some(current),
    }
}

/// The behaviour's tolerance in each direction, else the controller's.
fn tolerances(policy: &Policy) -> Tolerances {
    let behavior = policy.behavior.as_ref();
    let or_default = |rules: Option<&Rules>| {
        rules.and_then(|rules| rules.tolerance).unwrap_or(policy.defaults.tolerance).get()
    };
    Tolerances {
        down: or_default(behavior.and_then(|behavior| behavior.scale_down.as_ref())),
        up: or_default(behavior.and_then(|behavior| behavior.scale_up.as_ref())),
    }
}

impl Evidence {
    /// Whether it may only hold or raise.
    #[must_use]
    pub fn is_insufficient(&self) -> bool {
        matches!(self, Self::Insufficient { .. })
    }

    /// What speaks against lowering on it; empty if sufficient.
    #[must_use]
    pub fn doubts(&self) -> &[Doubt] {
        match self {
            Self::Sufficient => &[],
            Self::Insufficient { doubts, .. } => doubts,
        }
    }
}
