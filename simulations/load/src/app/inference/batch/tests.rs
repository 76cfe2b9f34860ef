use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, Exp1};

use super::*;

fn work(prompt_tokens: u32, output_tokens: u32) -> Work {
    Work { prompt_tokens, output_tokens }
}

fn room(slots: usize, kv_tokens: u64) -> Room {
    Room { slots, kv_tokens, waiting: 1000 }
}

fn counts(batch: &Batch) -> (usize, usize) {
    (batch.load().running, batch.load().waiting)
}

#[test]
fn slots_bound_what_runs_and_who_comes_first_is_first() {
    let mut batch = Batch::new(room(2, 1000));
    assert_eq!(batch.admit(), None, "nothing to do");
    for output in [2, 3, 1] {
        batch.submit(work(10, output)).unwrap();
    }
    assert_eq!(counts(&batch), (0, 3));
    assert_eq!(batch.admit(), Some(Step { sequences: 2, prefilled: 20 }));
    assert_eq!((counts(&batch), batch.load().kv_usage), ((2, 1), 0.02));
    assert_eq!(batch.advance(), Vec::<u64>::new());
    assert_eq!(batch.advance(), [0], "a slot is free");
    assert_eq!(batch.admit(), Some(Step { sequences: 2, prefilled: 10 }));
    assert_eq!(batch.advance(), [1, 2]);
    assert_eq!(batch.admit(), None);
    let load = batch.load();
    assert_eq!((load.finished, load.generated_tokens, load.prompt_tokens), (3, 6, 30));
    assert_eq!(load.kv_usage, 0.0);
}

#[test]
fn the_cache_bounds_what_runs_and_the_last_starts_over_where_it_fills() {
    let mut batch = Batch::new(room(8, 24));
    for _ in 0..3 {
        batch.submit(work(8, 6)).unwrap();
    }
    assert_eq!(batch.admit().map(|s| s.sequences), Some(2), "a third prompt does not fit");
    for _ in 0..4 {
        batch.advance();
        batch.admit();
    }
    // Two of 12 tokens: the cache is full.
    assert_eq!((counts(&batch), batch.load().preemptions), ((2, 1), 0));
    assert!(batch.load().kv_usage > 0.9);
    batch.advance();
    assert_eq!((counts(&batch), batch.load().preemptions), ((1, 2), 1));
    assert_eq!(batch.advance(), [0]);
    assert_eq!(
        batch.admit(),
        Some(Step { sequences: 2, prefilled: 20 }),
        "what it had made is read again, first"
    );
    assert_eq!(batch.submit(work(20, 6)), Err(Rejected::TooLong));
}

#[test]
fn a_full_queue_refuses_and_who_leaves_makes_room() {
    let mut batch = Batch::new(Room { slots: 1, kv_tokens: 100, waiting: 2 });
    let first = batch.submit(work(1, 9)).unwrap();
    batch.admit();
    let second = batch.submit(work(1, 9)).unwrap();
    batch.submit(work(1, 9)).unwrap();
    assert_eq!(batch.submit(work(1, 9)), Err(Rejected::Full));
    batch.cancel(second);
    batch.cancel(first);
    assert_eq!(counts(&batch), (0, 1));
    assert_eq!(batch.admit().map(|s| s.sequences), Some(1));
}

/// Steps of one length, arrivals at random: what is seen on average is the arrival rate times the time that a request
/// takes, and what is finished is no more than slots and steps allow.
#[test]
fn littles_law_holds_of_what_the_metrics_show() {
    let step_s = 0.02;
    // Rate, and the requests per second that 8 slots and 40 tokens carry: 10.
    for (rate, carried) in [(4.0, 4.0), (8.0, 8.0), (20.0, 10.0)] {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
        let mut gap = || {
            let draw: f64 = Exp1.sample(&mut rng);
            draw / rate
        };
        let mut batch = Batch::new(Room { slots: 8, kv_tokens: 1_000_000, waiting: usize::MAX });
        let (mut now, mut next, mut inside, mut took, mut finished) = (0.0, gap(), 0.0, 0.0, 0.0);
        let mut since = BTreeMap::new();
        while now < 400.0 {
            while next <= now {
                since.insert(batch.submit(work(10, 40)).unwrap(), now);
                next += gap();
            }
            let busy = batch.admit().is_some();
            let load = batch.load();
            inside += (load.running + load.waiting) as f64 * step_s;
            now += step_s;
            for id in if busy { batch.advance() } else { Vec::new() } {
                took += now - since.remove(&id).unwrap();
                finished += 1.0;
            }
        }
        // Those that are inside yet have been there since they came.
        took += since.values().map(|came| now - came).sum::<f64>();
        assert!((inside - took).abs() / took < 0.01, "{rate}/s: {inside:.1} seen, {took:.1} waited");
        let throughput = finished / now;
        assert!((throughput - carried).abs() / carried < 0.1, "{rate}/s: {throughput:.2}/s finished");
    }
}

proptest! {
    /// Whatever comes and leaves, nothing runs that has no room, and each request ends once.
    #[test]
    fn nothing_is_lost_and_nothing_runs_without_room(
        slots in 1usize..6,
        kv_tokens in 20u64..80,
        requests in proptest::collection::vec((1u32..20, 1u32..20, 0u8..4, any::<bool>()), 1..40),
    ) {
        let room = room(slots, kv_tokens);
        let mut batch = Batch::new(room);
        let (mut open, mut ended) = (BTreeSet::new(), BTreeSet::new());
        let mut steps = |batch: &mut Batch, n: u32, open: &mut BTreeSet<u64>| {
            for _ in 0..n {
                if batch.admit().is_none() {
                    break;
                }
                let load = batch.load();
                assert!(load.running <= slots && load.kv_usage <= 1.0, "{load:?}");
                for id in batch.advance() {
                    assert!(open.remove(&id) && ended.insert(id), "{id} ended twice");
                }
                assert!(batch.load().kv_usage <= 1.0, "{:?}", batch.load());
            }
        };
        for (prompt, output, n, leaves) in requests {
            match batch.submit(work(prompt, output)) {
                Ok(id) => { open.insert(id); }
                Err(Rejected::TooLong) => prop_assert!(u64::from(prompt + output) > kv_tokens),
                Err(Rejected::Full) => prop_assert!(false, "there is room to wait"),
            }
            steps(&mut batch, n.into(), &mut open);
            if leaves && let Some(id) = open.pop_first() {
                batch.cancel(id);
            }
            prop_assert_eq!(batch.load().running + batch.load().waiting, open.len());
        }
        steps(&mut batch, 1_000_000, &mut open);
        prop_assert!(open.is_empty(), "{open:?}");
    }
}
