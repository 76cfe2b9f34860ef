//! The requests that were due in one second, each by itself: what a verdict on that second needs, whenever they
//! ended.

use std::time::Duration;

use crate::recorder::{End, Recorder};

/// Requests that were due in one second. Four bytes a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    answered_us: Vec<u32>,
    failed_us: Vec<u32>,
    dropped: u64,
}

impl Due {
    /// One ended `latency` after its planned time.
    pub fn ended(&mut self, latency: Duration, end: End<'_>) {
        let us = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        match end {
            End::Ok => self.answered_us.push(us),
            End::Failed(_) => self.failed_us.push(us),
        }
    }

    /// One could not be sent.
    pub fn dropped(&mut self) {
        self.dropped += 1;
    }

    /// Adds those of another generator.
    pub fn merge(&mut self, other: Due) {
        self.answered_us.extend(other.answered_us);
        self.failed_us.extend(other.failed_us);
        self.dropped += other.dropped;
    }

    /// How many were due.
    pub fn requests(&self) -> u64 {
        (self.answered_us.len() + self.failed_us.len()) as u64 + self.dropped
    }

    /// How many failed, were not sent, or took as long as `bound_ms` or longer.
    pub fn worse_than(&self, bound_ms: Option<f64>) -> u64 {
        let slow = |us: &&u32| bound_ms.is_some_and(|bound| f64::from(**us) >= bound * 1000.0);
        (self.answered_us.iter().filter(slow).count() + self.failed_us.len()) as u64 + self.dropped
    }

    /// As distributions; the causes of failures are not kept, and what was not sent took as long as can be.
    pub fn recorder(&self) -> Recorder {
        let mut recorder = Recorder::default();
        let ends = [(&self.answered_us, End::Ok), (&self.failed_us, End::Failed("any"))];
        for (latencies, end) in ends {
            for us in latencies {
                recorder.sent(Duration::ZERO);
                recorder.ended(Duration::from_micros(u64::from(*us)), end);
            }
        }
        for _ in 0..self.dropped {
            recorder.sent(Duration::ZERO);
            recorder.ended(Duration::MAX, End::Failed("not sent"));
        }
        recorder
    }
}
