//! Runs beside each other: what differs is said, and where figures cannot be compared none is better.

use super::*;

fn other(change: impl Fn(&mut Value)) -> Value {
    let mut b = record();
    b["workloads"][0]["replicaHours"] = json!(0.02);
    change(&mut b);
    b
}

#[test]
fn what_differs_is_at_the_top() {
    let input =
        |sha: &str| json!([{"kind": "policies", "path": "policies.yaml", "sha256": sha, "text": "kind: A"}]);
    let mut a = record();
    a["inputs"] = input("aaaa11112222333344");
    let b = other(|b| {
        b["scenario"]["set"] = json!({"load.rps": "300", "services.web.replicas": "3"});
        b["version"] = json!("9.9.9");
        b["seed"] = json!(8);
        b["scenario"]["digest"] = json!("5ce1");
        b["inputs"] = input("bbbb11112222333344");
    });
    let page = page(&[a, b]);
    let top = page.split("What differs").nth(1).and_then(|t| t.split("</table>").next()).expect("a table");
    for row in [
        "set load.rps</th><td>200</td><td>300</td>",
        "set services.web.replicas</th><td>not set</td><td>3</td>",
        "version</th><td>0.1.0</td><td>9.9.9</td>",
        "seed</th><td>7</td><td>8</td>",
        "digest</th><td>5ce0</td><td>5ce1</td>",
        "policies policies.yaml</th><td>aaaa11112222</td><td>bbbb11112222</td>",
    ] {
        assert!(top.contains(row), "{row} is not in {top}");
    }
    assert!(!top.contains("clusters") && page.contains(" better</td>"), "other policies are what it is for");
    assert!(super::page(&[record(), record()]).contains("these runs are of the same, seed and all"));
}

#[test]
fn none_is_better_than_a_run_that_was_ended_or_had_something_else_to_carry() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 8] = [
        ("early by the threshold", |b| b["abortedBy"] = json!("p(95)<1s")),
        ("late or lost requests", |b| b["verdict"] = json!("invalidGenerator")),
        ("broken off", |b| b["verdict"] = json!("interrupted")),
        ("the run ended as &quot;melted&quot;", |b| b["verdict"] = json!("melted")),
        ("B: other stages of load than A", |b| b["stages"][1]["toRps"] = json!(400)),
        ("B: other clusters than A", |b| b["clusters"] = json!(["east", "west"])),
        ("B: other faults than A", |b| b["faults"] = json!([])),
        ("B: another recorded load than A", |b| {
            b["inputs"] = json!([{"kind": "series", "path": "trace.csv", "sha256": "ff", "text": ""}]);
        }),
    ];
    for (why, change) in cases {
        let page = page(&[record(), other(change)]);
        assert!(page.contains("None is better or worse than another") && page.contains(why), "{why}");
        assert!(page.contains("−0.03 (−60 %)"), "{why}: the figures are there all the same");
        assert!(!page.contains(" better</td>") && !page.contains(" worse</td>"), "{why}");
    }
}

#[test]
fn figures_of_other_measures_are_not_better_and_the_others_are() {
    let page =
        page(&[record(), other(|b| b["rows"] = json!([{"expectation": "only B is asked", "held": true}]))]);
    let row = |name: &str| {
        page.split(&format!("<th scope=\"row\">{name}</th>"))
            .nth(1)
            .and_then(|r| r.split("</tr>").next())
            .unwrap_or_default()
            .to_owned()
    };
    assert!(!row("thresholds that failed").contains("better"), "they were asked for other things");
    assert!(row("replica-hours, all workloads").contains("better"));
}

#[test]
fn an_unknown_verdict_is_shown_as_it_is() {
    let page = page(&[other(|b| b["verdict"] = json!("melted <down>"))]);
    assert!(page.contains("verdict melted &lt;down&gt;"));
    assert!(
        page.contains("the run ended as &quot;melted &lt;down&gt;&quot;, which this version does not know")
    );
}

fn spread_of(a: &Value, b: &Value) -> Result<String, String> {
    let named = [("a.json", a), ("b.json", b)].map(|(n, r)| (n.to_owned(), r.to_string().into_bytes()));
    spread(&named).map_err(|e| e.to_string())
}

#[test]
fn a_spread_is_of_runs_that_differ_in_their_seeds_alone() {
    let seeds = other(|b| {
        b["seed"] = json!(99);
        b["startedAt"] = json!("2026-02-02T00:00:00Z");
        b["durationS"] = json!(41.5);
    });
    assert!(spread_of(&record(), &seeds).unwrap().contains("| step, 2 runs |"));
    let with_inputs = |sha: &str| json!([{"kind": "policies", "path": "p.yaml", "sha256": sha, "text": "x"}]);
    let mut a = record();
    a["inputs"] = with_inputs("aaaa");
    type Change = Box<dyn Fn(&mut Value)>;
    let cases: Vec<(&str, Change)> = vec![
        ("scenario: \"ramp\" here, \"step\" there", Box::new(|b| b["scenario"]["name"] = json!("ramp"))),
        (
            "counterexample: \"too small\" here",
            Box::new(|b| b["counterexample"] = json!({"name": "too small"})),
        ),
        ("version: \"0.2.0\" here, \"0.1.0\" there", Box::new(|b| b["version"] = json!("0.2.0"))),
        ("clusters: \"east, west\" here", Box::new(|b| b["clusters"] = json!(["east", "west"]))),
        (
            "set load.rps: \"300\" here, \"200\" there",
            Box::new(|b| b["scenario"]["set"] = json!({"load.rps": "300"})),
        ),
        ("set load.rps: \"not set\" here", Box::new(|b| b["scenario"]["set"] = json!({}))),
        ("digest: 5ce1 here, 5ce0 there", Box::new(|b| b["scenario"]["digest"] = json!("5ce1"))),
        (
            "set load.rps",
            Box::new(|b| b["scenario"]["set"] = json!({"load.rps": format!("200{}", " ".repeat(200))})),
        ),
        ("digest: none here, 5ce0 there", Box::new(|b| b["scenario"]["digest"] = Value::Null)),
        (
            "policies p.yaml: bbbb here, aaaa there",
            Box::new(move |b| {
                b["scenario"]["digest"] = json!("5ce1");
                b["inputs"] = with_inputs("bbbb");
            }),
        ),
        ("ended early by the threshold \"p(95)<1s\"", Box::new(|b| b["abortedBy"] = json!("p(95)<1s"))),
        ("broken off", Box::new(|b| b["verdict"] = json!("interrupted"))),
        ("late or lost requests", Box::new(|b| b["verdict"] = json!("invalidGenerator"))),
        ("ended as \"melted\"", Box::new(|b| b["verdict"] = json!("melted"))),
        ("does not say how the run ended", Box::new(|b| b["verdict"] = Value::Null)),
    ];
    for (what, change) in cases {
        let mut b = a.clone();
        change(&mut b);
        let error = spread_of(&a, &b).unwrap_err();
        assert!(error.starts_with("b.json: ") && error.contains(what), "{what}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn old_records_spread_where_their_text_settings_and_file_are_one() {
    let old = |change: &dyn Fn(&mut Value)| {
        let mut r = record();
        r["scenario"] =
            json!({"name": "step", "file": "step.yaml", "text": "name: step\nseed: 1\n", "set": {}});
        change(&mut r);
        r
    };
    let a = old(&|_| {});
    assert!(spread_of(&a, &old(&|r| r["seed"] = json!(2))).is_ok());
    for (what, b) in [
        (
            "the text of the scenario from line 3",
            old(&|r| r["scenario"]["text"] = json!("name: step\nseed: 1\nload: {}\n")),
        ),
        ("the text of the scenario", old(&|r| r["scenario"]["text"] = json!("name: step\nseed: 2\n"))),
        ("set a: \"1\" here, \"not set\" there", old(&|r| r["scenario"]["set"] = json!({"a": "1"}))),
        ("file: \"other.yaml\" here", old(&|r| r["scenario"]["file"] = json!("other.yaml"))),
        ("digest: 5ce0 here, none there", old(&|r| r["scenario"]["digest"] = json!("5ce0"))),
    ] {
        let error = spread_of(&a, &b).unwrap_err();
        assert!(error.contains(what), "{what}: {error}");
    }
}

#[test]
fn a_digest_that_differs_is_told_by_what_made_it_differ() {
    let with = |effective: &str, digest: &str| {
        let mut r = record();
        r["scenario"]["effective"] = json!(effective);
        r["scenario"]["digest"] = json!(digest);
        r
    };
    let a = with("name: step\nseed: 1\nrate: 5\n", "aa");
    assert!(spread_of(&a, &with("name: step\nseed: 2\nrate: 5\n", "aa")).is_ok());
    let error = spread_of(&a, &with("name: step\nseed: 2\nrate: 6\n", "bb")).unwrap_err();
    assert!(error.contains("the scenario as it ran from line 3; digest: bb here, aa there"), "{error}");
    let top = page(&[a, with("name: step\nseed: 2\nrate: 5\n", "aa")]);
    assert!(top.contains("seed and all"), "a text that differs in its seed alone is the same");
}

#[test]
fn a_name_in_a_spread_stays_in_its_cell_and_moves_no_cursor() {
    let evil = "a|b\n\u{1b}[2J<c>";
    let r = other(|r| {
        r["scenario"]["name"] = json!(evil);
        r["workloads"][0]["workload"] = json!(evil);
        r["workloads"][0]["replicaHours"] = json!(1e300);
    });
    let text = spread(&[("a".into(), r.to_string().into_bytes())]).unwrap();
    assert!(text.contains("east/a\\|b\u{fffd}\u{fffd}\\[2J\\<c>"), "{text}");
    assert!(text.lines().all(|l| l.starts_with('|') && l.len() < 400), "{text}");
}
