//! From evidence to one number: each metric's verdict, and the highest of what may be counted.
//!
//! ```text
//!  observation ─► judge ─► settled value ─► replicas ─┐
//!                   │  └─► newest value ──► replicas ─┴ max ─► proposal ─┐
//!                   │                                                    ├─► counted ─► highest, and
//!                   └─► doubts ─► fallback ──────────────────────────────┘   whether lowering is blocked
//!  values of all ─► formula ─► proposal, like a metric's
//! ```
//!
//! The rule of this crate is kept here: what an insufficient metric asks for is counted only where it raises,
//! and while there is one, nothing is lowered.

use autoscaler_hpa::ratio::Tolerances;

use crate::by_pod;
use crate::doubt::Doubt;
use crate::evidence::{Judgement, Moment, Value, judge};
use crate::history::{History, MetricHistory};
use crate::input::{Input, Scale};
use crate::observation::Observation;
use crate::policy::{MetricSpec, Target};
use crate::readiness::Readiness;
use crate::replicas::{Answer, replicas, to_milli};
use crate::support::Step;
use crate::verdict::{Evidence, Verdict};

mod formula;

/// All metrics' verdicts, and what they come to.
#[derive(Clone, Debug)]
pub(crate) struct Proposals {
    /// In the policy's order.
    pub(crate) verdicts: Vec<Verdict>,
    /// The formula's, if there is one.
    pub(crate) formula: Option<Verdict>,
    /// The highest counted proposal, and who made it first.
    pub(crate) highest: Option<(i32, By)>,
    /// An insufficient metric forbids lowering.
    pub(crate) blocked: bool,
    /// Some metric's evidence is sufficient: not all that is proposed is the user's word.
    pub(crate) evident: bool,
    /// Something that proposes is above its activation threshold, or has a fallback in force.
    pub(crate) active: bool,
    /// How far the evidence reaches.
    pub(crate) step: Step,
}

/// Who proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// A metric, by its index in the policy.
    Metric(usize),
    /// The formula.
    Formula,
}

/// Judges every metric; updates what is remembered of each, which has to be in the policy's order.
pub(crate) fn propose(input: &Input, history: &mut History) -> Proposals {
    let policy = &input.policy;
    let tolerances = policy.tolerances();
    let moment = Moment {
        now_ms: input.now_ms,
        interval_ms: policy.interval_ms,
        tolerance: tolerances.down,
        cluster: &input.cluster,
        ready: &history.ready,
        at_zero: input.scale.spec_replicas == 0,
    };
    let mut reads = Vec::new();
    let mut all = Proposals {
        verdicts: Vec::with_capacity(policy.metrics.len()),
        formula: None,
        highest: None,
        blocked: false,
        evident: false,
        active: false,
        step: Step {
            now_ms: input.now_ms,
            since_ms: history.decided_ms.map_or(0, |at_ms| input.now_ms.saturating_sub(at_ms)),
            reached_ms: None,
            in_gap: false,
            interval_ms: policy.interval_ms.max(0),
            span_ms: 0,
        },
    };
    for (index, (spec, known)) in policy.metrics.iter().zip(&mut history.metrics).enumerate() {
        let in_place = input.observations.get(index).filter(|seen| seen.name == spec.name);
        let observation = in_place.or_else(|| input.observations.iter().find(|seen| seen.name == spec.name));
        let judgement = judge(spec, observation, known, moment);
        if policy.formula.is_some() {
            reads.push(formula::Read::new(spec, &judgement));
        }
        if spec.target != Target::None {
            all.active |= judgement.is_above(spec.activation_milli);
        }
        let (verdict, reached_ms) = verdict(input, spec, observation, judgement, known, moment, tolerances);
        all.blocked |= verdict.blocks_lowering(spec);
        all.active |= verdict.fallback.is_some();
        all.count(verdict.counted, By::Metric(index));
        if !verdict.evidence.is_insufficient() {
            all.lean_on(spec, known, reached_ms, tolerances.down);
        }
        all.verdicts.push(verdict);
    }
    if let Some(spec) = &policy.formula {
        let since_ms = &mut history.formula_since_ms;
        let found = formula::verdict(&input.scale, spec, &reads, since_ms, moment, tolerances);
        all.active |= found.active;
        all.blocked |= found.blocks;
        all.count(found.verdict.counted, By::Formula);
        all.formula = Some(found.verdict);
    }
    if all.evident && !all.blocked {
        // Values without a time of their own are of now.
        all.step.reached_ms.get_or_insert(input.now_ms);
    } else {
        all.step.reached_ms = None;
    }
    all
}

impl Judgement {
    /// Whether a value is above `activation_milli`, at whichever time.
    fn is_above(&self, activation_milli: i64) -> bool {
        [self.settled, self.newest]
            .into_iter()
            .flatten()
            .any(|value| to_milli(value.value) > activation_milli)
    }
}

impl Proposals {
    /// Takes in what somebody's proposal counts as.
    fn count(&mut self, counted: Option<i32>, by: By) {
        if let Some(counted) = counted
            && self.highest.is_none_or(|(highest, _)| counted > highest)
        {
            self.highest = Some((counted, by));
        }
    }

    /// Takes in how far a metric's sufficient evidence reaches.
    fn lean_on(&mut self, spec: &MetricSpec, known: &MetricHistory, reached_ms: Option<i64>, tolerance: f64) {
        self.evident = true;
        let Some(reached_ms) = reached_ms else { return };
        let step = &mut self.step;
        step.reached_ms = Some(step.reached_ms.map_or(reached_ms, |before_ms| before_ms.min(reached_ms)));
        let window_ms = spec.evidence.window_ms.max(0);
        let window = spec.evidence.window(reached_ms);
        step.in_gap |= window.is_some_and(|w| known.coverage.gap_at(w).is_some());
        let longest_ms = known.coverage.longest_hidden_ms();
        // What sums over its window is low for all of it, unless by too little to matter.
        let matters = spec.evidence.tolerable_lag_ms(tolerance).is_some_and(|most_ms| longest_ms > most_ms);
        let hidden_ms =
            if spec.evidence.sums_over_window && matters { window_ms } else { longest_ms.min(window_ms) };
        step.span_ms = step.span_ms.max(hidden_ms.saturating_add(step.interval_ms));
    }
}

/// One metric's verdict, and the time of the value that may lower.
fn verdict(
    input: &Input,
    spec: &MetricSpec,
    observation: Option<&Observation>,
    mut judgement: Judgement,
    known: &mut MetricHistory,
    moment: Moment<'_>,
    tolerances: Tolerances,
) -> (Verdict, Option<i64>) {
    let (scale, current, target) = (&input.scale, input.scale.spec_replicas, spec.target);
    let asked = if spec.kind.is_by_pod() {
        by_pod::ask(input, spec, observation, moment, &mut judgement)
    } else {
        let window_ms = spec.evidence.window_ms;
        let ask = |value: Value| ask(value, target, window_ms, scale, moment.ready, tolerances);
        let values =
            [judgement.settled, judgement.newest].map(|value| value.filter(|_| target != Target::None));
        values.map(|value| value.map(|value| (value, ask(value))))
    };
    if asked.iter().flatten().any(|(_, answer)| *answer == Answer::NoneReady) {
        judgement.doubts.push(Doubt::NoneReady);
    }
    let best = highest(asked, target, current);
    let proposal = best.map(|(_, replicas)| replicas);
    let shown = best.map(|(value, _)| value).or(judgement.settled).or(judgement.newest);
    let mut verdict = Verdict {
        name: spec.name.clone(),
        value: shown.map(|value| value.value.into()).or(judgement.shown),
        value_ms: shown.map(|value| value.at_ms),
        evidence: Evidence::Sufficient,
        proposal,
        fallback: None,
        counted: proposal,
    };
    if judgement.doubts.iter().any(|doubt| doubt.standing().is_missing) {
        let since_ms = *known.missing_since_ms.get_or_insert(moment.now_ms);
        let missing_ms = moment.now_ms.saturating_sub(since_ms);
        let fallback = spec.fallback.as_ref().filter(|fallback| missing_ms >= fallback.after_ms);
        let replicas = fallback.and_then(|fallback| fallback.behavior.proposes(fallback.replicas, current));
        // The user's word stands in for what is missing, and never for fresh samples that ask for more.
        let is_old = judgement.doubts.iter().any(Doubt::is_of_age);
        verdict.fallback =
            replicas.map(|replicas| replicas.max(proposal.filter(|_| !is_old).unwrap_or(replicas)));
    } else {
        known.missing_since_ms = None;
    }
    if judgement.doubts.is_empty() {
        known.insufficient_since_ms = None;
    } else {
        let since_ms = *known.insufficient_since_ms.get_or_insert(moment.now_ms);
        verdict.evidence = Evidence::Insufficient { doubts: judgement.doubts, since_ms };
        verdict.counted = proposal.filter(|proposal| *proposal > current).max(verdict.fallback);
    }
    (verdict, judgement.reached_ms)
}

/// Of two values and what they ask for, the one that asks for more.
fn highest(asked: [Option<(Value, Answer)>; 2], target: Target, current: i32) -> Option<(Value, i32)> {
    let mut best: Option<(Value, i32)> = None;
    for (value, answer) in asked.into_iter().flatten() {
        let replicas = match answer {
            Answer::NoneReady => continue,
            // "Leave things alone" is what is ordered: neither a surge nor a lagging status change that.
            Answer::WithinTolerance => current,
            Answer::Replicas(replicas) => above_target(target, value.value, replicas, current),
        };
        if best.is_none_or(|(_, most)| replicas > most) {
            best = Some((value, replicas));
        }
    }
    best
}

/// What one value asks for. A ratio multiplies the replicas that it was measured on: those that were ready on
/// average over its window.
fn ask(
    value: Value,
    target: Target,
    window_ms: i64,
    scale: &Scale,
    ready: &Readiness,
    tolerances: Tolerances,
) -> Answer {
    let ready = match target {
        Target::AverageValue { .. } | Target::Utilization { .. } | Target::None => 0.0,
        Target::Value { .. } => {
            let window_ms = window_ms.max(0);
            ready.average(value.at_ms.saturating_sub(window_ms), value.at_ms)
        }
    };
    replicas(to_milli(value.value), target, scale, ready, tolerances)
}

/// A ratio above one multiplies only the ready replicas, so while others start or fail it may ask for fewer
/// than there are. What is above its target never lowers.
fn above_target(target: Target, value: f64, replicas: i32, current: i32) -> i32 {
    match target {
        Target::Value { value_milli } if to_milli(value) > value_milli => replicas.max(current),
        _ => replicas,
    }
}
