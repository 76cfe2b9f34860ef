//! A record made ready to be drawn: series per cluster and workload, decisions with their reasons.

use std::collections::BTreeMap;

use crate::Error;
use crate::record::{Event, FORMAT, Record, What};
use crate::scale::VALUE_MAX;

mod decision;
mod planned;
mod slo;

pub(crate) use decision::{Decision, Kind};
pub(crate) use slo::Slo;

/// Stages whose beginnings are drawn in a chart.
const STAGES_MAX: usize = 100;

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
    /// Faults as they happened, or as planned where no mark says so; not those that the run ended before.
    pub(crate) faults: Vec<Span>,
    /// By cluster and load.
    pub(crate) loads: BTreeMap<Key, LoadSeries>,
    /// By cluster and workload.
    pub(crate) replicas: BTreeMap<Key, ReplicaSeries>,
    /// By cluster and policy.
    pub(crate) policies: BTreeMap<Key, PolicySeries>,
    /// By cluster and service.
    pub(crate) slos: BTreeMap<Key, Slo>,
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
    /// The service that it is sent to, where the record says so.
    pub(crate) to: String,
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
    /// Requests per second that are planned for it, where the record says what one replica carries.
    pub(crate) planned: Vec<Point>,
    /// The fewest replicas that carry them.
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
            slos: BTreeMap::new(),
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
        run.faults.retain(|f| f.from_s <= run.length_s);
        let stages = planned::by_stages(&run.record);
        for w in &run.record.workloads {
            let key = (w.cluster.clone(), w.workload.clone());
            if let Some(slo) = run.slos.get_mut(&key) {
                slo.condition = w.slo.clone().unwrap_or_default();
            }
            let planned = planned::of(w, stages.as_deref(), run.length_s);
            let rps = w.sustains_rps.filter(|r| *r > 0.0 && !planned.is_empty());
            if let Some((series, rps)) = run.replicas.get_mut(&key).zip(rps) {
                series.demanded = planned::demand(&planned, rps);
                series.planned = planned;
                series.sustains_rps = Some(value(rps));
            }
        }
        run.slos.values_mut().for_each(|s| s.finish(run.length_s));
        run.decisions = decision::decisions(&run.replicas, &run.policies);
        run
    }

    fn take(&mut self, event: Event) {
        let at = event.at_s;
        match event.what {
            What::Mark { .. } => {}
            What::Slo { cluster, service, second, due, over, held } => {
                self.slos.entry((cluster, service)).or_default().second(second, due, over, held);
            }
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
            What::Load { cluster, load, to, rate_rps, figures: f } => {
                let series = self.loads.entry((cluster, load)).or_default();
                series.to = to;
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

    /// How many loads a cluster has.
    pub(crate) fn loads_on(&self, cluster: &str) -> usize {
        self.loads.keys().filter(|k| k.0 == cluster).count()
    }

    /// Clusters that a load runs on, where not all that have load.
    pub(crate) fn only_on(&self, load: &str) -> Vec<&str> {
        let on: Vec<&str> = self.loads.keys().filter(|k| k.1 == load).map(|k| k.0.as_str()).collect();
        let elsewhere = self.loads.keys().any(|k| !on.contains(&k.0.as_str()));
        if elsewhere { on } else { Vec::new() }
    }

    /// When stages begin on a cluster: of one load, or of all that run there.
    pub(crate) fn stage_starts_s(&self, cluster: &str, load: Option<&str>) -> Vec<f64> {
        let several = self.load_names().len() > 1;
        let here = |of: &str| match load {
            Some(load) => load == of,
            None => self.loads.contains_key(&(cluster.to_owned(), of.to_owned())),
        };
        let stages = self.record.stages.iter().filter(|s| !several || here(&s.load));
        stages.map(|s| s.start_s).filter(|s| *s < self.length_s).take(STAGES_MAX).collect()
    }

    /// The slos of a load's users: of the service that it is sent to, and of every one where it is the cluster's
    /// only load.
    pub(crate) fn slos_of(&self, load: &Key) -> impl Iterator<Item = (&str, &Slo)> {
        let only = self.loads_on(&load.0) == 1;
        let to = self.loads.get(load).map_or("", |s| s.to.as_str());
        let own = self
            .slos
            .iter()
            .filter(move |((cluster, service), _)| *cluster == load.0 && (only || service == to));
        own.map(|((_, service), slo)| (service.as_str(), slo))
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

/// A time that can be drawn: up to a thousand years.
fn time(seconds: f64) -> f64 {
    if seconds.is_finite() { seconds.clamp(0.0, 3.2e10) } else { 0.0 }
}

/// A value that can be drawn.
fn value(v: f64) -> f64 {
    if v.is_finite() { v.clamp(-VALUE_MAX, VALUE_MAX) } else { 0.0 }
}
