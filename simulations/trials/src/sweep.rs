//! Many seeds on several threads, each world on one.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// What `each` makes of every seed, in order of the seeds. `done` is told of each as it ends, in any order.
///
/// # Panics
/// `each` does.
pub fn sweep<R: Send>(
    seeds: Range<u64>,
    jobs: usize,
    each: impl Fn(u64) -> R + Sync,
    done: impl Fn(&R) + Sync,
) -> Vec<R> {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut mine = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return mine;
            }
            let outcome = each(seed);
            done(&outcome);
            mine.push((seed, outcome));
        }
    };
    let mut all: Vec<(u64, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
            .collect()
    });
    all.sort_by_key(|(seed, _)| *seed);
    all.into_iter().map(|(_, outcome)| outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_is_run_once_and_in_order() {
        for jobs in [1, 3, 50] {
            let told = AtomicU64::new(0);
            let all = sweep(5..25, jobs, |seed| seed * 2, |_| _ = told.fetch_add(1, Ordering::Relaxed));
            assert_eq!((all, told.into_inner()), ((5..25).map(|seed| seed * 2).collect(), 20));
        }
        assert_eq!(sweep(3..3, 2, |seed| seed, |_| {}), Vec::<u64>::new());
    }
}
