//! The times that a query is evaluated at.

use thanos_model::TimestampMs;

use crate::error::QueryError;

/// The times that a query is evaluated at: `start`, `start + step`, … up to and with `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    pub(crate) start_ms: TimestampMs,
    pub(crate) end_ms: TimestampMs,
    pub(crate) step_ms: i64,
    pub(crate) instant: bool,
}

/// A range query may have this many steps; Prometheus' HTTP API draws the line at 11,000.
pub const MAX_STEPS: i64 = 1_000_000;

/// How far from the epoch a query may be, so that no arithmetic on times overflows: 36 million years.
pub const MAX_TIME_MS: i64 = i64::MAX / 8;

impl Steps {
    /// One time; times further than [`MAX_TIME_MS`] from the epoch count as that far.
    pub fn instant(at_ms: TimestampMs) -> Self {
        let at_ms = at_ms.clamp(-MAX_TIME_MS, MAX_TIME_MS);
        Self { start_ms: at_ms, end_ms: at_ms, step_ms: 1, instant: true }
    }

    /// A range of times.
    ///
    /// # Errors
    /// The step is not positive, the end is before the start, there are more than [`MAX_STEPS`], or one is
    /// further than [`MAX_TIME_MS`] from the epoch.
    pub fn range(start_ms: TimestampMs, end_ms: TimestampMs, step_ms: i64) -> Result<Self, QueryError> {
        if step_ms <= 0 {
            return Err(QueryError::BadData(
                "zero or negative query resolution step widths are not accepted. Try a positive integer"
                    .into(),
            ));
        }
        if end_ms < start_ms {
            return Err(QueryError::BadData("end timestamp must not be before start time".into()));
        }
        if start_ms < -MAX_TIME_MS || end_ms > MAX_TIME_MS {
            return Err(QueryError::BadData("start or end timestamp is out of range".into()));
        }
        if end_ms.checked_sub(start_ms).is_none_or(|d| d / step_ms >= MAX_STEPS) {
            return Err(QueryError::BadData(format!("more than {MAX_STEPS} steps; use a larger step")));
        }
        Ok(Self { start_ms, end_ms, step_ms, instant: false })
    }
}
