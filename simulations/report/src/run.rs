//! A record made ready to be drawn: series per cluster and workload, decisions with their reasons.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::Error;
use crate::record::{Record, What};
use crate::scale::VALUE_MAX;
use crate::series::Point;

mod decision;
mod explain;
mod faults;
mod guess;
mod planned;
mod slo;
mod subject;
mod take;
mod taken;

pub(crate) use decision::{Entry, Fact};
pub(crate) use faults::MarkMade;
pub(crate) use slo::Slo;
pub(crate) use subject::{PolicyId, Subject, Target};
pub(crate) use taken::Decided;

/// Stages whose beginnings are drawn in a chart.
const STAGES_MAX: usize = 100;

/// Cluster and name.
pub(crate) type Key = (String, String);

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
    pub(crate) replicas: BTreeMap<Target, ReplicaSeries>,
    pub(crate) policies: BTreeMap<PolicyId, PolicySeries>,
    /// By cluster and service.
    pub(crate) slos: BTreeMap<Key, Slo>,
    /// Decisions and what else happened to replicas and trust, in order.
    pub(crate) entries: Vec<Entry>,
    /// Whether the record says what its policies scale; what it does not say is guessed, and said to be.
    pub(crate) targets_told: bool,
    /// Whether any policy said anything.
    pub(crate) policies_told: bool,
    /// Marks, in order.
    pub(crate) marks: Vec<MarkMade>,
    /// Restarts, in order.
    pub(crate) restarts: Vec<(f64, String)>,
    /// Events of types that this reader does not know, and those that lack a field.
    pub(crate) passed_over: Vec<(String, usize)>,
    /// Where the page is, seen from which the record's neighbours are.
    pub(crate) folder: String,
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
    /// What one replica is meant to carry, in the metric's unit: from a decision; in an old record from its words.
    pub(crate) per_replica: Option<f64>,
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
    /// Reads a record; `folder` leads from the page to the record's folder.
    pub(crate) fn parse(source: &str, folder: &str, json: &[u8]) -> Result<Self, Error> {
        Ok(Self::new(source, folder, Record::parse(source, json)?))
    }

    fn new(source: &str, folder: &str, mut record: Record) -> Self {
        let mut events = std::mem::take(&mut record.events);
        events.iter_mut().for_each(|e| e.at_s = time(e.at_s));
        events.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        let last_s = events.last().map_or(0.0, |e| e.at_s);
        let named = |e: &crate::record::Event| match &e.what {
            What::Policy(p) => Some(!p.target_name.is_empty()),
            What::Decision(d) => Some(!d.target_name.is_empty()),
            _ => None,
        };
        let mut run = Self {
            // What happens after the load (replicas that still settle) is on the axis too.
            length_s: time(record.duration_s).max(last_s).max(1.0),
            faults: faults::faults(&record, &events),
            targets_told: events.iter().filter_map(named).any(|told| told),
            policies_told: events.iter().filter_map(named).next().is_some(),
            record,
            source: source.to_owned(),
            folder: folder.to_owned(),
            loads: BTreeMap::new(),
            replicas: BTreeMap::new(),
            policies: BTreeMap::new(),
            slos: BTreeMap::new(),
            entries: Vec::new(),
            marks: Vec::new(),
            restarts: Vec::new(),
            passed_over: Vec::new(),
        };
        run.take_all(events);
        run.faults.retain(|f| f.from_s <= run.length_s);
        run.plans();
        run.slos.values_mut().for_each(|s| s.finish(run.length_s));
        run
    }

    /// What is planned for each workload and what its users accept, beside what happened to it.
    fn plans(&mut self) {
        let stages = planned::by_stages(&self.record);
        for w in &self.record.workloads {
            let key = (w.cluster.clone(), w.workload.clone());
            if let Some(slo) = self.slos.get_mut(&key) {
                slo.condition = w.slo.clone().unwrap_or_default();
            }
            let planned = planned::of(w, stages.as_deref(), self.length_s);
            let Some(rps) = w.sustains_rps.filter(|r| *r > 0.0 && !planned.is_empty()) else { continue };
            let first = Target::new(&w.cluster, "", &w.workload);
            for (_, series) in self.replicas.range_mut(first.clone()..).take_while(|(t, _)| first.covers(t)) {
                series.demanded = planned::demand(&planned, rps);
                series.planned.clone_from(&planned);
                series.sustains_rps = Some(value(rps));
            }
        }
    }

    /// Seconds from the start of the load to a moment that is told as such.
    fn since_start_s(&self, time: &str) -> Option<f64> {
        let at: Timestamp = time.parse().ok()?;
        let start: Timestamp = self.record.started_at.parse().ok()?;
        Some(at.duration_since(start).as_secs_f64())
    }

    /// What an older record lacks and a reader would look for.
    pub(crate) fn lacks(&self) -> Vec<&'static str> {
        let scenario = &self.record.scenario;
        let missing = [
            ("what its policies scale", self.policies_told && !self.targets_told),
            ("the scenario as it ran", scenario.effective.is_empty()),
            ("a digest of scenario and inputs", scenario.digest.is_empty()),
        ];
        missing.into_iter().filter(|(_, lacks)| *lacks).map(|(what, _)| what).collect()
    }

    /// Names of its loads, in the record's order; one without a name where the record knows of no names.
    pub(crate) fn load_names(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        self.record.stages.iter().map(|s| s.load.as_str()).filter(|load| seen.insert(*load)).collect()
    }

    /// How many loads a cluster has.
    pub(crate) fn loads_on(&self, cluster: &str) -> usize {
        self.loads.keys().filter(|k| k.0 == cluster).count()
    }

    /// Clusters that a load runs on, where not all that have load.
    pub(crate) fn only_on(&self, load: &str) -> Vec<&str> {
        let on: BTreeSet<&str> = self.loads.keys().filter(|k| k.1 == load).map(|k| k.0.as_str()).collect();
        let elsewhere = self.loads.keys().any(|k| !on.contains(k.0.as_str()));
        if elsewhere { on.into_iter().collect() } else { Vec::new() }
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
        let named = self.loads.keys().map(|k| &k.0).chain(self.replicas.keys().map(|t| &t.cluster));
        let named = named.chain(self.policies.keys().map(|p| &p.cluster));
        let mut seen = BTreeSet::new();
        self.record.clusters.iter().chain(named).filter(|name| seen.insert(*name)).cloned().collect()
    }
}

/// A time that can be drawn: up to a thousand years.
fn time(seconds: f64) -> f64 {
    if seconds.is_finite() { seconds.clamp(0.0, 3.2e10) } else { 0.0 }
}

/// A value that can be drawn.
fn value(v: f64) -> f64 {
    if v.is_finite() { v.clamp(-VALUE_MAX, VALUE_MAX) } else { 0.0 }
}
