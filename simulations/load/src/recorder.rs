//! What happened, in histograms: exact enough to judge on, small enough to keep.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

mod summary;

pub use summary::{Invalid, SEND_LAG_P99_MAX, Summary};

/// Latencies above this are recorded as this.
const LATENCY_MAX_US: u64 = 600_000_000;

/// Causes that are told apart; the rest are counted together.
const CAUSES_MAX: usize = 64;
const OTHER_CAUSES: &str = "others";

/// How one request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End<'a> {
    /// Answered well.
    Ok,
    /// The service's failure, by cause: `status 503`, `timeout`, `connect refused`.
    Failed(&'a str),
    /// It could not be sent, by the generator's own failure: no file descriptor, no port. Says nothing of the service.
    Own(&'a str),
}

/// Why a request that was due was never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent<'a> {
    /// The service held every slot, of which there were enough for all requests of a whole timeout: its failure.
    Saturated,
    /// The generator's own failure, by cause.
    Own(&'a str),
}

/// Counts and distributions of one stretch of time.
#[derive(Clone, Debug)]
pub struct Recorder {
    planned: u64,
    saturated: u64,
    completed: u64,
    failed: BTreeMap<String, u64>,
    own: BTreeMap<String, u64>,
    statuses: BTreeMap<u16, u64>,
    retried: u64,
    received_bytes: u64,
    /// Answered well before the stretch was over.
    in_time: u64,
    send_lag_us: Histogram<u64>,
    /// Of what was answered well.
    answered: Latencies,
    /// Of what failed.
    failures: Option<Box<Latencies>>,
    /// Requests that count as slower than any latency.
    never: u64,
}

/// Latencies from the planned times, and the same without the generator's own lag.
#[derive(Clone, Debug)]
struct Latencies {
    planned_us: Histogram<u64>,
    sent_us: Histogram<u64>,
}

impl Latencies {
    fn new() -> Self {
        Self { planned_us: histogram(), sent_us: histogram() }
    }

    fn record(&mut self, latency: Duration, lag: Duration) {
        record(&mut self.planned_us, latency);
        record(&mut self.sent_us, latency.saturating_sub(lag));
    }

    fn add(&mut self, other: &Self) {
        // Equal bounds, so adding cannot fail.
        let _ = self.planned_us.add(&other.planned_us);
        let _ = self.sent_us.add(&other.sent_us);
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            planned: 0,
            saturated: 0,
            completed: 0,
            failed: BTreeMap::new(),
            own: BTreeMap::new(),
            statuses: BTreeMap::new(),
            retried: 0,
            received_bytes: 0,
            in_time: 0,
            send_lag_us: histogram(),
            answered: Latencies::new(),
            failures: None,
            never: 0,
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

fn count(causes: &mut BTreeMap<String, u64>, cause: &str, n: u64) {
    // Looked up first: a cause is copied once, not at each request.
    if let Some(known) = causes.get_mut(cause) {
        *known += n;
    } else {
        let cause = if causes.len() < CAUSES_MAX { cause } else { OTHER_CAUSES };
        *causes.entry(cause.to_owned()).or_default() += n;
    }
}

impl Recorder {
    /// A request was due and handed over `lag` after its planned time.
    pub fn sent(&mut self, lag: Duration) {
        self.planned += 1;
        record(&mut self.send_lag_us, lag);
    }

    /// A request was due and never sent.
    pub fn not_sent(&mut self, why: NotSent<'_>) {
        self.planned += 1;
        match why {
            NotSent::Saturated => self.saturated += 1,
            NotSent::Own(cause) => count(&mut self.own, cause, 1),
        }
    }

    /// A request was due, and the generator had no room for it.
    pub fn dropped(&mut self) {
        self.not_sent(NotSent::Own("not sent"));
    }

    /// A request ended `latency` after its planned time. Failures count in the latency too: a user waited.
    pub fn ended(&mut self, latency: Duration, end: End<'_>) {
        self.ended_lagged(latency, Duration::ZERO, end);
    }

    /// A request that was sent `lag` late ended `latency` after its planned time.
    pub fn ended_lagged(&mut self, latency: Duration, lag: Duration, end: End<'_>) {
        match end {
            End::Ok => {
                self.completed += 1;
                self.answered.record(latency, lag);
            }
            End::Failed(cause) => {
                count(&mut self.failed, cause, 1);
                self.failures.get_or_insert_with(|| Box::new(Latencies::new())).record(latency, lag);
            }
            End::Own(cause) => count(&mut self.own, cause, 1),
        }
    }

    /// An answer with this status came, well or not, and so many bytes of body.
    pub fn answer(&mut self, status: u16, body_bytes: u64) {
        *self.statuses.entry(status).or_default() += 1;
        self.received_bytes = self.received_bytes.saturating_add(body_bytes);
    }

    /// A request was answered well before the stretch that it is of was over: what is answered later is no rate of it.
    pub fn answered_before_the_end(&mut self) {
        self.in_time += 1;
    }

    /// How many were.
    pub fn answered_in_time(&self) -> u64 {
        self.in_time
    }

    /// A request was sent again, as the server had closed the kept connection that it was sent on.
    pub fn retried(&mut self) {
        self.retried += 1;
    }

    /// Adds another stretch.
    pub fn merge(&mut self, other: &Recorder) {
        self.planned += other.planned;
        self.saturated += other.saturated;
        self.completed += other.completed;
        other.failed.iter().for_each(|(cause, n)| count(&mut self.failed, cause, *n));
        other.own.iter().for_each(|(cause, n)| count(&mut self.own, cause, *n));
        for (status, n) in &other.statuses {
            *self.statuses.entry(*status).or_default() += n;
        }
        self.retried += other.retried;
        self.in_time += other.in_time;
        self.received_bytes = self.received_bytes.saturating_add(other.received_bytes);
        let _ = self.send_lag_us.add(&other.send_lag_us);
        self.answered.add(&other.answered);
        if let Some(failures) = &other.failures {
            self.failures.get_or_insert_with(|| Box::new(Latencies::new())).add(failures);
        }
        self.never += other.never;
    }

    /// The same requests, those that failed or were never sent as slower than any latency: what users wait for does not
    /// come any sooner because the refusal is quick. Percentiles that reach them, the mean and the maximum are infinite.
    pub fn failures_as_slowest(&self) -> Self {
        let never = self.failed_count() + self.not_sent_count();
        Self { failures: None, never, ..self.clone() }
    }

    /// The same requests, each latency less what the generator was late by: the least that it can have been, had the
    /// request been sent when it was planned.
    pub fn without_lag(&self) -> Self {
        let mut without = self.clone();
        without.answered.planned_us = without.answered.sent_us.clone();
        if let Some(failures) = &mut without.failures {
            failures.planned_us = failures.sent_us.clone();
        }
        without
    }

    /// Whether the generator's own lag may have decided a judgement: whether it comes out otherwise on the latencies
    /// [without lag](Self::without_lag).
    pub fn lag_decides(&self, judge: impl Fn(&Recorder) -> bool) -> bool {
        judge(self) != judge(&self.without_lag())
    }

    /// [`Self::lag_decides`] for "the latency of a share of the requests, 0 to 1, is below a bound".
    pub fn lag_decides_percentile(&self, share: f64, bound_ms: f64) -> bool {
        self.lag_decides(|r| r.latency_ms(share) < bound_ms)
    }

    /// Of all that ended.
    fn latency_us(&self) -> std::borrow::Cow<'_, Histogram<u64>> {
        let answered = &self.answered.planned_us;
        let Some(failures) = &self.failures else { return std::borrow::Cow::Borrowed(answered) };
        let mut all = answered.clone();
        let _ = all.add(&failures.planned_us);
        std::borrow::Cow::Owned(all)
    }

    /// Latency in milliseconds that a share of the requests, 0 to 1, did not exceed.
    pub fn latency_ms(&self, share: f64) -> f64 {
        self.quantile_ms(&self.latency_us(), share)
    }

    fn quantile_ms(&self, latencies: &Histogram<u64>, share: f64) -> f64 {
        if self.never == 0 {
            return latencies.value_at_quantile(share) as f64 / 1000.0;
        }
        let ended = latencies.len();
        let rank = (share * (ended + self.never) as f64).ceil().max(1.0);
        if rank > ended as f64 {
            return f64::INFINITY;
        }
        // The middle of the rank's share, which no rounding takes to the next.
        latencies.value_at_quantile((rank - 0.5) / ended as f64) as f64 / 1000.0
    }

    /// Mean latency, milliseconds; 0 where nothing ended.
    pub fn latency_mean_ms(&self) -> f64 {
        if self.never > 0 { f64::INFINITY } else { self.latency_us().mean() / 1000.0 }
    }

    /// Latency in milliseconds that a share, 0 to 1, of the requests that were answered well did not exceed.
    pub fn answered_ms(&self, share: f64) -> f64 {
        self.answered.planned_us.value_at_quantile(share) as f64 / 1000.0
    }

    /// Mean latency of the requests that were answered well, milliseconds; 0 where none was.
    pub fn answered_mean_ms(&self) -> f64 {
        self.answered.planned_us.mean() / 1000.0
    }

    /// What the generator was late by, milliseconds, that a share of the requests, 0 to 1, did not exceed.
    pub fn send_lag_ms(&self, share: f64) -> f64 {
        self.send_lag_us.value_at_quantile(share) as f64 / 1000.0
    }

    fn failed_count(&self) -> u64 {
        self.failed.values().sum()
    }

    fn not_sent_count(&self) -> u64 {
        self.saturated + self.own.values().sum::<u64>()
    }

    /// The figures.
    pub fn summary(&self) -> Summary {
        let latency = self.latency_us();
        let max_ms = latency.max() as f64 / 1000.0;
        let own_failures = self.own.values().sum();
        Summary {
            planned: self.planned,
            completed: self.completed,
            failed: self.failed_count(),
            dropped: self.not_sent_count(),
            saturated: self.saturated,
            own_failures,
            causes: self.failed.clone(),
            own_causes: self.own.clone(),
            statuses: self.statuses.clone(),
            retried: self.retried,
            received_bytes: self.received_bytes,
            latency_p50_ms: self.quantile_ms(&latency, 0.50),
            latency_p95_ms: self.quantile_ms(&latency, 0.95),
            latency_p99_ms: self.quantile_ms(&latency, 0.99),
            latency_max_ms: if self.never > 0 { f64::INFINITY } else { max_ms },
            send_lag_p99_ms: self.send_lag_ms(0.99),
        }
    }
}

#[cfg(test)]
mod tests;
