//! The requests that were due in one second, each by itself: what a verdict on that second needs, whenever they
//! ended.

use std::time::Duration;

use crate::recorder::{End, NotSent, Recorder};

/// Requests that were due in one second. Eight bytes a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    answered: Vec<Ended>,
    failed: Vec<Ended>,
    saturated: u64,
    own: u64,
}

/// Microseconds from the planned time, and those of them by which the generator was late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ended {
    latency_us: u32,
    lag_us: u32,
}

fn micros(d: Duration) -> u32 {
    u32::try_from(d.as_micros()).unwrap_or(u32::MAX)
}

impl Due {
    /// One ended `latency` after its planned time.
    pub fn ended(&mut self, latency: Duration, end: End<'_>) {
        self.ended_lagged(latency, Duration::ZERO, end);
    }

    /// One that was sent `lag` late ended `latency` after its planned time.
    pub fn ended_lagged(&mut self, latency: Duration, lag: Duration, end: End<'_>) {
        let ended = Ended { latency_us: micros(latency), lag_us: micros(lag) };
        match end {
            End::Ok => self.answered.push(ended),
            End::Failed(_) => self.failed.push(ended),
            End::Own(_) => self.own += 1,
        }
    }

    /// One was never sent.
    pub fn not_sent(&mut self, why: NotSent<'_>) {
        match why {
            NotSent::Saturated => self.saturated += 1,
            NotSent::Own(_) => self.own += 1,
        }
    }

    /// One could not be sent.
    pub fn dropped(&mut self) {
        self.not_sent(NotSent::Own("not sent"));
    }

    /// Adds those of another generator.
    pub fn merge(&mut self, other: Due) {
        self.answered.extend(other.answered);
        self.failed.extend(other.failed);
        self.saturated += other.saturated;
        self.own += other.own;
    }

    /// How many were due.
    pub fn requests(&self) -> u64 {
        (self.answered.len() + self.failed.len()) as u64 + self.unsent()
    }

    fn unsent(&self) -> u64 {
        self.saturated + self.own
    }

    /// How many failed, were not sent, or took as long as `bound_ms` or longer.
    pub fn worse_than(&self, bound_ms: Option<f64>) -> u64 {
        let slow = |e: &&Ended| bound_ms.is_some_and(|bound| f64::from(e.latency_us) >= bound * 1000.0);
        (self.answered.iter().filter(slow).count() + self.failed.len()) as u64 + self.unsent()
    }

    /// As distributions; the causes of failures are not kept, and what was not sent took as long as can be.
    pub fn recorder(&self) -> Recorder {
        let mut recorder = self.ended_ones();
        for _ in 0..self.unsent() {
            recorder.sent(Duration::ZERO);
            recorder.ended(Duration::MAX, End::Failed("not sent"));
        }
        recorder
    }

    /// As distributions for a bound on latency: what failed or was not sent is slower than any bound. A connection that
    /// was refused after a millisecond served nobody within 200.
    pub fn recorder_failures_as_slowest(&self) -> Recorder {
        let mut recorder = self.ended_ones();
        (0..self.saturated).for_each(|_| recorder.not_sent(NotSent::Saturated));
        (0..self.own).for_each(|_| recorder.dropped());
        recorder.failures_as_slowest()
    }

    fn ended_ones(&self) -> Recorder {
        let mut recorder = Recorder::default();
        for (ended, end) in [(&self.answered, End::Ok), (&self.failed, End::Failed("any"))] {
            for e in ended {
                let micros = |us: u32| Duration::from_micros(u64::from(us));
                recorder.sent(micros(e.lag_us));
                recorder.ended_lagged(micros(e.latency_us), micros(e.lag_us), end);
            }
        }
        recorder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(answered_ms: &[u64], failed_ms: &[u64], saturated: u32) -> Due {
        let mut due = Due::default();
        answered_ms.iter().for_each(|ms| due.ended(Duration::from_millis(*ms), End::Ok));
        failed_ms.iter().for_each(|ms| due.ended(Duration::from_millis(*ms), End::Failed("x")));
        (0..saturated).for_each(|_| due.not_sent(NotSent::Saturated));
        due
    }

    #[test]
    fn what_fails_fast_is_slower_than_any_bound() {
        for (due, share, within_ms, slowest) in [
            (due(&[], &[5, 5, 5], 0), 0.95, 200.0, f64::INFINITY),
            (due(&[10; 19], &[5], 0), 0.95, 200.0, 10.0),
            (due(&[10; 18], &[5, 5], 0), 0.95, 200.0, f64::INFINITY),
            (due(&[10; 18], &[], 2), 0.95, 200.0, f64::INFINITY),
            (due(&[10, 900], &[], 0), 1.0, 1000.0, 900.0),
            (due(&[], &[], 0), 1.0, 1000.0, 0.0),
        ] {
            let found = due.recorder_failures_as_slowest().latency_ms(share);
            assert!(found == slowest || (found / slowest - 1.0).abs() < 0.01, "{due:?}: {found}");
            let summary = due.recorder_failures_as_slowest().summary();
            assert_eq!(summary.planned, due.requests(), "{due:?}");
            if due.saturated == 0 {
                assert!(
                    due.recorder().latency_ms(share) < within_ms,
                    "the other counts them as they are: {due:?}"
                );
            }
        }
    }

    #[test]
    fn the_generator_s_lag_can_be_taken_out() {
        let mut due = Due::default();
        due.ended_lagged(Duration::from_millis(210), Duration::from_millis(20), End::Ok);
        let recorder = due.recorder_failures_as_slowest();
        assert!(recorder.lag_decides_percentile(0.95, 200.0));
        assert!(!recorder.lag_decides_percentile(0.95, 180.0));
    }
}
