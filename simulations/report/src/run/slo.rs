//! What users of a service accept, and when they did not get it.

use super::{Span, time};
use crate::scale::number;
use crate::series::STRETCHES;

/// A service's slo on one cluster.
#[derive(Debug, Default)]
pub(crate) struct Slo {
    /// Its words, where the record has them.
    pub(crate) condition: String,
    /// Seconds in which requests were due, and those in which it did not hold.
    pub(crate) seconds: u64,
    pub(crate) bad_seconds: u64,
    /// Requests that were due, and those that were slower than it says, or failed.
    pub(crate) requests: u64,
    pub(crate) bad_requests: u64,
    /// When it did not hold; gaps too short to be seen are closed.
    pub(crate) missed: Vec<Span>,
    bad_at_s: Vec<f64>,
}

impl Slo {
    pub(super) fn second(&mut self, second: u64, due: u64, over: u64, held: bool) {
        self.seconds = self.seconds.saturating_add(1);
        self.requests = self.requests.saturating_add(due);
        self.bad_requests = self.bad_requests.saturating_add(over);
        if !held {
            self.bad_seconds = self.bad_seconds.saturating_add(1);
            self.bad_at_s.push(time(second as f64));
        }
    }

    /// Once every second was told.
    pub(super) fn finish(&mut self, length_s: f64) {
        let mut all = std::mem::take(&mut self.bad_at_s);
        all.retain(|s| *s < length_s);
        all.sort_by(f64::total_cmp);
        for from_s in all {
            match self.missed.last_mut() {
                Some(last) if from_s - last.to_s < length_s / STRETCHES as f64 => last.to_s = from_s + 1.0,
                _ => self.missed.push(Span {
                    name: format!("{} did not hold", self.words()),
                    detail: String::new(),
                    from_s,
                    to_s: from_s + 1.0,
                }),
            }
        }
    }

    /// Its condition, or what it is.
    pub(crate) fn words(&self) -> &str {
        if self.condition.is_empty() { "slo" } else { &self.condition }
    }

    /// `3 of 60 seconds`.
    pub(crate) fn misses(&self) -> String {
        match self.bad_seconds {
            0 => "never".to_owned(),
            bad => format!("{} of {} seconds", number(bad as f64), number(self.seconds as f64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_that_meet_are_one_stretch_and_stretches_are_bounded() {
        let stretches = |seconds: &[u64], length_s: f64| {
            let mut slo = Slo::default();
            seconds.iter().for_each(|s| slo.second(*s, 10, 1, false));
            slo.second(0, 10, 0, true);
            slo.finish(length_s);
            assert_eq!(slo.bad_seconds, seconds.len() as u64);
            slo.missed.iter().map(|s| (s.from_s, s.to_s)).collect::<Vec<_>>()
        };
        assert_eq!(stretches(&[9, 3, 4, 5], 60.0), [(3.0, 6.0), (9.0, 10.0)]);
        assert_eq!(stretches(&[], 60.0), []);
        let every_other: Vec<u64> = (0..40_000).map(|i| i * 7).collect();
        assert!(stretches(&every_other, 280_000.0).len() <= STRETCHES);
    }
}
