//! Whether an answer is good enough to lower on. Everything that speaks against it is named, not only the
//! first thing.
//!
//! ```text
//!  observation ─► values      at the settled time (may lower), at the evaluation time (may raise)
//!              ─► samples     who is expected? how old, how far, how many pods?  ─► doubts
//!                                │                                                  │ none that blinds
//!                                ▼                                                  ▼
//!                             next settled time             starts: does this server have what was vouched for?
//!                                                                                   ▼
//!                                                                                a blind span ends
//! ```

use crate::doubt::Doubt;
use crate::history::MetricHistory;
use crate::name::Name;
use crate::number::Float;
use crate::observation::{FailureKind, Observation, Reading, Samples};
use crate::pods::Sample;
use crate::policy::{MetricSpec, Target};
use crate::readiness::Readiness;
use samples::{expect, held_back, look, stepped, vouch};

mod samples;
mod starts;

/// What a querier puts before a remark on the query that is no gap in its answer.
const INFO: &str = "PromQL info:";
/// What a querier puts before a warning about the query, not about stores.
const ANNOTATION: &str = "PromQL warning:";

/// When and for whom is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) now_ms: i64,
    /// Time between decisions; 0 if unknown.
    pub(crate) interval_ms: i64,
    /// Relative distance below a target that is left alone.
    pub(crate) tolerance: f64,
    /// The target's own cluster; empty if unknown.
    pub(crate) cluster: &'a Name,
    pub(crate) ready: &'a Readiness,
    /// There are no replicas, so there are no pods to miss, and no ratio multiplies any.
    pub(crate) at_zero: bool,
}

impl Moment<'_> {
    /// How long ago a settled time may have been learned, in milliseconds: as old as samples may be, and two decisions,
    /// one of which may have failed.
    fn longest_behind_ms(self, spec: &MetricSpec) -> i64 {
        spec.evidence.max_age_ms.max(0).saturating_add(self.interval_ms.max(0).saturating_mul(2))
    }
}

/// What one observation is worth.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Judgement {
    /// The value at the settled time, if replicas can be computed from it: finite, not negative, the only one.
    pub(crate) settled: Option<Value>,
    /// The same at the evaluation time.
    pub(crate) newest: Option<Value>,
    /// There is a settled time, so that the value at the evaluation time may not lower.
    pub(crate) settles: bool,
    /// A value to show where there is none to compute with.
    pub(crate) shown: Option<Float>,
    /// The time of the value that may lower, if samples have one.
    pub(crate) reached_ms: Option<i64>,
    /// What speaks against lowering on it; empty is sufficient.
    pub(crate) doubts: Vec<Doubt>,
}

/// A value that replicas can be computed from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Value {
    pub(crate) value: f64,
    /// The time that it is for.
    pub(crate) at_ms: i64,
}

/// Judges the answer to `spec`'s query, and remembers what it tells of the samples.
pub(crate) fn judge(
    spec: &MetricSpec,
    observation: Option<&Observation>,
    known: &mut MetricHistory,
    moment: Moment<'_>,
) -> Judgement {
    let Some(observation) = observation else {
        return Judgement { doubts: vec![Doubt::NotObserved], ..Judgement::default() };
    };
    let mut doubts = Vec::new();
    let newest = read(&observation.newest, spec);
    let settled = observation.settled.as_ref().map(|settled| (settled.at_ms, read(&settled.reading, spec)));
    // What may lower is what is judged; the newest value beside it need not be there yet.
    if let Err(doubt) = settled.as_ref().map_or(&newest, |(_, value)| value) {
        doubts.push(doubt.clone());
    }
    let mut judgement = Judgement {
        shown: shown(observation),
        newest: newest.ok().map(|value| Value { value, at_ms: moment.now_ms }),
        settled: settled.as_ref().and_then(|(at_ms, value)| {
            value.as_ref().ok().map(|value| Value { value: *value, at_ms: *at_ms })
        }),
        settles: settled.is_some(),
        reached_ms: None,
        doubts: Vec::new(),
    };
    let settled_ms = settled.map(|(at_ms, _)| at_ms);
    let mut seen = None;
    match &observation.samples {
        Samples::Timeless => known.settled_ms = None,
        Samples::Unknown(message) => {
            if doubts.is_empty() {
                doubts.push(Doubt::EvidenceLost { message: message.clone() });
            }
        }
        Samples::Seen(selectors) => {
            expect(spec, selectors, known, moment, &mut doubts);
            let found = look(spec, selectors, settled_ms, known, moment, &mut doubts);
            judgement.reached_ms = found.moves_on.then_some(settled_ms.unwrap_or(moment.now_ms));
            known.settled_ms = found.slowest_ms.filter(|_| found.moves_on);
            // Records of before this have no starts, and give what they gave.
            if !observation.starts.is_empty() {
                known.settled_ms = held_back(spec, known, moment, &doubts);
                doubts.extend(stepped(spec, selectors, known, moment));
                starts::listen(spec, selectors, known, moment);
            }
            seen = Some((selectors, found));
        }
    }
    doubts.extend(warned(observation));
    // What was asked for long ago is no reason to raise while there is a value of now.
    if doubts.iter().any(|doubt| matches!(doubt, Doubt::Outdated { .. })) {
        judgement.settled = None;
    }
    // A stale ratio would be multiplied into the replicas that it already raised, again every tick, up to the
    // maximum. A stale average asks for the same number each time and may still raise.
    if matches!(spec.target, Target::Value { .. }) && !moment.at_zero && doubts.iter().any(Doubt::is_of_age) {
        (judgement.newest, judgement.settled) = (None, None);
    }
    let is_blind = doubts.iter().any(|doubt| doubt.standing().is_blind);
    if let Some((selectors, found)) = seen.filter(|(_, found)| found.moves_on && !is_blind) {
        let end_ms = settled_ms.unwrap_or(moment.now_ms);
        let reached_ms = found.slowest_ms.unwrap_or(i64::MAX);
        doubts.extend(starts::look(spec, selectors, observation, known, moment, end_ms, reached_ms));
        vouch(spec, selectors, &found, known, moment, settled_ms);
    }
    judgement.doubts = doubts;
    judgement
}

/// A reading as a number to compute with.
fn read(reading: &Reading, spec: &MetricSpec) -> Result<f64, Doubt> {
    match reading {
        Reading::Failed { kind: FailureKind::Empty, .. } if spec.evidence.empty_is_zero => Ok(0.0),
        Reading::Failed { kind, message } => Err(Doubt::Failed { kind: *kind, message: message.clone() }),
        Reading::Pods(samples) if spec.kind.is_by_pod() => of_pods(samples),
        Reading::Value(value) if !spec.kind.is_by_pod() => finite(value.get()),
        Reading::Value(_) => unexpected("it returned one value, and not one for each pod"),
        Reading::Pods(_) => unexpected("it returned one value for each pod, and not one"),
        Reading::Series(values) => {
            let message = format!("the query returned {} series", values.len());
            Err(Doubt::Failed { kind: FailureKind::ManySeries, message })
        }
    }
}

/// An answer of another form than what was asked for.
fn unexpected(words: &str) -> Result<f64, Doubt> {
    Err(Doubt::Failed { kind: FailureKind::BadResponse, message: words.to_owned() })
}

/// Values by pod, which are judged one by one later: their sum, for want of one value.
fn of_pods(samples: &[Sample]) -> Result<f64, Doubt> {
    if samples.is_empty() {
        return Err(Doubt::Failed { kind: FailureKind::Empty, message: String::new() });
    }
    if samples.iter().any(|sample| sample.value_milli < 0) {
        return Err(Doubt::Negative);
    }
    Ok(samples.iter().map(|sample| sample.value_milli as f64 / 1000.0).sum())
}

fn finite(value: f64) -> Result<f64, Doubt> {
    if !value.is_finite() {
        Err(Doubt::NotFinite)
    } else if value < 0.0 {
        Err(Doubt::Negative)
    } else {
        Ok(value)
    }
}

fn shown(observation: &Observation) -> Option<Float> {
    let value = |reading: &Reading| match reading {
        Reading::Value(value) => Some(*value),
        Reading::Pods(_) | Reading::Series(_) | Reading::Failed { .. } => None,
    };
    observation.settled.as_ref().and_then(|s| value(&s.reading)).or_else(|| value(&observation.newest))
}

/// What the querier said beside its values. Infos are none of it: Thanos and old Prometheus put them among warnings.
fn warned(observation: &Observation) -> impl Iterator<Item = Doubt> {
    let warnings = observation.warnings.iter().filter(|warning| !warning.starts_with(INFO));
    let annotated = warnings.clone().find(|warning| warning.starts_with(ANNOTATION));
    let mut others = warnings.filter(|warning| !warning.starts_with(ANNOTATION));
    let warned =
        others.next().map(|first| Doubt::Warned { first: first.clone(), count: 1 + others.count() as u64 });
    let incomplete = observation.incomplete.as_ref().map(|said| Doubt::Incomplete { said: said.clone() });
    let annotated = annotated.map(|first| Doubt::Annotated { first: first.clone() });
    warned.into_iter().chain(incomplete).chain(annotated)
}
