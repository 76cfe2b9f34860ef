//! Leases and shards: who may write, and what goes from one leader to the next.

use std::collections::BTreeSet;

use autoscaler_core::{Fallback, FallbackBehavior, RateKind, RatePolicy, Rules};
use autoscaler_engine::Config;
use autoscaler_engine::effect::What;
use autoscaler_engine::shards::shard_of;
use proptest::prelude::*;

use crate::world::{Ask, World, name, terms};

/// Each status is written at once, so that nothing that matters to a test is older than an evaluation.
fn prompt() -> Config {
    Config { status_refresh_ms: 0, ..Config::default() }
}

#[test]
fn who_does_not_lead_asks_and_writes_nothing() {
    let mut w = World::of(vec![Config::default()]);
    w.target("web", 2);
    w.policy("web", terms("web"));
    w.asks.insert("web".into(), Ask::Value(400.0, 10));
    w.run(5_000);
    assert_eq!((w.queries, w.writes.len()), (0, 0));
    w.fence(0, 0, Some(20_000));
    w.run(1_200);
    assert_eq!(w.replicas("web"), 8);
}

#[test]
fn a_fence_that_closes_or_runs_out_stops_everything_at_once() {
    for by_word in [true, false] {
        let mut w = World::of(vec![Config::default()]);
        w.target("web", 2);
        w.policy("web", terms("web"));
        w.asks.insert("web".into(), Ask::Value(100.0, 10));
        w.fence(0, 0, Some(6_000));
        w.run(5_500);
        // The queries of an evaluation are under way when it closes.
        w.asks.insert("web".into(), Ask::Value(400.0, 700));
        let asked = w.queries;
        while w.queries == asked && w.now_ms < 6_000 {
            w.run(1);
        }
        if by_word {
            w.fence(0, 0, None);
        }
        let writes = w.writes.len();
        w.run(10_000);
        let after: Vec<_> = w.writes[writes..].iter().filter(|(at, ..)| by_word || *at >= 6_000).collect();
        assert!(after.is_empty(), "{after:?}");
        assert_eq!(w.replicas("web"), 2);
        w.fence(0, 0, Some(u64::MAX));
        w.run(1_800);
        assert_eq!(w.replicas("web"), 8);
    }
}

/// Load that goes up and down by a rule of thumb.
fn load(second: u64) -> f64 {
    [400.0, 380.0, 300.0, 520.0, 110.0, 60.0, 240.0][(second as usize * 5 / 3) % 7]
}

/// Raises are those of before, by rates and windows that go on; replicas fall to the same, and are never fewer than they
/// would be if nobody had changed.
#[test]
fn another_leader_goes_on_from_the_status() {
    let world = |config: Config| {
        let mut w = World::new(config);
        for i in 0..8 {
            w.target(&format!("t{i}"), 3);
            let mut terms = terms(&format!("t{i}"));
            let rules = |window, value, period| {
                let policy = RatePolicy { kind: RateKind::Pods, value, period_seconds: period };
                let stabilization_window_seconds = Some(window);
                Some(Rules { stabilization_window_seconds, policies: Some(vec![policy]), ..Rules::default() })
            };
            let behavior = terms.policy.behavior.as_mut().unwrap();
            behavior.scale_up = rules(i, 3, 5);
            behavior.scale_down = rules(4 + i, 2, 10);
            w.policy(&format!("p{i}"), terms);
        }
        w
    };
    let live = |w: &mut World, seconds: std::ops::Range<u64>, load: &dyn Fn(u64) -> f64| {
        for second in seconds {
            for i in 0..8 {
                w.asks.insert(format!("p{i}"), Ask::Value(load((second + i) / 6), 10));
            }
            w.run(1_000);
        }
    };
    for (after, rises) in [(950.0, true), (55.0, false)] {
        let (mut one, mut two) = (world(prompt()), world(prompt()));
        // It stands by, and knows what there is.
        let second = two.join(prompt());
        live(&mut one, 0..30, &load);
        live(&mut two, 0..30, &load);
        two.fence(0, 0, None);
        two.fence(second, 0, Some(u64::MAX));
        for w in [&mut one, &mut two] {
            live(w, 30..110, &|_| after);
        }
        let mut decided = 0;
        for i in 0..8 {
            let of = |w: &World| -> Vec<(u64, i32)> { w.scales(&format!("t{i}")) };
            let (a, b) = (of(&one), of(&two));
            let at = |scales: &[(u64, i32)], ms: u64| -> i32 {
                scales.iter().rev().find(|(since, _)| *since <= ms).map_or(3, |(_, to)| *to)
            };
            assert_eq!(at(&a, u64::MAX), at(&b, u64::MAX), "t{i} {rises}");
            if rises {
                // The same raises; a write of which no status tells begins the window anew.
                let late_ms =
                    |(a, b): (&(u64, i32), &(u64, i32))| b.0.checked_sub(a.0).filter(|_| a.1 == b.1);
                let late = a.iter().zip(&b).map(late_ms);
                assert_eq!(a.len(), b.len(), "t{i}: {a:?} {b:?}");
                assert!(late.into_iter().all(|ms| ms.is_some_and(|ms| ms <= i * 1_000)), "t{i}: {a:?} {b:?}");
            } else {
                let times = a.iter().chain(&b).map(|(at, _)| *at).filter(|at| *at > 30_000);
                assert!(times.into_iter().all(|ms| at(&b, ms) >= at(&a, ms)), "t{i}: {a:?} {b:?}");
            }
            decided += a.iter().filter(|(at, _)| *at > 30_000).count();
        }
        assert!(decided > 16, "there was something to decide: {decided}");
        assert!(two.writes.iter().filter(|(at, ..)| *at > 30_000).all(|(_, process, _)| *process == second));
        for i in 0..8 {
            let (a, b) = (one.status(&format!("p{i}")), two.status(&format!("p{i}")));
            assert_eq!(a.desired_replicas, b.desired_replicas);
            let told = |s: &autoscaler_api::ScalingPolicyStatus| -> Vec<i32> {
                s.last_scales.iter().take(3).map(|d| d.to).collect()
            };
            assert!(!rises || told(a) == told(b), "{:?} {:?}", told(a), told(b));
        }
    }
}

/// Replicas fall by at most one in half an hour, whoever leads.
#[test]
fn a_leader_change_forgets_no_rate_even_of_a_write_that_no_status_tells() {
    for told in [true, false] {
        let mut w = World::new(Config::default());
        w.target("web", 10);
        let mut slow = terms("web");
        let down = slow.policy.behavior.as_mut().unwrap().scale_down.as_mut().unwrap();
        down.policies = Some(vec![RatePolicy { kind: RateKind::Pods, value: 1, period_seconds: 1_800 }]);
        w.policy("web", slow);
        w.asks.insert("web".into(), Ask::Value(450.0, 10));
        w.run(2_000);
        w.asks.insert("web".into(), Ask::Value(50.0, 10));
        while w.replicas("web") == 10 {
            w.run(1);
        }
        if told {
            w.run(3_000);
        }
        // The leader dies: of what it did last, no status tells.
        let second = w.join(Config::default());
        w.fence(0, 0, None);
        w.run(8_000);
        w.fence(second, 0, Some(u64::MAX));
        w.run(600_000);
        assert_eq!(w.replicas("web"), 9, "told: {told}");
        w.run(1_300_000);
        assert_eq!(w.replicas("web"), 8, "told: {told}");
    }
}

#[test]
fn a_leader_change_does_not_start_a_fallback_s_clock_anew() {
    let mut w = World::new(Config::default());
    w.target("web", 2);
    let mut terms = terms("web");
    terms.policy.metrics[0].fallback =
        Some(Fallback { after_ms: 180_000, replicas: 12, behavior: FallbackBehavior::IfHigher });
    w.policy("web", terms);
    w.run(5_000);
    w.asks.insert("web".into(), Ask::Stale(100.0));
    let began_ms = w.now_ms;
    for _ in 0..9 {
        w.run(18_000);
        let next = w.join(Config::default());
        w.fence(next - 1, 0, None);
        w.run(1_000);
        w.fence(next, 0, Some(u64::MAX));
    }
    assert_eq!(w.replicas("web"), 2);
    w.run(12_000);
    assert_eq!(w.replicas("web"), 12, "{} ms after it began", w.now_ms - began_ms);
}

#[test]
fn after_a_time_that_nobody_watched_nothing_is_lowered_for_a_window() {
    let mut w = World::new(Config::default());
    w.target("web", 8);
    let mut terms = terms("web");
    let down = terms.policy.behavior.as_mut().unwrap().scale_down.as_mut().unwrap();
    down.stabilization_window_seconds = Some(60);
    w.policy("web", terms);
    w.asks.insert("web".into(), Ask::Value(400.0, 10));
    w.run(5_000);
    w.fence(0, 0, None);
    w.run(120_000);
    w.asks.insert("web".into(), Ask::Value(100.0, 10));
    w.fence(0, 0, Some(u64::MAX));
    w.run(59_000);
    assert_eq!(w.replicas("web"), 8);
    w.run(5_000);
    assert_eq!(w.replicas("web"), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Leases of four shards move between three processes as they like, with gaps: of one policy only its shard's
    /// holder ever writes, and within its lease; and after the moves every policy is where its load wants it.
    #[test]
    fn of_several_processes_only_the_holder_of_a_policy_s_shard_writes(
        moves in prop::collection::vec((0_u16..4, 0_usize..3, 100_u64..3_000, prop::bool::ANY), 1..40),
    ) {
        let config = Config { shards: 4, ..Config::default() };
        let mut w = World::of(vec![config.clone(), config.clone(), config]);
        for i in 0..12 {
            w.target(&format!("t{i}"), 2);
            w.policy(&format!("p{i}"), terms(&format!("t{i}")));
        }
        // By shard: who holds it since when, and until when.
        let mut held: Vec<Vec<(u64, u64, usize)>> = vec![Vec::new(); 4];
        for (n, (shard, to, after_ms, by_word)) in moves.into_iter().enumerate() {
            for i in 0..12 {
                w.asks.insert(format!("p{i}"), Ask::Value(load(n as u64 + i), 10));
            }
            w.run(after_ms);
            let (now, leases) = (w.now_ms, &mut held[usize::from(shard)]);
            match leases.last_mut() {
                // Nobody takes what another holds.
                Some((_, until, of)) if *until > now => {
                    if !by_word {
                        continue;
                    }
                    let of = *of;
                    *until = now;
                    w.fence(of, shard, None);
                }
                _ => {}
            }
            held[usize::from(shard)].push((w.now_ms, w.now_ms + 4_000, to));
            w.fence(to, shard, Some(w.now_ms + 4_000));
        }
        for (at, process, write) in &w.writes {
            let policy = match &write.what {
                What::Scale(s) => &s.policy,
                What::Status(s) => &s.policy,
                What::Event(note) => &note.policy,
                What::Ring(_) | What::Finalizers(_) => continue,
            };
            let shard = shard_of(&format!("uid-{}", policy.name), 4);
            let holds = |(from, until, of): &(u64, u64, usize)| of == process && (*from..=*until).contains(at);
            prop_assert!(held[usize::from(shard)].iter().any(holds), "{at}: {process} wrote for {policy:?}");
        }
        w.run(10_000);
        for shard in 0..4 {
            w.fence(usize::from(shard) % 3, shard, Some(u64::MAX));
        }
        for i in 0..12 {
            w.asks.insert(format!("p{i}"), Ask::Value(350.0, 10));
        }
        w.run(5_000);
        let replicas: BTreeSet<i32> = (0..12).map(|i| w.replicas(&format!("t{i}"))).collect();
        prop_assert_eq!(replicas, BTreeSet::from([7]));
        prop_assert!(w.policies.keys().all(|p| w.condition(&p.name, "AbleToScale").starts_with("True")));
        prop_assert!(w.policies.contains_key(&name("p0")));
    }
}
