//! Records of other versions, and records that mean harm.

use super::*;

#[test]
fn what_is_missing_or_unknown_is_counted_and_said() {
    let mut r = record();
    r["version"] = json!("0.0.9");
    r["events"].as_array_mut().unwrap().extend([
        json!({"atS": 1, "type": "replicas", "cluster": "east", "workload": "web", "wanted": 3}),
        json!({"atS": 1, "type": "replicas", "cluster": "east", "workload": "web", "wanted": 3}),
        json!({"type": "restart", "container": "c"}),
        json!({"atS": 1, "type": "election<br>", "from": "leader-a", "metrics": 5, "value": {}}),
        json!({"atS": 1}),
    ]);
    let page = page(&[r]);
    for said in [
        "6 events of the record are not shown: ",
        "2 × replicas without ready",
        "1 × restart without atS",
        "1 × unknown type election&lt;br&gt;",
        "1 × no type",
        &format!("Run by version 0.0.9, shown by version {}", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(page.contains(said), "{said}");
    }
}

#[test]
fn null_is_nothing_wherever_it_is() {
    fn paths(value: &Value, at: &str, all: &mut Vec<String>) {
        let children: Vec<(String, &Value)> = match value {
            Value::Object(o) => o.iter().map(|(k, v)| (k.clone(), v)).collect(),
            Value::Array(a) => a.iter().enumerate().map(|(i, v)| (i.to_string(), v)).collect(),
            _ => Vec::new(),
        };
        for (name, child) in children {
            let path = format!("{at}/{name}");
            if !value.is_array() {
                all.push(path.clone());
            }
            paths(child, &path, all);
        }
    }
    let mut all = Vec::new();
    paths(&record(), "", &mut all);
    assert!(all.len() > 150, "{}", all.len());
    for path in all.iter().filter(|p| *p != "/format") {
        let mut r = record();
        *r.pointer_mut(path).unwrap() = Value::Null;
        let page = render(&[("a".into(), r.to_string().into_bytes())]);
        let page = page.unwrap_or_else(|e| panic!("{path}: {e}"));
        assert!(!page.contains("NaN") && !page.contains("inf%"), "{path}");
    }
}

#[test]
fn a_wrong_record_is_one_line_with_its_file_and_field() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 7] = [
        ("durationS: invalid type: string \"long\"", |r| r["durationS"] = json!("long")),
        ("rows[1].held: invalid type", |r| r["rows"][1]["held"] = json!("yes\n\u{1b}[2J")),
        ("loads[0].figures.planned: invalid type", |r| r["loads"][0]["figures"]["planned"] = json!([1])),
        ("events[5]: metrics[0].value: invalid type", |r| {
            r["events"][5]["metrics"][0]["value"] = json!("much")
        }),
        ("scenario.set.a: invalid type", |r| r["scenario"]["set"] = json!({"a": 1})),
        ("events: invalid type", |r| r["events"] = json!("none")),
        ("format is \"gauntlet/run/v2\", not \"gauntlet/run/v1\"", |r| {
            r["format"] = json!("gauntlet/run/v2")
        }),
    ];
    for (what, change) in cases {
        let mut r = record();
        change(&mut r);
        let bytes = r.to_string().into_bytes();
        for error in [
            render(&[("dir/a.json".into(), bytes.clone())]).unwrap_err().to_string(),
            spread(&[("dir/a.json".into(), bytes.clone())]).unwrap_err().to_string(),
        ] {
            assert!(error.starts_with(&format!("dir/a.json: {what}")), "{error}");
            assert!(error.len() < 600 && !error.chars().any(char::is_control), "{error}");
        }
    }
    for broken in ["", "[1]", "{\"format\": \"gauntlet/run/v1\"} x", "{\"durationS\": 1e999}", "\u{0}"] {
        let error = render(&[("a.json".into(), broken.into())]).unwrap_err().to_string();
        assert!(error.starts_with("a.json: ") && !error.chars().any(char::is_control), "{error}");
    }
}

#[test]
fn numbers_and_times_of_any_size_are_drawn_within_the_page() {
    fn numbers(value: &mut Value, n: &Value) {
        match value {
            Value::Number(_) => *value = n.clone(),
            Value::Array(all) => all.iter_mut().for_each(|v| numbers(v, n)),
            Value::Object(all) => all.values_mut().for_each(|v| numbers(v, n)),
            _ => {}
        }
    }
    for n in [json!(1e308), json!(-1e308), json!(-1), json!(u64::MAX), json!(i64::MIN), json!(1e-320)] {
        let mut r = record();
        numbers(&mut r, &n);
        let named = [("a".to_owned(), r.to_string().into_bytes())];
        let page = render(&named).unwrap_or_else(|e| panic!("{n}: {e}"));
        assert!(!page.contains("NaN") && !page.contains("inf%") && !page.contains("left:-"), "{n}");
        assert!(page.len() < 300_000, "{n}: {} bytes", page.len());
        for value in page.split("style=\"left:").skip(1).filter_map(|p| p.split('%').next()) {
            let left: f64 = value.parse().unwrap_or_else(|_| panic!("{n}: left:{value}"));
            assert!((0.0..=100.0).contains(&left), "{n}: left:{left}");
        }
        let _ = spread(&named);
    }
}

#[test]
fn many_of_everything_take_a_bounded_page_and_no_more_than_seconds() {
    let long = "<&\u{202e}".repeat(2_000);
    let mut events = Vec::new();
    for i in 0..20_000 {
        let (at_s, name) = (f64::from(i % 500), format!("w{}", i / 2));
        events.push(json!({"atS": at_s, "type": "replicas", "cluster": "east", "workload": name, "wanted": i % 7, "ready": 1}));
        events.push(json!({"atS": at_s, "type": "replicas", "cluster": format!("c{i}"), "workload": "web", "wanted": i, "ready": 1}));
        events.push(json!({"atS": at_s, "type": "decision", "cluster": "east", "policy": format!("p{i}"), "targetKind": "Deployment",
            "targetName": "web", "time": "soon", "from": 2, "to": 6, "written": true}));
        events.push(
            json!({"atS": at_s, "type": "load", "cluster": "east", "load": format!("l{i}"), "rateRps": i}),
        );
        events.push(json!({"atS": at_s, "type": "mark", "name": "m", "plannedS": 0}));
        events.push(json!({"atS": at_s, "type": format!("unknown{i}")}));
    }
    let mut r = record();
    for i in 0..300 {
        r["stages"]
            .as_array_mut()
            .unwrap()
            .push(json!({"load": format!("l{i}"), "name": long, "startS": 0, "endS": 500}));
        events.push(json!({"atS": 3, "type": "decision", "cluster": "east", "policy": long, "targetKind": "Deployment", "targetName": "web",
            "from": 1, "to": 2, "written": false, "reason": long, "limits": [long], "digest": long, "record": long,
            "metrics": [{"name": long, "value": 1}]}));
    }
    r["events"] = json!(events);
    r["warnings"] = json!(vec![long.clone(); 500]);
    r["inputs"] =
        json!(vec![json!({"kind": long, "path": long, "sha256": long, "text": long.repeat(100)}); 200]);
    let started = std::time::Instant::now();
    let page = page(&[r]);
    assert!(page.len() < 12_000_000, "{} bytes", page.len());
    // In a build without optimizations on a busy machine; a pass over all pairs takes minutes.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    for said in ["more are in the record", "more workloads are in the record", "× others"] {
        assert!(page.contains(said), "{said}");
    }
    assert!(!page.contains('\u{202e}'));
}

#[test]
fn what_only_newer_records_tell_is_where_one_looks_for_it() {
    let mut r = record();
    r["warnings"] = json!(["the machine had 2 cores <busy>"]);
    r["inputs"] = json!([{"kind": "policies", "path": "policies.yaml", "sha256": "feed", "text": "kind: ScalingPolicy"}]);
    r["loads"][0]["figures"]["ownFailures"] = json!(3);
    r["loads"][0]["figures"]["saturated"] = json!(12345);
    r["loads"][0]["figures"]["statuses"] = json!({"200": 3997, "503": 3});
    r["events"].as_array_mut().unwrap().extend([
        json!({"atS": 10.02, "type": "mark", "name": "busy", "plannedS": 10}),
        json!({"atS": 30.9, "type": "mark", "name": "too late", "plannedS": 30}),
    ]);
    let page = page(&[r]);
    for shown in [
        "Warnings: 1</summary><ul><li>the machine had 2 cores &lt;busy&gt;</li>",
        "policies policies.yaml <code>feed</code>",
        "kind: ScalingPolicy",
        "200: 3997, 503: 3",
        "data-name=\"own failures\">3</td>",
        "Answers by status, and why requests were not sent",
        "Saturated: the service's",
        "data-name=\"saturated\">12\u{202f}345</td>",
        "busy</th><td class=\"n\">0:10</td><td class=\"n\">0:10</td><td class=\"n \">0.02</td>",
        "too late</th><td class=\"n\">0:30</td><td class=\"n\">0:30.9</td><td class=\"n bad\">0.90</td>",
        "1 not on time",
    ] {
        assert!(page.contains(shown), "{shown}");
    }
    let plain = super::page(&[record()]);
    for absent in ["Warnings:", "Inputs:", "Answers by status", "Marks, planned"] {
        assert!(!plain.contains(absent), "{absent}");
    }
}
