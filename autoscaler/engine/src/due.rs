//! When things are due: each policy's grid with a phase of its own, and one heap of timers.
//!
//! ```text
//!  interval 1 s   web    |···●·········●·········●···     the same phase in every process and after every restart
//!                 queue  |·········●·········●·········
//! ```
//!
//! What could not be done in time is left out, never caught up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::hash::stable;

/// The grid of one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Time between points; at least 1.
    interval_ms: u64,
    /// Where the first point is.
    phase_ms: u64,
}

impl Grid {
    /// The grid of whoever has this UID.
    #[must_use]
    pub fn new(uid: &str, interval_ms: u64) -> Self {
        let interval_ms = interval_ms.max(1);
        Self { interval_ms, phase_ms: stable(uid.as_bytes()) % interval_ms }
    }

    /// The first point after `now_ms`, and how many points after `due_ms` are left out before it.
    #[must_use]
    pub fn after(self, due_ms: u64, now_ms: u64) -> (u64, u64) {
        // Points are numbered from 1, so that the time before the first one has a number as well.
        let passed = |t: u64| {
            t.checked_sub(self.phase_ms).map_or(0, |since| (since / self.interval_ms).saturating_add(1))
        };
        let coming = passed(now_ms.max(due_ms));
        let missed = coming.saturating_sub(passed(due_ms));
        (self.phase_ms.saturating_add(coming.saturating_mul(self.interval_ms)), missed)
    }
}

/// Timers, earliest first; of those at one time, the one that was set first. A timer that no longer matters is
/// told all the same: whoever set it knows.
#[derive(Debug)]
pub struct Timers<T> {
    heap: BinaryHeap<Reverse<(u64, u64, T)>>,
    set: u64,
}

impl<T: Ord> Default for Timers<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), set: 0 }
    }
}

impl<T: Ord> Timers<T> {
    /// Tells `what` at `at_ms`.
    pub fn set(&mut self, at_ms: u64, what: T) {
        self.set = self.set.wrapping_add(1);
        self.heap.push(Reverse((at_ms, self.set, what)));
    }

    /// The next one that is due.
    pub fn pop(&mut self, now_ms: u64) -> Option<T> {
        let Reverse((at_ms, ..)) = self.heap.peek()?;
        if *at_ms > now_ms {
            return None;
        }
        self.heap.pop().map(|Reverse((_, _, what))| what)
    }

    /// When the next one is due.
    #[must_use]
    pub fn next_ms(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at_ms, ..))| *at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_left_out_and_counted() {
        let grid = Grid { interval_ms: 1_000, phase_ms: 300 };
        for (due, now, expected, missed) in [
            (0, 0, 300, 0),
            (0, 299, 300, 0),
            (300, 300, 1_300, 0),
            (300, 310, 1_300, 0),
            (300, 1_299, 1_300, 0),
            (300, 1_300, 2_300, 1),
            (300, 5_500, 6_300, 5),
            (2_300, 310, 3_300, 0),
        ] {
            assert_eq!(grid.after(due, now), (expected, missed), "{due} {now}");
        }
    }

    #[test]
    fn phases_spread_over_the_interval_and_stay() {
        let mut buckets = [0_u32; 10];
        for n in 0..10_000 {
            let grid = Grid::new(&format!("uid-{n}"), 1_000);
            assert_eq!(grid, Grid::new(&format!("uid-{n}"), 1_000));
            buckets[(grid.phase_ms / 100) as usize] += 1;
        }
        assert!(buckets.iter().all(|b| (850..1_150).contains(b)), "{buckets:?}");
    }

    #[test]
    fn no_interval_and_no_time_overflow() {
        assert_eq!(Grid::new("a", 0).after(0, 5).0, 6);
        let grid = Grid::new("a", u64::MAX);
        assert!(grid.after(0, u64::MAX).0 >= grid.phase_ms);
    }

    #[test]
    fn timers_go_off_in_order() {
        let mut timers = Timers::default();
        timers.set(5, 'b');
        timers.set(3, 'z');
        timers.set(5, 'a');
        assert_eq!(timers.next_ms(), Some(3));
        let due: Vec<char> = std::iter::from_fn(|| timers.pop(5)).collect();
        assert_eq!(due, ['z', 'b', 'a']);
    }
}
