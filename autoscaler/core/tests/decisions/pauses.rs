//! Paused in one direction, and paused at a number.

use autoscaler_core::{Cause, LimitKind, Mode, Pause, Wish, Zero, decide, explain};

use crate::build::{NOW_MS, asks_for, input, scale};
use crate::sequences::tick;

#[test]
fn a_paused_direction_is_not_gone_in_and_says_so() {
    let up = Pause { scale_up: true, ..Pause::default() };
    let down = Pause { scale_down: true, ..Pause::default() };
    let both = Pause { scale_up: true, scale_down: true, replicas: None };
    for (pause, asked, expected, kind) in [
        (up, 15, None, Some(LimitKind::ScaleUpPaused)),
        (up, 4, Some(4), None),
        (down, 15, Some(15), None),
        (down, 4, None, Some(LimitKind::ScaleDownPaused)),
        (both, 15, None, Some(LimitKind::ScaleUpPaused)),
        (both, 4, None, Some(LimitKind::ScaleDownPaused)),
        (both, 10, None, None),
    ] {
        let mut paused = input(10, vec![asks_for("requests", asked)]);
        paused.policy.pause = pause;
        let decision = decide(&paused);
        assert_eq!((decision.write, decision.limited_by()), (expected, kind), "{pause:?} {asked}");
        let limited =
            decision.conditions(&paused).into_iter().find(|c| c.kind.to_string() == "ScalingLimited");
        let limited = limited.expect("the condition");
        assert_eq!(limited.status, kind.is_some());
        if let Some(kind) = kind {
            assert_eq!(limited.reason, kind.to_string());
            assert!(
                decision.cause(&paused).ends_with(&format!("; 10 by {kind}")),
                "{}",
                decision.cause(&paused)
            );
        }
    }
}

#[test]
fn the_first_replica_is_paused_too() {
    let mut zero = input(0, vec![asks_for("requests", 4)]);
    zero.policy.min_replicas = 0;
    zero.policy.zero = Some(Zero::default());
    assert_eq!(decide(&zero).write, Some(4));
    zero.policy.pause.scale_up = true;
    assert_eq!(decide(&zero).write, None);
}

#[test]
fn paused_at_a_number_is_that_number() {
    for (there, at, expected) in [(10, 4, Some(4)), (10, 0, Some(0)), (10, 10, None), (10, 100, Some(100))] {
        let mut paused = input(there, vec![asks_for("requests", 15)]);
        paused.policy.pause.replicas = Some(at);
        paused.policy.min_replicas = 2;
        let decision = decide(&paused);
        assert_eq!((decision.write, &decision.cause), (expected, &Cause::Paused));
        assert_eq!(decision.history.recommendations, None, "resuming begins like a restart");
        let wish = expected.map_or(Wish::Hold, Wish::Change);
        assert_eq!(decision.wish(there), wish);
        assert!(explain(&paused, &decision)[0].contains(&format!("the policy is paused at {at}")));
    }
    let mut paused = input(10, vec![asks_for("requests", 15)]);
    paused.policy.pause.replicas = Some(4);
    paused.policy.mode = Mode::Paused;
    assert_eq!(decide(&paused).write, None, "mode Paused keeps what is there");
    for at in [-1, 101] {
        paused.policy.pause.replicas = Some(at);
        paused.policy.mode = Mode::Active;
        let decision = decide(&paused);
        assert!(decision.write.is_none() && decision.cause_code(&paused) == "InvalidPolicy");
        let words = format!("pause.replicas is {at}; make it 0 to maxReplicas, 100");
        assert!(decision.cause(&paused).contains(&words), "{}", decision.cause(&paused));
    }
}

#[test]
fn what_was_parked_at_zero_comes_back_and_what_was_switched_off_does_not() {
    let mut parked = input(5, vec![asks_for("requests", 5)]);
    parked.policy.min_replicas = 2;
    parked.policy.pause.replicas = Some(0);
    assert_eq!(tick(&mut parked, NOW_MS), 0);
    assert_eq!(tick(&mut parked, NOW_MS + 1_000), 0);
    parked.policy.pause.replicas = None;
    assert_eq!(tick(&mut parked, NOW_MS + 2_000), 2);
    assert_eq!(tick(&mut parked, NOW_MS + 3_000), 5);
    parked.scale = scale(0);
    assert_eq!(tick(&mut parked, NOW_MS + 4_000), 0, "by hand");
}
