use super::*;
use simulations_load::recorder::Recorder;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn web() -> Target {
    ("east".into(), "web".into())
}

fn replicas(t: &mut Timeline, at: u64, wanted: i32, ready: i32) {
    t.push(s(at), Event::Replicas { target: web(), wanted, ready });
}

fn policy(t: &mut Timeline, at: u64, value: f64, sufficient: bool) {
    let state = PolicyState { value: Some(value), sufficient: Some(sufficient), ..Default::default() };
    t.push(s(at), Event::Policy { target: web(), state });
}

fn mark_at(t: &mut Timeline, at: u64, name: &str) {
    t.push(s(at), Event::Mark(name.into()));
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
        ("atLeast: 1, atMost: 19", "60s", "step", false),
        // Two were ready at the step, but twenty were wanted.
        ("atMost: 2", "60s", "step", false),
        ("atLeast: 1", "9s", "never", false),
    ] {
        let e = format!("reaches: {{workload: east/web, {bounds}, after: {after}, within: {within}}}");
        assert_eq!(held(&e, &t), want, "{e}");
    }
    assert!(!held("reaches: {workload: west/web, atLeast: 0, after: step, within: 9s}", &t));
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
    let doubts = "doubts: {policy: east/web, from: cut, to: cut ended, share: 0.6}";
    for (value, sufficient, want) in
        [(100.0, false, true), (100.0, true, false), (190.0, false, false), (190.0, true, false)]
    {
        let mut t = Timeline::default();
        policy(&mut t, 1, 200.0, true);
        mark_at(&mut t, 5, "cut");
        policy(&mut t, 9, value, sufficient);
        mark_at(&mut t, 15, "cut ended");
        assert_eq!(held(doubts, &t), want, "{value} {sufficient}");
        let any = "doubts: {policy: east/web, from: cut, to: cut ended}";
        assert_eq!(held(any, &t), !sufficient, "{value} {sufficient}");
    }
}

#[test]
fn recovery_restart_reversals_and_cost() {
    let mut t = Timeline::default();
    mark_at(&mut t, 5, "cut ended");
    policy(&mut t, 6, 1.0, false);
    policy(&mut t, 9, 1.0, true);
    t.push(s(9), Event::Restart { container: "east/query-1/query".into(), count: 1 });
    assert!(held("recovers: {policy: east/web, after: cut ended, within: 4s}", &t));
    assert!(!held("recovers: {policy: east/web, after: cut ended, within: 3s}", &t));
    let restarted =
        |c: &str| held(&format!("restarted: {{container: {c}, after: cut ended, within: 10s}}"), &t);
    assert!(restarted("east/query/query"));
    assert!(!restarted("west/query/query"));
    assert!(!restarted("east/query/proxy"));

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
        let second = crate::slo::Second { second, due, over, held };
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

#[test]
fn a_late_or_absent_generator_is_invalid() {
    let mut t = Timeline::default();
    assert!(!judge_generator(&t).held, "no load is no success");
    let total = |lag_ms| {
        let mut recorder = Recorder::default();
        recorder.sent(Duration::from_millis(lag_ms));
        let (cluster, load, to) = ("east".into(), "users".into(), "front".into());
        Event::LoadTotal { cluster, load, to, stage: None, lasted: s(1), recorder }
    };
    t.push(s(10), total(1));
    assert!(judge_generator(&t).held);
    t.push(s(10), total(50));
    assert!(!judge_generator(&t).held);
}
