//! Prometheus' own PromQL test files, run against our engine and held by a ratchet.
//!
//! ```text
//!  *.test ─► script ─► load ─► storage ──┐
//!                  └─► eval ─► Engine ◄──┘ ─► check ─► passed lines ─► SUPPORTED.toml
//! ```
//!
//! Read from `$GAUNTLET_CONFORMANCE/promql`, or `shared/conformance/promql` beside the workspace; skipped with
//! a message where that is absent, which is a failure under `CI=true`. `UPDATE_RATCHET=1` rewrites
//! `SUPPORTED.toml` and `UNSUPPORTED.md`.
#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test: its totals are for people, its failures loud"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

mod at_modifier;
mod check;
mod histograms;
mod pinned;
mod ratchet;
mod script;
mod series;
mod storage;

use script::{Command, Eval, Script};
use storage::Storage;
use thanos_promql::source::Budget;
use thanos_promql::{Engine, Options, QueryError, QueryResult, Steps, parse};

/// As upstream runs these files.
fn engine() -> Engine {
    Engine::new(Options {
        lookback_delta_ms: 300_000,
        default_subquery_step_ms: 60_000,
        delayed_name_removal: true,
    })
}

fn suite() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    std::env::var_os("GAUNTLET_CONFORMANCE").map_or_else(default, PathBuf::from).join("promql")
}

/// Its files, in order; none where it is absent.
fn files() -> Vec<PathBuf> {
    let dir = suite();
    if !dir.is_dir() {
        let message = format!("skipped: no PromQL suite at {}; set GAUNTLET_CONFORMANCE", dir.display());
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{message}");
        eprintln!("{message}");
        return Vec::new();
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "test"));
    files.sort();
    assert!(!files.is_empty(), "no .test file in {}", dir.display());
    files
}

#[test]
fn promqltest() {
    let files = files();
    if files.is_empty() {
        return;
    }

    let mut outcomes = BTreeMap::new();
    for file in &files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let only = std::env::var("PROMQLTEST_FILE").ok();
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let outcome = run(&std::fs::read_to_string(file).unwrap());
        let passed = outcome.values().filter(|o| o.is_ok()).count();
        eprintln!("{name:28} {passed:5} / {}", outcome.len());
        outcomes.insert(name, outcome);
    }
    let total: usize = outcomes.values().map(BTreeMap::len).sum();
    let passed: usize = outcomes.values().flat_map(BTreeMap::values).filter(|o| o.is_ok()).count();
    eprintln!("{:28} {passed:5} / {total}", "total");
    ratchet::hold(&outcomes);
}

#[test]
fn written_for_its_time_every_query_gives_the_same_at_any_other() {
    let files = files();
    let (mut compared, mut wrong) = (0, Vec::new());
    for file in &files {
        let mut storage = Storage::default();
        for command in Script::parse(&std::fs::read_to_string(file).unwrap()).unwrap().commands {
            match command {
                Command::Clear => storage = Storage::default(),
                Command::Load(load) => storage.load(load),
                Command::Eval(eval) if eval.range_step_ms.is_some() => {}
                Command::Eval(eval) => match pinned::same(&eval, &storage) {
                    Ok(some) => compared += usize::from(some),
                    Err(e) => wrong.push(format!("{}:{}: {e}", file.display(), eval.line)),
                },
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(files.is_empty() || compared > 1500, "only {compared} queries were compared");
}

/// Each eval's line and what came of it.
type Outcome = BTreeMap<usize, Result<(), String>>;

fn run(text: &str) -> Outcome {
    let script = Script::parse(text).unwrap();
    let mut storage = Storage::default();
    let mut outcome = BTreeMap::new();
    for command in script.commands {
        match command {
            Command::Clear => storage = Storage::default(),
            Command::Load(load) => storage.load(load),
            Command::Eval(eval) => {
                outcome.insert(eval.line, run_eval(&eval, &storage));
            }
        }
    }
    outcome
}

fn query(storage: &Storage, text: &str, steps: Steps) -> Result<QueryResult, QueryError> {
    let plan = parse(text)?;
    let budget = Budget::new(50_000_000, 1 << 30);
    let run = async { engine().query(&plan, steps, storage, budget.clone(), &|| None).await };
    let result = futures::executor::block_on(run);
    assert!(budget.charge(50_000_000, 1 << 30).is_ok(), "{text}: the budget was not given back");
    result
}

fn run_eval(eval: &Eval, storage: &Storage) -> Result<(), String> {
    if let Some(step_ms) = eval.range_step_ms {
        let steps = Steps::range(eval.start_ms, eval.end_ms, step_ms).map_err(|e| e.to_string())?;
        return check::check(eval, &eval.query, query(storage, &eval.query, steps));
    }
    instant(eval, storage, &eval.query, eval.eval_ms)?;
    for (text, at_ms) in at_modifier::variants(&eval.query, eval.eval_ms) {
        instant(eval, storage, &text, at_ms).map_err(|e| format!("as {text} at {at_ms}: {e}"))?;
    }
    Ok(())
}

/// An instant query, and the same as the middle step of a range.
fn instant(eval: &Eval, storage: &Storage, text: &str, at_ms: i64) -> Result<(), String> {
    let result = query(storage, text, Steps::instant(at_ms));
    let failed = result.is_err();
    check::check(eval, text, result)?;
    if failed || eval.instant_only || eval.ordered || at_modifier::depends_on_the_query(text) {
        return Ok(());
    }
    let steps = Steps::range(at_ms - 60_000, at_ms + 60_000, 60_000).map_err(|e| e.to_string())?;
    let range = query(storage, text, steps).map_err(|e| format!("as a range: {e}"))?;
    check::check_middle(eval, &range.value, at_ms).map_err(|e| format!("as a range: {e}"))
}
