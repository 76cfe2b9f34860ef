use std::time::Duration;

use serde_json::Value;
use simulations_load::generator::Progress;

use super::*;
use crate::record::{FORMAT, Figures, ScenarioText, event};
use crate::timeline::{Event, PolicyId, PolicyState};

/// One line, an object with that `type`, and what the schema's types read back is what was written.
fn there_and_back(line: &Line, kind: &str) -> Value {
    let text = serde_json::to_string(line).unwrap();
    assert!(!text.contains('\n'), "{text}");
    assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), *line, "{text}");
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["type"], kind, "{text}");
    value
}

#[test]
fn events_are_those_of_the_record() {
    let target = ("east".to_owned(), "web".to_owned());
    let state = PolicyState { sufficient: Some(false), value: Some(f64::NAN), ..PolicyState::default() };
    let progress = Progress { at: Duration::from_secs(1), rate_rps: 20.0, second: Default::default() };
    for (kind, what) in [
        ("mark", Event::Mark { name: "step".into(), planned: Duration::from_secs(12) }),
        ("replicas", Event::Replicas { target, wanted: 3, ready: 2 }),
        (
            "policy",
            Event::Policy { policy: PolicyId { name: "scaler".into(), ..PolicyId::default() }, state },
        ),
        ("load", Event::Load { cluster: "east".into(), load: "load".into(), to: "front".into(), progress }),
        ("restart", Event::Restart { container: "east/web-1/web".into(), count: 1 }),
    ] {
        let record = event(Duration::from_millis(12_300), &what).unwrap();
        let line = there_and_back(&Line::Event(record.clone()), kind);
        assert_eq!(line, serde_json::to_value(record).unwrap());
        assert_eq!(line["atS"], 12.3);
    }
}

#[test]
fn the_first_line_says_what_runs_and_the_last_how_it_ended() {
    let text = "{name: demo, clusters: [east], services: {web: {}}, load: {to: web, stages: [{name: a, for: 50s, rate: 5}, \
                {name: b, for: 50s, rate: 9}, {name: c, for: 5s, rate: 1}]}}";
    let loaded =
        simulations_scenario::parse("demo", text, &BTreeMap::new(), &|_| Err("none".into())).unwrap();
    let mut start = StartLine::new(&loaded, Timestamp::UNIX_EPOCH);
    start.querier_url = "http://127.0.0.1:9090".into();
    let line = there_and_back(&Line::Start(start), "start");
    assert_eq!((&line["scenario"], &line["format"]), (&"demo".into(), &LINES_FORMAT.into()));
    assert!(line["durationS"].as_f64().unwrap() > 60.0 && line["stages"].as_array().unwrap().len() > 2);

    let record = RunRecord {
        format: FORMAT.into(),
        version: "0".into(),
        scenario: ScenarioText {
            name: "demo".into(),
            description: String::new(),
            file: String::new(),
            text: String::new(),
            set: BTreeMap::new(),
            effective: String::new(),
            digest: String::new(),
        },
        inputs: vec![],
        started_at: String::new(),
        duration_s: 12.5,
        seed: 1,
        clusters: vec![],
        stages: vec![],
        faults: vec![],
        verdict: Verdict::InvalidGenerator,
        aborted_by: None,
        rows: vec![RowRecord { expectation: "failed==0".into(), found: "1".into(), ..RowRecord::default() }],
        warnings: vec!["late".into()],
        judged_with: Default::default(),
        counterexample: None,
        loads: vec![LoadRecord {
            cluster: "east".into(),
            load: String::new(),
            to: String::new(),
            stage: None,
            figures: Figures::default(),
        }],
        workloads: vec![],
        events: vec![],
    };
    let line = there_and_back(&Line::Verdict((&record).into()), "verdict");
    assert_eq!(line["verdict"], "invalidGenerator");
    assert_eq!(line["rows"][0]["held"], false);
}

#[test]
fn what_is_no_line_is_refused() {
    for text in ["{}", r#"{"type":"load"}"#, r#"{"type":"start"}"#, r#"{"atS":1,"type":"nonsense"}"#] {
        assert!(serde_json::from_str::<Line>(text).is_err(), "{text}");
    }
}
