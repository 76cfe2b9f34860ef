//! One that is slow, greedy or wrong takes nothing that another has.

use autoscaler_engine::effect::Evaluated;
use autoscaler_engine::objects::{Question, Terms};
use autoscaler_engine::{Config, Outcome, pool, writer};

use crate::world::{Ask, Fault, World, key, metric, name, terms};

/// Few slots, so that there is something to fight for.
fn tight() -> Config {
    Config { pool: pool::Limits { slots: 16, slots_per_policy: 4, waiting_max: 10_000 }, ..Config::default() }
}

/// So many policies that are answered within 10 ms.
fn crowd(world: &mut World, n: u32) {
    for i in 0..n {
        world.target(&format!("t{i}"), 1);
        world.policy(&format!("p{i}"), terms(&format!("t{i}")));
    }
}

/// With so many queries a tick.
fn huge(target: &str, queries: usize) -> Terms {
    let mut terms = terms(target);
    terms.policy.metrics = (0..queries).map(|i| metric(&format!("m{i}"))).collect();
    terms.questions = vec![Question { weight: 1, ..Question::default() }; queries];
    terms
}

/// How often each of the crowd was evaluated with a value in the seconds from `from` to `to`.
fn assert_nobody_missed_a_tick(world: &World, n: u32, from: u64, to: u64) {
    for i in 0..n {
        let policy = name(&format!("p{i}"));
        let mine =
            |(at, e): &&(u64, Evaluated)| e.policy == policy && (from * 1_000..to * 1_000).contains(at);
        let evaluated: Vec<_> = world.evaluated.iter().filter(mine).collect();
        let good = evaluated.iter().filter(|(_, e)| e.decided.as_ref().is_some_and(|d| d.sufficient)).count();
        assert!(good as u64 >= to - from, "{policy:?}: {good} of {} in {}s", evaluated.len(), to - from);
        assert!(evaluated.iter().all(|(_, e)| e.took_ms < 1_000), "{policy:?} waited");
    }
}

#[test]
fn one_whose_queries_hang_costs_nobody_a_tick() {
    let mut w = World::new(tight());
    crowd(&mut w, 300);
    w.target("slow", 1);
    w.policy("slow", huge("slow", 32));
    w.asks.insert("slow".into(), Ask::Hang);
    w.run(20_000);
    assert_nobody_missed_a_tick(&w, 300, 2, 19);
    assert!(w.condition("slow", "EvidenceSufficient").starts_with("False"));
}

#[test]
fn one_that_floods_costs_nobody_a_tick_and_is_told_so() {
    let config = Config { max_queries_per_policy: 3_000, ..tight() };
    let mut w = World::new(config);
    crowd(&mut w, 200);
    w.target("flood", 1);
    let mut flood = huge("flood", 2_080);
    flood.interval_ms = 100;
    w.policy("flood", flood);
    w.run(10_000);
    assert_nobody_missed_a_tick(&w, 200, 2, 9);
    let said = w.condition("flood", "EvidenceSufficient");
    assert!(said.contains("not its turn within the interval: the policy's own"), "{said}");
}

#[test]
fn one_that_is_heavy_costs_nobody_a_tick() {
    let mut w = World::new(tight());
    crowd(&mut w, 200);
    w.target("heavy", 1);
    let mut heavy = huge("heavy", 8);
    heavy.questions.iter_mut().for_each(|q| q.weight = 100);
    w.policy("heavy", heavy);
    w.asks.insert("heavy".into(), Ask::Value(50.0, 400));
    w.run(12_000);
    assert_nobody_missed_a_tick(&w, 200, 2, 11);
}

#[test]
fn a_hundred_that_hang_cost_the_others_nothing_once_they_are_known() {
    let mut w = World::new(tight());
    for i in 0..100 {
        w.target(&format!("s{i}"), 1);
        w.policy(&format!("slow{i}"), terms(&format!("s{i}")));
        w.asks.insert(format!("slow{i}"), Ask::Hang);
    }
    w.run(30_000);
    crowd(&mut w, 200);
    w.run(15_000);
    assert_nobody_missed_a_tick(&w, 200, 32, 44);
}

#[test]
fn a_querier_that_hangs_harms_no_policy_of_another() {
    let mut w = World::new(tight());
    for i in 0..100 {
        let mut elsewhere = terms(&format!("s{i}"));
        elsewhere.questions[0].source = "https://elsewhere".into();
        w.target(&format!("s{i}"), 1);
        w.policy(&format!("slow{i}"), elsewhere);
        w.asks.insert(format!("slow{i}"), Ask::Hang);
    }
    crowd(&mut w, 200);
    w.run(12_000);
    assert_nobody_missed_a_tick(&w, 200, 2, 11);
}

#[test]
fn a_busy_server_and_many_statuses_keep_no_replicas_from_rising_for_long() {
    let mut w = World::new(Config {
        writer: writer::Limits { per_second: 50, burst: 50, in_flight: 8, events_max: 100 },
        ..tight()
    });
    crowd(&mut w, 300);
    w.run(5_000);
    w.target("web", 1);
    w.policy("web", terms("web"));
    w.asks.insert("web".into(), Ask::Value(400.0, 10));
    let busy = Outcome::Busy { retry_after_ms: None, message: "later".into() };
    w.faults.insert(key("web"), [Fault::Say(busy)].into());
    w.run(1_500);
    assert_eq!(w.replicas("web"), 8);
    let written = w.writes.len() as u64;
    assert!(written <= 50 + w.now_ms / 1_000 * 50 + 50, "{written} writes in {} ms", w.now_ms);
}

#[test]
fn a_429_for_one_object_stops_no_write_of_another() {
    let mut w = World::new(tight());
    for policy in ["bad", "web"] {
        w.target(policy, 1);
        w.policy(policy, terms(policy));
    }
    w.run(2_000);
    w.asks.insert("bad".into(), Ask::Value(400.0, 10));
    let busy = || Outcome::Busy { retry_after_ms: Some(30_000), message: "quota".into() };
    w.faults.insert(key("bad"), (0..99).map(|_| Fault::Say(busy())).collect());
    w.run(1_500);
    assert_eq!(w.scales("bad").len(), 1);
    w.asks.insert("web".into(), Ask::Value(400.0, 10));
    w.run(1_100);
    assert_eq!(w.replicas("web"), 8);
    w.run(20_000);
    assert_eq!(w.scales("bad").len(), 1, "left alone for as long as it was asked");
}

#[test]
fn a_policy_beyond_the_limits_is_told_so_and_followed_at_them_or_not_at_all() {
    let mut w = World::new(Config { min_interval_ms: 2_000, max_queries_per_policy: 2, ..Config::default() });
    w.target("quick", 1);
    w.target("many", 1);
    w.policy("quick", terms("quick"));
    w.policy("many", huge("many", 3));
    w.run(10_100);
    let quick = w.evaluated.iter().filter(|(_, e)| e.policy == name("quick")).count();
    assert!((5..=6).contains(&quick), "{quick}");
    let said = w.condition("quick", "WithinLimits");
    assert!(said.starts_with("False IntervalTooShort") && said.contains("--min-interval"), "{said}");
    let said = w.condition("many", "ScalingActive");
    assert!(said.starts_with("False TooManyQueries") && said.contains("3 queries"), "{said}");
    assert_eq!(w.queries, quick as u64, "none for the other");
    let mut fine = terms("quick");
    fine.interval_ms = 2_000;
    w.policy("quick", fine);
    w.run(2_500);
    assert_eq!(w.condition("quick", "WithinLimits"), "", "it keeps within them now");
}

#[test]
fn a_cluster_whose_api_server_is_away_keeps_no_other_from_scaling() {
    let mut w = World::new(tight());
    w.target("web", 1);
    w.policy("web", terms("web"));
    w.listed(0, 1);
    w.tell(0, autoscaler_engine::Event::Fence { cluster: 1, shard: 0, valid_until_ms: Some(u64::MAX) });
    for i in 0..100 {
        let mut seen = w.policies[&name("web")].clone();
        (seen.name.cluster, seen.name.name, seen.uid) = (1, format!("w{i}"), format!("west-{i}"));
        w.tell(0, autoscaler_engine::Event::Policy(Box::new(seen)));
        let mut target = key("web");
        target.cluster = 1;
        let seen = w.targets[&key("web")].clone();
        w.tell(0, autoscaler_engine::Event::Target { key: target.clone(), target: Some(seen) });
        w.faults.insert(target, (0..1_000).map(|_| Fault::Silence).collect());
        w.asks.insert(format!("w{i}"), Ask::Value(400.0, 10));
    }
    w.asks.insert("web".into(), Ask::Value(400.0, 10));
    w.run(1_500);
    assert_eq!(w.replicas("web"), 8);
}
