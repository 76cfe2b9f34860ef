//! Bounds by schedules.

use autoscaler_core::{Bounds, Cause, Decision, InForce, Input, LimitKind, Mode, Pause, decide, explain};

use crate::build::{NOW_MS, asks_for, input, observed_at};
use crate::sequences::tick;

fn in_force(name: &str, min_replicas: Option<i32>, max_replicas: Option<i32>) -> InForce {
    InForce { name: name.into(), min_replicas, max_replicas }
}

#[test]
fn the_highest_floor_and_the_lowest_ceiling_count_within_the_policys_bounds() {
    let day = || in_force("day", Some(10), None);
    let sale = || in_force("sale", Some(30), Some(60));
    let night = || in_force("night", None, Some(5));
    type By = (i32, Option<&'static str>);
    let cases: Vec<(Vec<InForce>, By, By)> = vec![
        (vec![], (2, None), (50, None)),
        (vec![day()], (10, Some("day")), (50, None)),
        (vec![day(), sale()], (30, Some("sale")), (50, None)),
        (vec![sale(), day()], (30, Some("sale")), (50, None)),
        (vec![night()], (2, None), (5, Some("night"))),
        // The floor takes nothing away.
        (vec![night(), day()], (10, Some("day")), (10, Some("day"))),
        // Beyond the policy's own bounds there is nothing.
        (vec![in_force("too high", Some(90), None)], (50, Some("too high")), (50, None)),
        (vec![in_force("too low", Some(1), Some(1))], (2, None), (2, Some("too low"))),
    ];
    let mut policy = input(5, vec![asks_for("requests", 5)]).policy;
    (policy.min_replicas, policy.max_replicas) = (2, 50);
    for (schedules, (min, min_by), (max, max_by)) in cases {
        let bounds = Bounds::of(&policy, &schedules);
        assert_eq!((bounds.min, bounds.min_by.as_deref()), (min, min_by), "{schedules:?}");
        assert_eq!((bounds.max, bounds.max_by.as_deref()), (max, max_by), "{schedules:?}");
    }
}

fn schedules(replicas: i32, asked: i32, schedules: Vec<InForce>) -> (Input, Decision) {
    let mut input = input(replicas, vec![asks_for("requests", asked)]);
    input.schedules = schedules;
    let decision = decide(&input);
    (input, decision)
}

#[test]
fn a_floor_raises_at_once_and_says_whose_it_is() {
    let (input, decision) = schedules(4, 4, vec![in_force("office", Some(10), None)]);
    assert_eq!((decision.write, &decision.cause), (Some(10), &Cause::BelowMinimum));
    assert_eq!(
        explain(&input, &decision)[0],
        "Scale from 4 to 10: 4 replicas are below schedule office's minReplicas, 10."
    );
    assert_eq!(decision.cause_code(&input), "TooFewReplicas");
    // Even without evidence: it is the user's word.
    let mut silent = input;
    silent.observations.clear();
    assert_eq!(decide(&silent).write, Some(10));
}

#[test]
fn a_floor_keeps_what_metrics_would_lower_and_a_ceiling_what_they_would_raise() {
    let (input, decision) = schedules(15, 4, vec![in_force("office", Some(10), None)]);
    assert_eq!(decision.write, Some(10));
    assert_eq!(
        decision.cause(&input),
        "requests below target: 40 (2.667 a replica against 10) asks for 4; 10 by TooFewReplicas of schedule office"
    );
    assert_eq!(decision.limits[0].schedule.as_deref(), Some("office"));
    let (input, decision) = schedules(15, 28, vec![in_force("budget", None, Some(20))]);
    assert_eq!(decision.write, Some(20));
    assert!(
        decision.cause(&input).ends_with("20 by TooManyReplicas of schedule budget"),
        "{}",
        decision.cause(&input)
    );
    let (input, decision) = schedules(25, 28, vec![in_force("budget", None, Some(20))]);
    assert_eq!(decision.write, Some(20));
    assert_eq!(decision.cause(&input), "25 replicas are above schedule budget's maxReplicas, 20");
}

#[test]
fn what_a_floor_raised_is_lowered_by_the_usual_rules_once_it_is_left() {
    let mut office = input(4, vec![asks_for("requests", 4)]);
    office.policy.defaults.downscale_window_ms = 60_000;
    office.schedules = vec![in_force("office", Some(10), None)];
    for second in 0..30 {
        assert_eq!(tick(&mut office, NOW_MS + second * 1_000), 10);
    }
    office.schedules.clear();
    assert_eq!(tick(&mut office, NOW_MS + 30_000), 4, "metrics asked for four all the time");
    // While evidence is missing it is not left.
    office.schedules = vec![in_force("office", Some(10), None)];
    assert_eq!(tick(&mut office, NOW_MS + 31_000), 10);
    office.schedules.clear();
    office.observations[0].warnings.push("a store is lost".to_owned());
    assert_eq!(tick(&mut office, NOW_MS + 32_000), 10);
    office.now_ms = NOW_MS + 33_000;
    office.observations = vec![observed_at(office.now_ms, "requests", 90.0)];
    assert_eq!(tick(&mut office, NOW_MS + 33_000), 10, "within tolerance");
}

#[test]
fn a_ceiling_of_zero_and_a_floor_at_zero() {
    let mut dev = input(3, vec![asks_for("requests", 3)]);
    dev.policy.min_replicas = 0;
    dev.policy.zero = Some(Default::default());
    dev.schedules = vec![in_force("night", None, Some(0))];
    assert_eq!(decide(&dev).write, Some(0));
    dev.scale = crate::build::scale(0);
    assert_eq!(decide(&dev).write, None, "active, but nobody wants it at night");
    dev.schedules = vec![in_force("day", Some(2), None)];
    assert_eq!(decide(&dev).write, Some(2));
    // Switched off by hand is off, schedule or not, where zero is no bound.
    dev.policy.min_replicas = 1;
    assert_eq!((decide(&dev).write, decide(&dev).cause), (None, Cause::Disabled));
}

#[test]
fn a_paused_direction_is_stronger_than_a_schedule_and_weaker_than_the_policys_bounds() {
    let both = Pause { scale_up: true, scale_down: true, replicas: None };
    for (replicas, schedule, expected) in [
        (4, in_force("office", Some(10), None), None),
        (25, in_force("budget", None, Some(20)), None),
        (150, in_force("budget", None, Some(20)), Some(100)),
        (1, in_force("office", Some(10), None), Some(2)),
    ] {
        let mut paused = input(replicas, vec![asks_for("requests", replicas)]);
        paused.policy.min_replicas = 2;
        paused.policy.pause = both;
        paused.schedules = vec![schedule];
        let decision = decide(&paused);
        assert_eq!(decision.write, expected, "{decision:?}");
        let by = decision.limits.last().map(|limit| limit.kind);
        if expected.is_none() {
            assert!(matches!(by, Some(LimitKind::ScaleUpPaused | LimitKind::ScaleDownPaused)), "{by:?}");
        }
    }
}

#[test]
fn a_shadow_writes_no_floor() {
    let mut shadow = input(4, vec![asks_for("requests", 4)]);
    shadow.policy.mode = Mode::Shadow;
    shadow.schedules = vec![in_force("office", Some(10), None)];
    let decision = decide(&shadow);
    assert_eq!((decision.write, decision.desired_replicas), (None, 10));
}
