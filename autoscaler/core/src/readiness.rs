//! How many replicas were ready when: what a value over a window was measured on.

use serde::{Deserialize, Serialize};

/// Most changes that are kept; before the first, its replicas count.
const MAX_CHANGES: usize = 64;

/// Changes of the number of ready replicas, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Readiness(Vec<Ready>);

/// So many replicas were ready from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ready {
    /// From when, in milliseconds since the epoch.
    pub since_ms: i64,
    /// How many.
    pub replicas: i32,
}

impl Readiness {
    /// The changes, oldest first.
    #[must_use]
    pub fn changes(&self) -> &[Ready] {
        &self.0
    }

    /// `replicas` are ready at `now_ms`; what was before `cutoff_ms` need not be known.
    pub(crate) fn see(&mut self, now_ms: i64, replicas: i32, cutoff_ms: i64) {
        if self.0.last().is_none_or(|last| last.replicas != replicas) {
            self.0.push(Ready { since_ms: now_ms, replicas });
        }
        // The last change before the cutoff says what was at it.
        while self.0.get(1).is_some_and(|second| second.since_ms <= cutoff_ms) || self.0.len() > MAX_CHANGES {
            self.0.remove(0);
        }
    }

    /// The average from `from_ms` to `to_ms`, or what was at `to_ms` if that is no time; zero if nothing was ever
    /// seen. What was before the first look was as at it.
    #[must_use]
    pub fn average(&self, from_ms: i64, to_ms: i64) -> f64 {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else { return 0.0 };
        let length_ms = to_ms.saturating_sub(from_ms);
        if self.0.len() == 1 || last.since_ms <= from_ms {
            return f64::from(last.replicas);
        }
        if length_ms <= 0 {
            let at = self.0.iter().rev().find(|ready| ready.since_ms <= to_ms);
            return f64::from(at.unwrap_or(first).replicas);
        }
        let ends = self.0.iter().skip(1).map(|next| next.since_ms).chain([to_ms]);
        let sum: f64 = self
            .0
            .iter()
            .zip(ends)
            .enumerate()
            .map(|(index, (ready, end_ms))| {
                let since_ms = if index == 0 { from_ms } else { ready.since_ms };
                let share_ms = end_ms.min(to_ms).saturating_sub(since_ms.max(from_ms));
                share_ms.max(0) as f64 * f64::from(ready.replicas)
            })
            .sum();
        sum / length_ms as f64
    }

    /// The fewest since `from_ms`, as far as it is known; zero if nothing was ever seen.
    #[must_use]
    pub fn least_since(&self, from_ms: i64) -> i32 {
        let ends = self.0.iter().skip(1).map(|next| next.since_ms).chain([i64::MAX]);
        let within = self.0.iter().zip(ends).filter(|(_, end_ms)| *end_ms > from_ms);
        within.map(|(ready, _)| ready.replicas).min().unwrap_or(0).max(0)
    }

    /// The most since `from_ms`, as far as it is known; zero if nothing was ever seen.
    #[must_use]
    pub fn most_since(&self, from_ms: i64) -> i32 {
        let ends = self.0.iter().skip(1).map(|next| next.since_ms).chain([i64::MAX]);
        let within = self.0.iter().zip(ends).filter(|(_, end_ms)| *end_ms > from_ms);
        within.map(|(ready, _)| ready.replicas).max().unwrap_or(0).max(0)
    }

    /// The most from `from_ms` to `to_ms`, as far as it is known; zero if nothing was ever seen. What was before the first
    /// look was as at it.
    #[must_use]
    pub fn most_between(&self, from_ms: i64, to_ms: i64) -> i32 {
        let ends = self.0.iter().skip(1).map(|next| next.since_ms).chain([i64::MAX]);
        let within =
            self.0.iter().zip(ends).filter(|(ready, end_ms)| *end_ms > from_ms && ready.since_ms <= to_ms);
        let first = self.0.first().filter(|first| first.since_ms > to_ms);
        within.map(|(ready, _)| ready).chain(first).map(|ready| ready.replicas).max().unwrap_or(0).max(0)
    }

    /// What is dated after `now_ms` happened now.
    pub(crate) fn clamp_to(&mut self, now_ms: i64) {
        for ready in &mut self.0 {
            ready.since_ms = ready.since_ms.min(now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_and_fewest_follow_the_changes() {
        let mut ready = Readiness::default();
        assert_eq!((ready.average(0, 10), ready.least_since(0), ready.most_since(0)), (0.0, 0, 0));
        for (at, replicas) in [(100, 4), (110, 4), (200, 8), (300, 6)] {
            ready.see(at, replicas, 0);
        }
        assert_eq!(ready.changes().len(), 3);
        for (from, to, average) in [
            (150, 250, 6.0),
            (0, 100, 4.0),
            (50, 150, 4.0),
            (200, 300, 8.0),
            (300, 400, 6.0),
            (250, 250, 8.0),
            (0, 0, 4.0),
            (200, 400, 7.0),
        ] {
            assert!((ready.average(from, to) - average).abs() < 1e-9, "{from}..{to}");
        }
        for (from, least, most) in
            [(99, 4, 8), (100, 4, 8), (200, 6, 8), (199, 4, 8), (299, 6, 8), (300, 6, 6), (1_000, 6, 6)]
        {
            assert_eq!((ready.least_since(from), ready.most_since(from)), (least, most), "{from}");
        }
        for (from, to, most) in
            [(0, 50, 4), (0, 150, 4), (150, 250, 8), (150, 199, 4), (300, 400, 6), (250, 350, 8)]
        {
            assert_eq!(ready.most_between(from, to), most, "{from}..{to}");
        }
        ready.see(1_000, 7, 500);
        assert_eq!(ready.changes().first(), Some(&Ready { since_ms: 300, replicas: 6 }));
    }

    #[test]
    fn changes_are_bounded() {
        let mut ready = Readiness::default();
        for at in 0..1_000 {
            ready.see(at, (at % 7) as i32, 0);
        }
        assert_eq!(ready.changes().len(), MAX_CHANGES);
    }
}
