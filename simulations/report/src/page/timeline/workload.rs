//! The charts of one workload.

use super::{Parts, charts as chart};
use crate::chart::{Mark, Series, Shape};
use crate::html::Html;
use crate::page::decisions;
use crate::run::{Key, Kind, Point, Run};
use crate::scale::Axis;
use crate::series::{highest, scaled};

/// Points of decisions on one chart.
const MARKS_MAX: usize = 250;

/// Its replicas, the load that is planned for it where it is of several, and what its policy measured.
pub(super) fn charts(h: &mut Html, runs: &[Run], key: &Key, length_s: f64) {
    let name = key.1.as_str();
    let most = runs
        .iter()
        .filter_map(|r| r.replicas.get(key))
        .flat_map(|s| [highest(&s.wanted), highest(&s.ready), highest(&s.demanded)])
        .fold(1.0, f64::max);
    // Room above the highest for the points that are not on a line.
    let axis = Axis::linear(most * 1.15);
    chart(h, runs, (&key.0, None), length_s, |run, i| {
        let s = run.replicas.get(key)?;
        let mut series = vec![
            Series::new("ready", "one area", Shape::Area, s.ready.clone()),
            Series::new("wanted", "two", Shape::Steps, s.wanted.clone()),
        ];
        if !s.demanded.is_empty() {
            series.push(Series::new("demanded", "three", Shape::Steps, s.demanded.clone()));
        }
        let points = marks(run, i, key, &axis);
        Some(Parts { points, ..Parts::new(format!("{name}: replicas"), "replicas", axis, series) })
    });
    planned(h, runs, key, length_s);
    measured(h, runs, key, length_s);
}

/// What several loads plan to send it against what its ready replicas carry.
fn planned(h: &mut Html, runs: &[Run], key: &Key, length_s: f64) {
    if runs.iter().all(|r| r.loads_on(&key.0) <= 1) {
        return;
    }
    let of = |run: &Run| -> Option<(Vec<Point>, Vec<Point>)> {
        let s = run.replicas.get(key)?;
        Some((s.planned.clone(), scaled(&s.ready, s.sustains_rps?)))
    };
    let all: Vec<_> = runs.iter().filter_map(of).collect();
    if all.is_empty() {
        return;
    }
    let top = all.iter().flat_map(|(planned, capacity)| [highest(planned), highest(capacity)]);
    let axis = Axis::linear(top.fold(0.0, f64::max));
    chart(h, runs, (&key.0, None), length_s, |run, _| {
        let (planned, capacity) = of(run)?;
        let series = vec![
            Series::new("capacity", "cap area", Shape::Area, capacity),
            Series::new("planned, of all loads", "two", Shape::Steps, planned),
        ];
        let title = format!("{}: planned load against capacity", key.1);
        Some(Parts::new(title, "requests per second", axis, series))
    });
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
    chart(h, runs, (&key.0, None), length_s, |run, _| {
        let mut series = vec![Series::new("measured", "two", Shape::Steps, values(run))];
        let capacity = capacity(run);
        if !capacity.is_empty() {
            series.insert(0, Series::new("target × ready", "cap area", Shape::Area, capacity));
        }
        let title = format!("{}: measured against target", key.1);
        Some(Parts::new(title, "as the policy measures it", axis, series))
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
