//! Whose failure it is that no slot is free, where there are fewer than requests come within a timeout. Pure.
//!
//! A service that hangs holds all slots, and so does one that is only slower than the slots allow for. Which of them it
//! is, is not known before those who hold the slots have been answered, or have not: what could not be sent waits for
//! that, no longer than a timeout.

use std::time::Duration;

/// Since when nothing was answered, and what could not be sent meanwhile.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// The first sending after the last answer.
    since: Option<Duration>,
    /// Whether that one has timed out, with nothing answered since.
    hangs: bool,
    unsent: Vec<Duration>,
}

/// Requests that were not sent, by when they were due, and whether that is since the service hangs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) hangs: bool,
    pub(super) planned: Vec<Duration>,
}

impl Silence {
    /// A request was sent.
    pub(super) fn sent(&mut self, at: Duration) {
        self.since.get_or_insert(at);
    }

    /// One that was due found no slot.
    pub(super) fn no_slot(&mut self, planned: Duration) -> Told {
        self.unsent.push(planned);
        // Without silence something was answered just now.
        if self.hangs || self.since.is_none() {
            self.over()
        } else {
            Told { hangs: false, planned: Vec::new() }
        }
    }

    /// A request was answered or refused, well or not: the service does not hang.
    pub(super) fn broken(&mut self) -> Told {
        self.since = None;
        self.hangs = false;
        self.over()
    }

    /// A request that was sent then got no answer in time.
    pub(super) fn timed_out(&mut self, sent: Duration) -> Told {
        if self.since == Some(sent) {
            self.hangs = true;
            return self.over();
        }
        Told { hangs: self.hangs, planned: Vec::new() }
    }

    /// All that is not told yet.
    pub(super) fn over(&mut self) -> Told {
        Told { hangs: self.hangs, planned: std::mem::take(&mut self.unsent) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn told(hangs: bool, planned: &[u64]) -> Told {
        Told { hangs, planned: planned.iter().map(|t| s(*t)).collect() }
    }

    #[test]
    fn whose_failure_it_is_that_no_slot_is_free_is_told_when_those_who_hold_them_end() {
        // A service that hangs: nothing is told before the first of the silence has timed out.
        let mut silence = Silence::default();
        silence.sent(s(1));
        silence.sent(s(2));
        assert_eq!(silence.no_slot(s(3)), told(false, &[]));
        assert_eq!(silence.no_slot(s(4)), told(false, &[]));
        assert_eq!(silence.timed_out(s(1)), told(true, &[3, 4]));
        silence.sent(s(11));
        assert_eq!(silence.no_slot(s(12)), told(true, &[12]), "it still does");
        assert_eq!(silence.timed_out(s(2)), told(true, &[]));
        assert_eq!(silence.over(), told(true, &[]));

        // A slow one: the slots were too few.
        silence.broken();
        silence.sent(s(20));
        assert_eq!(silence.no_slot(s(21)), told(false, &[]));
        assert_eq!(silence.broken(), told(false, &[21]));
        assert_eq!(silence.no_slot(s(22)), told(false, &[22]), "answered a moment ago");
        // A request from before the answer that times out says nothing of the time after it.
        silence.sent(s(23));
        assert_eq!(silence.no_slot(s(24)), told(false, &[]));
        assert_eq!(silence.timed_out(s(19)), told(false, &[]));
        assert_eq!(silence.over(), told(false, &[24]));
    }
}
