//! The formula's verdict: its number at the settled time, which may lower, and now, which may raise.
//!
//! Its evidence is that of all metrics that it reads. Where one of them is insufficient that one forbids lowering
//! already, and here the number counts only where it raises.

use autoscaler_formula::Undefined;

use super::{Answer, Doubt, Evidence, Moment, Scale, Tolerances, Verdict, ask, highest, to_milli};
use crate::evidence::{Judgement, Value};
use crate::name::Name;
use crate::policy::{FormulaSpec, MetricSpec, Target};

/// What a formula needs of one metric.
#[derive(Debug)]
pub(super) struct Read {
    name: Name,
    settled: Option<Value>,
    newest: Option<Value>,
    window_ms: i64,
    is_insufficient: bool,
    is_of_age: bool,
}

/// The verdict, and what it means for the others.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) verdict: Verdict,
    /// A number is above the activation threshold.
    pub(super) active: bool,
    /// It forbids lowering, and no metric does so in its place.
    pub(super) blocks: bool,
}

impl Read {
    pub(super) fn new(spec: &MetricSpec, judgement: &Judgement) -> Self {
        Self {
            name: spec.name.clone(),
            // Without a settled time the newest value is what may lower.
            settled: if judgement.settles { judgement.settled } else { judgement.newest },
            newest: judgement.newest,
            window_ms: spec.evidence.window_ms,
            is_insufficient: !judgement.doubts.is_empty(),
            is_of_age: judgement.doubts.iter().any(Doubt::is_of_age),
        }
    }
}

/// Judges the formula; `since_ms` is since when it may not lower.
pub(super) fn verdict(
    scale: &Scale,
    spec: &FormulaSpec,
    reads: &[Read],
    since_ms: &mut Option<i64>,
    moment: Moment<'_>,
    tolerances: Tolerances,
) -> Found {
    let current = scale.spec_replicas;
    let named = |name: &str| reads.iter().find(|read| read.name == *name);
    let used: Vec<Option<&Read>> =
        spec.expression.metrics().iter().map(|mention| named(&mention.name)).collect();
    let mut doubts: Vec<Doubt> = used
        .iter()
        .flatten()
        .filter(|read| read.is_insufficient)
        .map(|read| Doubt::OfMetric { metric: read.name.clone() })
        .collect();
    let number = |of: fn(&Read) -> Option<Value>| {
        let values: Vec<Option<Value>> = used.iter().map(|read| read.and_then(of)).collect();
        let numbers: Vec<Option<f64>> = values.iter().map(|value| value.map(|value| value.value)).collect();
        let value = spec.expression.evaluate(&numbers).map_err(Doubt::Undefined)?;
        if value < 0.0 {
            return Err(Doubt::Negative);
        }
        let at_ms = values.iter().flatten().map(|value| value.at_ms).min().unwrap_or(moment.now_ms);
        Ok(Value { value, at_ms })
    };
    let (settled, newest) = (number(|read| read.settled), number(|read| read.newest));
    let mut blocks = false;
    if let Err(doubt) = &settled {
        // A metric without a value forbids lowering itself, or its fallback stands in.
        blocks = !matches!(doubt, Doubt::Undefined(Undefined::NoValue { .. }));
        doubts.push(doubt.clone());
    }
    let shown = settled.as_ref().or(newest.as_ref()).ok().copied();
    let mut values = [settled.ok(), newest.ok()];
    // As with a metric's: a stale ratio would be multiplied into what it already raised.
    let is_ratio = matches!(spec.target, Target::Value { .. }) && !moment.at_zero;
    if is_ratio && used.iter().flatten().any(|read| read.is_of_age) {
        values = [None, None];
    }
    let active = values.iter().flatten().any(|value| to_milli(value.value) > spec.activation_milli);
    let window_ms = used.iter().flatten().map(|read| read.window_ms).max().unwrap_or(0);
    let ask = |value: Value| ask(value, spec.target, window_ms, scale, moment.ready, tolerances);
    let asked = values.map(|value| value.map(|value| (value, ask(value))));
    if asked.iter().flatten().any(|(_, answer)| *answer == Answer::NoneReady) {
        doubts.push(Doubt::NoneReady);
        blocks = true;
    }
    let best = highest(asked, spec.target, current);
    let proposal = best.map(|(_, replicas)| replicas);
    let shown = best.map(|(value, _)| value).or(shown);
    let mut verdict = Verdict {
        name: Name::from("formula"),
        value: shown.map(|value| value.value.into()),
        value_ms: shown.map(|value| value.at_ms),
        evidence: Evidence::Sufficient,
        proposal,
        fallback: None,
        counted: proposal,
    };
    if doubts.is_empty() {
        *since_ms = None;
    } else {
        let since_ms = *since_ms.get_or_insert(moment.now_ms);
        verdict.evidence = Evidence::Insufficient { doubts, since_ms };
        verdict.counted = proposal.filter(|proposal| *proposal > current);
    }
    Found { verdict, active, blocks }
}
