//! Times that objects give.

use std::time::Duration;

/// As long as for ever, for a process.
pub(super) const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

/// A time that an object gives: none below zero, and none that cannot be added to a clock.
pub(super) fn seconds_of(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).min(LONGEST)
}
