use super::*;
use simulations_load::recorder::Summary;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn replicas(t: &mut Timeline, at: u64, wanted: i32, ready: i32) {
    t.push(s(at), Event::Replicas { target: target(("east", "web")), wanted, ready });
}

fn policy(t: &mut Timeline, at: u64, value: f64, sufficient: bool) {
    let state = PolicyState { value: Some(value), sufficient: Some(sufficient), ..Default::default() };
    t.push(s(at), Event::Policy { target: target(("east", "web")), state });
}

fn mark_at(t: &mut Timeline, at: u64, name: &str) {
    t.push(s(at), Event::Mark(name.into()));
}

fn held(e: Expectation, t: &Timeline) -> bool {
    judge(&[e], t)[0].held
}

#[test]
fn reaching_counts_from_the_mark_and_has_a_limit() {
    let mut t = Timeline::default();
    replicas(&mut t, 0, 2, 2);
    mark_at(&mut t, 10, "step");
    replicas(&mut t, 12, 20, 2);
    replicas(&mut t, 16, 20, 20);
    let reach = |n, within| Expectation::Reaches {
        target: ("east", "web"),
        bound: Bound::AtLeast(n),
        after: "step",
        within: s(within),
    };
    assert!(held(reach(20, 6), &t));
    assert!(!held(reach(20, 5), &t));
    assert!(!held(reach(21, 60), &t));
    let down = Expectation::Reaches {
        target: ("east", "web"),
        bound: Bound::AtMost(2),
        after: "step",
        within: s(60),
    };
    assert!(!held(down, &t), "two were ready at the step, but twenty were wanted");
    assert!(!held(
        Expectation::Reaches { target: ("east", "web"), bound: Bound::AtLeast(1), after: "no", within: s(9) },
        &t
    ));
}

#[test]
fn one_step_down_between_the_marks_is_found_and_one_outside_is_not() {
    let mut t = Timeline::default();
    replicas(&mut t, 0, 20, 20);
    mark_at(&mut t, 5, "cut");
    mark_at(&mut t, 15, "cut ended");
    replicas(&mut t, 20, 10, 20);
    let never = Expectation::NeverLowered { from: "cut", to: "cut ended" };
    assert!(held(never.clone(), &t));
    let mut lowered = Timeline::default();
    replicas(&mut lowered, 0, 20, 20);
    mark_at(&mut lowered, 5, "cut");
    replicas(&mut lowered, 9, 19, 20);
    mark_at(&mut lowered, 15, "cut ended");
    assert!(!held(never.clone(), &lowered));
    assert!(!held(never, &Timeline::default()), "nothing watched proves nothing");
}

#[test]
fn a_lie_needs_a_fall_and_a_doubt() {
    let lied = || Expectation::Lied { policy: ("east", "web"), from: "cut", to: "cut ended", share: 0.6 };
    for (value, sufficient, want) in
        [(100.0, false, true), (100.0, true, false), (190.0, false, false), (190.0, true, false)]
    {
        let mut t = Timeline::default();
        policy(&mut t, 1, 200.0, true);
        mark_at(&mut t, 5, "cut");
        policy(&mut t, 9, value, sufficient);
        mark_at(&mut t, 15, "cut ended");
        assert_eq!(held(lied(), &t), want, "{value} {sufficient}");
    }
}

#[test]
fn recovery_restart_failures_and_validity() {
    let mut t = Timeline::default();
    mark_at(&mut t, 5, "cut ended");
    policy(&mut t, 6, 1.0, false);
    policy(&mut t, 9, 1.0, true);
    t.push(s(9), Event::Restart { container: "east/query-1/query".into(), count: 1 });
    let recovers =
        |within| Expectation::Recovers { policy: ("east", "web"), after: "cut ended", within: s(within) };
    assert!(held(recovers(4), &t) && !held(recovers(3), &t));
    let restarted = |container| Expectation::Restarted { container, after: "cut ended", within: s(10) };
    assert!(held(restarted(("east", "query", "query")), &t));
    assert!(!held(restarted(("west", "query", "query")), &t));

    assert!(!held(Expectation::FailedShare { at_most: 1.0 }, &t), "no load is no success");
    assert!(!held(Expectation::ValidLoad, &t));
    let summary = Summary { planned: 100, failed: 1, send_lag_p99_ms: 1.0, ..Default::default() };
    t.push(s(10), Event::LoadTotal { cluster: "east".into(), summary });
    assert!(!held(Expectation::FailedShare { at_most: 0.0 }, &t));
    assert!(held(Expectation::FailedShare { at_most: 0.01 }, &t));
    assert!(held(Expectation::ValidLoad, &t));
}
