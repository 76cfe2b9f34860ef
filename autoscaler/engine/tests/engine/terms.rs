//! Schedules, pauses, zero and formulas, from what a spec means to the writes.

use autoscaler_core::{Formula, FormulaSpec, InForce, Pause, Target, Zero};
use autoscaler_engine::Config;
use autoscaler_engine::objects::{Question, Scheduled, Terms};
use autoscaler_schedule::Schedule;

use crate::world::{Ask, World, metric, terms};

fn world(change: impl FnOnce(&mut Terms)) -> World {
    let mut world = World::new(Config::default());
    world.target("web", 2);
    let mut terms = terms("web");
    change(&mut terms);
    world.policy("web", terms);
    world
}

fn ask(world: &mut World, value: f64) {
    world.asks.insert("web".into(), Ask::Value(value, 10));
}

fn all_replay(world: &World) {
    assert!(!world.records.is_empty());
    for record in world.records.values() {
        assert!(autoscaler_core::replay(record.as_bytes()).unwrap().identical, "{record}");
    }
}

#[test]
fn a_schedule_begins_and_ends_by_the_wall_clock() {
    // The world begins at 8:00 on a Friday, in UTC.
    let mut w = world(|terms| {
        terms.schedules = vec![Scheduled {
            schedule: Schedule::parse("1 9 * * 5", "3 9 * * *", "Europe/Berlin").unwrap(),
            bounds: InForce { name: "rush".into(), min_replicas: Some(7), max_replicas: None },
        }];
    });
    ask(&mut w, 100.0);
    w.run(59_000);
    assert_eq!(w.scales("web"), [], "not yet");
    w.run(3_000);
    assert_eq!(w.replicas("web"), 7);
    assert!(w.condition("web", "ScalingLimited").starts_with("True TooFewReplicas"));
    w.run(110_000);
    assert_eq!(w.replicas("web"), 7);
    w.run(20_000);
    assert_eq!(w.replicas("web"), 2, "by the usual rules, once it is over");
    assert_eq!(w.scales("web").len(), 2);
    all_replay(&w);
}

#[test]
fn a_policy_is_parked_at_zero_and_comes_back_under_another_leader() {
    let mut w = world(|terms| terms.policy.pause = Pause { replicas: Some(0), ..Pause::default() });
    ask(&mut w, 200.0);
    w.run(8_000);
    assert_eq!(w.replicas("web"), 0);
    w.fence(0, 0, None);
    w.run(2_000);
    let second = w.join(Config::default());
    w.fence(second, 0, Some(u64::MAX));
    w.run(3_000);
    assert_eq!(w.replicas("web"), 0);
    w.policy("web", terms("web"));
    w.run(3_000);
    assert_eq!(w.replicas("web"), 4, "it was not switched off by hand");
}

#[test]
fn the_last_replica_goes_when_idle_and_comes_back_at_once() {
    let mut w = world(|terms| {
        terms.policy.min_replicas = 0;
        terms.policy.zero = Some(Zero { cooldown_ms: 20_000, not_before_ms: None });
    });
    ask(&mut w, 0.0);
    w.run(15_000);
    assert_eq!(w.replicas("web"), 1);
    w.run(15_000);
    assert_eq!(w.replicas("web"), 0);
    w.asks.insert("web".into(), Ask::Stale(120.0));
    w.run(4_000);
    let raised: Vec<i32> = w.scales("web").iter().map(|(_, to)| *to).skip(2).collect();
    assert_eq!(
        raised,
        [1, 3],
        "doubted, and all the same; a rate in percent has nothing to count from at zero"
    );
    all_replay(&w);
}

#[test]
fn a_formula_is_in_the_status_beside_its_metrics() {
    let mut w = world(|terms| {
        let silent = |name| autoscaler_core::MetricSpec { target: Target::None, ..metric(name) };
        terms.policy.metrics = vec![silent("requests"), silent("queue")];
        terms.questions = vec![Question { weight: 1, ..Question::default() }; 2];
        terms.policy.formula = Some(FormulaSpec {
            expression: Formula::compile("requests + queue / 2").unwrap(),
            target: Target::AverageValue { average_value_milli: 50_000 },
            activation_milli: 0,
        });
    });
    ask(&mut w, 200.0);
    w.run(10_000);
    assert_eq!(w.replicas("web"), 6);
    let status = w.status("web");
    let formula = status.formula.as_ref().unwrap();
    assert_eq!(
        (formula.value.as_deref(), formula.proposal, formula.sufficient),
        (Some("300"), Some(6), true)
    );
    assert_eq!(status.metrics.len(), 2);
    assert!(status.metrics.iter().all(|metric| metric.proposal.is_none()));
    w.asks.insert("web".into(), Ask::Stale(50.0));
    w.run(10_000);
    assert_eq!(w.replicas("web"), 6);
    let formula = w.status("web").formula.clone().unwrap();
    let words = formula.message.unwrap();
    assert!(words.contains("the evidence of requests is insufficient"), "{words}");
    all_replay(&w);
}
