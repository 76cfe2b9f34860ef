//! Clocks: the machine's, or a world's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Wall time, for whoever would ask the machine.
///
/// A virtual clock goes with the runtime's: paused (`tokio::time::pause`), it stands until everybody waits, and then
/// jumps to the next one's time. Each actor can be given a clock that goes wrong by its own [`Skew`].
#[derive(Debug, Clone, Default)]
pub struct Clock(Kind);

#[derive(Debug, Clone, Default)]
enum Kind {
    #[default]
    System,
    Virtual {
        begin: Instant,
        epoch: Timestamp,
        skew: Skew,
    },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A clock that shows `epoch` now, and from then on goes with the runtime's.
    pub fn starting_at(epoch: Timestamp) -> Self {
        Self(Kind::Virtual { begin: Instant::now(), epoch, skew: Skew::default() })
    }

    /// As [`Clock::starting_at`], in milliseconds since the Unix epoch.
    pub fn starting_at_ms(epoch_ms: i64) -> Self {
        Self::starting_at(Timestamp::from_millisecond(epoch_ms).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// The same clock, wrong by a skew. The machine's is as it is.
    #[must_use]
    pub fn skewed(&self, skew: &Skew) -> Self {
        match &self.0 {
            Kind::System => Self::system(),
            Kind::Virtual { begin, epoch, .. } => {
                Self(Kind::Virtual { begin: *begin, epoch: *epoch, skew: skew.clone() })
            }
        }
    }

    /// The time; the last one that can be written, for a clock that is beyond it.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::System => Timestamp::now(),
            Kind::Virtual { begin, epoch, skew } => {
                let gone = SignedDuration::try_from(begin.elapsed()).unwrap_or(SignedDuration::MAX);
                let wrong = SignedDuration::from_millis(skew.ms());
                epoch.saturating_add(gone.saturating_add(wrong)).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// The time in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        self.now().as_millisecond()
    }

    /// Whether it is a world's own.
    pub fn is_virtual(&self) -> bool {
        matches!(self.0, Kind::Virtual { .. })
    }
}

/// How wrong a clock is. All its clones are the same: a fault sets it while others read the clock.
#[derive(Debug, Clone, Default)]
pub struct Skew(Arc<AtomicI64>);

impl Skew {
    /// Milliseconds that the clock is ahead; below zero, behind.
    pub fn ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets the clock ahead by so much, from now on.
    pub fn set_ms(&self, ahead_ms: i64) {
        self.0.store(ahead_ms, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_virtual_clock_goes_with_the_runtime_and_each_can_be_wrong() {
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::starting_at(epoch);
        let skew = Skew::default();
        let wrong = clock.skewed(&skew);
        assert_eq!(clock.now(), epoch);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.now().to_string(), "2026-01-01T01:00:00Z");
        assert_eq!(wrong.now_ms(), clock.now_ms());
        skew.set_ms(-1500);
        assert_eq!(wrong.now_ms() - clock.now_ms(), -1500);
        skew.set_ms(i64::MAX);
        assert_eq!(wrong.now(), Timestamp::MAX);
        assert!(clock.is_virtual() && !Clock::system().skewed(&skew).is_virtual());
    }
}
