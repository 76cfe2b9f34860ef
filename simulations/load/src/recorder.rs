//! What happened, in histograms: exact enough to judge on, small enough to keep.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Latencies above this are recorded as this.
const LATENCY_MAX_US: u64 = 600_000_000;

/// A run whose p99 of (sent − planned) is above this says nothing about the service.
///
/// Lag is part of every latency, so the limit is what a latency may be wrong by: a tenth of the 50 ms that the
/// services of scenarios take. On a core of its own the p99 is 0.1 to 0.2 ms (`docs/benchmarks.md`); the
/// rest is room for clusters that share two cores with the generator, where 1 ms would void runs by the
/// scheduler's slices alone.
pub const SEND_LAG_P99_MAX: Duration = Duration::from_millis(5);

/// How one request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End<'a> {
    /// An answer below 500 that is not 429.
    Ok,
    /// Anything else, by cause: `status 503`, `timeout`, `connect`, `broken`.
    Failed(&'a str),
}

/// Counts and distributions of one stretch of time.
#[derive(Clone, Debug)]
pub struct Recorder {
    planned: u64,
    dropped: u64,
    completed: u64,
    failed: BTreeMap<String, u64>,
    latency_us: Histogram<u64>,
    /// Of those that were answered well.
    answered_us: Histogram<u64>,
    send_lag_us: Histogram<u64>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            planned: 0,
            dropped: 0,
            completed: 0,
            failed: BTreeMap::new(),
            latency_us: histogram(),
            answered_us: histogram(),
            send_lag_us: histogram(),
        }
    }
}

fn histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "the bounds are constants that the constructor accepts")]
    Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("constant bounds")
}

fn record(h: &mut Histogram<u64>, d: Duration) {
    h.saturating_record(u64::try_from(d.as_micros()).unwrap_or(LATENCY_MAX_US).max(1));
}

impl Recorder {
    /// A request was due and handed over `lag` after its planned time.
    pub fn sent(&mut self, lag: Duration) {
        self.planned += 1;
        record(&mut self.send_lag_us, lag);
    }

    /// A request was due, and the generator had no room for it.
    pub fn dropped(&mut self) {
        self.planned += 1;
        self.dropped += 1;
    }

    /// A request ended `latency` after its planned time. Failures count in the latency too: a user waited.
    pub fn ended(&mut self, latency: Duration, end: End<'_>) {
        record(&mut self.latency_us, latency);
        match end {
            End::Ok => {
                self.completed += 1;
                record(&mut self.answered_us, latency);
            }
            End::Failed(cause) => *self.failed.entry(cause.to_owned()).or_default() += 1,
        }
    }

    /// Adds another stretch.
    pub fn merge(&mut self, other: &Recorder) {
        self.planned += other.planned;
        self.dropped += other.dropped;
        self.completed += other.completed;
        for (cause, n) in &other.failed {
            *self.failed.entry(cause.clone()).or_default() += n;
        }
        // Equal bounds, so adding cannot fail.
        let _ = self.latency_us.add(&other.latency_us);
        let _ = self.answered_us.add(&other.answered_us);
        let _ = self.send_lag_us.add(&other.send_lag_us);
    }

    /// Latency in milliseconds that a share of the requests, 0 to 1, did not exceed.
    pub fn latency_ms(&self, share: f64) -> f64 {
        self.latency_us.value_at_quantile(share) as f64 / 1000.0
    }

    /// Latency in milliseconds that a share, 0 to 1, of the requests that were answered well did not exceed.
    pub fn answered_ms(&self, share: f64) -> f64 {
        self.answered_us.value_at_quantile(share) as f64 / 1000.0
    }

    /// Mean latency of the requests that were answered well, milliseconds; 0 where none was.
    pub fn answered_mean_ms(&self) -> f64 {
        self.answered_us.mean() / 1000.0
    }

    /// Mean latency, milliseconds; 0 where nothing ended.
    pub fn latency_mean_ms(&self) -> f64 {
        self.latency_us.mean() / 1000.0
    }

    /// How late, in milliseconds, a share of the requests, 0 to 1, was sent at most.
    pub fn send_lag_ms(&self, share: f64) -> f64 {
        self.send_lag_us.value_at_quantile(share) as f64 / 1000.0
    }

    /// The figures.
    pub fn summary(&self) -> Summary {
        let ms = |h: &Histogram<u64>, q: f64| h.value_at_quantile(q) as f64 / 1000.0;
        Summary {
            planned: self.planned,
            completed: self.completed,
            failed: self.failed.values().sum(),
            dropped: self.dropped,
            own_failures: 0,
            causes: self.failed.clone(),
            latency_p50_ms: ms(&self.latency_us, 0.50),
            latency_p95_ms: ms(&self.latency_us, 0.95),
            latency_p99_ms: ms(&self.latency_us, 0.99),
            latency_max_ms: self.latency_us.max() as f64 / 1000.0,
            send_lag_p99_ms: ms(&self.send_lag_us, 0.99),
        }
    }
}

/// A stretch in figures. Latency is from planned time to the last byte, failures included.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Requests that were due.
    pub planned: u64,
    /// Answered well.
    pub completed: u64,
    /// Sent and not answered well.
    pub failed: u64,
    /// Due and never sent.
    pub dropped: u64,
    /// Of those dropped: the generator's own failure, which says nothing of the service.
    pub own_failures: u64,
    /// Failures by cause.
    pub causes: BTreeMap<String, u64>,
    /// Median, milliseconds.
    pub latency_p50_ms: f64,
    /// 95th percentile, milliseconds.
    pub latency_p95_ms: f64,
    /// 99th percentile, milliseconds.
    pub latency_p99_ms: f64,
    /// Longest, milliseconds.
    pub latency_max_ms: f64,
    /// 99th percentile of (sent − planned), milliseconds.
    pub send_lag_p99_ms: f64,
}

impl Summary {
    /// Whether the generator kept its own promise, or why not.
    ///
    /// # Errors
    /// One sentence with both figures.
    pub fn validity(&self) -> Result<(), String> {
        let limit_ms = SEND_LAG_P99_MAX.as_secs_f64() * 1000.0;
        if self.send_lag_p99_ms > limit_ms {
            return Err(format!(
                "invalid run: the generator itself sent late (p99 {:.1} ms, limit {limit_ms:.0} ms); lower the \
                 rate or free the machine",
                self.send_lag_p99_ms
            ));
        }
        if self.dropped > 0 {
            return Err(format!(
                "invalid run: {} requests were due and could not be sent; raise --max-in-flight or lower the rate",
                self.dropped
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_add_up_over_merged_stretches() {
        let mut a = Recorder::default();
        a.sent(Duration::from_micros(100));
        a.ended(Duration::from_millis(10), End::Ok);
        let mut b = Recorder::default();
        b.sent(Duration::from_micros(200));
        b.ended(Duration::from_millis(1000), End::Failed("status 503"));
        a.merge(&b);
        let s = a.summary();
        assert_eq!((s.planned, s.completed, s.failed, s.dropped), (2, 1, 1, 0));
        assert_eq!(s.causes["status 503"], 1);
        assert!((9.9..10.1).contains(&s.latency_p50_ms) && s.latency_max_ms >= 999.0);
        assert!(s.validity().is_ok());
    }

    #[test]
    fn late_sending_and_drops_make_a_run_invalid() {
        let mut late = Recorder::default();
        (0..100).for_each(|_| late.sent(Duration::from_millis(6)));
        assert!(late.summary().validity().unwrap_err().contains("sent late"));
        let mut full = Recorder::default();
        full.dropped();
        assert!(full.summary().validity().unwrap_err().contains("could not be sent"));
    }
}
