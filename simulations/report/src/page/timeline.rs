//! What happened, on one time axis: strips of stages, faults and trust, then charts per cluster.
//!
//! Every plot of a page has the same time axis; plots of the same thing in several runs share their scale too.

use std::collections::BTreeSet;

use crate::chart::{Chart, Foot, Mark, Series, Shape};
use crate::html::Html;
use crate::page::columns;
use crate::run::{Key, LoadSeries, Point, ReplicaSeries, Run, Slo};
use crate::scale::Axis;
use crate::series::{highest, lowest_of, scaled};

mod strip;
mod workload;

/// Workloads with charts of their own, over all clusters; the tables hold more.
const WORKLOADS_MAX: usize = 40;

/// Loads of one cluster with charts of their own.
const LOADS_MAX: usize = 16;

/// Clusters with charts of their own.
const CLUSTERS_MAX: usize = 16;

/// Slos along the foot of one chart.
const FEET_MAX: usize = 3;

/// The strips and the charts.
pub(crate) fn html(runs: &[Run]) -> Html {
    let mut h = Html::new();
    let length_s = runs.iter().map(|r| r.length_s).fold(1.0, f64::max);
    h.raw("<p class=\"note\">Faults are hatched over every chart, stages begin at the dotted lines. ");
    h.raw("▲ up, ▼ down, ○ evidence not trusted, ● trusted again, ◇ said and changed nothing: each leads to its ");
    h.raw("row among the decisions.</p>");
    columns(&mut h, runs, |h, _, run| strip::strips(h, run, length_s));
    let clusters = union(runs.iter().map(Run::clusters));
    let keys = keys(runs);
    for cluster in clusters.iter().take(CLUSTERS_MAX) {
        h.fill("<h3>{}</h3>", &[&cluster]);
        let loads = runs.iter().flat_map(|r| r.loads.keys()).filter(|k| k.0 == *cluster);
        let loads: BTreeSet<&Key> = loads.collect();
        for key in loads.iter().take(LOADS_MAX) {
            load(&mut h, runs, key, loads.len() > 1, length_s);
        }
        for key in keys.iter().take(WORKLOADS_MAX).filter(|k| k.0 == *cluster) {
            workload::charts(&mut h, runs, key, length_s);
        }
    }
    if keys.len() > WORKLOADS_MAX {
        h.fill(
            "<p class=\"note\">{} more workloads are in the record.</p>",
            &[&(keys.len() - WORKLOADS_MAX)],
        );
    }
    if clusters.is_empty() {
        h.raw("<p class=\"empty\">The record holds no events.</p>");
    }
    if clusters.len() > CLUSTERS_MAX {
        h.fill(
            "<p class=\"note\">{} more clusters are in the record.</p>",
            &[&(clusters.len() - CLUSTERS_MAX)],
        );
    }
    h
}

fn union(all: impl Iterator<Item = Vec<String>>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    for name in all.flatten() {
        if seen.insert(name.clone()) {
            out.push(name);
        }
    }
    out
}

/// Workloads and policies that any run has something to draw of: those that moved or were judged.
fn keys(runs: &[Run]) -> Vec<Key> {
    let mut keys = BTreeSet::new();
    for run in runs {
        keys.extend(run.policies.keys().cloned());
        let moved = run.replicas.iter().filter(|(_, s)| {
            let first = s.wanted.first().map(|p| p.1);
            s.wanted.iter().any(|p| Some(p.1) != first)
        });
        keys.extend(moved.map(|(k, _)| k.clone()));
    }
    keys.into_iter().collect()
}

/// A column a run, each with the chart of the same thing, on a cluster and perhaps of one of its loads.
fn charts(
    h: &mut Html,
    runs: &[Run],
    (cluster, load): (&str, Option<&str>),
    length_s: f64,
    chart: impl Fn(&Run, usize) -> Option<Parts>,
) {
    columns(h, runs, |h, i, run| {
        let Some(parts) = chart(run, i) else {
            h.raw("<p class=\"empty\">Not in this run.</p>");
            return;
        };
        let lines_s = run.stage_starts_s(cluster, load);
        let chart = Chart {
            title: parts.title,
            unit: parts.unit,
            length_s,
            axis: parts.axis,
            series: parts.series,
            bands: run.faults.get(..strip::FAULTS_MAX.min(run.faults.len())).unwrap_or_default(),
            lines_s: &lines_s,
            points: parts.points,
            feet: parts.feet,
        };
        h.push(&chart.html());
    });
}

/// What differs from chart to chart.
struct Parts {
    title: String,
    unit: &'static str,
    axis: Axis,
    series: Vec<Series>,
    points: Vec<Mark>,
    feet: Vec<Foot>,
}

impl Parts {
    /// Of series alone.
    fn new(title: String, unit: &'static str, axis: Axis, series: Vec<Series>) -> Self {
        Self { title, unit, axis, series, points: Vec::new(), feet: Vec::new() }
    }
}

fn load(h: &mut Html, runs: &[Run], key: &Key, one_of_several: bool, length_s: f64) {
    let (cluster, name) = (key.0.as_str(), key.1.as_str());
    let scope = (cluster, Some(name));
    let titled = |title: &str| if one_of_several { format!("{name}: {title}") } else { title.to_owned() };
    let all: Vec<&LoadSeries> = runs.iter().filter_map(|r| r.loads.get(key)).collect();
    if all.is_empty() {
        return;
    }
    let top = |pick: fn(&LoadSeries) -> &Vec<Point>| all.iter().map(|s| highest(pick(s))).fold(0.0, f64::max);

    let carried = runs.iter().map(|r| highest(&capacity(r, cluster))).fold(0.0, f64::max);
    let axis = Axis::linear(top(|s| &s.asked).max(top(|s| &s.answered)).max(carried));
    charts(h, runs, scope, length_s, |run, _| {
        let s = run.loads.get(key)?;
        let mut series = vec![
            Series::new("answered well", "one area", Shape::Area, s.answered.clone()),
            Series::new("asked by the stages", "two", Shape::Steps, s.asked.clone()),
        ];
        let capacity = capacity(run, cluster);
        let title = if capacity.is_empty() { "Load" } else { "Load against capacity" };
        if !capacity.is_empty() {
            series.insert(0, Series::new("capacity", "cap area", Shape::Area, capacity));
        }
        Some(Parts::new(titled(title), "requests per second", axis, series))
    });

    let lowest = all.iter().flat_map(|s| s.p50.iter().map(|p| p.1)).filter(|v| *v > 0.0).reduce(f64::min);
    let axis = Axis::log(lowest.unwrap_or(1.0), top(|s| &s.p99).max(1.0));
    charts(h, runs, scope, length_s, |run, _| {
        let s = run.loads.get(key)?;
        let series = vec![
            Series::new("p99", "l99", Shape::Line, s.p99.clone()),
            Series::new("p95", "l95", Shape::Line, s.p95.clone()),
            Series::new("p50", "l50", Shape::Line, s.p50.clone()),
        ];
        let unit = "milliseconds, logarithmic, of each second";
        let foot = |(service, slo): (&str, &Slo)| Foot {
            name: format!("{} of {service} not held: {}", slo.words(), slo.misses()),
            spans: slo.missed.clone(),
        };
        let feet = run.slos_of(key).take(FEET_MAX).map(foot).collect();
        Some(Parts { feet, ..Parts::new(titled("Latency"), unit, axis, series) })
    });

    let bad = top(|s| &s.failed).max(top(|s| &s.dropped));
    if bad == 0.0 {
        let whose = if one_of_several { format!(" of {name}") } else { String::new() };
        h.fill("<p class=\"note\">No request{} to {} failed or stayed unsent.</p>", &[&whose, &cluster]);
        return;
    }
    charts(h, runs, scope, length_s, |run, _| {
        let s = run.loads.get(key)?;
        let series = vec![
            Series::new("failed", "wrong area", Shape::Area, s.failed.clone()),
            Series::new("not sent", "three", Shape::Steps, s.dropped.clone()),
        ];
        Some(Parts::new(titled("Failures"), "requests per second", Axis::linear(bad), series))
    });
}

/// What the ready replicas of a cluster carry: as much as the weakest service that the load reaches and of whom it is
/// known. Several loads share it; each workload has a chart of that.
fn capacity(run: &Run, cluster: &str) -> Vec<Point> {
    if run.loads_on(cluster) > 1 {
        return Vec::new();
    }
    let of = |s: &ReplicaSeries| s.sustains_rps.map(|rps| scaled(&s.ready, rps));
    let all = run.replicas.iter().filter(|(key, s)| key.0 == cluster && highest(&s.planned) > 0.0);
    lowest_of(&all.filter_map(|(_, s)| of(s)).collect::<Vec<_>>())
}
