//! The charts of one workload.

use std::collections::BTreeSet;

use super::{Parts, charts as chart};
use crate::chart::{Mark, Series, Shape};
use crate::html::Html;
use crate::page::decisions;
use crate::run::{Entry, Fact, PolicyId, PolicySeries, Run, Subject, Target};
use crate::scale::{Axis, clock};
use crate::series::{Point, highest, scaled};

/// Points of decisions on one chart.
const MARKS_MAX: usize = 250;

/// Policies of one workload with charts of what they measured; more than one is a mistake that is worth seeing.
const POLICIES_MAX: usize = 4;

/// Its replicas, the load that is planned for it where it is of several, and what its policies measured.
pub(super) fn charts(h: &mut Html, runs: &[Run], subject: &Subject, length_s: f64) {
    if let Subject::Workload(target) = subject {
        replicas(h, runs, target, length_s);
        planned(h, runs, target, length_s);
    }
    let ids: BTreeSet<&PolicyId> =
        runs.iter().flat_map(|r| r.policies.keys().filter(|id| drawn_with(r, id) == *subject)).collect();
    for id in ids.into_iter().take(POLICIES_MAX) {
        measured(h, runs, subject, id, length_s);
    }
}

/// Where a policy's measurements are drawn: with its target. In a record that names none, with the workload of its own
/// name, if there is one; the chart says so.
pub(super) fn drawn_with(run: &Run, id: &PolicyId) -> Subject {
    let own = Target::new(&id.cluster, "", &id.name);
    match &id.target {
        None if !run.targets_told && run.replicas.contains_key(&own) => Subject::Workload(own),
        _ => id.subject(),
    }
}

fn replicas(h: &mut Html, runs: &[Run], target: &Target, length_s: f64) {
    if runs.iter().all(|r| !r.replicas.contains_key(target)) {
        return;
    }
    let most = runs
        .iter()
        .filter_map(|r| r.replicas.get(target))
        .flat_map(|s| [highest(&s.wanted), highest(&s.ready), highest(&s.demanded)])
        .fold(1.0, f64::max);
    // Room above the highest for the points that are not on a line.
    let axis = Axis::linear(most * 1.15);
    chart(h, runs, (&target.cluster, None), length_s, |run, i| {
        let s = run.replicas.get(target)?;
        let mut series = vec![
            Series::new("ready", "one area", Shape::Area, s.ready.clone()),
            Series::new("wanted", "two", Shape::Steps, s.wanted.clone()),
        ];
        if !s.demanded.is_empty() {
            series.push(Series::new("demanded", "three", Shape::Steps, s.demanded.clone()));
        }
        let points = marks(run, i, target, &axis);
        Some(Parts {
            points,
            ..Parts::new(format!("{}: replicas", target.short()), "replicas", axis, series)
        })
    });
}

/// What several loads plan to send it against what its ready replicas carry.
fn planned(h: &mut Html, runs: &[Run], target: &Target, length_s: f64) {
    if runs.iter().all(|r| r.loads_on(&target.cluster) <= 1) {
        return;
    }
    let of = |run: &Run| -> Option<(Vec<Point>, Vec<Point>)> {
        let s = run.replicas.get(target)?;
        Some((s.planned.clone(), scaled(&s.ready, s.sustains_rps?)))
    };
    let all: Vec<_> = runs.iter().filter_map(of).collect();
    if all.is_empty() {
        return;
    }
    let top = all.iter().flat_map(|(planned, capacity)| [highest(planned), highest(capacity)]);
    let axis = Axis::linear(top.fold(0.0, f64::max));
    chart(h, runs, (&target.cluster, None), length_s, |run, _| {
        let (planned, capacity) = of(run)?;
        let series = vec![
            Series::new("capacity", "cap area", Shape::Area, capacity),
            Series::new("planned, of all loads", "two", Shape::Steps, planned),
        ];
        let title = format!("{}: planned load against capacity", target.short());
        Some(Parts::new(title, "requests per second", axis, series))
    });
}

/// What a policy measured against what the ready replicas of its target are meant to carry.
fn measured(h: &mut Html, runs: &[Run], subject: &Subject, id: &PolicyId, length_s: f64) {
    let series = |run: &Run| -> Option<(Vec<Point>, Vec<Point>)> {
        let PolicySeries { states, per_replica } = run.policies.get(id)?;
        let values: Vec<Point> = states.iter().filter_map(|s| Some((s.at_s, s.value?))).collect();
        let capacity = match subject {
            Subject::Workload(target) => per_replica.zip(run.replicas.get(target)),
            Subject::Policy(..) => None,
        };
        let capacity = capacity.map(|(each, s)| scaled(&s.ready, each)).unwrap_or_default();
        (!values.is_empty()).then_some((values, capacity))
    };
    let all: Vec<_> = runs.iter().filter_map(series).collect();
    if all.is_empty() {
        return;
    }
    let top = all.iter().flat_map(|(values, capacity)| [highest(values), highest(capacity)]);
    let axis = Axis::linear(top.fold(0.0, f64::max));
    let (name, by) = match subject {
        Subject::Workload(target) => (target.short(), format!(" by policy {}", id.full_name())),
        Subject::Policy(_, name) => (format!("policy {name}"), String::new()),
    };
    let guessed = matches!(subject, Subject::Workload(_)) && id.target.is_none();
    chart(h, runs, (subject.cluster(), None), length_s, |run, _| {
        let (values, capacity) = series(run)?;
        let mut series = vec![Series::new("measured", "two", Shape::Steps, values)];
        if !capacity.is_empty() {
            series.insert(0, Series::new("target × ready", "cap area", Shape::Area, capacity));
        }
        let note = if guessed { " (guessed by its name to be its policy)" } else { "" };
        let against = if series.len() > 1 { " against target" } else { "" };
        let title = format!("{name}: measured{against}{by}{note}");
        Some(Parts::new(title, "as the policy measures it", axis, series))
    });
}

/// What happened to a workload; when there is too much of it, what changed something comes first.
fn marks(run: &Run, index: usize, target: &Target, axis: &Axis) -> Vec<Mark> {
    let own = |entry: &Entry| matches!(&entry.subject, Subject::Workload(t) if target.covers(t));
    let drawn = run.entries.iter().take(decisions::ROWS_MAX).enumerate();
    let mut own: Vec<(usize, &Entry)> = drawn.filter(|(_, e)| own(e)).collect();
    if own.len() > MARKS_MAX {
        own.retain(|(_, e)| e.fact.word() != "says");
        own.truncate(MARKS_MAX);
    }
    own.into_iter().map(|(i, e)| mark(run, decisions::row_id(index, i), e, axis)).collect()
}

fn mark(run: &Run, row: String, entry: &Entry, axis: &Axis) -> Mark {
    let (style, height, at_s) = match &entry.fact {
        Fact::Step { to, .. } => (entry.fact.word(), axis.place(f64::from(*to)), entry.at_s),
        Fact::Decided(d) if d.changes() => {
            (entry.fact.word(), axis.place(f64::from(d.to)), d.seen_s.unwrap_or(entry.at_s))
        }
        Fact::Trust { sufficient: true, .. } => ("trust", 1.0, entry.at_s),
        Fact::Trust { sufficient: false, .. } => ("doubt", 1.0, entry.at_s),
        Fact::Decided(_) | Fact::Said { .. } => ("said", 0.0, entry.at_s),
    };
    Mark {
        at_s,
        height,
        style,
        sign: entry.fact.sign(),
        row,
        head: format!("{} · {}: {}", clock(entry.at_s), entry.subject, decisions::what(entry)),
        body: match &entry.fact {
            Fact::Trust { evidence, .. } => evidence.clone(),
            _ => decisions::cause(entry, run),
        },
    }
}
