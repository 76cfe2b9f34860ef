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
}

impl BlindSpan {
    fn begins_by(&self, at_ms: i64) -> bool {
        self.from_ms.is_none_or(|from_ms| from_ms < at_ms)
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
    pub fn add(&mut self, span: BlindSpan, longest_ordinary_ms: i64) {
        let is_gap = |span: &BlindSpan| span.gap_ms > longest_ordinary_ms;
        while let Some(last) = self.0.last_mut() {
            if last.from_ms == span.from_ms || is_gap(last) && is_gap(&span) && span.begins_by(last.to_ms) {
                // Gaps that touch leave no window between them.
                last.gap_ms = match last.from_ms {
                    Some(from_ms) if last.from_ms != span.from_ms => span.to_ms.saturating_sub(from_ms),
                    _ => last.gap_ms.max(span.gap_ms),
                };
                last.to_ms = last.to_ms.max(span.to_ms);
                return;
            }
            if is_gap(&span) || is_gap(last) || last.gap_ms > span.gap_ms {
                break;
            }
            self.0.pop();
        }
        self.0.push(span);
        if self.0.len() > MAX_SPANS {
            let first = self.0.remove(0);
            if let Some(second) = self.0.first_mut() {
                second.from_ms = first.from_ms;
                second.gap_ms =
                    first.from_ms.map_or(i64::MAX, |from_ms| second.to_ms.saturating_sub(from_ms));
            }
        }
    }

    /// Forgets what a window that begins at `start_ms` has passed.
    pub fn forget_before(&mut self, start_ms: i64) {
        if self.0.iter().any(|span| span.to_ms <= start_ms) {
            self.0.retain(|span| span.to_ms > start_ms);
        }
    }

    /// The gap, longer than `longest_ordinary_ms`, in which a window that begins at `start_ms` begins; or which it
    /// holds anywhere, if it `sums`.
    #[must_use]
    pub fn gap_at(&self, start_ms: i64, longest_ordinary_ms: i64, sums: bool) -> Option<&BlindSpan> {
        self.0.iter().rev().find(|span| {
            span.gap_ms > longest_ordinary_ms
                && span.to_ms > start_ms
                && (sums || span.begins_by(start_ms))
        })
    }

    /// The longest span that is no gap, in milliseconds.
    #[must_use]
    pub fn longest_ordinary_ms(&self, longest_ordinary_ms: i64) -> i64 {
        let lengths = self.0.iter().map(|span| span.gap_ms).filter(|length| *length <= longest_ordinary_ms);
        lengths.max().unwrap_or(0)
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
        BlindSpan { from_ms: Some(from_ms), to_ms, gap_ms: to_ms - from_ms }
    }

    #[test]
    fn a_window_stands_in_a_gap_and_not_in_an_ordinary_span() {
        let mut coverage = Coverage::default();
        for (from, to) in [(0, 2), (1, 3), (2, 40), (39, 41)] {
            coverage.add(span(from, to), 10);
        }
        assert_eq!(coverage.longest_ordinary_ms(10), 2);
        for (start, stands) in [(1, false), (2, false), (3, true), (39, true), (40, false)] {
            assert_eq!(coverage.gap_at(start, 10, false).is_some(), stands, "{start}");
        }
        assert!(coverage.gap_at(1, 10, true).is_some(), "a sum holds the whole gap");
        coverage.forget_before(40);
        assert_eq!(coverage.spans(), [span(39, 41)]);
    }

    #[test]
    fn a_span_grows_while_no_sample_comes_and_gaps_that_touch_are_one() {
        let mut coverage = Coverage::default();
        for to in 1..=15 {
            coverage.add(span(0, to), 20);
        }
        assert_eq!(coverage.spans(), [span(0, 15)]);
        coverage.add(span(15, 50), 20);
        coverage.add(span(49, 80), 20);
        assert_eq!(coverage.spans(), [span(0, 15), span(15, 80)]);
    }

    #[test]
    fn spans_are_bounded_and_lose_no_gap() {
        let mut coverage = Coverage::default();
        for i in 0..200 {
            coverage.add(span(i * 100, i * 100 + 50 - i % 2), 10);
        }
        assert!(coverage.spans().len() <= MAX_SPANS);
        assert!(coverage.gap_at(25, 10, false).is_some());
    }
}
