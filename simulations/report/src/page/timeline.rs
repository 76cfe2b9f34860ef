//! What happened, on one time axis: strips of stages, faults and trust, then charts per cluster.
//!
//! Every plot of a page has the same time axis; plots of the same thing in several runs share their scale too.

use std::collections::BTreeSet;

use crate::chart::{Chart, Mark, Series, Shape};
use crate::html::Html;
use crate::page::{columns, decisions};
use crate::run::{Key, Kind, LoadSeries, Point, ReplicaSeries, Run};
use crate::scale::Axis;
use crate::series::{highest, lowest_of, scaled};

mod strip;

/// Workloads with charts of their own, over all clusters; the tables hold more.
const WORKLOADS_MAX: usize = 40;

/// Loads of one cluster with charts of their own.
const LOADS_MAX: usize = 16;

/// Clusters with charts of their own.
const CLUSTERS_MAX: usize = 16;

/// Points of decisions on one chart.
const MARKS_MAX: usize = 250;

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
            workload(&mut h, runs, key, length_s);
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

/// A column a run, each with the chart of the same thing.
fn charts(h: &mut Html, runs: &[Run], length_s: f64, chart: impl Fn(&Run, usize) -> Option<Parts>) {
    columns(h, runs, |h, i, run| {
        let Some(parts) = chart(run, i) else {
            h.raw("<p class=\"empty\">Not in this run.</p>");
            return;
        };
        let lines_s: Vec<f64> = run.record.stages.iter().take(100).map(|s| s.start_s).collect();
        let chart = Chart {
            title: parts.title,
            unit: parts.unit,
            length_s,
            axis: parts.axis,
            series: parts.series,
            bands: run.faults.get(..strip::FAULTS_MAX.min(run.faults.len())).unwrap_or_default(),
            lines_s: &lines_s,
            points: parts.points,
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
}

fn load(h: &mut Html, runs: &[Run], key: &Key, one_of_several: bool, length_s: f64) {
    let (cluster, name) = (key.0.as_str(), key.1.as_str());
    let titled = |title: &str| if one_of_several { format!("{name}: {title}") } else { title.to_owned() };
    let all: Vec<&LoadSeries> = runs.iter().filter_map(|r| r.loads.get(key)).collect();
    if all.is_empty() {
        return;
    }
    let top = |pick: fn(&LoadSeries) -> &Vec<Point>| all.iter().map(|s| highest(pick(s))).fold(0.0, f64::max);

    let carried = runs.iter().map(|r| highest(&capacity(r, cluster))).fold(0.0, f64::max);
    let axis = Axis::linear(top(|s| &s.asked).max(top(|s| &s.answered)).max(carried));
    charts(h, runs, length_s, |run, _| {
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
        Some(Parts { title: titled(title), unit: "requests per second", axis, series, points: vec![] })
    });

    let lowest = all.iter().flat_map(|s| s.p50.iter().map(|p| p.1)).filter(|v| *v > 0.0).reduce(f64::min);
    let axis = Axis::log(lowest.unwrap_or(1.0), top(|s| &s.p99).max(1.0));
    charts(h, runs, length_s, |run, _| {
        let s = run.loads.get(key)?;
        let series = vec![
            Series::new("p99", "l99", Shape::Line, s.p99.clone()),
            Series::new("p95", "l95", Shape::Line, s.p95.clone()),
            Series::new("p50", "l50", Shape::Line, s.p50.clone()),
        ];
        let unit = "milliseconds, logarithmic, of each second";
        Some(Parts { title: titled("Latency"), unit, axis, series, points: vec![] })
    });

    let bad = top(|s| &s.failed).max(top(|s| &s.dropped));
    if bad == 0.0 {
        let whose = if one_of_several { format!(" of {name}") } else { String::new() };
        h.fill("<p class=\"note\">No request{} to {} failed or stayed unsent.</p>", &[&whose, &cluster]);
        return;
    }
    charts(h, runs, length_s, |run, _| {
        let s = run.loads.get(key)?;
        let series = vec![
            Series::new("failed", "wrong area", Shape::Area, s.failed.clone()),
            Series::new("not sent", "three", Shape::Steps, s.dropped.clone()),
        ];
        let unit = "requests per second";
        Some(Parts { title: titled("Failures"), unit, axis: Axis::linear(bad), series, points: vec![] })
    });
}

/// What the ready replicas of a cluster carry: as much as the weakest service of whom it is known. Of several loads
/// each takes a share that the record does not tell.
fn capacity(run: &Run, cluster: &str) -> Vec<Point> {
    if run.load_names().len() > 1 {
        return Vec::new();
    }
    let of = |s: &ReplicaSeries| s.sustains_rps.map(|rps| scaled(&s.ready, rps));
    let all = run.replicas.iter().filter(|(key, _)| key.0 == cluster);
    lowest_of(&all.filter_map(|(_, s)| of(s)).collect::<Vec<_>>())
}

fn workload(h: &mut Html, runs: &[Run], key: &Key, length_s: f64) {
    let name = key.1.as_str();
    let most = runs
        .iter()
        .filter_map(|r| r.replicas.get(key))
        .flat_map(|s| [highest(&s.wanted), highest(&s.ready), highest(&s.demanded)])
        .fold(1.0, f64::max);
    // Room above the highest for the points that are not on a line.
    let axis = Axis::linear(most * 1.15);
    charts(h, runs, length_s, |run, i| {
        let s = run.replicas.get(key)?;
        let mut series = vec![
            Series::new("ready", "one area", Shape::Area, s.ready.clone()),
            Series::new("wanted", "two", Shape::Steps, s.wanted.clone()),
        ];
        if !s.demanded.is_empty() {
            series.push(Series::new("demanded", "three", Shape::Steps, s.demanded.clone()));
        }
        let points = marks(run, i, key, &axis);
        Some(Parts { title: format!("{name}: replicas"), unit: "replicas", axis, series, points })
    });
    measured(h, runs, key, length_s);
}

/// What the policy measured against what the ready replicas are meant to carry.
fn measured(h: &mut Html, runs: &[Run], key: &Key, length_s: f64) {
    let values = |run: &Run| -> Vec<Point> {
        let states = run.policies.get(key).map(|p| p.states.as_slice()).unwrap_or_default();
        states.iter().filter_map(|s| Some((s.at_s, s.value?))).collect()
    };
    let capacity = |run: &Run| -> Vec<Point> {
        let target = run.policies.get(key).and_then(|p| p.target);
        target.zip(run.replicas.get(key)).map(|(t, s)| scaled(&s.ready, t)).unwrap_or_default()
    };
    if runs.iter().all(|r| values(r).is_empty()) {
        return;
    }
    let top = runs.iter().flat_map(|r| [highest(&values(r)), highest(&capacity(r))]).fold(0.0, f64::max);
    let axis = Axis::linear(top);
    charts(h, runs, length_s, |run, _| {
        let mut series = vec![Series::new("measured", "two", Shape::Steps, values(run))];
        let capacity = capacity(run);
        if !capacity.is_empty() {
            series.insert(0, Series::new("target × ready", "cap area", Shape::Area, capacity));
        }
        let title = format!("{}: measured against target", key.1);
        Some(Parts { title, unit: "as the policy measures it", axis, series, points: vec![] })
    });
}

/// Decisions of a workload; when there are too many, those that changed something come first.
fn marks(run: &Run, index: usize, key: &Key, axis: &Axis) -> Vec<Mark> {
    let mut own: Vec<(usize, &crate::run::Decision)> =
        run.decisions.iter().enumerate().filter(|(i, d)| d.key == *key && *i < decisions::ROWS_MAX).collect();
    if own.len() > MARKS_MAX {
        own.retain(|(_, d)| d.kind != Kind::Said);
        own.truncate(MARKS_MAX);
    }
    let mark = |(i, d): (usize, &crate::run::Decision)| {
        let (style, height) = match d.kind {
            Kind::Scale { from, to } => (if to > from { "up" } else { "down" }, axis.place(to)),
            Kind::Trust(true) => ("trust", 1.0),
            Kind::Trust(false) => ("doubt", 1.0),
            Kind::Said => ("said", 0.0),
        };
        Mark {
            at_s: d.at_s,
            height,
            style,
            sign: d.kind.sign(),
            row: decisions::row_id(index, i),
            head: format!("{} · {}", crate::scale::clock(d.at_s), decisions::what(d)),
            body: if matches!(d.kind, Kind::Trust(_)) { d.evidence.clone() } else { d.reason.clone() },
        }
    };
    own.into_iter().map(mark).collect()
}
