//! Counters that threads add to without sharing a cache line.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Beyond this many, memory costs more than contention.
const SHARDS_MAX: usize = 8;

/// One `T` a thread (or a few threads), each on cache lines of its own.
#[derive(Debug)]
pub(crate) struct Shards<T>(Box<[Padded<T>]>);

/// Two lines: x86 fetches them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<T>(T);

impl<T: Default> Default for Shards<T> {
    fn default() -> Self {
        Self((0..count()).map(|_| Padded::default()).collect())
    }
}

impl<T> Shards<T> {
    /// This thread's.
    pub(crate) fn mine(&self) -> &T {
        // The length is a power of two, so the mask is in range.
        &self.0[slot() & (self.0.len() - 1)].0
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|p| &p.0)
    }
}

/// A sharded counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(Shards<AtomicU64>);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.mine().fetch_add(n, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.iter().fold(0, |sum, c| sum.wrapping_add(c.load(Relaxed)))
    }
}

fn count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        std::thread::available_parallelism().map_or(1, usize::from).next_power_of_two().min(SHARDS_MAX)
    })
}

fn slot() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static SLOT: Cell<usize> = const { Cell::new(usize::MAX) });
    SLOT.with(|s| {
        if s.get() == usize::MAX {
            s.set(NEXT.fetch_add(1, Relaxed) & (usize::MAX >> 1));
        }
        s.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_add_is_lost_between_threads() {
        let counter = Counter::default();
        std::thread::scope(|s| {
            for _ in 0..8 {
                s.spawn(|| (0..10_000).for_each(|_| counter.add(1)));
            }
        });
        assert_eq!(counter.get(), 80_000);
    }
}
