//! A stretch in figures, and whether they may be believed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// A run whose p99 of (sent − planned) is above this says nothing about the service.
///
/// Lag is part of every latency, so the limit is what a latency may be wrong by: a tenth of the 50 ms that the
/// services of scenarios take. On a core of its own the p99 is 0.1 to 0.2 ms (`docs/benchmarks.md`); the
/// rest is room for clusters that share two cores with the generator, where 1 ms would void runs by the
/// scheduler's slices alone.
pub const SEND_LAG_P99_MAX: Duration = Duration::from_millis(5);

/// A stretch in figures. Latency is from planned time to the last byte, failures included.
///
/// `planned = completed + failed + dropped + what is under way`, and `dropped = saturated + own_failures`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Requests that were due.
    pub planned: u64,
    /// Answered well.
    pub completed: u64,
    /// Sent and not answered well.
    pub failed: u64,
    /// Due and never sent, whoever's failure.
    pub dropped: u64,
    /// Of those dropped: the service held every slot, so that no user would have been answered. Its failure.
    pub saturated: u64,
    /// Of those dropped: the generator's own failure, which says nothing of the service.
    pub own_failures: u64,
    /// Failures by cause.
    pub causes: BTreeMap<String, u64>,
    /// The generator's own failures by cause.
    pub own_causes: BTreeMap<String, u64>,
    /// Answers by status, well or not.
    pub statuses: BTreeMap<u16, u64>,
    /// Sent again, as the server had closed the kept connection that they were sent on.
    pub retried: u64,
    /// Bytes of bodies that were received.
    pub received_bytes: u64,
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

/// How a generator broke its own promise.
#[derive(Clone, Debug, PartialEq)]
pub enum Invalid {
    /// It sent late: 99th percentile, milliseconds. What it did send and count is right but for the lag in the
    /// latencies, so a judgement that the lag [does not decide](super::Recorder::lag_decides) still stands.
    Late(f64),
    /// It could not send these, by cause.
    Own(BTreeMap<String, u64>),
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(p99_ms) => write!(
                f,
                "invalid run: the generator itself sent late (p99 {p99_ms:.1} ms, limit {:.0} ms); lower the rate or \
                 free the machine",
                SEND_LAG_P99_MAX.as_secs_f64() * 1000.0
            ),
            Self::Own(causes) => {
                let sum: u64 = causes.values().sum();
                let causes: Vec<String> = causes.iter().map(|(cause, n)| format!("{n} × {cause}")).collect();
                let causes = causes.join(", ");
                write!(
                    f,
                    "invalid run: {sum} requests were due and could not be sent by the generator: {causes}"
                )
            }
        }
    }
}

impl Summary {
    /// Whether the generator kept its own promise, or why not.
    ///
    /// # Errors
    /// One sentence with both figures.
    pub fn validity(&self) -> Result<(), String> {
        self.invalid().map_or(Ok(()), |why| Err(why.to_string()))
    }

    /// How the generator broke its own promise, the worst first. That a service held every slot is no such thing.
    pub fn invalid(&self) -> Option<Invalid> {
        if self.own_failures > 0 {
            return Some(Invalid::Own(self.own_causes.clone()));
        }
        let limit_ms = SEND_LAG_P99_MAX.as_secs_f64() * 1000.0;
        (self.send_lag_p99_ms > limit_ms).then_some(Invalid::Late(self.send_lag_p99_ms))
    }
}
