//! Runs of the real controller: recorded ones, and fresh ones from a seed.

use std::path::Path;
use std::time::Duration;

use crate::harness::oracle::{program, run, seeded};
use crate::judge::{Verdict, judge};

const SCENARIOS: &str = include_str!("../../../hpa/testdata/scenarios.ldjson");
const RUNS: &str = include_str!("../../../hpa/testdata/runs.ldjson");

#[test]
fn recorded_runs_of_the_real_controller_are_decided_alike() {
    let mut verdict = Verdict::default();
    for (scenario, run) in SCENARIOS.lines().zip(RUNS.lines()) {
        verdict.add(judge(scenario, run));
    }
    println!(
        "{} decisions, {} writes; not expressed: {:?}",
        verdict.syncs, verdict.writes, verdict.inexpressible
    );
    assert_eq!(verdict.differences, Vec::<String>::new());
    assert!(verdict.syncs >= 50 && verdict.writes >= 10, "{verdict:?}");
}

/// A changed word of the real controller is a difference: what is compared can fail.
#[test]
fn another_answer_is_a_difference() {
    let changes = [
        ("\"proposal\":", "\"proposal\":9"),
        ("\"write\":", "\"write\":9"),
        ("ReadyForNewScale", "ScaleUpStabilized"),
    ];
    for (from, to) in changes {
        let found = SCENARIOS.lines().zip(RUNS.lines()).any(|(scenario, run)| {
            run.contains(from) && !judge(scenario, &run.replacen(from, to, 1)).differences.is_empty()
        });
        assert!(found, "{from} is not compared");
    }
}

/// Decisions that are compared in each run of the tests.
const SYNCS: u64 = 12_000;

#[test]
fn the_real_controller_decides_alike() {
    let Some(program) = program(Path::new(env!("CARGO_TARGET_TMPDIR"))) else { return };
    let syncs = std::env::var("GAUNTLET_HPA_SYNCS").ok().and_then(|n| n.parse().ok()).unwrap_or(SYNCS);
    let mut verdict = Verdict::default();
    run(&program, seeded(7), Duration::from_secs(60), |scenario, run| {
        verdict.add(judge(scenario, run));
        verdict.syncs < syncs
    })
    .expect("the real controller runs");
    println!(
        "{} decisions, {} writes; not expressed: {:?}",
        verdict.syncs, verdict.writes, verdict.inexpressible
    );
    assert_eq!(verdict.differences, Vec::<String>::new());
    assert!(verdict.syncs >= syncs && verdict.writes >= syncs / 50, "{verdict:?}");
}
