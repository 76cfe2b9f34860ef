use super::*;
use crate::timeline::{Decided, Kept, PolicyId, Second};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn web() -> Target {
    ("east".into(), "web".into())
}

fn replicas(t: &mut Timeline, at: u64, wanted: i32, ready: i32) {
    t.push(s(at), Event::Replicas { target: web(), wanted, ready });
}

fn scaler() -> PolicyId {
    PolicyId {
        cluster: "east".into(),
        namespace: "default".into(),
        name: "web-scaler".into(),
        kind: "Deployment".into(),
        target: "web".into(),
    }
}

fn policy(t: &mut Timeline, at: u64, value: f64, sufficient: bool) {
    let sufficient = Some(sufficient);
    let state =
        PolicyState { value: Some(value), sufficient, value_sufficient: sufficient, ..Default::default() };
    t.push(s(at), Event::Policy { policy: scaler(), state });
}

fn mark_at(t: &mut Timeline, at: u64, name: &str) {
    t.push(s(at), Event::Mark { name: name.into(), planned: s(at) });
}

/// As a file says it.
fn held(expectation: &str, t: &Timeline) -> bool {
    let scenario = format!(
        "{{name: small, clusters: [east], services: {{web: {{sustainsRps: 10}}}}, expect: [{{{expectation}}}], \
         load: {{to: web, stages: [{{name: quiet, for: 10s, rate: 20}}, {{name: step, for: 20s, rate: 40}}]}}}}"
    );
    judge(&thanos_telemetry::cli::parse_yaml(&scenario).unwrap(), t)[0].held
}

#[test]
fn reaching_counts_from_the_mark_and_has_a_limit() {
    let mut t = Timeline::default();
    replicas(&mut t, 0, 2, 2);
    mark_at(&mut t, 10, "step");
    replicas(&mut t, 12, 20, 2);
    replicas(&mut t, 16, 20, 20);
    for (bounds, within, after, want) in [
        ("atLeast: 20", "6s", "step", true),
        ("atLeast: 20", "5s", "step", false),
        ("atLeast: 21", "60s", "step", false),
        ("atLeast: 20, atMost: 20", "6s", "step", true),
        ("atLeast: 1, atMost: 19", "60s", "step", true),
        ("atLeast: 3, atMost: 19", "60s", "step", false),
        // Two were wanted and ready at the step, and one before it as well.
        ("atMost: 2", "1s", "step", true),
        ("atLeast: 2", "1s", "step", true),
        ("atMost: 1", "60s", "step", false),
        ("atLeast: 1", "9s", "never", false),
    ] {
        let e = format!("reaches: {{workload: east/web, {bounds}, after: {after}, within: {within}}}");
        assert_eq!(held(&e, &t), want, "{e}");
    }
    assert!(!held("reaches: {workload: west/web, atLeast: 0, after: step, within: 9s}", &t));
}

#[test]
fn what_is_there_at_the_mark_is_reached_whatever_else_happens() {
    let reaches = "reaches: {workload: east/web, atLeast: 2, after: step, within: 4s}";
    for later in [None, Some((7, 6)), Some((1, 1))] {
        let mut t = Timeline::default();
        replicas(&mut t, 0, 2, 2);
        mark_at(&mut t, 10, "step");
        if let Some((wanted, ready)) = later {
            replicas(&mut t, 12, wanted, ready);
        }
        mark_at(&mut t, 30, "end");
        assert!(held(reaches, &t), "{later:?}");
    }
    // Fewer at the mark, and enough only while the last answers were waited for.
    let mut t = Timeline::default();
    replicas(&mut t, 0, 2, 1);
    mark_at(&mut t, 28, "step");
    mark_at(&mut t, 30, "end");
    replicas(&mut t, 31, 2, 2);
    assert!(!held(reaches, &t));
}

#[test]
fn one_step_down_between_the_marks_is_found_and_one_outside_is_not() {
    let mut t = Timeline::default();
    replicas(&mut t, 0, 20, 20);
    mark_at(&mut t, 5, "cut");
    mark_at(&mut t, 15, "cut ended");
    replicas(&mut t, 20, 10, 20);
    let never = "neverLowered: {from: cut, to: cut ended}";
    assert!(held(never, &t));
    let mut lowered = Timeline::default();
    replicas(&mut lowered, 0, 20, 20);
    mark_at(&mut lowered, 5, "cut");
    replicas(&mut lowered, 9, 19, 20);
    mark_at(&mut lowered, 15, "cut ended");
    assert!(!held(never, &lowered));
    assert!(!held(never, &Timeline::default()), "nothing watched proves nothing");
}

#[test]
fn never_below_sees_what_was_so_at_the_first_mark() {
    let mut t = Timeline::default();
    replicas(&mut t, 0, 4, 4);
    replicas(&mut t, 2, 4, 3);
    mark_at(&mut t, 5, "cut");
    replicas(&mut t, 7, 5, 5);
    mark_at(&mut t, 15, "cut ended");
    replicas(&mut t, 20, 1, 1);
    for (at_least, want) in [(3, true), (4, false)] {
        let e = format!("neverBelow: {{workload: east/web, atLeast: {at_least}, from: cut, to: cut ended}}");
        assert_eq!(held(&e, &t), want, "{e}");
    }
    assert!(!held("neverBelow: {workload: west/web, atLeast: 0, from: cut, to: cut ended}", &t));
}

#[test]
fn a_doubt_needs_a_fall_and_the_word() {
    let doubts = "doubts: {policy: east/web-scaler, from: cut, to: cut ended, share: 0.6}";
    for (value, sufficient, want) in
        [(100.0, false, true), (100.0, true, false), (190.0, false, false), (190.0, true, false)]
    {
        let mut t = Timeline::default();
        policy(&mut t, 1, 200.0, true);
        mark_at(&mut t, 5, "cut");
        policy(&mut t, 9, value, sufficient);
        mark_at(&mut t, 15, "cut ended");
        assert_eq!(held(doubts, &t), want, "{value} {sufficient}");
        let any = "doubts: {policy: east/web-scaler, from: cut, to: cut ended}";
        assert_eq!(held(any, &t), !sufficient, "{value} {sufficient}");
    }
}

#[test]
fn recovery_restart_reversals_and_cost() {
    let mut t = Timeline::default();
    mark_at(&mut t, 5, "cut ended");
    policy(&mut t, 6, 1.0, false);
    policy(&mut t, 9, 1.0, true);
    t.push(s(3), Event::Restart { container: "east/scrape-1/scrape".into(), count: 1 });
    t.push(s(9), Event::Restart { container: "east/query-1/query".into(), count: 1 });
    assert!(held("recovers: {policy: east/web-scaler, after: cut ended, within: 4s}", &t));
    assert!(!held("recovers: {policy: east/web-scaler, after: cut ended, within: 3s}", &t));
    let restarted =
        |c: &str| held(&format!("restarted: {{container: {c}, after: cut ended, within: 10s}}"), &t);
    assert!(restarted("east/query/query"));
    assert!(!restarted("west/query/query"));
    assert!(!restarted("east/query/proxy"));
    assert!(!restarted("east/scrape/scrape"), "before the mark");

    for (at, n) in [(0, 2), (10, 4), (20, 3)] {
        replicas(&mut t, at, n, n);
    }
    mark_at(&mut t, 30, "end");
    assert!(held("reversals: {workload: east/web, atMost: 1}", &t));
    assert!(!held("reversals: {workload: east/web, atMost: 0}", &t));
    // 90 replica-seconds.
    assert!(held("replicaHours: {workload: east/web, atMost: 0.0251}", &t));
    assert!(!held("replicaHours: {workload: east/web, atMost: 0.0249}", &t));
}

#[test]
fn how_it_got_there() {
    // Ten planned per replica: 2 of it, then 4. Scaled to 5 two seconds late, ready at once, back to 4 after 6.
    let mut t = Timeline::default();
    replicas(&mut t, 0, 2, 2);
    mark_at(&mut t, 10, "step");
    replicas(&mut t, 12, 6, 6);
    replicas(&mut t, 16, 4, 4);
    mark_at(&mut t, 30, "end");
    for (expectation, want) in [
        ("overshoot: {workload: east/web, after: step, atMost: 50%}", true),
        ("overshoot: {workload: east/web, after: step, atMost: 49}", false),
        ("overshoot: {workload: west/web, after: step, atMost: 50%}", false),
        ("overshoot: {workload: east/web, after: never, atMost: 50%}", false),
        ("settles: {workload: east/web, after: step, within: 6s}", true),
        ("settles: {workload: east/web, after: step, within: 5s}", false),
        ("settles: {workload: west/web, after: step, within: 5s}", false),
        // Two of four missing for 2 of 30 s; two of four too many for 4 s.
        ("elasticity: {workload: east/web, thetaU: 3.4, thetaO: 6.7, tauU: 6.7, tauO: 13.4}", true),
        ("elasticity: {workload: east/web, thetaU: 3.3}", false),
        ("elasticity: {workload: east/web, thetaO: 6.6}", false),
        ("elasticity: {workload: east/web, tauU: 6.6}", false),
        ("elasticity: {workload: east/web, tauO: 13.3}", false),
        // Of 29 changes of a second three differ: demand alone at 10, supply alone at 12 and 16.
        ("elasticity: {workload: east/web, upsilon: 10.4%}", true),
        ("elasticity: {workload: east/web, upsilon: 10.3%}", false),
        ("elasticity: {workload: west/web, upsilon: 100}", false),
    ] {
        assert_eq!(held(expectation, &t), want, "{expectation}");
    }
}

#[test]
fn violations_are_judged_by_second_or_by_request() {
    let mut t = Timeline::default();
    for (second, due, over, held) in [(0, 10, 0, true), (1, 30, 3, false), (2, 10, 1, true), (3, 50, 1, true)]
    {
        let second = Second { second, due, over, held };
        t.push(s(9), Event::Slo { cluster: "east".into(), service: "web".into(), second });
    }
    for (expectation, want) in [
        ("sloViolations: {service: web, atMost: 25%}", true),
        ("sloViolations: {service: web, atMost: 24%}", false),
        ("sloViolations: {service: web, atMost: 5%, of: requests}", true),
        ("sloViolations: {service: web, atMost: 4.9%, of: requests}", false),
        ("sloViolations: {service: front, atMost: 100%}", false),
    ] {
        assert_eq!(held(expectation, &t), want, "{expectation}");
    }
}

/// `(second, trusts)` of a policy, marks at 5 (`cut`), 10 (`cut ended`), 20 (`later`) and 30 (`end`).
fn trusting(states: &[(u64, bool)]) -> Timeline {
    let mut t = Timeline::default();
    for (at, name) in [(5, "cut"), (10, "cut ended"), (20, "later"), (30, "end")] {
        mark_at(&mut t, at, name);
    }
    states.iter().for_each(|(at, trusts)| policy(&mut t, *at, 1.0, *trusts));
    t
}

#[test]
fn a_recovery_is_from_a_doubt_and_lasts() {
    for (states, after, within, want) in [
        // Without a doubt there is nothing to recover from.
        (&[(1, true)][..], "cut", "9s", false),
        (&[], "cut", "9s", false),
        // Trust from before the doubt is none.
        (&[(1, true), (8, false)], "cut", "24s", false),
        (&[(1, true), (8, false), (12, true)], "cut", "7s", true),
        (&[(1, true), (8, false), (12, true)], "cut", "6s", false),
        // In force at the mark.
        (&[(1, true), (8, false), (12, true)], "cut ended", "2s", true),
        (&[(1, true), (8, false), (12, true)], "cut ended", "1s", false),
        // Over at the mark.
        (&[(1, true), (6, false), (9, true)], "cut ended", "9s", false),
        // Trust that does not last to the next mark is none.
        (&[(8, false), (12, true), (14, false), (18, true)], "cut ended", "8s", true),
        (&[(8, false), (12, true), (14, false), (18, true)], "cut ended", "7s", false),
        (&[(8, false), (12, true), (14, false)], "cut ended", "19s", false),
        // What comes after the next mark is not of it.
        (&[(8, false), (12, true), (22, false)], "cut ended", "2s", true),
        // A doubt that begins too late is another one.
        (&[(1, true), (16, false), (18, true)], "cut ended", "3s", false),
    ] {
        let row = format!("recovers: {{policy: east/web-scaler, after: {after}, within: {within}}}");
        assert_eq!(held(&row, &trusting(states)), want, "{states:?} {row}");
    }
}

#[test]
fn a_doubt_that_is_in_force_at_the_first_mark_counts() {
    let doubts = "doubts: {policy: east/web-scaler, from: cut, to: cut ended}";
    for (states, want) in [
        (&[(1, false)][..], true),
        (&[(1, false), (4, true)], false),
        (&[(1, true), (7, false)], true),
        (&[(1, true), (12, false)], false),
        (&[], false),
    ] {
        assert_eq!(held(doubts, &trusting(states)), want, "{states:?}");
    }
}

#[test]
fn a_low_value_that_was_believed_once_was_believed() {
    let doubts = "doubts: {policy: east/web-scaler, from: cut, to: cut ended, share: 0.6}";
    for (states, want) in [
        (&[(7, 100.0, false)][..], true),
        (&[(6, 100.0, true), (7, 100.0, false)], false),
        (&[(6, 100.0, false), (9, 100.0, true)], false),
        (&[(6, 190.0, true), (7, 100.0, false)], true),
        (&[(6, 190.0, false)], false),
    ] {
        let mut t = trusting(&[]);
        policy(&mut t, 1, 200.0, true);
        states.iter().for_each(|(at, value, trusts)| policy(&mut t, *at, *value, *trusts));
        assert_eq!(held(doubts, &t), want, "{states:?}");
    }
}

#[test]
fn what_was_seen_low_and_did_not_count_was_not_believed() {
    let doubts = "doubts: {policy: east/web-scaler, from: cut, to: cut ended, share: 0.6}";
    for (value, own, want) in [(200.0, false, true), (200.0, true, false), (100.0, true, false)] {
        let mut t = trusting(&[]);
        policy(&mut t, 1, 200.0, true);
        let state = PolicyState {
            value: Some(value),
            newest: Some(100.0),
            sufficient: Some(own),
            value_sufficient: Some(own),
            ..Default::default()
        };
        t.push(s(7), Event::Policy { policy: scaler(), state });
        assert_eq!(held(doubts, &t), want, "{value} {own}");
    }
}

#[test]
fn the_value_is_doubted_by_its_own_evidence_and_not_by_another_metric_s() {
    let doubts = "doubts: {policy: east/web-scaler, from: cut, to: cut ended, share: 0.6}";
    for (own, want) in [(false, true), (true, false)] {
        let mut t = trusting(&[]);
        policy(&mut t, 1, 200.0, true);
        // Another metric's evidence does not suffice either way.
        let state = PolicyState {
            value: Some(100.0),
            sufficient: Some(false),
            value_sufficient: Some(own),
            ..Default::default()
        };
        t.push(s(7), Event::Policy { policy: scaler(), state });
        assert_eq!(held(doubts, &t), want, "{own}");
    }
}

#[test]
fn marks_that_came_in_another_order_than_planned_prove_nothing() {
    for (cut, want) in [(9, true), (11, false), (10, false)] {
        let mut t = Timeline::default();
        replicas(&mut t, 0, 4, 4);
        mark_at(&mut t, cut, "cut");
        mark_at(&mut t, 10, "step");
        mark_at(&mut t, 30, "end");
        policy(&mut t, 0, 1.0, false);
        for row in [
            "neverLowered: {from: cut, to: step}",
            "neverBelow: {workload: east/web, atLeast: 1, from: cut, to: step}",
            "doubts: {policy: east/web-scaler, from: cut, to: step}",
        ] {
            assert_eq!(held(row, &t), want, "{row} {cut}");
        }
    }
}

#[test]
fn a_lowering_that_a_decision_wrote_counts_where_the_replicas_were_not_seen_to_fall() {
    let mut t = trusting(&[]);
    t.started_ms = 1_767_225_600_000;
    replicas(&mut t, 0, 5, 5);
    let decision = |second: u32, written| Decided {
        time: format!("2026-01-01T00:00:{second:02}Z"),
        from: 5,
        to: 3,
        written,
        ..Decided::default()
    };
    let never = "neverLowered: {from: cut, to: cut ended}";
    t.push(s(4), Event::Decision { policy: scaler(), decision: decision(4, true) });
    t.push(s(7), Event::Decision { policy: scaler(), decision: decision(7, false) });
    // Told in whole seconds: taken as the stretch began or ended, it may be of it or not.
    for border in [5, 10] {
        t.push(s(border), Event::Decision { policy: scaler(), decision: decision(border as u32, true) });
    }
    assert!(held(never, &t));
    t.push(s(7), Event::Decision { policy: scaler(), decision: decision(7, true) });
    assert!(!held(never, &t));
}

#[test]
fn a_lowering_that_was_asked_for_before_is_told_apart_by_its_decision() {
    const STARTED_MS: i64 = 1_767_225_600_000;
    let at_ms = |second: i64| STARTED_MS + second * 1000;
    // Lowered from 19 to 17 at 7 s, two seconds after the cut; asked for 17 at 4 s.
    let good = Kept {
        path: "r".into(),
        replays: true,
        sufficient: true,
        asked: vec![(at_ms(2), 19), (at_ms(4), 17)],
    };
    let run = |kept: Option<Kept>, written: bool, to: i32, taken: &str| {
        let mut t = trusting(&[]);
        t.started_ms = STARTED_MS;
        replicas(&mut t, 0, 19, 19);
        let decision = Decided {
            time: format!("2026-01-01T00:00:{taken}Z"),
            from: 19,
            to,
            written,
            record: kept,
            ..Decided::default()
        };
        t.push(s(7), Event::Decision { policy: scaler(), decision });
        replicas(&mut t, 7, 17, 19);
        t
    };
    let (strict, lenient) = (
        "neverLowered: {from: cut, to: cut ended}",
        "neverLowered: {from: cut, to: cut ended, unless: askedBefore}",
    );
    let sound = run(Some(good.clone()), true, 17, "06.9");
    assert!(held(lenient, &sound));
    assert!(!held(strict, &sound), "told by its own key only");
    for (why, t) in [
        ("no record", run(None, true, 17, "06.9")),
        ("not written", run(Some(good.clone()), false, 17, "06.9")),
        ("another decision", run(Some(good.clone()), true, 18, "06.9")),
        ("long ago", run(Some(good.clone()), true, 17, "01.0")),
        ("does not replay", run(Some(Kept { replays: false, ..good.clone() }), true, 17, "06.9")),
        ("on bad evidence", run(Some(Kept { sufficient: false, ..good.clone() }), true, 17, "06.9")),
        (
            "asked for more before, and for as few only since",
            run(Some(Kept { asked: vec![(at_ms(4), 18), (at_ms(6), 17)], ..good.clone() }), true, 17, "06.9"),
        ),
        (
            "asked for fewer once, but not any more when it was cut",
            run(Some(Kept { asked: vec![(at_ms(1), 2), (at_ms(4), 19)], ..good.clone() }), true, 17, "06.9"),
        ),
        (
            "knows nothing of before",
            run(Some(Kept { asked: vec![(at_ms(6), 17)], ..good.clone() }), true, 17, "06.9"),
        ),
    ] {
        assert!(!held(lenient, &t), "{why}");
    }
    // Records forget what newer proposals outlive; the policy's status has told it.
    let forgot = Kept { asked: vec![], ..good };
    for (proposal, sufficient, want) in
        [(17, true, true), (16, true, true), (18, true, false), (17, false, false)]
    {
        let mut t = Timeline::default();
        let state =
            PolicyState { sufficient: Some(sufficient), proposal: Some(proposal), ..Default::default() };
        t.push(s(4), Event::Policy { policy: scaler(), state });
        for (at, event) in run(Some(forgot.clone()), true, 17, "06.9").events() {
            t.push(*at, event.clone());
        }
        t.started_ms = STARTED_MS;
        assert_eq!(held(lenient, &t), want, "{proposal} {sufficient}");
    }
}

#[test]
fn a_fault_that_hit_nothing_and_a_record_that_does_not_replay_are_failed_rows() {
    let rows = |events: Vec<Event>| {
        let mut t = Timeline::default();
        events.into_iter().for_each(|e| t.push(s(1), e));
        let scenario = "{name: s, clusters: [east], services: {web: {}}, load: {to: web, stages: []}}";
        let rows = judge(&thanos_telemetry::cli::parse_yaml(scenario).unwrap(), &t);
        rows.iter().map(|r| (r.key.clone(), r.held)).collect::<Vec<_>>()
    };
    let decision = |record: Option<Kept>| Event::Decision {
        policy: scaler(),
        decision: Decided { record, ..Decided::default() },
    };
    let kept = |replays| Some(Kept { replays, ..Kept::default() });
    assert_eq!(rows(vec![]), []);
    assert_eq!(
        rows(vec![Event::Missed { fault: "cut".into(), why: "no pod".into() }]),
        [("fault".to_owned(), false)]
    );
    let records = |held| [("records".to_owned(), held)];
    assert_eq!(rows(vec![decision(kept(true)), decision(kept(true))]), records(true));
    // One was lost, or all of them.
    assert_eq!(rows(vec![decision(kept(true)), decision(None)]), records(false));
    assert_eq!(rows(vec![decision(None)]), records(false));
    assert_eq!(rows(vec![decision(kept(true)), decision(kept(false))]), records(false));
}

mod monotone;
