//! When a policy is due. Evaluations lie on a grid that all policies with one interval share, so that they go
//! out in one batch; what could not be done in time is left out, never caught up.

use std::time::Duration;

use tokio::time::Instant;

/// The first point of the grid after `now`, and how many points between `due` and it are left out.
pub(crate) fn next(origin: Instant, due: Instant, now: Instant, interval: Duration) -> (Instant, u64) {
    let interval_ns = interval.as_nanos().max(1);
    let point_after = |t: Instant| t.saturating_duration_since(origin).as_nanos() / interval_ns + 1;
    let coming = point_after(now.max(due));
    let missed = coming.saturating_sub(point_after(due));
    let offset = u64::try_from(coming.saturating_mul(interval_ns)).unwrap_or(u64::MAX);
    (origin + Duration::from_nanos(offset), u64::try_from(missed).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_shared_and_the_past_is_left_out() {
        let origin = Instant::now();
        let at = |ms: u64| origin + Duration::from_millis(ms);
        let second = Duration::from_secs(1);
        for (due, now, expected, missed) in [
            (0, 0, 1000, 0),
            (300, 310, 1000, 0),
            (1000, 1000, 2000, 0),
            (1000, 1999, 2000, 0),
            (1000, 2000, 3000, 1),
            (1000, 5500, 6000, 4),
        ] {
            assert_eq!(next(origin, at(due), at(now), second), (at(expected), missed), "{due} {now}");
        }
    }
}
