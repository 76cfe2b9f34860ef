//! Every exit code of a run, by runs that end so: what CI believes.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/short.yaml");

/// How late the generator is does not matter here, but where it does.
const LENIENT: [&str; 2] = ["--max-send-lag", "5s"];

fn start(report: &Path, arguments: &[&str]) -> Child {
    Command::new(crate::program())
        .args(["run", FILE, "--output", "text", "--report"])
        .arg(report)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

fn end(child: Child) -> (i32, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    (status.code().unwrap_or(-1), text)
}

fn run(report: &Path, arguments: &[&str]) -> (i32, String) {
    end(start(report, &[arguments, &LENIENT].concat()))
}

fn junit(report: &Path) -> String {
    std::fs::read_to_string(report.join("junit.xml")).expect("a result")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_held_exits_0_and_one_that_did_not_99() {
    let _alone = crate::alone().await;
    let dir = tempfile::tempdir().expect("a folder");
    let (code, text) = run(dir.path(), &[]);
    assert_eq!(code, 0, "{text}");
    assert!(junit(dir.path()).contains("failures=\"0\" errors=\"0\""));
    // The container is killed once more while it starts again: a fault that finds nothing, and still a whole record.
    let again = "{name: again, at: 1100ms, kind: kill, cluster: east, part: web}";
    let faults = format!("faults=[{{name: dead, at: 1s, kind: kill, cluster: east, part: web}}, {again}]");
    let (code, text) = run(dir.path(), &["--set", &faults, "--set", "services.web.replicas=1"]);
    assert_eq!(code, 99, "{text}");
    let result = std::fs::read_to_string(dir.path().join("result.json")).expect("a record");
    let record: simulations_judge::record::RunRecord = serde_json::from_str(&result).expect("the format");
    let failed = |key: &str| record.rows.iter().any(|r| !r.held && r.key.as_deref() == Some(key));
    assert!(failed("failed==0") && failed("fault"), "{text}");
    assert!(record.scenario.effective.contains("again") && record.scenario.digest.len() == 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counterexample_exits_0_if_it_fails_and_99_if_it_holds() {
    let _alone = crate::alone().await;
    let dir = tempfile::tempdir().expect("a folder");
    let (code, text) = run(dir.path(), &["--counterexample", "dies"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("failed as it should: failed==0"), "{text}");
    let (code, text) = run(dir.path(), &["--counterexample", "harmless"]);
    assert_eq!(code, 99, "{text}");
    assert!(text.contains("should have failed and did not: failed==0"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_ends_the_run_as_soon_as_it_does_not_hold() {
    let _alone = crate::alone().await;
    let dir = tempfile::tempdir().expect("a folder");
    let abort = "thresholds=[{that: med<1, abortOnFail: true, delayAbortEval: 1s}]";
    let set = ["--set", abort, "--set", "load.stages.steady.for=60s", "--set", "counterexamples=[]"];
    let (code, text) = run(dir.path(), &set);
    assert_eq!(code, 99, "{text}");
    assert!(text.contains("and ended the run"), "{text}");
    let result = std::fs::read_to_string(dir.path().join("result.json")).expect("a record");
    let record: simulations_judge::record::RunRecord = serde_json::from_str(&result).expect("the format");
    assert_eq!(record.aborted_by.as_deref(), Some("med<1"));
    assert!(record.duration_s < 30.0, "{}", record.duration_s);
}

/// Waits until the load begins, and lets it go on for a moment.
async fn into_the_load(child: &Child) {
    let stages = format!("/proc/{}/task", child.id());
    let began = Instant::now();
    // The generator's threads are there as long as it sends.
    let sends = || {
        let threads = std::fs::read_dir(&stages).into_iter().flatten().flatten();
        let names = threads.map(|t| std::fs::read_to_string(t.path().join("comm")).unwrap_or_default());
        names.into_iter().any(|name| name.trim() == "pacer")
    };
    while !sends() {
        assert!(began.elapsed() < Duration::from_secs(120), "the load never began");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    kill_process(pid, signal).expect("it runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generator_that_stood_still_exits_105_and_its_junit_is_no_pass() {
    let _alone = crate::alone().await;
    let dir = tempfile::tempdir().expect("a folder");
    let child = start(dir.path(), &[]);
    into_the_load(&child).await;
    signal(&child, Signal::STOP);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    signal(&child, Signal::CONT);
    let (code, text) = end(child);
    assert_eq!(code, 105, "{text}");
    assert!(text.contains("sent late"), "{text}");
    assert!(junit(dir.path()).contains("errors=\"1\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_broken_off_exits_130_and_leaves_no_process() {
    let _alone = crate::alone().await;
    let dir = tempfile::tempdir().expect("a folder");
    let child = start(dir.path(), &["--set", "load.stages.steady.for=60s"]);
    into_the_load(&child).await;
    let own = format!("GAUNTLET_DIE_WITH_PARENT={}", child.id());
    assert!(marked(&own) > 4, "it has processes that it could leave behind");
    // As `timeout` does: the child, and then its group.
    signal(&child, Signal::INT);
    signal(&child, Signal::INT);
    let (code, text) = end(child);
    assert_eq!(code, 130, "{text}");
    assert!(junit(dir.path()).contains("errors=\"1\""));
    assert_eq!(marked(&own), 0, "{text}");
}

/// Processes whose environment has this.
fn marked(variable: &str) -> usize {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let environments = processes.map(|p| std::fs::read(p.path().join("environ")).unwrap_or_default());
    environments.filter(|e| e.split(|b| *b == 0).any(|v| v == variable.as_bytes())).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn calibration_finds_what_one_replica_sustains() {
    let _alone = crate::alone().await;
    let dir = tempfile::tempdir().expect("a folder");
    // One at a time, 50 ms each: twenty a second, and two seconds of patience that hide a queue for as long.
    let slow = ["--set", "services.web.serviceTime=50ms", "--set", "services.web.concurrency=1"];
    let (code, text) = run(dir.path(), &[&["--calibrate", "web", "--probe", "4s"][..], &slow].concat());
    assert_eq!(code, 0, "{text}");
    let json = std::fs::read_to_string(dir.path().join("calibration.json")).expect("a result");
    let found: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let sustains = found["sustainsRps"].as_f64().expect("a rate");
    assert!((15.0..=21.0).contains(&sustains), "{sustains}: {text}");
}
