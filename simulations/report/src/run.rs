//! A record made ready to be drawn: series per cluster and workload, decisions with their reasons.

use std::collections::BTreeMap;

use crate::Error;
use crate::record::{Event, FORMAT, Record, Stage, What};
use crate::scale::VALUE_MAX;

mod decision;

pub(crate) use decision::{Decision, Kind};

/// Stages of which the demand is computed, and moments of a ramp.
const STAGES_MAX: usize = 1_000;
const MOMENTS_MAX: u32 = 600;

/// Cluster and name.
pub(crate) type Key = (String, String);

/// `(seconds, value)`.
pub(crate) type Point = (f64, f64);

/// A run, and what is drawn of it.
#[derive(Debug)]
pub(crate) struct Run {
    /// As read; its events have gone into the series below.
    pub(crate) record: Record,
    /// Where it came from.
    pub(crate) source: String,
    /// Seconds that the time axis holds; above zero.
    pub(crate) length_s: f64,
    /// Faults as they happened, or as planned where no mark says so.
    pub(crate) faults: Vec<Span>,
    /// By cluster and load.
    pub(crate) loads: BTreeMap<Key, LoadSeries>,
    /// By cluster and workload.
    pub(crate) replicas: BTreeMap<Key, ReplicaSeries>,
    /// By cluster and policy.
    pub(crate) policies: BTreeMap<Key, PolicySeries>,
    /// In order.
    pub(crate) decisions: Vec<Decision>,
    /// Restarts, in order.
    pub(crate) restarts: Vec<(f64, String)>,
    /// Events that this reader does not know.
    pub(crate) unknown_events: usize,
}

/// A stretch of time with a name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) detail: String,
    pub(crate) from_s: f64,
    /// The same as `from_s` for what has no length.
    pub(crate) to_s: f64,
}

/// One load on one cluster, a point a second.
#[derive(Debug, Default)]
pub(crate) struct LoadSeries {
    pub(crate) asked: Vec<Point>,
    pub(crate) answered: Vec<Point>,
    pub(crate) p50: Vec<Point>,
    pub(crate) p95: Vec<Point>,
    pub(crate) p99: Vec<Point>,
    pub(crate) failed: Vec<Point>,
    pub(crate) dropped: Vec<Point>,
}

/// One workload's replicas, a point a change.
#[derive(Debug, Default)]
pub(crate) struct ReplicaSeries {
    pub(crate) wanted: Vec<Point>,
    pub(crate) ready: Vec<Point>,
    /// The fewest replicas that carry the planned load, where the record says what one carries.
    pub(crate) demanded: Vec<Point>,
    /// Requests per second that one replica carries.
    pub(crate) sustains_rps: Option<f64>,
}

/// One policy's states, in order.
#[derive(Debug, Default)]
pub(crate) struct PolicySeries {
    pub(crate) states: Vec<PolicyState>,
    /// What one replica is meant to carry, in the metric's unit: from a decision, or from its words.
    pub(crate) target: Option<f64>,
}

/// What a policy said of itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PolicyState {
    pub(crate) at_s: f64,
    pub(crate) sufficient: Option<bool>,
    pub(crate) evidence: String,
    pub(crate) value: Option<f64>,
    pub(crate) desired: Option<i32>,
    pub(crate) cause: String,
}

impl Run {
    /// Reads a record.
    pub(crate) fn parse(source: &str, json: &[u8]) -> Result<Self, Error> {
        let problem = |reason: String| Error::Record { file: source.to_owned(), reason };
        let record: Record = serde_json::from_slice(json).map_err(|e| problem(e.to_string()))?;
        if record.format != FORMAT {
            let reason =
                format!("format is {:?}, not {FORMAT:?}; give the JSON result of a run", record.format);
            return Err(problem(reason));
        }
        Ok(Self::new(source, record))
    }

    fn new(source: &str, mut record: Record) -> Self {
        let mut events = std::mem::take(&mut record.events);
        events.iter_mut().for_each(|e| e.at_s = time(e.at_s));
        events.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        let last_s = events.last().map_or(0.0, |e| e.at_s);
        let mut run = Self {
            // What happens after the load (replicas that still settle) is on the axis too.
            length_s: time(record.duration_s).max(last_s).max(1.0),
            faults: faults(&record, &events),
            record,
            source: source.to_owned(),
            loads: BTreeMap::new(),
            replicas: BTreeMap::new(),
            policies: BTreeMap::new(),
            decisions: Vec::new(),
            restarts: Vec::new(),
            unknown_events: 0,
        };
        for event in events {
            run.take(event);
        }
        for policy in run.policies.values_mut() {
            let told = policy.target;
            policy.target =
                told.or_else(|| policy.states.iter().rev().find_map(|s| decision::target_of(&s.cause)));
        }
        // Which service several loads reach, and how much of each, the record does not say.
        let one_load = run.load_names().len() <= 1;
        for w in run.record.workloads.iter().filter(|_| one_load) {
            let series = run.replicas.get_mut(&(w.cluster.clone(), w.workload.clone()));
            if let Some((series, rps)) = series.zip(w.sustains_rps.filter(|r| *r > 0.0)) {
                series.demanded = demand(&run.record.stages, rps);
                series.sustains_rps = Some(value(rps));
            }
        }
        run.decisions = decision::decisions(&run.replicas, &run.policies);
        run
    }

    fn take(&mut self, event: Event) {
        let at = event.at_s;
        match event.what {
            What::Mark { .. } | What::Slo => {}
            What::Decision { cluster, policy, metrics } => {
                let per_replica = metrics.first().filter(|m| m.target_type == "AverageValue");
                if let Some(target) = per_replica.and_then(|m| m.target).filter(|t| *t > 0.0) {
                    self.policies.entry((cluster, policy)).or_default().target = Some(value(target));
                }
            }
            What::Replicas { cluster, workload, wanted, ready } => {
                let series = self.replicas.entry((cluster, workload)).or_default();
                series.wanted.push((at, f64::from(wanted)));
                series.ready.push((at, f64::from(ready)));
            }
            What::Policy { cluster, policy, sufficient, evidence, value: v, desired, cause } => {
                let state =
                    PolicyState { at_s: at, sufficient, evidence, value: v.map(value), desired, cause };
                self.policies.entry((cluster, policy)).or_default().states.push(state);
            }
            What::Load { cluster, load, rate_rps, figures: f } => {
                let series = self.loads.entry((cluster, load)).or_default();
                series.asked.push((at, value(rate_rps)));
                series.answered.push((at, f.completed as f64));
                series.failed.push((at, f.failed as f64));
                series.dropped.push((at, f.dropped as f64));
                // A second in which nothing ended has no latency.
                if f.completed + f.failed > 0 {
                    series.p50.push((at, value(f.latency_p50_ms)));
                    series.p95.push((at, value(f.latency_p95_ms)));
                    series.p99.push((at, value(f.latency_p99_ms)));
                }
            }
            What::Restart { container, count } => {
                self.restarts.push((at, format!("{container} was started again ({count} so far)")));
            }
            What::Unknown => self.unknown_events += 1,
        }
    }

    /// Names of its loads, in the record's order; one without a name where the record knows of no names.
    pub(crate) fn load_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for stage in &self.record.stages {
            if !names.contains(&stage.load.as_str()) {
                names.push(&stage.load);
            }
        }
        names
    }

    /// Clusters in the record's order, then those that only events name.
    pub(crate) fn clusters(&self) -> Vec<String> {
        let mut all = self.record.clusters.clone();
        let named = self.loads.keys().chain(self.replicas.keys()).map(|k| &k.0);
        for name in named.chain(self.policies.keys().map(|k| &k.0)) {
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        all
    }
}

/// Marks say when a fault happened; the plan says what it was.
fn faults(record: &Record, events: &[Event]) -> Vec<Span> {
    let mut marks: BTreeMap<&str, f64> = BTreeMap::new();
    for event in events {
        if let What::Mark { name } = &event.what {
            marks.entry(name).or_insert(event.at_s);
        }
    }
    let mark = |name: &str| marks.get(name).copied();
    let span = |f: &crate::record::Fault| {
        let from_s = mark(&f.name).unwrap_or(time(f.start_s));
        let to_s = mark(&format!("{} ended", f.name)).unwrap_or(from_s + time(f.end_s - f.start_s));
        let detail = format!("{} {}", f.kind, f.target);
        Span { name: f.name.clone(), detail, from_s, to_s }
    };
    record.faults.iter().map(span).collect()
}

/// The fewest replicas for each moment of the planned load, and at least one for the next request.
fn demand(stages: &[Stage], sustains_rps: f64) -> Vec<Point> {
    let mut points = Vec::new();
    for stage in stages.iter().take(STAGES_MAX) {
        let (start_s, length_s) = (time(stage.start_s), time(stage.end_s - stage.start_s));
        let moments =
            if stage.from_rps == stage.to_rps { 1 } else { (length_s as u32).clamp(1, MOMENTS_MAX) };
        for i in 0..moments {
            let share = f64::from(i) / f64::from(moments);
            let rps = value(stage.from_rps) * (1.0 - share) + value(stage.to_rps) * share;
            points.push((start_s + length_s * share, value((rps / sustains_rps).ceil().max(1.0))));
        }
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// A time that can be drawn: up to a thousand years.
fn time(seconds: f64) -> f64 {
    if seconds.is_finite() { seconds.clamp(0.0, 3.2e10) } else { 0.0 }
}

/// A value that can be drawn.
fn value(v: f64) -> f64 {
    if v.is_finite() { v.clamp(-VALUE_MAX, VALUE_MAX) } else { 0.0 }
}
