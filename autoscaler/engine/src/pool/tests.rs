use proptest::prelude::*;

use super::*;

fn pool(slots: u32, slots_per_policy: u32) -> Pool {
    Pool::new(Limits { slots, slots_per_policy, waiting_max: 10_000 })
}

fn started(pool: &mut Pool) -> Vec<u64> {
    std::iter::from_fn(|| pool.start()).collect()
}

#[test]
fn policies_take_turns_and_none_has_more_than_its_own_slots() {
    let mut pool = pool(6, 4);
    for id in 0..32 {
        assert!(pool.push("", 1, id, 1), "a flood");
    }
    assert!(pool.push("", 2, 100, 1) && pool.push("", 3, 200, 1) && pool.push("", 2, 101, 1));
    assert_eq!(started(&mut pool), [0, 100, 200, 1, 101, 2]);
    assert!(pool.done(100, Ended::Answered) && pool.done(0, Ended::Answered));
    assert_eq!(started(&mut pool), [3, 4], "nobody else waits");
    assert!(pool.done(200, Ended::Answered));
    assert_eq!(started(&mut pool), [0; 0], "four of its own are under way");
}

#[test]
fn what_is_heavy_takes_several_slots_but_never_more_than_a_policy_has() {
    let mut pool = pool(6, 4);
    assert!(pool.push("", 1, 1, 1_000) && pool.push("", 1, 2, 1) && pool.push("", 2, 3, 2));
    assert_eq!(started(&mut pool), [1, 3]);
    assert!(pool.push("", 3, 4, 1));
    assert_eq!(started(&mut pool), [0; 0], "six of six");
    assert!(pool.done(3, Ended::Answered));
    assert_eq!(started(&mut pool), [4]);
}

#[test]
fn queriers_share_no_slots() {
    let mut pool = pool(2, 2);
    for id in 0..4 {
        assert!(pool.push("slow", 1, id, 1));
    }
    assert_eq!(started(&mut pool), [0, 1]);
    assert!(pool.push("", 2, 10, 1));
    assert_eq!(started(&mut pool), [10]);
}

#[test]
fn who_times_out_has_one_slot_until_it_is_answered() {
    let mut pool = pool(8, 4);
    for id in 0..8 {
        assert!(pool.push("", 1, id, 1));
    }
    assert_eq!(started(&mut pool), [0, 1, 2, 3]);
    for id in 0..4 {
        assert!(pool.done(id, Ended::TimedOut));
    }
    assert_eq!(started(&mut pool), [4]);
    assert!(pool.done(4, Ended::Answered));
    assert_eq!(started(&mut pool), [5, 6, 7]);
}

#[test]
fn a_hundred_that_hang_leave_half_of_the_slots_to_the_others() {
    let mut pool = pool(8, 4);
    for owner in 0..100 {
        assert!(pool.push("", owner, u64::from(owner), 1));
        while let Some(id) = pool.start() {
            assert!(pool.done(id, Ended::TimedOut));
        }
    }
    for owner in 0..100 {
        assert!(pool.push("", owner, 1_000 + u64::from(owner), 1));
    }
    assert_eq!(started(&mut pool).len(), 4);
    for owner in 200..210 {
        assert!(pool.push("", owner, 2_000 + u64::from(owner), 1));
    }
    assert_eq!(started(&mut pool), [2_200, 2_201, 2_202, 2_203]);
    // And a well-behaved crowd leaves them one.
    for id in 1_000..1_004 {
        assert!(pool.done(id, Ended::TimedOut));
    }
    assert_eq!(started(&mut pool)[0], 1_004, "a suspect's turn comes too");
}

#[test]
fn what_waits_is_bounded_and_can_be_taken_back() {
    let mut pool = Pool::new(Limits { slots: 1, slots_per_policy: 1, waiting_max: 2 });
    assert!(pool.push("", 1, 1, 1));
    assert_eq!(started(&mut pool), [1]);
    assert!(pool.push("", 1, 2, 1) && pool.push("", 2, 3, 1));
    assert!(!pool.push("", 3, 4, 1), "two wait");
    assert_eq!(pool.drop_waiting(2), [(3, Hold::Querier)]);
    assert!(pool.push("", 3, 4, 1));
    assert_eq!(pool.load(), (2, 1));
    assert_eq!(pool.remove(1), (vec![1], vec![2]));
    assert_eq!(started(&mut pool), [4]);
    assert!(!pool.done(1, Ended::Answered), "gone");
}

proptest! {
    /// Whatever is asked, answered and taken back: no budget is exceeded, and at the end nothing is left.
    #[test]
    fn budgets_hold_and_nothing_is_lost(
        slots in 1_u32..6, own in 1_u32..4,
        steps in prop::collection::vec((0_u8..6, 0_u32..5, 1_u32..4, 0_usize..8), 1..200),
    ) {
        let mut pool = pool(slots, own);
        let mut under_way: Vec<(u64, u32)> = Vec::new();
        let mut weights = BTreeMap::new();
        for (n, (what, owner, weight, pick)) in steps.into_iter().enumerate() {
            match what {
                0..=2 => {
                    let weight = weight.min(own).min(slots);
                    weights.insert(n as u64, (owner, weight));
                    prop_assert!(pool.push(["", "b"][(owner % 2) as usize], owner, n as u64, weight));
                }
                3 if !under_way.is_empty() => {
                    let (id, _) = under_way.swap_remove(pick % under_way.len());
                    let ended = if pick < 3 { Ended::TimedOut } else { Ended::Answered };
                    prop_assert!(pool.done(id, ended));
                }
                4 => drop(pool.drop_waiting(owner)),
                _ => {
                    pool.remove(owner);
                    under_way.retain(|(_, o)| *o != owner);
                }
            }
            while let Some(id) = pool.start() {
                under_way.push((id, weights[&id].0));
            }
            for querier in 0..2 {
                let used = |o: &dyn Fn(u32) -> bool| -> u32 {
                    under_way.iter().filter(|(_, owner)| o(*owner)).map(|(id, _)| weights[id].1).sum()
                };
                prop_assert!(used(&|o| o % 2 == querier) <= slots);
                for owner in 0..5 {
                    prop_assert!(used(&|o| o == owner) <= own);
                }
            }
            prop_assert_eq!(pool.load().1, under_way.len());
        }
        // Everything still waiting gets its turn.
        let mut rounds = 0;
        while pool.load() != (0, 0) {
            while let Some(id) = pool.start() {
                under_way.push((id, 0));
            }
            for (id, _) in under_way.drain(..) {
                prop_assert!(pool.done(id, Ended::Answered));
            }
            rounds += 1;
            prop_assert!(rounds < 500, "stuck: {:?}", pool);
        }
    }
}

#[test]
fn who_has_many_queriers_has_twice_its_slots_and_no_more() {
    let mut pool = pool(64, 2);
    let names: Vec<String> = (0..32).map(|n| format!("tenant-{n}")).collect();
    for (id, name) in (0..).zip(&names) {
        assert!(pool.push(name, 1, id, 1));
    }
    assert!(pool.push("tenant-0", 2, 100, 1));
    let mut first = started(&mut pool);
    assert_eq!(first.len(), 5, "four of the one, and the other's: {first:?}");
    first.retain(|id| *id != 100);
    // Whatever ends anywhere makes room for what waits elsewhere, until all were asked.
    let mut all = first.clone();
    while let Some(id) = first.pop() {
        assert!(pool.done(id, Ended::Answered));
        let next = started(&mut pool);
        all.extend(&next);
        first.extend(next);
    }
    all.sort_unstable();
    assert_eq!(all, (0..32).collect::<Vec<u64>>());
    assert!(pool.done(100, Ended::Answered));
    assert_eq!(pool.load(), (0, 0));
    assert!(pool.in_all.is_empty(), "{:?}", pool.in_all);
}
