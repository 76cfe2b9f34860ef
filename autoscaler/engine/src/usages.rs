//! What pods use: one list for each selector at a time, shared by whoever asks within a second.
//!
//! ```text
//!  a resource metric, started by the pool ─► ask ─┬─► a list of the last second: answered at once
//!                                                 ├─► a list is under way: waits for it
//!                                                 └─► Effect::ReadUsage ─► Event::Usage ─► all that wait
//! ```
//!
//! A read that nobody answers is over when the queries that wait for it are; the next one begins another.

use std::collections::BTreeMap;
use std::sync::Arc;

use autoscaler_pods::PodMetrics;

use crate::objects::ClusterId;

/// For how long a list serves others, in milliseconds: far below the period of whoever measures.
pub const SHARED_MS: u64 = 1_000;
/// After how long what nobody asks for is forgotten, in milliseconds.
const FORGET_MS: u64 = 60_000;

/// Pods of a selector.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selected {
    /// Where.
    pub cluster: ClusterId,
    /// In which namespace.
    pub namespace: String,
    /// Label selector.
    pub selector: String,
}

/// What a read gave, or why it gave nothing.
pub type Usage = Result<Arc<[PodMetrics]>, String>;

/// What comes of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// [`Usages::last`] has it.
    Known,
    /// A read that is under way will tell.
    Waits,
    /// This read has to begin.
    Read,
}

/// All selectors that were asked for lately.
#[derive(Debug, Default)]
pub struct Usages {
    entries: BTreeMap<Selected, Entry>,
    /// Reads under way.
    reads: BTreeMap<u64, Selected>,
    swept_ms: u64,
}

#[derive(Debug, Default)]
struct Entry {
    asked_ms: u64,
    last: Option<(u64, Usage)>,
    /// The read that is under way, and until when.
    reading: Option<(u64, u64)>,
    waiting: Vec<u64>,
}

impl Usages {
    /// A query asks; should a read have to begin, it is `read` and takes until `until_ms` at most.
    pub fn ask(&mut self, of: &Selected, query: u64, read: u64, now_ms: u64, until_ms: u64) -> Asked {
        let is_young = |at_ms: u64| now_ms.saturating_sub(at_ms) < SHARED_MS;
        if let Some(entry) = self.entries.get_mut(of) {
            entry.asked_ms = now_ms;
            if entry.last.as_ref().is_some_and(|(at_ms, _)| is_young(*at_ms)) {
                return Asked::Known;
            }
            if entry.reading.is_some_and(|(_, until_ms)| now_ms < until_ms) {
                entry.waiting.push(query);
                return Asked::Waits;
            }
        }
        self.sweep(now_ms);
        let entry = self.entries.entry(of.clone()).or_default();
        entry.asked_ms = now_ms;
        if let Some((lost, _)) = entry.reading.replace((read, until_ms)) {
            self.reads.remove(&lost);
        }
        self.reads.insert(read, of.clone());
        // Those of a read that never ended are over too.
        entry.waiting = vec![query];
        Asked::Read
    }

    /// A read ended; gives what it was of and the queries that waited, unless nobody waits for it any more.
    pub fn told(
        &mut self,
        read: u64,
        usage: Result<Vec<PodMetrics>, String>,
        now_ms: u64,
    ) -> Option<(Selected, Vec<u64>)> {
        let of = self.reads.remove(&read)?;
        let entry = self.entries.get_mut(&of)?;
        entry.reading = None;
        entry.last = Some((now_ms, usage.map(Arc::from)));
        Some((of, std::mem::take(&mut entry.waiting)))
    }

    /// Forgets what nobody asks for, now and then.
    fn sweep(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.swept_ms) >= FORGET_MS {
            self.swept_ms = now_ms;
            self.entries.retain(|_, entry| now_ms.saturating_sub(entry.asked_ms) < FORGET_MS);
            let entries = &self.entries;
            self.reads.retain(|_, of| entries.contains_key(of));
        }
    }

    /// What the last read gave.
    #[must_use]
    pub fn last(&self, of: &Selected) -> Option<&Usage> {
        self.entries.get(of)?.last.as_ref().map(|(_, usage)| usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(selector: &str) -> Selected {
        Selected { cluster: 0, namespace: "shop".to_owned(), selector: selector.to_owned() }
    }

    #[test]
    fn one_list_serves_all_that_ask_within_a_second() {
        let mut usages = Usages::default();
        assert_eq!(usages.ask(&of("a"), 1, 101, 0, 3_000), Asked::Read);
        assert_eq!(usages.ask(&of("a"), 2, 102, 10, 3_010), Asked::Waits);
        assert_eq!(usages.ask(&of("b"), 3, 103, 10, 3_010), Asked::Read);
        assert_eq!(usages.told(101, Ok(vec![]), 20), Some((of("a"), vec![1, 2])));
        assert_eq!(usages.ask(&of("a"), 4, 104, 1_019, 4_019), Asked::Known);
        assert_eq!(usages.last(&of("a")), Some(&Ok(Arc::from([]))));
        assert_eq!(usages.ask(&of("a"), 5, 105, 1_020, 4_020), Asked::Read);
        assert_eq!(usages.told(105, Err("no".to_owned()), 1_030), Some((of("a"), vec![5])));
        assert_eq!(usages.last(&of("a")), Some(&Err("no".to_owned())));
    }

    #[test]
    fn a_read_that_never_ends_is_followed_by_another_and_says_nothing_later() {
        let mut usages = Usages::default();
        assert_eq!(usages.ask(&of("a"), 1, 101, 0, 3_000), Asked::Read);
        assert_eq!(usages.ask(&of("a"), 2, 102, 2_999, 6_000), Asked::Waits);
        assert_eq!(usages.ask(&of("a"), 3, 103, 3_000, 6_000), Asked::Read);
        assert_eq!(usages.told(101, Ok(vec![]), 3_001), None);
        assert_eq!(usages.told(103, Ok(vec![]), 3_002), Some((of("a"), vec![3])));
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let mut usages = Usages::default();
        for (number, selector) in (0..).zip(["a", "b", "c"]) {
            let at_ms = number * FORGET_MS;
            assert_eq!(usages.ask(&of(selector), number, number, at_ms, at_ms + 3_000), Asked::Read);
        }
        assert_eq!(usages.entries.keys().collect::<Vec<_>>(), [&of("c")]);
    }
}
