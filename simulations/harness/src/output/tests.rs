use simulations_judge::record::{CounterexampleRecord, FORMAT, Figures, LoadRecord, RowRecord, ScenarioText};

use super::*;

fn record(verdict: Verdict) -> RunRecord {
    let row = |held| RowRecord {
        expectation: "p(95)<200 & \"x\"".into(),
        found: "a|b\n<c>\u{1}".into(),
        held,
        ..Default::default()
    };
    RunRecord {
        format: FORMAT.into(),
        version: "0".into(),
        scenario: ScenarioText {
            name: "demo".into(),
            description: "what".into(),
            file: "demo.yaml".into(),
            text: "name: demo".into(),
            set: Default::default(),
            effective: "{}".into(),
            digest: "d".into(),
        },
        inputs: vec![],
        warnings: vec!["late".into()],
        judged_with: Default::default(),
        started_at: "2026-01-01T00:00:00Z".into(),
        duration_s: 12.5,
        seed: 1,
        clusters: vec!["east".into()],
        stages: vec![],
        faults: vec![],
        verdict,
        rows: vec![row(true), row(false)],
        loads: vec![LoadRecord {
            cluster: "east".into(),
            load: "users".into(),
            to: "front".into(),
            stage: None,
            figures: Figures::default(),
        }],
        workloads: vec![],
        events: vec![],
        counterexample: None,
        aborted_by: None,
    }
}

#[test]
fn junit_counts_and_escapes() {
    let text = junit(&record(Verdict::Thresholds));
    assert!(text.contains("tests=\"2\" failures=\"1\" errors=\"0\""), "{text}");
    assert!(text.contains("name=\"p(95)&lt;200 &amp; &quot;x&quot;\""), "{text}");
    assert!(text.contains("<failure message=\"a|b &lt;c&gt;\u{fffd}\"/>"), "{text}");
    let broken_off = junit(&record(Verdict::Interrupted));
    assert!(broken_off.contains("tests=\"3\" failures=\"1\" errors=\"1\""), "{broken_off}");
}

#[test]
fn of_a_counterexample_junit_tells_whether_it_failed_as_it_should() {
    let mut bad = record(Verdict::Thresholds);
    let row = RowRecord { expectation: "reaches fails".into(), held: true, ..Default::default() };
    bad.counterexample =
        Some(CounterexampleRecord { name: "few".into(), why: "few".into(), rows: vec![row] });
    let text = junit(&bad);
    assert!(text.contains("tests=\"1\" failures=\"0\"") && text.contains("reaches fails"), "{text}");
}

#[test]
fn a_run_that_says_nothing_is_an_error_even_where_all_rows_held() {
    let mut invalid = record(Verdict::InvalidGenerator);
    let row = RowRecord { expectation: "reaches fails".into(), held: true, ..Default::default() };
    invalid.counterexample =
        Some(CounterexampleRecord { name: "few".into(), why: "few".into(), rows: vec![row] });
    let text = junit(&invalid);
    assert!(text.contains("tests=\"2\" failures=\"0\" errors=\"1\""), "{text}");
    assert!(text.contains("<error message=\"a|b &lt;c&gt;"), "{text}");
}

#[test]
fn the_summary_has_a_line_a_row_and_its_verdict() {
    let text = summary(&record(Verdict::Thresholds));
    assert!(text.starts_with("## demo: ❌ did not hold"), "{text}");
    assert!(
        text.contains("| ❌ | p(95)&lt;200 & \"x\" | a\\|b &lt;c>\u{1} |".replace(" & ", " &amp; ").as_str()),
        "{text}"
    );
}

#[test]
fn a_record_reads_back_and_a_folder_holds_all_four() {
    let dir = std::env::temp_dir().join(format!("gauntlet-output-{}", std::process::id()));
    let written = record(Verdict::Pass);
    write_all(&dir, &written).unwrap();
    let text = std::fs::read_to_string(dir.join("result.json")).unwrap();
    assert_eq!(serde_json::from_str::<RunRecord>(&text).unwrap(), written);
    assert!(dir.join("junit.xml").exists() && dir.join("summary.md").exists());
    let page = std::fs::read_to_string(dir.join("report.html")).unwrap();
    assert!(page.contains("demo") && page.contains("p(95)&lt;200"), "{page}");
    // A result is not overwritten by an error, and what the next run finds is not its own.
    write_error(&dir, "demo", "no").unwrap();
    assert!(!std::fs::read_to_string(dir.join("junit.xml")).unwrap().contains("came to a result"));
    clear(&dir).unwrap();
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    write_error(&dir, "a<b", "port 1 is held").unwrap();
    let error = std::fs::read_to_string(dir.join("junit.xml")).unwrap();
    assert!(
        error.contains("errors=\"1\"") && error.contains("a&lt;b") && error.contains("port 1 is held"),
        "{error}"
    );
    clear(&dir).unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}
