//! Policies that are deleted, and what they leave behind.

use autoscaler_api::FINALIZER;
use autoscaler_core::Mode;
use autoscaler_engine::objects::{TargetKey, Terms};
use autoscaler_engine::{Config, Event, Outcome};

use crate::world::{Ask, Fault, World, key, name, terms};

fn restoring(target: &str) -> Terms {
    Terms { restores: true, ..terms(target) }
}

/// `web` had three replicas, has been raised to eight, and its policy restores.
fn raised() -> World {
    let mut world = World::new(Config::default());
    world.asks.insert("web".into(), Ask::Value(400.0, 10));
    world.target("web", 3);
    world.policy("web", restoring("web"));
    world.run(5_000);
    assert_eq!(world.replicas("web"), 8);
    world
}

fn finalizers(world: &World, policy: &str) -> Vec<String> {
    world.policies.get(&name(policy)).map(|seen| seen.held.finalizers.clone()).unwrap_or_default()
}

fn is_gone(world: &World, policy: &str) -> bool {
    !world.policies.contains_key(&name(policy))
}

fn refused() -> Outcome {
    Outcome::Refused { code: 403, message: "forbidden".into() }
}

#[test]
fn replicas_become_what_they_were_and_then_the_policy_goes() {
    let mut world = raised();
    assert_eq!(finalizers(&world, "web"), [FINALIZER]);
    let original = world.status("web").original.clone().unwrap();
    assert_eq!((original.kind.as_str(), original.name.as_str(), original.replicas), ("Deployment", "web", 3));
    world.delete("web");
    assert!(!is_gone(&world, "web"), "kept until then");
    world.run(2_000);
    assert_eq!(world.replicas("web"), 3);
    assert!(is_gone(&world, "web"));
    let (_, scaled) = world.scaled.last().unwrap();
    assert_eq!((scaled.from, scaled.to, scaled.cause.as_str()), (8, 3, "Restored"));
    let note =
        world.notes.iter().map(|(_, note)| note.note.as_str()).find(|note| note.contains("New size: 3"));
    assert!(note.is_some_and(|note| note.contains("the policy is deleted")), "{:?}", world.notes);
    let writes = world.writes.len();
    world.run(60_000);
    assert_eq!((world.writes.len(), world.replicas("web")), (writes, 3), "nobody scales it any more");
}

#[test]
fn a_policy_that_keeps_has_no_finalizer_and_goes_at_once() {
    let mut world = World::new(Config::default());
    world.asks.insert("web".into(), Ask::Value(400.0, 10));
    world.target("web", 3);
    world.policy("web", terms("web"));
    world.run(5_000);
    assert_eq!(finalizers(&world, "web"), [""; 0]);
    world.delete("web");
    assert!(is_gone(&world, "web"));
    world.run(5_000);
    assert_eq!(world.replicas("web"), 8);
}

#[test]
fn the_finalizer_comes_and_goes_with_what_the_policy_asks_for_beside_those_of_others() {
    let mut world = raised();
    let other = "example.com/other".to_owned();
    world.set_finalizers("web", vec![other.clone()]);
    world.run(1_000);
    assert_eq!(finalizers(&world, "web"), [other.clone(), FINALIZER.to_owned()]);
    world.seen("web", Err("spec.x: is wrong".into()));
    world.run(1_000);
    assert_eq!(finalizers(&world, "web").len(), 2, "what cannot be understood changes nothing");
    world.policy("web", terms("web"));
    world.run(1_000);
    assert_eq!(finalizers(&world, "web"), [other]);
}

#[test]
fn what_cannot_be_restored_keeps_nobody_waiting() {
    let paused = || {
        let mut terms = restoring("web");
        terms.policy.mode = Mode::Paused;
        Ok(terms)
    };
    type Change = fn(&mut World);
    let cases: [(&str, i32, Change); 6] = [
        ("its target is gone", 8, |world| world.tell(0, Event::Target { key: key("web"), target: None })),
        ("its target is another of the same name", 8, |world| {
            let mut target = world.targets[&key("web")].clone();
            (target.uid, target.resource_version) = ("another".into(), "5000".into());
            world.tell(0, Event::Target { key: key("web"), target: Some(target) });
        }),
        ("the write is forbidden", 8, |world| {
            drop(world.faults.insert(key("web"), [Fault::Say(refused())].into()))
        }),
        ("another policy scales it", 8, |world| {
            world.asks.insert("other".into(), Ask::Value(400.0, 10));
            world.policy("other", terms("web"));
        }),
        ("it cannot be understood any more", 8, |world| world.seen("web", Err("spec.x: is wrong".into()))),
        ("an HPA scales it", 8, |world| {
            let target: TargetKey = key("web");
            world.tell(0, Event::HorizontalPodAutoscaler { name: name("hpa"), target: Some(target) });
        }),
    ];
    for (what, replicas, change) in cases {
        let mut world = raised();
        change(&mut world);
        world.delete("web");
        world.run(1_500);
        assert!(is_gone(&world, "web"), "{what}");
        assert_eq!(world.replicas("web"), replicas, "{what}");
    }
    let mut world = raised();
    world.seen("web", paused());
    world.run(1_000);
    world.delete("web");
    world.run(1_500);
    assert!(is_gone(&world, "web"), "it does not act");
    assert_eq!(world.replicas("web"), 8);
}

#[test]
fn what_meets_a_change_or_no_time_is_tried_again_until_the_deadline() {
    let busy = || Fault::Say(Outcome::Busy { retry_after_ms: None, message: "later".into() });
    let silent = || Fault::Silence;
    let conflict = || Fault::Say(Outcome::Conflict);
    let unanswered = || Fault::DoneBut(Outcome::Unanswered { retry_after_ms: None, message: "504".into() });
    for faults in [vec![busy(), busy()], vec![silent()], vec![conflict()], vec![unanswered()]] {
        let mut world = raised();
        world.faults.insert(key("web"), faults.clone().into());
        world.delete("web");
        world.run(25_000);
        assert_eq!(world.replicas("web"), 3, "{faults:?}");
        assert!(is_gone(&world, "web"), "{faults:?}");
    }
    let mut world = raised();
    world.faults.insert(key("web"), std::iter::repeat_with(busy).take(1_000).collect());
    world.delete("web");
    world.run(25_000);
    assert!(!is_gone(&world, "web"), "there is still hope");
    world.run(10_000);
    assert!(is_gone(&world, "web"), "but not for ever");
    assert_eq!(world.replicas("web"), 8);
}

#[test]
fn a_raise_that_was_busy_does_not_come_after_the_policy_was_deleted() {
    let mut world = raised();
    let busy = Fault::Say(Outcome::Busy { retry_after_ms: Some(1_000), message: "later".into() });
    world.faults.insert(key("web"), [busy].into());
    world.write_ms = 300;
    world.asks.insert("web".into(), Ask::Value(600.0, 10));
    let before = world.scales("web").len();
    while world.scales("web").len() == before {
        world.run(10);
    }
    world.delete("web");
    world.run(10_000);
    assert_eq!(world.replicas("web"), 3);
    assert!(is_gone(&world, "web"));
    assert_eq!(world.scales("web")[before..].iter().map(|(_, to)| *to).collect::<Vec<_>>(), [12, 3]);
}

#[test]
fn a_finalizer_that_may_not_be_changed_is_told_once_and_tried_seldom() {
    let mut world = World::new(Config::default());
    world.target("web", 3);
    world.asks.insert("web".into(), Ask::Value(400.0, 10));
    world.finalizer_faults = std::iter::repeat_with(refused).take(3).collect();
    world.policy("web", restoring("web"));
    world.run(100_000);
    let told = world.notes.iter().filter(|(_, note)| note.reason == "FailedUpdateFinalizer");
    assert_eq!(told.count(), 1);
    assert_eq!(world.finalizer_faults.len(), 1, "once a minute");
    assert_eq!(world.replicas("web"), 8, "it scales all the same");
    world.run(150_000);
    assert_eq!(finalizers(&world, "web"), [FINALIZER]);
}

#[test]
fn the_next_leader_restores_what_the_one_before_found() {
    let config = Config::default();
    let mut world = raised();
    world.fence(0, 0, None);
    world.delete("web");
    world.run(3_000);
    assert_eq!(world.replicas("web"), 8, "nobody leads");
    let next = world.join(config);
    world.fence(next, 0, Some(u64::MAX));
    world.run(3_000);
    assert_eq!(world.replicas("web"), 3);
    assert!(is_gone(&world, "web"));
}

#[test]
fn zero_that_switched_scaling_off_is_nothing_to_go_back_to() {
    let mut world = World::new(Config::default());
    world.target("web", 0);
    world.policy("web", restoring("web"));
    world.run(3_000);
    assert_eq!(world.status("web").original, None);
    world.target("web", 2);
    world.run(3_000);
    assert_eq!(world.status("web").original.as_ref().map(|original| original.replicas), Some(2));
}

#[test]
fn a_shadow_takes_nothing_over() {
    let mut world = World::new(Config::default());
    world.asks.insert("web".into(), Ask::Value(400.0, 10));
    world.target("web", 3);
    let mut shadow = restoring("web");
    shadow.policy.mode = Mode::Shadow;
    world.policy("web", shadow);
    world.run(3_000);
    assert_eq!(world.status("web").original, None);
    world.target("web", 5);
    world.policy("web", restoring("web"));
    world.run(3_000);
    assert_eq!(world.status("web").original.as_ref().map(|original| original.replicas), Some(5));
}
