//! The whole page, from records as they come.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

mod compared;
mod decided;
mod tolerant;

fn figures(completed: u64, failed: u64) -> Value {
    json!({
        "planned": completed + failed, "completed": completed, "failed": failed, "dropped": 0,
        "causes": {"status 503": failed}, "latencyP50Ms": 52.5, "latencyP95Ms": 99.0, "latencyP99Ms": 2134.0,
        "latencyMaxMs": 3148.0, "sendLagP99Ms": 1.5
    })
}

/// A short run in which everything that a report shows happens once.
fn record() -> Value {
    let policy = |at_s: f64, sufficient: bool, evidence: &str, desired: i32, cause: &str| {
        json!({
            "atS": at_s, "type": "policy", "cluster": "east", "policy": "web-scaler", "targetKind": "Deployment",
            "targetName": "web", "sufficient": sufficient, "evidence": evidence, "value": 61.4, "desired": desired,
            "cause": cause
        })
    };
    let replicas = |at_s: f64, wanted: i32, ready: i32| {
        json!({
            "atS": at_s, "type": "replicas", "cluster": "east", "workload": "web", "wanted": wanted, "ready": ready
        })
    };
    let up = "requests above target: 61.4 (30.7 a replica against 12) asks for 6";
    let decision = json!({
        "atS": 11.9, "type": "decision", "cluster": "east", "policy": "web-scaler", "targetKind": "Deployment",
        "targetName": "web", "time": "2026-01-01T00:00:11.5Z", "from": 2, "to": 6, "written": true,
        "reason": up, "limits": ["ScaleUpLimit: 7 to 6"], "digest": "0123456789abcdef",
        "record": "records/east/default.web-scaler/11.json",
        "metrics": [{"name": "requests", "value": 61.4, "target": 12.0, "targetType": "AverageValue",
            "ageS": 1.5, "sufficient": true, "proposal": 7}]
    });
    json!({
        "format": FORMAT, "version": "0.1.0", "startedAt": "2026-01-01T00:00:00Z", "durationS": 40.0, "seed": 7,
        "scenario": {
            "name": "step", "description": "Load steps up.", "file": "step.yaml", "text": "name: step # as read\n",
            "set": {"load.rps": "200"}, "effective": "name: step # as it ran\n", "digest": "5ce0"
        },
        "clusters": ["east"],
        "stages": [
            {"name": "quiet", "startS": 0, "endS": 10, "fromRps": 20, "toRps": 20},
            {"name": "busy", "startS": 10, "endS": 40, "fromRps": 20, "toRps": 200}
        ],
        "faults": [
            {"name": "metrics cut", "kind": "pause", "target": "east/monitoring/scrape/scrape", "startS": 20, "endS": 30},
            {"name": "querier dies", "kind": "kill", "target": "east/monitoring/query/query", "startS": 35, "endS": 35}
        ],
        "verdict": "thresholds",
        "rows": [
            {"expectation": "east/web reaches at least 6", "found": "6 ready after 4.8 s", "held": true},
            {"expectation": "nothing fails", "found": "3 of 4000", "held": false}
        ],
        "loads": [{"cluster": "east", "figures": figures(3997, 3)},
                  {"cluster": "east", "stage": "busy", "figures": figures(3800, 3)}],
        "workloads": [{"cluster": "east", "workload": "web", "firstWanted": 2, "mostWanted": 6, "lastWanted": 6,
            "changes": 1, "reversals": 0, "replicaHours": 0.05, "sustainsRps": 30.0,
            "elasticity": {"underAccuracyPercent": 12.5, "overAccuracyPercent": 3.25, "underTimesharePercent": 20,
                "overTimesharePercent": 8, "instabilityPercent": 2}}],
        "events": [
            replicas(0.0, 2, 2),
            policy(1.0, true, "every metric is fresh", 2, ""),
            json!({"atS": 9.0, "type": "load", "cluster": "east", "rateRps": 20, "figures": figures(20, 0)}),
            json!({"atS": 10.0, "type": "load", "cluster": "east", "rateRps": 20, "figures": figures(21, 3)}),
            replicas(11.7, 6, 2),
            decision,
            policy(11.9, true, "every metric is fresh", 6, up),
            replicas(15.0, 6, 6),
            json!({"atS": 20.5, "type": "mark", "name": "metrics cut"}),
            policy(24.0, false, "newest sample is 3.8s old", 6, up),
            json!({"atS": 31.0, "type": "mark", "name": "metrics cut ended"}),
            policy(33.0, true, "fresh again", 6, "requests at target: held"),
            json!({"atS": 36.0, "type": "restart", "container": "east/query-1/query", "count": 1}),
            json!({"atS": 37.0, "type": "somethingNew", "whatever": [1, 2]})
        ]
    })
}

fn page(records: &[Value]) -> String {
    let named = |(i, r): (usize, &Value)| (format!("run{i}/result.json"), r.to_string().into_bytes());
    render(&records.iter().enumerate().map(named).collect::<Vec<_>>()).expect("a page")
}

#[test]
fn everything_that_happened_is_on_the_page() {
    let page = page(&[record()]);
    for shown in [
        // Verdict.
        "✗</span> failed",
        "1 of 2 thresholds did not hold",
        "nothing fails",
        "3 of 4000",
        "6 ready after 4.8 s",
        // Faults, as they happened: the mark is later than the plan.
        "metrics cut",
        "querier dies",
        "pause east/monitoring/scrape/scrape",
        "left:51.25%;width:26.25%",
        // Stages.
        "quiet 20 rps",
        "busy 20 → 200 rps",
        // Decisions with reason and evidence.
        "<h3>east, Deployment/web</h3>",
        "2 → 6 replicas<small>policy web-scaler</small><small>seen at 0:11.7</small>",
        "(30.7 a replica against 12) asks for 6<small>limits: ScaleUpLimit: 7 to 6</small>",
        "<b>requests</b> 61.4, target 12 a replica, 1.5 s old, sufficient, proposes 7",
        "digest <code title=\"0123456789abcdef\">0123456789ab</code>",
        "<a href=\"records/east/default.web-scaler/11.json\">its record</a>",
        "does not trust its evidence",
        "newest sample is 3.8s old",
        "trusts its evidence",
        "fresh again",
        // Charts.
        "Deployment/web: replicas",
        "Deployment/web: measured against target by policy web-scaler",
        "evidence of east/web-scaler on Deployment/web",
        "target × ready",
        "Latency",
        "Load against capacity",
        "demanded",
        "Failures",
        // Figures, restarts, the scenario.
        "3 × status 503",
        "12.5",
        "east/query-1/query was started again (1 so far)",
        "name: step # as read",
        "load.rps=200",
        "name: step # as it ran",
        "1 events of the record are not shown: 1 × unknown type somethingNew",
    ] {
        assert!(page.contains(shown), "{shown:?} is not on the page");
    }
    assert!(!page.contains("guess") && !page.contains("An old record"), "it says all that there is to know");
    // Each decision is a row, and each row is led to from the time axis.
    let ids: Vec<&str> = page.split("<tr id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(ids.len(), 4, "{ids:?}");
    for id in ids {
        assert!(page.contains(&format!("href=\"#{id}\"")), "{id}");
    }
}

#[test]
fn the_page_stands_alone() {
    let page = page(&[record(), record()]);
    for outside in ["http:", "https:", "src=", "@import", "url(", "<link", "fetch("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn what_is_opened_is_closed() {
    let page = page(&[record(), record()]);
    for tag in
        ["div", "table", "tr", "figure", "section", "ul", "li", "a", "svg", "details", "span", "p", "dl"]
    {
        let opened = page.matches(&format!("<{tag} ")).count() + page.matches(&format!("<{tag}>")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "<{tag}>");
    }
}

/// Every text of a record becomes `text`.
fn fill_texts(value: &mut Value, text: &str) {
    match value {
        Value::String(s) => *s = text.to_owned(),
        Value::Array(all) => all.iter_mut().for_each(|v| fill_texts(v, text)),
        Value::Object(all) => {
            let keep = ["format", "type", "verdict"];
            all.iter_mut()
                .filter(|(k, _)| !keep.contains(&k.as_str()))
                .for_each(|(_, v)| fill_texts(v, text));
        }
        _ => {}
    }
}

#[test]
fn no_text_of_a_record_becomes_markup() {
    let evil = "</script></style><img src=x onerror=alert(1)>\" onload='x' --> ]]>";
    let (mut plain, mut bad) = (record(), record());
    fill_texts(&mut plain, "x");
    fill_texts(&mut bad, evil);
    bad["rows"][0]["expectation"] = json!("another");
    plain["rows"][0]["expectation"] = json!("another");
    bad["scenario"]["set"] = json!({evil: evil});
    plain["scenario"]["set"] = json!({"x": "x"});
    bad["loads"][0]["figures"]["causes"] = json!({evil: 1});
    plain["loads"][0]["figures"]["causes"] = json!({"x": 1});
    let name = |json: &Value, file: &str| vec![(file.to_owned(), json.to_string().into_bytes())];
    let (plain, bad) = (render(&name(&plain, "x")).unwrap(), render(&name(&bad, evil)).unwrap());
    assert!(!bad.contains("<img"));
    for sign in ['<', '>', '"', '\''] {
        assert_eq!(bad.matches(sign).count(), plain.matches(sign).count(), "{sign} came from the record");
    }
    assert!(bad.contains("&lt;img src=x onerror=alert(1)&gt;&quot; onload=&#39;x&#39;"));
}

#[test]
fn an_empty_record_is_a_page_that_says_so() {
    let page = page(&[json!({"format": FORMAT})]);
    for said in [
        "verdict unknown",
        "asked for nothing",
        "no figures",
        "holds no events",
        "Nothing was decided",
        "(unnamed)",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf"));
}

#[test]
fn what_is_not_a_record_is_refused_by_name() {
    for (json, said) in [
        ("{}", "format is \"\""),
        ("{\"format\": \"gauntlet/run/v9\"}", "not \"gauntlet/run/v1\""),
        ("[", "EOF"),
        ("{\"format\": 3}", "format: invalid type"),
    ] {
        let error = render(&[("a.json".into(), json.into())]).unwrap_err().to_string();
        assert!(error.starts_with("a.json: ") && error.contains(said), "{error}");
    }
    assert_eq!(render(&[]), Err(Error::Empty));
    let many = vec![("a".to_owned(), record().to_string().into_bytes()); RUNS_MAX + 1];
    assert_eq!(render(&many), Err(Error::TooMany(RUNS_MAX + 1)));
}

#[test]
fn a_huge_record_makes_a_bounded_page_that_says_what_it_left_out() {
    let mut huge = record();
    let mut events = Vec::new();
    for i in 0..6_000 {
        let at_s = f64::from(i);
        events.push(
            json!({"atS": at_s, "type": "load", "cluster": "east", "rateRps": i, "figures": figures(20, 1)}),
        );
        events.push(json!({
            "atS": at_s, "type": "replicas", "cluster": "east", "workload": "web", "wanted": i % 50, "ready": i % 49
        }));
    }
    huge["events"] = json!(events);
    huge["durationS"] = json!(6_000);
    huge["rows"] = json!(vec![huge["rows"][1].clone(); 5_000]);
    huge["faults"] = json!(vec![huge["faults"][0].clone(); 5_000]);
    huge["scenario"]["text"] = json!("x".repeat(3_000_000));
    let page = page(&[huge]);
    assert!(page.len() < 4_000_000, "{} bytes", page.len());
    for said in ["4499 later decisions are in the record", "4500 more are in the record", "4800 more faults"]
    {
        assert!(page.contains(said), "{said}");
    }
}

#[test]
fn several_runs_stand_side_by_side_on_one_scale() {
    let mut b = record();
    b["durationS"] = json!(80.0);
    b["rows"] = json!([
        {"expectation": "nothing fails", "found": "0 of 4000", "held": true},
        {"expectation": "only B is asked", "found": "yes", "held": true}
    ]);
    b["workloads"][0]["replicaHours"] = json!(0.02);
    b["verdict"] = json!("pass");
    let page = page(&[record(), b]);
    for shown in [
        "B − A",
        "not asked",
        "only B is asked",
        "0 of 4000",
        "3 of 4000",
        "−0.03 (−60 %) better",
        "id=\"b-d0\"",
        "What differs",
    ] {
        assert!(page.contains(shown), "{shown:?} is not on the page");
    }
    // Both columns have the longer run's time axis.
    assert!(page.contains("data-s=\"80\"") && !page.contains("data-s=\"40\""));
}

#[test]
fn nothing_is_better_than_a_run_that_says_nothing() {
    for verdict in ["invalidGenerator", "interrupted", "whatever"] {
        let mut b = record();
        b["verdict"] = json!(verdict);
        b["workloads"][0]["replicaHours"] = json!(0.02);
        let page = page(&[record(), b]);
        assert!(page.contains("class=\"warn\"") && page.contains("−0.03 (−60 %)"), "{verdict}");
        assert!(!page.contains(" better</td>") && !page.contains(" worse</td>"), "{verdict}");
    }
}

#[test]
fn the_same_records_give_the_same_bytes() {
    assert_eq!(page(&[record(), record()]), page(&[record(), record()]));
}

#[test]
fn the_command_writes_the_page_and_names_what_it_cannot_read() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("result.json"), record().to_string()).expect("written");
    let output = dir.path().join("out.html");
    let args = command::Args { results: vec![dir.path().to_owned()], output: output.clone(), spread: false };
    command::write_page(&args).expect("a page");
    assert!(std::fs::read_to_string(&output).expect("the page").starts_with("<!doctype html>"));

    let missing = dir.path().join("missing.json");
    let error =
        command::write_page(&command::Args { results: vec![missing], output, spread: false }).unwrap_err();
    assert_eq!(error.exit_code(), thanos_telemetry::cli::EXIT_CONFIG);
    assert!(error.to_string().contains("missing.json"), "{error}");
}

/// Any JSON, often with the names that a record has.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map("atS|type|name|wanted|figures|cluster", inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn garbage_never_panics(field in 0usize..14, event in 0usize..14, value in anything()) {
        let mut garbled = record();
        let names: Vec<String> = garbled.as_object().unwrap().keys().cloned().collect();
        garbled[&names[field % names.len()]] = value.clone();
        let _ = render(&[("a".into(), garbled.to_string().into_bytes())]);
        let mut garbled = record();
        garbled["events"][event] = value;
        let _ = render(&[("a".into(), garbled.to_string().into_bytes())]);
    }

    #[test]
    fn numbers_of_any_size_can_be_drawn(at in any::<f64>(), v in any::<f64>(), n in any::<i32>(), u in any::<u64>()) {
        let mut wild = record();
        for i in 0..14 {
            if i % 2 == 0 {
                wild["events"][i]["atS"] = json!(at);
            }
        }
        wild["durationS"] = json!(at);
        wild["events"][1]["value"] = json!(v);
        wild["events"][2]["rateRps"] = json!(v);
        wild["events"][2]["figures"]["latencyP99Ms"] = json!(v);
        wild["events"][3]["figures"]["completed"] = json!(u);
        wild["events"][4]["wanted"] = json!(n);
        wild["events"][5]["to"] = json!(n);
        wild["events"][5]["metrics"][0]["value"] = json!(v);
        wild["stages"][0]["startS"] = json!(v);
        wild["faults"][0]["endS"] = json!(v);
        wild["loads"][0]["figures"]["failed"] = json!(u);
        wild["loads"][0]["figures"]["dropped"] = json!(u);
        if let Ok(page) = render(&[("a".into(), wild.to_string().into_bytes())]) {
            prop_assert!(!page.contains("NaN%") && !page.contains("inf%"));
        }
    }
}

#[test]
fn a_counterexample_says_what_had_to_fail_and_whether_it_did() {
    let mut record = record();
    let row = |expectation, held| json!({"expectation": expectation, "found": "", "held": held});
    record["counterexample"] = json!({
        "name": "too small", "why": "three cannot carry it",
        "rows": [row("reaches fails", true), row("failed==0 fails", false)]
    });
    let page = render(&[("a".into(), record.to_string().into_bytes())]).unwrap();
    for text in [
        "too small",
        "three cannot carry it",
        "reaches fails</b> ✓ it did",
        "failed==0 fails</b> ✗ it did not",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn several_loads_have_figures_charts_and_stages_of_their_own() {
    let mut record = record();
    let load = |at_s, load| json!({"atS": at_s, "type": "load", "cluster": "east", "load": load, "rateRps": 20, "figures": figures(20, 0)});
    record["events"] = json!([load(1.0, "users"), load(1.0, "batch")]);
    record["stages"][0]["load"] = json!("users");
    record["stages"][1]["load"] = json!("batch");
    record["loads"][0]["load"] = json!("users");
    record["loads"][1]["load"] = json!("batch");
    let page = render(&[("a".into(), record.to_string().into_bytes())]).unwrap();
    for text in ["users: Load", "batch: Latency", "stages of users", "stages of batch", "east, batch"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("demanded"), "whose demand it is, this record does not say");

    record["loads"][1]["to"] = json!("web");
    record["workloads"][0]["planned"] = json!([{"atS": 0, "rps": 20}, {"atS": 12, "rps": 170}]);
    record["events"] = json!([
        load(1.0, "users"),
        load(1.0, "batch"),
        {"atS": 0.5, "type": "replicas", "cluster": "east", "workload": "web", "wanted": 2, "ready": 2},
        {"atS": 15, "type": "replicas", "cluster": "east", "workload": "web", "wanted": 6, "ready": 6},
        {"atS": 16, "type": "load", "cluster": "west", "load": "users", "rateRps": 5, "figures": figures(20, 0)},
    ]);
    let page = render(&[("a".into(), record.to_string().into_bytes())]).unwrap();
    for text in [
        "demanded: from 1 to 6, 6 at the end",
        "web: planned load against capacity",
        "capacity: from 60 to 180, 180 at the end",
        "east, batch to web",
        "stages of batch, in east only",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("stages of users, in"));
}

#[test]
fn a_recorded_load_s_demand_is_that_of_its_points() {
    let mut record = record();
    record["stages"] = json!([{"load": "trace", "name": "trace", "startS": 0, "endS": 40, "fromRps": 20, "toRps": 20,
        "points": [{"atS": 0, "rps": 20}, {"atS": 10, "rps": 290}, {"atS": 40, "rps": 20}]}]);
    let page = page(&[record]);
    for text in ["trace 20 to 290 rps", "demanded: from 1 to 10, 1 at the end"] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn when_an_slo_did_not_hold_is_on_its_load_s_latency_and_its_shares_among_the_figures() {
    let mut record = record();
    record["workloads"][0]["slo"] = json!("p(95)<200");
    let events = record["events"].as_array_mut().unwrap();
    for second in 0..10 {
        let bad = (4..7).contains(&second);
        events
            .push(json!({"atS": 35.0, "type": "slo", "cluster": "east", "service": "web", "second": second,
            "due": 20, "over": if bad { 5 } else { 0 }, "held": !bad}));
    }
    let one = page(&[record.clone()]);
    for text in [
        "left:10%;width:7.5%;--row:0\" title=\"p(95)&lt;200 did not hold",
        "p(95)&lt;200 of web not held: 3 of 10 seconds",
        "p(95)&lt;200 of east/web not held: 3 of 10 seconds",
        "data-name=\"% of seconds\">30</td>",
        "data-name=\"% of requests\">7.5</td>",
    ] {
        assert!(one.contains(text), "{text}");
    }
    assert!(!page(&[super::tests::record()]).contains("not held"));

    // Of two loads it is that of the one that is sent to the service.
    let load = |load, to| json!({"atS": 9, "type": "load", "cluster": "east", "load": load, "to": to});
    record["events"].as_array_mut().unwrap().extend([load("users", "web"), load("batch", "other")]);
    assert_eq!(page(&[record.clone()]).matches("--row:0").count(), 1);
    assert!(page(&[record.clone(), record]).contains("seconds in which an slo did not hold, %"));
}

#[test]
fn a_run_that_a_threshold_ended_says_so_and_shows_nothing_of_what_never_came() {
    let mut record = record();
    record["abortedBy"] = json!("failed<1%");
    record["rows"][0]["held"] = json!(false);
    record["rows"][0]["reached"] = json!(false);
    record["stages"].as_array_mut().unwrap().push(json!({"name": "never", "startS": 60, "endS": 70}));
    record["faults"].as_array_mut().unwrap().push(json!({"name": "too late", "startS": 60, "endS": 70}));
    let one = page(&[record.clone()]);
    for text in [
        "This run ended early, after 0:40, by the threshold <b>failed&lt;1%</b>",
        "1 of 2 thresholds did not hold",
        "Not reached: 1",
        "not reached</span>",
    ] {
        assert!(one.contains(text), "{text}");
    }
    assert!(!one.contains("never 0 rps") && !one.contains("too late"));
    let two = page(&[record, super::tests::record()]);
    assert!(two.contains("Run A ended early") && !two.contains(" better</td>"));
}
