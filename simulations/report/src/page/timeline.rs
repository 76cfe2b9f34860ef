//! What happened, on one time axis: strips of stages, faults and trust, then charts per cluster.
//!
//! Every plot of a page has the same time axis; plots of the same thing in several runs share their scale too.

use std::collections::BTreeSet;

use crate::chart::{Chart, Foot, Mark, Series, Shape};
use crate::html::Html;
use crate::page::columns;
use crate::run::{Key, LoadSeries, ReplicaSeries, Run, Slo, Subject, Target};
use crate::scale::{Axis, clock};
use crate::series::{Of, Point, STRETCHES, highest, is_stretched, lowest_of, scaled, seconds};

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
    h.raw("▲ up and ▼ down by a decision, △ ▽ by none that was recorded, ○ evidence not trusted, ● trusted again, ");
    h.raw("◇ decided and changed nothing: each leads to its row among the decisions.</p>");
    columns(&mut h, runs, |h, _, run| strip::strips(h, run, length_s));
    let clusters = union(runs.iter().map(Run::clusters));
    let subjects = subjects(runs);
    for cluster in clusters.iter().take(CLUSTERS_MAX) {
        h.fill("<h3>{}</h3>", &[&cluster]);
        let loads = runs.iter().flat_map(|r| r.loads.keys()).filter(|k| k.0 == *cluster);
        let loads: BTreeSet<&Key> = loads.collect();
        for key in loads.iter().take(LOADS_MAX) {
            load(&mut h, runs, key, loads.len() > 1, length_s);
        }
        for subject in subjects.iter().take(WORKLOADS_MAX).filter(|s| s.cluster() == cluster) {
            workload::charts(&mut h, runs, subject, length_s);
        }
    }
    if subjects.len() > WORKLOADS_MAX {
        h.fill(
            "<p class=\"note\">{} more workloads are in the record.</p>",
            &[&(subjects.len() - WORKLOADS_MAX)],
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

/// Workloads that any run has something to draw of: those that moved, and those that policies scale.
fn subjects(runs: &[Run]) -> Vec<Subject> {
    let mut all = BTreeSet::new();
    for run in runs {
        all.extend(run.policies.keys().map(|id| workload::drawn_with(run, id)));
        let moved = run.replicas.iter().filter(|(_, s)| {
            let first = s.wanted.first().map(|p| p.1);
            s.wanted.iter().any(|p| Some(p.1) != first)
        });
        all.extend(moved.map(|(t, _)| Subject::Workload(t.clone())));
    }
    all.into_iter().collect()
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
    unit: String,
    axis: Axis,
    series: Vec<Series>,
    points: Vec<Mark>,
    feet: Vec<Foot>,
}

impl Parts {
    /// Of series alone.
    fn new(title: String, unit: impl Into<String>, axis: Axis, series: Vec<Series>) -> Self {
        Self { title, unit: unit.into(), axis, series, points: Vec::new(), feet: Vec::new() }
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
    let drawn = |points: &Vec<Point>, of: Of| seconds(points, length_s, of);
    let top = |pick: fn(&LoadSeries) -> &Vec<Point>, of: Of| {
        all.iter().map(|s| highest(&drawn(pick(s), of))).fold(0.0, f64::max)
    };
    // One word for all: they have as many seconds as the run.
    let stretched = all.iter().any(|s| is_stretched(&s.asked));
    let each = |what: &str| {
        let stretch = clock((length_s / STRETCHES as f64).round());
        if stretched { format!("; {what} each {stretch}") } else { String::new() }
    };

    let carried = runs.iter().map(|r| highest(&capacity(r, cluster))).fold(0.0, f64::max);
    let axis = Axis::linear(top(|s| &s.asked, Of::Mean).max(top(|s| &s.answered, Of::Mean)).max(carried));
    charts(h, runs, scope, length_s, |run, _| {
        let s = run.loads.get(key)?;
        let mut series = vec![
            Series::new("answered well", "one area", Shape::Area, drawn(&s.answered, Of::Mean)),
            Series::new("asked by the stages", "two", Shape::Steps, drawn(&s.asked, Of::Mean)),
        ];
        let capacity = capacity(run, cluster);
        let title = if capacity.is_empty() { "Load" } else { "Load against capacity" };
        if !capacity.is_empty() {
            series.insert(0, Series::new("capacity", "cap area", Shape::Area, capacity));
        }
        Some(Parts::new(titled(title), format!("requests per second{}", each("mean of")), axis, series))
    });

    let lowest = all.iter().flat_map(|s| s.p50.iter().map(|p| p.1)).filter(|v| *v > 0.0).reduce(f64::min);
    let axis = Axis::log(lowest.unwrap_or(1.0), top(|s| &s.p99, Of::Highest).max(1.0));
    charts(h, runs, scope, length_s, |run, _| {
        let s = run.loads.get(key)?;
        let series = vec![
            Series::new("p99", "l99", Shape::Line, drawn(&s.p99, Of::Highest)),
            Series::new("p95", "l95", Shape::Line, drawn(&s.p95, Of::Median)),
            Series::new("p50", "l50", Shape::Line, drawn(&s.p50, Of::Median)),
        ];
        let unit = format!(
            "milliseconds, logarithmic, of each second{}",
            each("p99 the worst, others the median of")
        );
        let foot = |(service, slo): (&str, &Slo)| Foot {
            name: format!("{} of {service} not held: {}", slo.words(), slo.misses()),
            spans: slo.missed.clone(),
        };
        let feet = run.slos_of(key).take(FEET_MAX).map(foot).collect();
        Some(Parts { feet, ..Parts::new(titled("Latency"), unit, axis, series) })
    });

    let bad = top(|s| &s.failed, Of::Mean).max(top(|s| &s.dropped, Of::Mean));
    if bad == 0.0 {
        let whose = if one_of_several { format!(" of {name}") } else { String::new() };
        h.fill("<p class=\"note\">No request{} to {} failed or stayed unsent.</p>", &[&whose, &cluster]);
        return;
    }
    charts(h, runs, scope, length_s, |run, _| {
        let s = run.loads.get(key)?;
        let series = vec![
            Series::new("failed", "wrong area", Shape::Area, drawn(&s.failed, Of::Mean)),
            Series::new("not sent", "three", Shape::Steps, drawn(&s.dropped, Of::Mean)),
        ];
        let unit = format!("requests per second{}", each("mean of"));
        Some(Parts::new(titled("Failures"), unit, Axis::linear(bad), series))
    });
}

/// What the ready replicas of a cluster carry: as much as the weakest service that the load reaches and of whom it is
/// known. Several loads share it; each workload has a chart of that.
fn capacity(run: &Run, cluster: &str) -> Vec<Point> {
    if run.loads_on(cluster) > 1 {
        return Vec::new();
    }
    let of = |s: &ReplicaSeries| s.sustains_rps.map(|rps| scaled(&s.ready, rps));
    let here = run.replicas.range(Target::new(cluster, "", "")..).take_while(|(t, _)| t.cluster == cluster);
    let all = here.filter(|(_, s)| highest(&s.planned) > 0.0);
    lowest_of(&all.filter_map(|(_, s)| of(s)).collect::<Vec<_>>())
}
