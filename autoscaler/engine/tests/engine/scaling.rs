//! One policy: decided on what watches told, written once, and decided anew when something came in between.

use autoscaler_core::{FailureKind, Mode};
use autoscaler_engine::effect::{Became, Ended, What};
use autoscaler_engine::{Config, Event, Outcome};

use crate::world::{Ask, Fault, World, key, name, terms};

fn world() -> World {
    let mut world = World::new(Config::default());
    world.target("web", 2);
    world.policy("web", terms("web"));
    world
}

fn ask(world: &mut World, value: f64) {
    world.asks.insert("web".into(), Ask::Value(value, 10));
}

#[test]
fn load_scales_up_and_down_without_a_read() {
    let mut w = world();
    ask(&mut w, 400.0);
    w.run(1_500);
    assert_eq!(w.replicas("web"), 8);
    ask(&mut w, 100.0);
    w.run(5_000);
    assert_eq!(w.replicas("web"), 2);
    assert_eq!(w.reads, [], "all of it was told by watches");
    assert_eq!(w.status("web").last_scales.iter().map(|d| d.to).collect::<Vec<_>>(), [2, 8]);
    for decision in &w.status("web").last_decisions {
        let replay = autoscaler_core::replay(w.records[&decision.digest].as_bytes()).unwrap();
        assert!(replay.identical);
    }
    let told: Vec<&str> = w.notes.iter().map(|(_, n)| n.note.as_str()).collect();
    assert!(told[0].starts_with("New size: 8; reason: requests above target"), "{told:?}");
}

#[test]
fn a_policy_is_evaluated_once_an_interval_at_its_own_phase() {
    let mut w = world();
    for n in 0..50 {
        w.target(&format!("t{n}"), 1);
    }
    w.run(100);
    for n in 0..50 {
        w.policy(&format!("p{n}"), terms(&format!("t{n}")));
    }
    w.run(1_000);
    let missed = w.processes[0].engine.counters().missed;
    w.run(9_000);
    let mut phases = std::collections::BTreeSet::new();
    for n in 0..50 {
        let of = |e: &&(u64, autoscaler_engine::effect::Evaluated)| e.1.policy == name(&format!("p{n}"));
        let times: Vec<u64> = w.evaluated.iter().filter(of).map(|(at, _)| *at).collect();
        // The first comes as soon as the target is known.
        assert!(times[1..].windows(2).all(|t| t[1] - t[0] == 1_000), "{times:?}");
        assert!((10..=12).contains(&times.len()), "{times:?}");
        phases.insert(times[1] % 1_000 / 100);
    }
    assert!(phases.len() >= 8, "{phases:?}");
    assert_eq!(w.processes[0].engine.counters().missed, missed);
}

#[test]
fn a_policy_waits_for_its_target_to_be_known_and_then_for_nothing() {
    let mut w = World::new(Config::default());
    w.policy("web", terms("web"));
    ask(&mut w, 400.0);
    w.run(3_000);
    let said = w.condition("web", "AbleToScale");
    assert!(said.starts_with("False FailedGetScale") && said.contains("create it, or correct"), "{said}");
    assert_eq!(w.queries, 0);
    w.target("web", 2);
    w.run(50);
    assert_eq!(w.replicas("web"), 8, "at once");
}

#[test]
fn a_conflict_is_decided_anew_as_soon_as_the_change_is_seen() {
    let mut w = world();
    let mut slow = terms("web");
    slow.interval_ms = 60_000;
    w.policy("web", slow);
    ask(&mut w, 250.0);
    // Somebody else scales while the decision is under way.
    w.watch_ms = Some(40);
    w.run(0);
    while w.queries == 0 {
        w.run(1);
    }
    w.target("web", 3);
    w.run(200);
    assert_eq!(w.replicas("web"), 5);
    let ended: Vec<Ended> = w.scaled.iter().map(|(_, s)| s.ended).collect();
    assert_eq!(ended, [Ended::Conflict, Ended::Written]);
    let from: Vec<i32> = w.scaled.iter().map(|(_, s)| s.from).collect();
    assert_eq!(from, [2, 3], "on what is there now");
    assert_eq!(w.reads, []);
}

#[test]
fn a_conflict_of_which_no_watch_tells_is_read_after_a_bounded_wait() {
    let mut w = world();
    let mut slow = terms("web");
    slow.interval_ms = 60_000;
    w.policy("web", slow);
    ask(&mut w, 250.0);
    while w.queries == 0 {
        w.run(1);
    }
    w.watch_ms = None;
    w.target("web", 3);
    w.run(500);
    assert_eq!((w.reads.len(), w.replicas("web")), (1, 5));
}

#[test]
fn a_refused_write_is_told_once_and_tried_each_interval() {
    let mut w = world();
    ask(&mut w, 400.0);
    let refused = || Fault::Say(Outcome::Refused { code: 403, message: "no such verb".into() });
    w.faults.insert(key("web"), (0..99).map(|_| refused()).collect());
    w.run(8_900);
    let said = w.condition("web", "AbleToScale");
    assert!(said.starts_with("False FailedUpdateScale") && said.contains("no such verb"), "{said}");
    assert!(w.scales("web").len() >= 8);
    assert_eq!(w.notes.iter().filter(|(_, n)| n.reason == "FailedRescale").count(), 1);
    assert_eq!((w.status("web").last_decisions.len(), w.records.len()), (1, 1));
    w.faults.clear();
    w.run(2_000);
    assert_eq!(w.replicas("web"), 8);
}

#[test]
fn a_busy_server_is_asked_again_when_it_says_and_the_newest_wish_counts() {
    let mut w = world();
    ask(&mut w, 400.0);
    let busy = Outcome::Busy { retry_after_ms: Some(2_000), message: "slow down".into() };
    w.faults.insert(key("web"), [Fault::Say(busy)].into());
    w.run(500);
    ask(&mut w, 500.0);
    w.run(1_500);
    assert_eq!(w.scales("web").len(), 1, "not before it says");
    w.run(2_000);
    let scales = w.scales("web");
    assert_eq!(scales.iter().map(|(_, to)| *to).collect::<Vec<_>>(), [8, 10]);
    assert!(scales[1].0 - scales[0].0 >= 2_000, "{scales:?}");
}

#[test]
fn a_busy_server_does_not_make_a_lowering_of_long_ago_come_true() {
    let mut w = world();
    w.target("web", 8);
    let mut slow = terms("web");
    slow.interval_ms = 60_000;
    w.policy("web", slow);
    w.run(900);
    ask(&mut w, 100.0);
    let busy = Outcome::Busy { retry_after_ms: Some(3_000), message: "slow down".into() };
    w.faults.insert(key("web"), [Fault::Say(busy)].into());
    while w.scales("web").is_empty() {
        w.run(100);
    }
    ask(&mut w, 390.0);
    w.run(4_000);
    assert_eq!(w.replicas("web"), 8, "decided anew, it is not wanted any more: {:?}", w.scales("web"));
}

#[test]
fn a_write_without_an_answer_is_settled_by_what_is_there() {
    for (fault, attempts) in [
        (Fault::DoneBut(Outcome::Unanswered { retry_after_ms: None, message: "timeout".into() }), 1),
        (Fault::Say(Outcome::Unanswered { retry_after_ms: None, message: "timeout".into() }), 2),
    ] {
        let mut w = world();
        ask(&mut w, 400.0);
        w.faults.insert(key("web"), [fault.clone()].into());
        w.run(4_000);
        assert_eq!((w.replicas("web"), w.scales("web").len()), (8, attempts), "{fault:?}");
        let written: Vec<i32> = w.status("web").last_scales.iter().map(|d| d.to).collect();
        assert_eq!(written, [8], "{fault:?}");
    }
}

#[test]
fn an_executor_that_falls_silent_blocks_a_target_for_no_longer_than_a_write_may_take() {
    let mut w = world();
    ask(&mut w, 400.0);
    w.faults.insert(key("web"), [Fault::Silence].into());
    w.run(5_000);
    assert_eq!(w.scales("web").len(), 1, "one in flight");
    w.run(4_000);
    assert_eq!(w.replicas("web"), 8);
}

#[test]
fn one_write_is_in_flight_a_target_and_what_is_wanted_by_then_comes_next() {
    let mut w = world();
    w.write_ms = 2_500;
    ask(&mut w, 400.0);
    w.run(500);
    ask(&mut w, 500.0);
    w.run(1_500);
    assert_eq!(w.scales("web").len(), 1);
    w.run(1_500);
    assert_eq!(w.scales("web").iter().map(|(_, to)| *to).collect::<Vec<_>>(), [8, 10]);
}

#[test]
fn a_late_answer_counts_up_to_its_deadline_and_evaluations_never_overlap() {
    let mut w = world();
    w.asks.insert("web".into(), Ask::Value(400.0, 2_400));
    w.run(3_900);
    assert_eq!(w.replicas("web"), 8, "2.4 s of 3 s");
    assert!(w.processes[0].engine.counters().missed >= 2);
    assert_eq!(w.most_under_way, 1);

    let mut w = world();
    w.asks.insert("web".into(), Ask::Value(400.0, 3_100));
    w.run(12_000);
    assert_eq!(w.replicas("web"), 2);
    let said = w.condition("web", "ScalingActive");
    assert!(said.contains("no answer in time"), "{said}");
    assert!(w.processes[0].engine.counters().late >= 2);
}

#[test]
fn what_the_querier_does_wrong_changes_no_replicas() {
    for asked in [
        Ask::Hang,
        Ask::Stale(50.0),
        Ask::Fail(FailureKind::Unreachable),
        Ask::Fail(FailureKind::Empty),
        Ask::Value(f64::NAN, 10),
        Ask::Value(-5.0, 10),
    ] {
        let mut w = world();
        w.target("web", 8);
        w.asks.insert("web".into(), asked);
        w.run(10_000);
        assert_eq!(w.scales("web"), [], "{asked:?}");
        assert!(w.condition("web", "EvidenceSufficient").starts_with("False"), "{asked:?}");
        ask(&mut w, 50.0);
        w.run(6_000);
        assert_eq!(w.replicas("web"), 1, "{asked:?}: right again, it lowers");
    }
}

#[test]
fn shadow_and_paused_policies_write_no_replicas() {
    for (mode, desired, became) in [(Mode::Shadow, 8, Became::Shadow), (Mode::Paused, 2, Became::Paused)] {
        let mut w = world();
        let mut terms = terms("web");
        terms.policy.mode = mode;
        w.policy("web", terms);
        ask(&mut w, 400.0);
        w.run(3_000);
        assert_eq!((w.scales("web"), w.status("web").desired_replicas), (vec![], Some(desired)));
        assert!(w.evaluated.iter().any(|(_, e)| e.became == became));
    }
}

#[test]
fn a_policy_that_comes_back_is_another_and_what_was_asked_for_the_first_is_not_acted_on() {
    let mut w = world();
    w.asks.insert("web".into(), Ask::Value(400.0, 900));
    while w.queries == 0 {
        w.run(10);
    }
    w.gone("web");
    ask(&mut w, 250.0);
    w.policy("web", terms("web"));
    w.run(3_000);
    assert_eq!(w.scales("web").iter().map(|(_, to)| *to).collect::<Vec<_>>(), [5]);
}

#[test]
fn a_change_of_the_spec_is_followed_at_once() {
    let mut w = world();
    let mut slow = terms("web");
    slow.interval_ms = 3_600_000;
    w.policy("web", slow.clone());
    ask(&mut w, 400.0);
    w.run(2_000);
    assert_eq!(w.replicas("web"), 8);
    slow.policy.max_replicas = 6;
    w.policy("web", slow);
    w.run(100);
    assert_eq!(w.replicas("web"), 6);
}

#[test]
fn a_run_told_again_does_the_same_also_from_its_text() {
    let mut w = World::recorded(Config::default());
    for n in 0..20 {
        w.target(&format!("t{n}"), 3);
        w.policy(&format!("p{n}"), terms(&format!("t{n}")));
        w.asks.insert(format!("p{n}"), [Ask::Value(400.0, 30), Ask::Hang, Ask::Stale(7.0)][n % 3]);
    }
    w.target("web", 2);
    w.policy("web", terms("web"));
    let unanswered = Outcome::Unanswered { retry_after_ms: Some(10), message: "reset".into() };
    w.faults.insert(key("t0"), [Fault::Say(Outcome::Conflict), Fault::DoneBut(unanswered)].into());
    w.run(8_000);
    w.fence(0, 0, None);
    w.run(2_000);
    w.fence(0, 0, Some(u64::MAX));
    w.run(5_000);
    let process = &w.processes[0];
    assert!(process.effects.iter().flatten().count() > 500);
    assert!(process.replay.run() == process.effects);
    let text = serde_json::to_string(&process.replay).unwrap();
    let read: autoscaler_engine::Replay = serde_json::from_str(&text).unwrap();
    assert!(read.run() == process.effects);
    let effects = serde_json::to_string(&process.effects).unwrap();
    let read: Vec<Vec<autoscaler_engine::Effect>> = serde_json::from_str(&effects).unwrap();
    assert!(serde_json::to_string(&read).unwrap() == effects, "times of the API have whole seconds");
}

#[test]
fn words_about_what_nobody_knows_change_nothing() {
    let mut w = world();
    ask(&mut w, 100.0);
    w.run(3_000);
    let before = w.writes.len();
    for event in [
        Event::Wake,
        Event::PolicyGone(name("nobody")),
        Event::Target { key: key("nobody"), target: None },
        Event::Done { write: 999_999, outcome: Outcome::Conflict },
        Event::HorizontalPodAutoscaler { name: name("nobody"), target: None },
        Event::Fence { cluster: 7, shard: 9, valid_until_ms: Some(5) },
    ] {
        w.tell(0, event);
    }
    assert_eq!(w.writes.len(), before);
    assert!(w.writes.iter().all(|(_, _, write)| !matches!(write.what, What::Scale(_))));
}
