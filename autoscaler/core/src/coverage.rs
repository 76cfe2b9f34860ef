//! For which times it cannot be vouched that samples were there.
//!
//! ```text
//!  sound tick      k−1                         k
//!  slowest series   ●──── blind span ──────────────┐
//!  newest sample                               ●◄──┘   whatever was missing in between, it was not longer
//! ```
//!
//! Two looks at the samples say nothing of what was between them. A value whose window begins in such a span may
//! be low by as much as was missing there; spans are kept until the window has passed them.

use serde::{Deserialize, Serialize};

/// Most spans that are kept; beyond that the oldest ones become one.
const MAX_SPANS: usize = 32;

/// The blind spans that a window may still reach, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Coverage(Vec<BlindSpan>);

/// A time for which it cannot be vouched that samples were there. Times are the samples' own, in milliseconds
/// since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlindSpan {
    /// Its beginning; `None`: nothing was watched before.
    pub from_ms: Option<i64>,
    /// Its end.
    pub to_ms: i64,
    /// The longest gap of any cluster that it may hide, in milliseconds.
    pub gap_ms: i64,
    /// It is longer than samples and decisions may be apart.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_gap: bool,
}

/// The samples that a value was computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its beginning, which it leaves out, in milliseconds since the epoch.
    pub start_ms: i64,
    /// Its end.
    pub end_ms: i64,
    /// A gap anywhere in it makes the value low.
    pub sums: bool,
}

impl BlindSpan {
    /// Whether a window that begins at `at_ms` begins in it or behind it. It leaves out a sample of just then.
    fn begins_by(&self, at_ms: i64) -> bool {
        self.from_ms.is_none_or(|from_ms| from_ms <= at_ms)
    }

    /// It and a later gap as one: gaps that touch leave no window between them.
    fn with(&self, later: Self) -> Self {
        let gap_ms = self.from_ms.map_or(i64::MAX, |from_ms| later.to_ms.saturating_sub(from_ms));
        Self { from_ms: self.from_ms, gap_ms, ..later }
    }
}

impl Coverage {
    /// From spans, oldest first.
    #[must_use]
    pub fn new(spans: Vec<BlindSpan>) -> Self {
        Self(spans)
    }

    /// The spans, oldest first.
    #[must_use]
    pub fn spans(&self) -> &[BlindSpan] {
        &self.0
    }

    /// A sound tick ended a span. One with the beginning of the last is the last one, which grew: no new sample
    /// had come.
    pub fn add(&mut self, mut span: BlindSpan) {
        while let Some(last) = self.0.last() {
            let touch = last.is_gap && span.is_gap && span.begins_by(last.to_ms);
            if last.from_ms == span.from_ms {
                span.gap_ms = span.gap_ms.max(last.gap_ms);
            } else if touch {
                span = last.with(span);
            } else if span.is_gap || last.is_gap || last.gap_ms > span.gap_ms {
                break;
            }
            // Of ordinary ones, an older one that is no longer is passed before this one, and can no longer matter.
            span.is_gap |= last.is_gap && last.from_ms == span.from_ms;
            span.to_ms = span.to_ms.max(last.to_ms);
            self.0.pop();
        }
        self.0.push(span);
        if self.0.len() > MAX_SPANS {
            self.join_oldest();
        }
    }

    /// Makes the oldest two of a kind one.
    fn join_oldest(&mut self) {
        let is_gap = self.0.iter().filter(|span| span.is_gap).count() > 1;
        let mut of_kind = self.0.iter().enumerate().filter(|(_, span)| span.is_gap == is_gap);
        let (Some((first, older)), Some((second, newer))) = (of_kind.next(), of_kind.next()) else { return };
        let joined = if is_gap {
            older.with(*newer)
        } else {
            BlindSpan { gap_ms: older.gap_ms.max(newer.gap_ms), ..*newer }
        };
        if let Some(slot) = self.0.get_mut(second) {
            *slot = joined;
        }
        self.0.remove(first);
    }

    /// Forgets what a window that begins at `start_ms` has passed.
    pub fn forget_before(&mut self, start_ms: i64) {
        if self.0.iter().any(|span| span.to_ms <= start_ms) {
            self.0.retain(|span| span.to_ms > start_ms);
        }
    }

    /// The gap in which a window begins or ends; or which it holds anywhere, if it `sums`. A window that ends in one
    /// has series without a sample near its end.
    #[must_use]
    pub fn gap_at(&self, window: Window) -> Option<&BlindSpan> {
        self.0.iter().rev().find(|span| {
            span.is_gap
                && span.to_ms > window.start_ms
                && (window.sums || span.begins_by(window.start_ms) || span.to_ms > window.end_ms)
        })
    }

    /// The longest gap that may hide in a span that is none, in milliseconds.
    #[must_use]
    pub fn longest_hidden_ms(&self) -> i64 {
        self.0.iter().filter(|span| !span.is_gap).map(|span| span.gap_ms).max().unwrap_or(0)
    }

    /// Nothing after `now_ms` was watched.
    pub(crate) fn clamp_to(&mut self, now_ms: i64) {
        for span in &mut self.0 {
            span.to_ms = span.to_ms.min(now_ms);
            span.from_ms = span.from_ms.map(|from_ms| from_ms.min(now_ms));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from_ms: i64, to_ms: i64) -> BlindSpan {
        let gap_ms = to_ms - from_ms;
        BlindSpan { from_ms: Some(from_ms), to_ms, gap_ms, is_gap: gap_ms > 20 }
    }

    #[test]
    fn a_window_stands_in_a_gap_and_not_in_an_ordinary_span() {
        let mut coverage = Coverage::default();
        for (from, to) in [(0, 2), (1, 3), (2, 40), (39, 41)] {
            coverage.add(span(from, to));
        }
        assert_eq!(coverage.longest_hidden_ms(), 2);
        let window = |start_ms, end_ms| Window { start_ms, end_ms, sums: false };
        for (start, end, stands) in [
            (1, 50, false),
            (2, 50, true),
            (3, 50, true),
            (39, 50, true),
            (40, 50, false),
            (-5, 39, true),
            (-5, 40, false),
        ] {
            assert_eq!(coverage.gap_at(window(start, end)).is_some(), stands, "{start} to {end}");
        }
        assert!(coverage.gap_at(Window { sums: true, ..window(1, 50) }).is_some(), "a sum holds all of it");
        coverage.forget_before(40);
        assert_eq!(coverage.spans(), [span(39, 41)]);
    }

    #[test]
    fn a_span_grows_while_no_sample_comes_and_gaps_that_touch_are_one() {
        let mut coverage = Coverage::default();
        for to in 1..=15 {
            coverage.add(span(0, to));
        }
        assert_eq!(coverage.spans(), [span(0, 15)]);
        coverage.add(span(15, 50));
        coverage.add(span(49, 80));
        assert_eq!(coverage.spans(), [span(0, 15), span(15, 80)]);
    }

    #[test]
    fn what_is_no_longer_than_a_later_one_is_forgotten() {
        let mut coverage = Coverage::default();
        for i in 0..100 {
            for to in 1..=15 {
                coverage.add(span(i * 15, i * 15 + to));
            }
        }
        assert_eq!(coverage.spans(), [span(99 * 15, 100 * 15)]);
    }

    #[test]
    fn spans_are_bounded_and_lose_no_gap() {
        let mut coverage = Coverage::default();
        for i in 0..200 {
            coverage.add(span(i * 100, i * 100 + 50));
            coverage.add(span(i * 100 + 60, i * 100 + 70));
        }
        assert!(coverage.spans().len() <= MAX_SPANS);
        assert!(coverage.gap_at(Window { start_ms: 25, end_ms: 50_000, sums: false }).is_some());
    }
}
