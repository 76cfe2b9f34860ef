//! Runs of the real controller: recorded ones, and fresh ones from seeds.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::oracle::{program, run, seeded};
use crate::judge::{Verdict, judge};

const SCENARIOS: &str = include_str!("../../testdata/scenarios.ldjson");
const RUNS: &str = include_str!("../../testdata/runs.ldjson");

#[test]
fn recorded_runs_of_the_real_controller_are_met() {
    assert_eq!(SCENARIOS.lines().count(), RUNS.lines().count());
    let mut verdict = Verdict::default();
    for (scenario, run) in SCENARIOS.lines().zip(RUNS.lines()) {
        verdict.add(judge(scenario, run));
    }
    assert_eq!(verdict.differences, Vec::<String>::new());
    assert!(verdict.syncs >= 50, "only {} syncs", verdict.syncs);
    assert!(verdict.writes >= 10, "only {} writes", verdict.writes);
    assert_eq!(verdict.invalid, 0);
}

/// Each field of a sync is really compared.
#[test]
fn a_changed_field_is_a_difference() {
    type Change = fn(&Value) -> Value;
    let changes: &[(&str, Change)] = &[
        ("proposal", |v| json!(v.as_i64().unwrap_or(0) + 1)),
        ("proposalMetric", |v| json!(format!("another {v}"))),
        ("write", |v| json!(v.as_i64().unwrap_or(0) + 1)),
        ("currentReplicas", |v| json!(v.as_i64().unwrap_or(0) + 1)),
        ("desiredReplicas", |v| json!(v.as_i64().unwrap_or(0) + 1)),
        ("lastScaleT", |v| json!(v.as_f64().unwrap_or(0.0) + 1.0)),
        ("conditions/0/1", |_| json!("Unknown")),
        ("conditions/0/2", |_| json!("Other")),
        ("conditions/0/3", |_| json!(0.5)),
        ("currentMetrics/0", |v| if v.is_null() { json!(["Pods", 1, 1, 1]) } else { Value::Null }),
        ("events", |_| json!([["Normal", "Other", ""]])),
        ("error", |v| if v.is_null() { json!("boom") } else { json!("") }),
        ("statusWrites", |v| json!(1 - v.as_i64().unwrap_or(0))),
    ];
    for (field, change) in changes {
        let mut applied = 0;
        for (scenario, run) in SCENARIOS.lines().zip(RUNS.lines()) {
            let mut run: Value = serde_json::from_str(run).expect("a run");
            let Some(first) = run["syncs"].get_mut(0) else { continue };
            let (own, rest) = field.split_once('/').unwrap_or((field, ""));
            if rest.is_empty() {
                first[own] = change(&first[own]);
            } else if let Some(value) = first.pointer_mut(&format!("/{field}")) {
                *value = change(value);
            } else {
                continue;
            }
            applied += 1;
            let verdict = judge(scenario, &run.to_string());
            assert_eq!(verdict.differences.len(), 1, "{field} of {} is not compared", run["id"]);
        }
        assert!(applied > 0, "{field} is in no run");
    }
}

/// Syncs that are compared with the real controller in each run of the tests.
const SYNCS: u64 = 12_000;

#[test]
fn the_real_controller_does_the_same() {
    let Some(program) = program(Path::new(env!("CARGO_TARGET_TMPDIR"))) else { return };
    let mut verdict = Verdict::default();
    run(&program, seeded(1), Duration::from_secs(60), |scenario, run| {
        verdict.add(judge(scenario, run));
        verdict.syncs < SYNCS
    })
    .expect("the real controller runs");
    println!("{} syncs, {} of them writes", verdict.syncs, verdict.writes);
    assert_eq!(verdict.differences, Vec::<String>::new());
    assert!(verdict.syncs >= SYNCS && verdict.writes >= SYNCS / 50, "{verdict:?}");
}
