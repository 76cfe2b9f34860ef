//! A run as programs and people meet it: lines on standard output, a folder, and the dashboard of its querier.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use simulations_judge::record::{EventRecord, Line, RunRecord, StartLine, Verdict, VerdictLine, What};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_told_in_lines_kept_in_a_folder_and_shown_by_its_dashboard() {
    let _alone = crate::alone().await;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (report, world) = (dir.path().join("report"), dir.path().join("world"));
    let mut run = Command::new(crate::program())
        .args(["run", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/small.yaml")])
        // Whoever shares the machine may delay the generator; nothing here is judged on latency.
        .args(["--hold", "--output", "json", "--max-send-lag", "5s"])
        .args(["--report".as_ref(), report.as_os_str(), "--dir".as_ref(), world.as_os_str()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary runs");
    let stdout = run.stdout.take().expect("it is piped");
    let told = tokio::time::timeout(Duration::from_secs(180), lines(stdout));
    let (start, events, verdict) = told.await.expect("a verdict in time");
    assert_eq!((start.scenario.as_str(), start.stages.len()), ("small", 1));
    for row in &verdict.rows {
        assert!(row.held, "{}: {}", row.expectation, row.found);
    }

    for (path, shown) in [
        ("overview?range=1m", &["front", "web", "all answer"][..]),
        ("topology", &["default/front → default/web", "clients"]),
        ("scaling?range=1m", &["Deployment web", "2 → 3", "the metrics ask for more", "fresh and complete"]),
        ("stores", &["all 2 answer", "cluster=east"]),
    ] {
        let Some(page) = dom(dir.path(), &format!("{}/ui/#/{path}", start.querier_url)).await else { break };
        for text in shown {
            assert!(page.contains(text), "{path}: {text} is missing in {page}");
        }
    }

    let pid = run.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
    rustix::process::kill_process(pid.expect("it still holds"), rustix::process::Signal::INT)
        .expect("it is ours");
    let ended = tokio::time::timeout(Duration::from_secs(60), run.wait()).await.expect("it ends");
    assert_eq!(verdict.verdict, Verdict::Pass);
    assert_eq!(ended.expect("an exit").code(), Some(0));

    let text = std::fs::read_to_string(report.join("result.json")).expect("a record");
    let record: RunRecord = serde_json::from_str(&text).expect("the record's format");
    // A mark has its planned time, and is told when it is made; a decision's record is kept at the end.
    let in_order = |mut events: Vec<EventRecord>| {
        events.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        events.iter().map(|e| serde_json::to_value(e).expect("JSON")).map(without_record).collect::<Vec<_>>()
    };
    let (kept, told) = (in_order(record.events.clone()), in_order(events));
    let differ = kept.iter().zip(&told).find(|(kept, told)| kept != told);
    assert!(
        differ.is_none() && kept.len() == told.len(),
        "the lines are the record's events, not {differ:?}"
    );
    let decisions = record.events.iter().filter_map(|e| match &e.what {
        What::Decision { record, .. } => Some(record.clone().expect("it was kept")),
        _ => None,
    });
    let paths: Vec<String> = decisions.collect();
    assert!(!paths.is_empty(), "a decision raised web");
    for path in paths {
        let bytes = std::fs::read(report.join(&path)).expect("the record is beside its report");
        assert!(autoscaler_core::replay(&bytes).expect("a record").identical, "{path}");
    }
    assert_eq!(VerdictLine::from(&record), verdict);
    let page = std::fs::read_to_string(report.join("report.html")).expect("a page");
    assert!(page.contains("small") && page.contains("east/web"), "{page}");
}

fn without_record(mut event: serde_json::Value) -> serde_json::Value {
    for told_at_the_end in ["record", "kept"] {
        event.as_object_mut().expect("an event").remove(told_at_the_end);
    }
    event
}

/// Reads up to the verdict: nothing but lines of the format, in their order.
async fn lines(stdout: tokio::process::ChildStdout) -> (StartLine, Vec<EventRecord>, VerdictLine) {
    let mut lines = BufReader::new(stdout).lines();
    let (mut start, mut events) = (None, Vec::new());
    while let Some(line) = lines.next_line().await.expect("UTF-8") {
        match serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}")) {
            Line::Start(line) => assert!(start.replace(line).is_none() && events.is_empty(), "started twice"),
            Line::Event(event) => events.push(event),
            Line::Verdict(verdict) => return (start.expect("a start"), events, verdict),
        }
    }
    panic!("it ended without a verdict, after {} events", events.len());
}

/// The page's elements after its scripts ran, or `None` where there is no Chromium.
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
async fn dom(dir: &Path, url: &str) -> Option<String> {
    let mut command = Command::new(std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".into()));
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.args(["--virtual-time-budget=3000", "--dump-dom"]);
    command.arg(format!("--user-data-dir={}", dir.join("chromium").display())).arg(url);
    match tokio::time::timeout(Duration::from_secs(60), command.kill_on_drop(true).output()).await {
        Ok(Ok(out)) => Some(String::from_utf8_lossy(&out.stdout).into_owned()),
        Ok(Err(e)) if e.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var_os("CI").is_none(), "no chromium: install it, or set CHROMIUM to one");
            eprintln!("pages not looked at: no chromium here; set CHROMIUM to one");
            None
        }
        other => panic!("chromium: {other:?}"),
    }
}
