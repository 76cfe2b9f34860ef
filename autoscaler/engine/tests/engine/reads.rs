//! Targets that no watch tells: read within the budget, one at a time, and until it works.

use autoscaler_engine::{Config, Event, Outcome};

use crate::world::{Ask, Fault, World, key, name, terms};

/// A target of a kind whose scale only the API server knows.
fn world() -> World {
    let mut world = World::new(Config::default());
    world.only_read.insert(key("web"));
    world.target("web", 2);
    world.asks.insert("web".into(), Ask::Value(100.0, 10));
    world.policy("web", terms("web"));
    world
}

fn fails(world: &mut World, fails: bool) {
    if fails {
        world.read_fails.insert(key("web"), "the server is unavailable".into());
    } else {
        world.read_fails.clear();
    }
}

#[test]
fn a_target_that_could_not_be_read_once_is_read_again() {
    let mut w = world();
    fails(&mut w, true);
    w.run(6_000);
    let said = w.condition("web", "AbleToScale");
    assert!(said.starts_with("False FailedGetScale") && said.contains("the server is unavailable"), "{said}");
    fails(&mut w, false);
    w.run(8_000);
    assert!(w.condition("web", "AbleToScale").starts_with("True"), "{}", w.condition("web", "AbleToScale"));
    assert_eq!(w.status("web").current_replicas, Some(2));
}

#[test]
fn a_change_that_could_not_be_read_at_first_is_known_soon_after() {
    let mut w = world();
    w.run(2_000);
    fails(&mut w, true);
    w.asks.insert("web".into(), Ask::Value(450.0, 10));
    w.target("web", 9);
    w.run(3_000);
    assert_eq!(
        (w.scales("web"), w.replicas("web")),
        (vec![], 9),
        "nothing is written over what was not seen"
    );
    fails(&mut w, false);
    w.run(8_000);
    assert_eq!(w.status("web").current_replicas, Some(9));
}

#[test]
fn a_target_that_cannot_be_read_is_tried_later_and_later_and_by_one_at_a_time() {
    let mut w = world();
    w.run(2_000);
    let before = w.reads.len();
    // Each try ends by its deadline, long after the write that met another version wanted it read.
    fails(&mut w, true);
    w.read_ms = 5_000;
    w.faults.insert(key("web"), (0..999).map(|_| Fault::Say(Outcome::Conflict)).collect());
    w.asks.insert("web".into(), Ask::Value(400.0, 10));
    w.target("web", 3);
    w.run(120_000);
    let times: Vec<u64> = w.reads[before..].iter().map(|(at, _)| *at).collect();
    assert!(times.windows(2).all(|t| t[1] - t[0] >= 5_000), "two at once: {times:?}");
    assert!((4..=15).contains(&times.len()), "{times:?}");
}

#[test]
fn a_target_that_nobody_follows_any_more_is_not_read() {
    let mut w = world();
    fails(&mut w, true);
    w.run(5_000);
    w.gone("web");
    let before = w.reads.len();
    w.run(60_000);
    assert!(w.reads.len() <= before + 1, "{:?}", w.reads);
    assert_eq!(w.processes[0].engine.next_wake_ms().filter(|at| *at <= w.now_ms), None);
}

#[test]
fn a_read_that_never_ends_is_given_up() {
    let mut w = world();
    w.read_ms = 1_000_000;
    w.run(5_000);
    w.read_ms = 2;
    w.run(30_000);
    assert_eq!(w.status("web").current_replicas, Some(2));
    // Its answer comes after all.
    w.tell(0, Event::Read { read: 1, target: Err("late".into()) });
    assert!(w.condition("web", "AbleToScale").starts_with("True"));
}

#[test]
fn a_change_that_is_known_already_is_not_read() {
    let mut w = world();
    w.run(2_000);
    let before = w.reads.len();
    let target = w.targets[&key("web")].clone();
    w.broadcast(&key("web"), Some(target));
    w.run(100);
    assert_eq!(w.reads.len(), before);
    w.asks.insert("web".into(), Ask::Value(400.0, 10));
    w.run(2_000);
    assert_eq!((w.replicas("web"), w.scales("web").len()), (8, 1));
    assert_eq!(w.reads.len(), before + 1, "what our own write left open");
    let evaluated = w.evaluated.iter().filter(|(_, e)| e.policy == name("web")).count();
    assert!(evaluated > 2);
}

#[test]
fn a_thousand_targets_that_cannot_be_read_keep_no_replicas_from_rising() {
    let mut w = World::new(Config::default());
    for n in 0..1_000 {
        let target = format!("t{n}");
        w.only_read.insert(key(&target));
        w.read_fails.insert(key(&target), "no".into());
        w.target(&target, 1);
        w.policy(&format!("p{n}"), terms(&target));
    }
    w.target("web", 1);
    w.policy("web", terms("web"));
    w.run(10_000);
    w.asks.insert("web".into(), Ask::Value(400.0, 10));
    w.run(1_100);
    assert_eq!(w.replicas("web"), 8);
    let budget = 200 + 100 * w.now_ms / 1_000;
    assert!(w.reads.len() as u64 <= budget, "{} reads", w.reads.len());
}
