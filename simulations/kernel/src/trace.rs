//! What happened, as one digest: two runs with the same digest did the same things in the same order.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

/// Lines kept for a look at how a run ended.
const TAIL: usize = 64;

/// A world's log. Its clones write into the same one.
#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    hash: Sha256,
    count: u64,
    text: String,
    tail: VecDeque<String>,
    /// All lines, where they are wanted.
    all: Option<Vec<String>>,
}

impl Trace {
    /// A log that keeps its last lines only.
    pub fn new() -> Self {
        Self::default()
    }

    /// A log that keeps every line, to be compared with another.
    pub fn complete() -> Self {
        let trace = Self::default();
        trace.0.lock().all = Some(Vec::new());
        trace
    }

    /// Something happened at a time, in milliseconds since the world began.
    pub fn note(&self, at_ms: u64, what: fmt::Arguments<'_>) {
        let mut inner = self.0.lock();
        let inner = &mut *inner;
        inner.text.clear();
        // Writing into memory cannot fail.
        let _ = fmt::write(&mut inner.text, format_args!("{at_ms} {what}"));
        inner.hash.update((inner.text.len() as u64).to_le_bytes());
        inner.hash.update(inner.text.as_bytes());
        inner.count += 1;
        let mut line =
            if inner.tail.len() >= TAIL { inner.tail.pop_front().unwrap_or_default() } else { String::new() };
        line.clone_from(&inner.text);
        if let Some(all) = &mut inner.all {
            all.push(line.clone());
        }
        inner.tail.push_back(line);
    }

    /// How much happened.
    pub fn count(&self) -> u64 {
        self.0.lock().count
    }

    /// SHA-256 of all that happened so far, in hexadecimal.
    pub fn digest(&self) -> String {
        let hash = self.0.lock().hash.clone().finalize();
        hash.iter().fold(String::with_capacity(64), |mut out, byte| {
            let _ = fmt::write(&mut out, format_args!("{byte:02x}"));
            out
        })
    }

    /// The last lines, the oldest first.
    pub fn tail(&self) -> Vec<String> {
        self.0.lock().tail.iter().cloned().collect()
    }

    /// All lines, if it is [complete](Self::complete).
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().all.clone().unwrap_or_default()
    }

    /// Where two complete logs part: the number of the line, and what each says there.
    pub fn first_difference(&self, other: &Self) -> Option<(usize, Option<String>, Option<String>)> {
        let (a, b) = (self.lines(), other.lines());
        let at = (0..a.len().max(b.len())).find(|i| a.get(*i) != b.get(*i))?;
        Some((at, a.get(at).cloned(), b.get(at).cloned()))
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("count", &self.count()).field("digest", &self.digest()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(u64, &str)]) -> Trace {
        let trace = Trace::complete();
        lines.iter().for_each(|(at, what)| trace.note(*at, format_args!("{what}")));
        trace
    }

    #[test]
    fn what_and_when_and_in_which_order_count() {
        let base = of(&[(1, "a"), (2, "b")]);
        assert_eq!(base.digest(), of(&[(1, "a"), (2, "b")]).digest());
        assert_eq!(base.first_difference(&of(&[(1, "a"), (2, "b")])), None);
        for (other, at) in [
            (of(&[(2, "b"), (1, "a")]), 0),
            (of(&[(1, "a"), (3, "b")]), 1),
            (of(&[(1, "a")]), 1),
            (of(&[(1, "a2 b")]), 0),
            (of(&[(1, "a"), (2, "b"), (2, "")]), 2),
        ] {
            assert_ne!(base.digest(), other.digest(), "{:?}", other.lines());
            assert_eq!(base.first_difference(&other).map(|d| d.0), Some(at), "{:?}", other.lines());
        }
    }

    #[test]
    fn the_last_lines_are_kept() {
        let trace = Trace::new();
        (0..1000).for_each(|i| trace.note(i, format_args!("x")));
        let tail = trace.tail();
        assert_eq!((trace.count(), tail.len(), tail.last().map(String::as_str)), (1000, TAIL, Some("999 x")));
        assert_eq!(trace.lines(), Vec::<String>::new());
    }
}
