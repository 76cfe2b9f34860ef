//! Run-to-run spread: how far the key figures of several runs of one scenario lie apart.
//!
//! A figure that differs between two policies by less than it differs between two runs of one policy says
//! nothing about the policies.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::record::{Elasticity, Record, Stage, What};
use crate::scale::VALUE_MAX;
use crate::{Error, alike};

/// Runs that are read at once.
const RUNS_MAX: usize = 100;

/// Rows of the table, and characters of a cell.
const ROWS_MAX: usize = 2_000;
const CELL_CHARS_MAX: usize = 200;

/// Stages in which a workload may have been raised.
const STAGES_MAX: usize = 200;

/// What a figure is of (`east/web`, `east, step`) and its name; sorts as it reads.
type Figure = (String, &'static str);

/// A Markdown table: for each key figure its median over the runs, and its least and most.
///
/// # Errors
/// A record that is not of [`FORMAT`](crate::FORMAT), of which the figures say nothing, or that is of another scenario,
/// version or setting than the first; their seeds may differ.
pub fn spread(records: &[(String, Vec<u8>)]) -> Result<String, Error> {
    if records.len() > RUNS_MAX {
        return Err(Error::Record {
            file: format!("{} records", records.len()),
            reason: format!("give up to {RUNS_MAX}"),
        });
    }
    let mut first: Option<(Record, &str)> = None;
    let mut figures: BTreeMap<Figure, Vec<f64>> = BTreeMap::new();
    for (name, json) in records {
        let wrong = |reason: String| Error::Record { file: name.clone(), reason };
        let record = Record::parse(name, json)?;
        if let Some(why) = alike::void(&record) {
            return Err(wrong(format!("{why}; leave it out")));
        }
        if let Some((first, file)) = &first
            && let Some(what) = alike::other_scenario(first, &record)
        {
            return Err(wrong(format!("not a run of the same as {file}: {what}; give runs of one")));
        }
        for (figure, value) in self::of(&record) {
            figures.entry(figure).or_default().push(value);
        }
        first.get_or_insert((record, name));
    }
    let (first, _) = first.ok_or(Error::Empty)?;
    Ok(table(&title(&first), records.len(), figures))
}

/// A counterexample is another policy.
fn title(record: &Record) -> String {
    match &record.counterexample {
        Some(c) => format!("{}, counterexample {}", record.scenario.name, c.name),
        None => record.scenario.name.clone(),
    }
}

fn table(scenario: &str, runs: usize, figures: BTreeMap<Figure, Vec<f64>>) -> String {
    let scenario = cell(scenario);
    let mut text = format!(
        "| {scenario}, {runs} runs | | median | least | most | spread |\n|---|---|--:|--:|--:|--:|\n"
    );
    let rows = figures.len();
    for ((of, name), mut values) in figures.into_iter().take(ROWS_MAX) {
        values.sort_by(f64::total_cmp);
        let (Some(&least), Some(&most)) = (values.first(), values.last()) else { continue };
        let median = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
        let spread = if median == 0.0 {
            String::new()
        } else {
            format!("{:.0}%", (most - least) / median.abs() * 100.0)
        };
        // A figure that some runs lack, such as a replica count that was never reached, says so.
        let missing =
            if values.len() < runs { format!(" ({} of {runs} runs)", values.len()) } else { String::new() };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {name}{missing} | {} | {} | {} | {spread} |",
            cell(&of),
            short(median),
            short(least),
            short(most)
        );
    }
    if rows > ROWS_MAX {
        let _ = writeln!(text, "\n{} more figures are left out.", rows - ROWS_MAX);
    }
    text
}

/// A record's text in a table's cell, and on a terminal: no mark-up of either.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(CELL_CHARS_MAX) {
        match c {
            '|' | '\\' | '`' | '*' | '[' | '<' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Three digits that matter.
fn short(v: f64) -> String {
    if v.abs() >= 1e9 {
        return format!("{v:.2e}");
    }
    let digits = match v.abs() {
        a if a == 0.0 || a >= 100.0 => 0,
        a if a >= 10.0 => 1,
        a if a >= 1.0 => 2,
        a if a >= 0.1 => 3,
        _ => 4,
    };
    format!("{v:.digits$}")
}

fn of(record: &Record) -> Vec<(Figure, f64)> {
    let mut figures = Vec::new();
    // One load needs no name.
    let several = record.loads.iter().any(|l| record.loads.first().is_some_and(|first| first.load != l.load));
    for l in &record.loads {
        let load = several.then_some(&l.load);
        let of = [Some(&l.cluster), load, l.stage.as_ref()].into_iter().flatten();
        let of = of.map(String::as_str).collect::<Vec<_>>().join(", ");
        let f = &l.figures;
        for (name, value) in [
            ("p50, ms", f.latency_p50_ms),
            ("p95, ms", f.latency_p95_ms),
            ("p99, ms", f.latency_p99_ms),
            ("failed", f.failed as f64),
            ("not sent", f.dropped as f64),
        ] {
            figures.push(((of.clone(), name), value));
        }
    }
    let changes = changes(record);
    for w in &record.workloads {
        let of = format!("{}/{}", w.cluster, w.workload);
        figures.push(((of.clone(), "replica-hours"), w.replica_hours));
        figures.push(((of.clone(), "changes"), f64::from(w.changes)));
        if let Some(e) = w.elasticity {
            figures.extend(elasticity(e).map(|(name, value)| ((of.clone(), name), value)));
        }
        let own = changes.get(&(w.cluster.as_str(), w.workload.as_str())).map(Vec::as_slice);
        for stage in record.stages.iter().take(STAGES_MAX) {
            let of = format!("{of}, {}", stage.name);
            let took = raised(own.unwrap_or_default(), stage);
            figures.extend(took.into_iter().map(|(name, value)| ((of.clone(), name), value)));
        }
    }
    // Sums and differences of them stay numbers.
    figures.iter_mut().for_each(|(_, v)| *v = v.clamp(-VALUE_MAX, VALUE_MAX));
    figures
}

/// `(seconds, wanted, ready)`.
type Change = (f64, i32, i32);

/// Each workload's replicas, in order of time.
fn changes(record: &Record) -> BTreeMap<(&str, &str), Vec<Change>> {
    let mut all: BTreeMap<(&str, &str), Vec<Change>> = BTreeMap::new();
    for e in &record.events {
        if let What::Replicas(r) = &e.what
            && let (Some(wanted), Some(ready)) = (r.wanted, r.ready)
        {
            all.entry((&r.cluster, &r.workload)).or_default().push((e.at_s, wanted, ready));
        }
    }
    all.values_mut().for_each(|own| own.sort_by(|a, b| a.0.total_cmp(&b.0)));
    all
}

fn elasticity(e: Elasticity) -> [(&'static str, f64); 5] {
    [
        ("θ_U, %", e.under_accuracy_percent),
        ("θ_O, %", e.over_accuracy_percent),
        ("τ_U, %", e.under_timeshare_percent),
        ("τ_O, %", e.over_timeshare_percent),
        ("υ, %", e.instability_percent),
    ]
}

/// For a stage in which a workload was raised: seconds from its start to the first raise, and until as many were
/// ready as were at most wanted in it.
fn raised(changes: &[Change], stage: &Stage) -> Vec<(&'static str, f64)> {
    let start = changes.partition_point(|c| c.0 <= stage.start_s);
    let end = changes.partition_point(|c| c.0 <= stage.end_s);
    let before = start.checked_sub(1).and_then(|i| changes.get(i)).map(|c| c.1);
    let within = changes.get(start..end).unwrap_or_default();
    let most = within.iter().map(|c| c.1).max();
    let (Some(before), Some(most)) = (before, most) else { return Vec::new() };
    if most <= before {
        return Vec::new();
    }
    let first = within.iter().find(|c| c.1 > before).map(|c| ("first raise after, s", c.0 - stage.start_s));
    let reached = within.iter().find(|c| c.2 >= most).map(|c| ("all ready after, s", c.0 - stage.start_s));
    first.into_iter().chain(reached).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(verdict: &str, p99: f64, ready_at_s: f64) -> (String, Vec<u8>) {
        let replicas = |at_s: f64, wanted: i32, ready: i32| json!({"atS": at_s, "type": "replicas", "cluster": "east", "workload": "web", "wanted": wanted, "ready": ready});
        let record = json!({
            "format": crate::FORMAT, "verdict": verdict, "scenario": {"name": "step"},
            "stages": [{"name": "quiet", "startS": 0, "endS": 10}, {"name": "step", "startS": 10, "endS": 40}],
            "loads": [{"cluster": "east", "figures": {"latencyP99Ms": p99, "dropped": ready_at_s}}],
            "workloads": [{"cluster": "east", "workload": "web", "replicaHours": 0.05,
                "elasticity": {"underAccuracyPercent": 12.5}}],
            "events": [replicas(0.0, 2, 2), replicas(11.5, 6, 2), replicas(ready_at_s, 6, 6), replicas(50.0, 9, 9)]
        });
        ("step.json".to_owned(), serde_json::to_vec(&record).unwrap())
    }

    #[test]
    fn a_row_a_figure_with_median_least_and_most() {
        let runs = [("pass", 100.0, 16.0), ("thresholds", 300.0, 15.0), ("pass", 110.0, 14.0)]
            .map(|(verdict, p99, ready)| run(verdict, p99, ready));
        let text = spread(&runs).unwrap();
        for row in [
            "| step, 3 runs | | median | least | most | spread |",
            "| east | p99, ms | 110 | 100 | 300 | 182% |",
            "| east | not sent | 15.0 | 14.0 | 16.0 | 13% |",
            "| east/web | replica-hours | 0.0500 | 0.0500 | 0.0500 | 0% |",
            "| east/web | θ_U, % | 12.5 | 12.5 | 12.5 | 0% |",
            "| east/web, step | first raise after, s | 1.50 | 1.50 | 1.50 | 0% |",
            "| east/web, step | all ready after, s | 5.00 | 4.00 | 6.00 | 40% |",
        ] {
            assert!(text.lines().any(|l| l == row), "no {row}\n{text}");
        }
        assert!(!text.contains("quiet"), "nothing was raised in it\n{text}");
    }

    #[test]
    fn several_loads_keep_their_figures_apart() {
        let record = json!({
            "format": crate::FORMAT, "verdict": "pass", "loads": [
                {"cluster": "east", "load": "users", "stage": "step", "figures": {"latencyP99Ms": 10}},
                {"cluster": "east", "load": "batch", "figures": {"latencyP99Ms": 20}}]
        });
        let text = spread(&[("a".into(), serde_json::to_vec(&record).unwrap())]).unwrap();
        assert!(text.contains("| east, users, step | p99, ms | 10.0 |"), "{text}");
        assert!(text.contains("| east, batch | p99, ms | 20.0 |"), "{text}");
    }

    #[test]
    fn nothing_and_what_is_no_record_have_no_spread() {
        assert_eq!(spread(&[]), Err(Error::Empty));
        let error = spread(&[("x".into(), b"{}".to_vec())]).unwrap_err().to_string();
        assert!(error.starts_with("x: format is \"\""), "{error}");
        assert!(spread(&vec![run("pass", 1.0, 15.0); RUNS_MAX + 1]).is_err());
    }
}
