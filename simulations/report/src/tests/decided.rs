//! Decisions are those that were recorded, for what they scale and not for what they are called.

use super::*;

/// Two minutes of one workload `web`, 2 → 5 → 9, with whatever else is told.
fn run(events: Vec<Value>) -> Value {
    let mut all = vec![
        replicas("east", "web", 0.0, 2),
        replicas("east", "web", 20.2, 5),
        replicas("east", "web", 24.2, 9),
    ];
    all.extend(events);
    json!({"format": FORMAT, "version": env!("CARGO_PKG_VERSION"), "startedAt": "2026-01-01T00:00:00Z",
        "durationS": 120, "verdict": "pass", "clusters": ["east", "west"], "events": all})
}

fn replicas(cluster: &str, workload: &str, at_s: f64, wanted: i32) -> Value {
    json!({"atS": at_s, "type": "replicas", "cluster": cluster, "workload": workload, "wanted": wanted, "ready": wanted})
}

/// `policy` on `target`, written unless from and to are one.
fn decision(
    policy: &str,
    (kind, name): (&str, &str),
    second: u32,
    (from, to): (i32, i32),
    reason: &str,
) -> Value {
    json!({"atS": f64::from(second) + 0.9, "type": "decision", "cluster": "east", "policy": policy, "targetKind": kind,
        "targetName": name, "time": format!("2026-01-01T00:00:{second:02}Z"), "from": from, "to": to,
        "written": from != to, "reason": reason, "limits": [], "digest": "d", "metrics": []})
}

const WEB: (&str, &str) = ("Deployment", "web");

/// Rows of the decisions' tables, as `what | cause`, without markup.
fn rows(page: &str) -> Vec<String> {
    let plain = |html: &str| {
        let mut text = String::new();
        let mut inside = false;
        for c in html.chars() {
            match c {
                '<' => inside = true,
                '>' => (inside, text) = (false, text + " "),
                c if !inside => text.push(c),
                _ => {}
            }
        }
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let rows = page.split("<tr id=\"").skip(1).filter_map(|row| row.split("</tr>").next());
    rows.map(|row| {
        let cells: Vec<String> = row
            .split("</td>")
            .map(|cell| plain(cell.split_once("<td").map_or("", |c| c.1).split_once('>').map_or("", |c| c.1)))
            .collect();
        format!("{} | {}", cells[0], cells[1])
    })
    .collect()
}

#[track_caller]
fn has(rows: &[String], parts: [&str; 2]) {
    assert!(rows.iter().any(|r| parts.iter().all(|p| r.contains(p))), "no row with {parts:?} in {rows:#?}");
}

#[test]
fn each_step_has_the_cause_of_the_decision_that_made_it_whatever_the_policy_is_called() {
    let page = page(&[run(vec![
        decision("front-desk", WEB, 20, (2, 5), "asks for 5"),
        decision("front-desk", WEB, 22, (5, 5), "at target"),
        decision("front-desk", WEB, 24, (5, 9), "asks for 9"),
    ])]);
    let rows = rows(&page);
    has(&rows, ["▲ 2 → 5 replicas policy front-desk seen at 0:20.2", "| asks for 5"]);
    has(&rows, ["◇ holds at 5 policy front-desk", "| at target"]);
    has(&rows, ["▲ 5 → 9 replicas policy front-desk seen at 0:24.2", "| asks for 9"]);
    assert_eq!(rows.len(), 3, "{rows:#?}");
    assert!(!page.contains("no recorded decision") && !page.contains("guess"));
}

#[test]
fn a_step_that_no_decision_made_says_so() {
    for (name, decisions) in [
        ("another number", vec![decision("p", WEB, 24, (5, 8), "asks for 8")]),
        ("another time", vec![decision("p", WEB, 50, (5, 9), "asks for 9")]),
        ("another workload", vec![decision("p", ("Deployment", "other"), 24, (5, 9), "asks for 9")]),
        (
            "a workload called as the policy",
            vec![decision("web", ("Deployment", "other"), 24, (5, 9), "asks for 9")],
        ),
        (
            "not written",
            vec![{
                let mut d = decision("p", WEB, 24, (5, 9), "asks for 9");
                d["written"] = json!(false);
                d
            }],
        ),
        (
            "another cluster",
            vec![{
                let mut d = decision("p", WEB, 24, (5, 9), "asks for 9");
                d["cluster"] = json!("west");
                d
            }],
        ),
        (
            "a state at that time",
            vec![json!({"atS": 24.3, "type": "policy", "cluster": "east", "policy": "web",
            "targetKind": "Deployment", "targetName": "web", "sufficient": true, "desired": 9, "cause": "asks for 9"})],
        ),
    ] {
        let page = page(&[run(decisions)]);
        let rows = rows(&page);
        has(&rows, ["△ 5 → 9 replicas |", "no recorded decision: changed by someone else"]);
        let told = rows.iter().filter(|r| r.contains("5 → 9 replicas |") && r.contains("asks for")).count();
        assert_eq!(told, 0, "{name}: {rows:#?}");
    }
}

#[test]
fn what_was_not_written_or_not_seen_is_not_told_as_a_change() {
    let mut shadow = decision("shadow", WEB, 40, (9, 12), "asks for 12");
    shadow["written"] = json!(false);
    let rows = rows(&page(&[run(vec![shadow, decision("p", WEB, 60, (9, 4), "asks for 4")])]));
    has(&rows, ["◇ 9 → 12 wanted, not written", "asks for 12"]);
    has(&rows, ["▼ 9 → 4 replicas, written", "asks for 4"]);
    has(&rows, ["no such step of the replicas was seen", "asks for 4"]);
}

#[test]
fn policies_of_one_name_and_targets_of_one_name_stay_apart() {
    let mut all = vec![
        // One name, on two targets of two kinds, in two namespaces.
        decision("scaler", WEB, 20, (2, 5), "the deployment's own"),
        decision("scaler", ("StatefulSet", "web"), 30, (1, 3), "the set's own"),
        decision("scaler", ("Deployment", "api"), 40, (4, 6), "of another namespace"),
        replicas("east", "api", 0.0, 4),
        replicas("east", "api", 40.3, 6),
        replicas("west", "web", 0.0, 2),
        replicas("west", "web", 20.3, 5),
    ];
    let mut west = decision("scaler", WEB, 20, (2, 5), "in west");
    west["cluster"] = json!("west");
    all.push(west);
    let page = page(&[run(all)]);
    for shown in
        ["east, Deployment/web", "east, StatefulSet/web", "east, Deployment/api", "west, Deployment/web"]
    {
        assert!(page.contains(&format!("<h3>{shown}</h3>")), "{shown}");
    }
    let of = |subject: &str| {
        let table =
            page.split(&format!("<h3>{subject}</h3>")).nth(1).and_then(|t| t.split("</table>").next());
        rows(table.expect("a table"))
    };
    has(
        &of("east, Deployment/web"),
        ["2 → 5 replicas", "the deployment's own".replace('\'', "&#39;").as_str()],
    );
    has(&of("east, StatefulSet/web"), ["1 → 3 replicas", "set&#39;s own"]);
    has(&of("east, Deployment/api"), ["4 → 6 replicas policy scaler seen at 0:40.3", "of another namespace"]);
    has(&of("west, Deployment/web"), ["seen at 0:20.3", "in west"]);
    // Which kind was seen to go from 5 to 9 the record does not say, and nobody decided it.
    has(&of("east/web"), ["5 → 9 replicas |", "no recorded decision"]);
}

#[test]
fn kinds_that_the_record_tells_apart_are_drawn_apart() {
    let mut events = Vec::new();
    for (kind, at_s, to) in [("Deployment", 20.2, 5), ("StatefulSet", 20.4, 3)] {
        for mut e in [replicas("east", "db", 0.0, 2), replicas("east", "db", at_s, to)] {
            e["kind"] = json!(kind);
            events.push(e);
        }
    }
    events.push(decision("a", ("Deployment", "db"), 20, (2, 5), "one"));
    events.push(decision("b", ("StatefulSet", "db"), 20, (2, 3), "other"));
    let page = page(&[run(events)]);
    for chart in ["Deployment/db: replicas", "StatefulSet/db: replicas"] {
        assert!(page.contains(chart), "{chart}");
    }
    has(&rows(&page), ["2 → 3 replicas policy b seen at 0:20.4", "other"]);
}

/// Without targets, as records were.
fn old(mut record: Value) -> Value {
    for event in record["events"].as_array_mut().unwrap() {
        let event = event.as_object_mut().unwrap();
        event.remove("targetKind");
        event.remove("targetName");
    }
    record
}

#[test]
fn an_old_record_is_read_and_what_it_does_not_say_is_guessed_aloud() {
    let decided = old(run(vec![
        decision("front-desk", WEB, 20, (2, 5), "asks for 5"),
        decision("front-desk", WEB, 22, (5, 5), "holds"),
    ]));
    let page = page(&[decided]);
    let rows = rows(&page);
    has(&rows, ["△ 2 → 5 replicas |", "guessed: asks for 5 (policy front-desk)"]);
    has(&rows, ["△ 5 → 9 replicas |", "no recorded decision: changed by someone else, or the record is old"]);
    has(&rows, ["◇ holds at 5", "holds"]);
    for said in [
        "This record is old",
        "east, policy front-desk",
        "An old record: it does not hold what its policies scale",
    ] {
        assert!(page.contains(said), "{said}");
    }
}

#[test]
fn the_oldest_records_have_states_only_and_one_that_wants_something_else_explains_nothing() {
    let state = |at_s: f64, desired: i32, cause: &str| {
        json!({"atS": at_s, "type": "policy", "cluster": "east",
        "policy": "web", "sufficient": true, "evidence": "fresh", "value": 7.0, "desired": desired, "cause": cause})
    };
    let page = page(&[run(vec![state(20.5, 5, "asks for 5"), state(24.9, 5, "still 5")])]);
    let rows = rows(&page);
    has(&rows, ["2 → 5 replicas |", "guessed: asks for 5 (policy web)"]);
    has(&rows, ["5 → 9 replicas |", "no recorded decision: changed by someone else, or the record is old"]);
    assert!(page.contains("guessed by its name to be its policy"));
}

#[test]
fn a_link_to_a_decision_s_record_leads_beside_the_run_s_wherever_the_page_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("out/one");
    std::fs::create_dir_all(&out).expect("made");
    let mut d = decision("p", WEB, 20, (2, 5), "asks for 5");
    d["record"] = json!("records/east/default.p/1.json");
    std::fs::write(out.join("result.json"), run(vec![d.clone()]).to_string()).expect("written");
    for (at, href) in [
        ("out/one/page.html", "records/"),
        ("page.html", "out/one/records/"),
        ("out/two.html", "one/records/"),
    ] {
        let output = dir.path().join(at);
        let args = command::Args { results: vec![out.clone()], output: output.clone(), spread: false };
        command::write_page(&args).expect("a page");
        let page = std::fs::read_to_string(&output).expect("the page");
        assert!(page.contains(&format!("<a href=\"{href}east/default.p/1.json\">")), "{at}");
    }
    d["record"] = json!("javascript:alert(1)");
    assert!(!page(&[run(vec![d])]).contains("href=\"javascript"));
}
