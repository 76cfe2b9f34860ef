//! What is counted before a target is chosen: demand, concurrency, refusals, by direction and authority.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use proxy_core::in_flight::InFlight;
use tokio::time::Instant;

use super::shard::{Counter, Shards};

/// Why the proxy answered a request itself. The words are the `error` label's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The request breaks HTTP, or asks for what a proxy does not do.
    BadRequest,
    /// Over the rate limit.
    RateLimited,
    /// Over the limit of requests in flight.
    LoadShed,
    /// No endpoint appeared in time.
    FailFast,
    /// The target could not be connected to.
    Connect,
    /// The connection broke before the response.
    Broken,
    /// A deadline passed.
    Timeout,
    /// The client left before the response.
    Canceled,
    /// The client stopped sending its request.
    ClientTimeout,
    /// What the target answered is not HTTP, or more of it than we take.
    BadResponse,
}

impl Cause {
    /// All, in the order of their counters.
    pub const ALL: [Self; 10] = [
        Self::BadRequest,
        Self::RateLimited,
        Self::LoadShed,
        Self::FailFast,
        Self::Connect,
        Self::Broken,
        Self::Timeout,
        Self::Canceled,
        Self::ClientTimeout,
        Self::BadResponse,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::RateLimited => "ratelimited",
            Self::LoadShed => "loadshed",
            Self::FailFast => "failfast",
            Self::Connect => "connect",
            Self::Broken => "i/o",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::ClientTimeout => "client_timeout",
            Self::BadResponse => "bad_response",
        }
    }
}

/// Series of one direction and authority.
#[derive(Debug)]
pub struct Traffic {
    pub(super) labels: String,
    pub(super) arrivals: Counter,
    pub(super) errors: [AtomicU64; Cause::ALL.len()],
    pub(super) queue_wait_us: AtomicU64,
    pub(super) retries: AtomicU64,
    /// A lock a thread, which only a scrape ever contends for: count and integral must change together, or a
    /// scrape between the two would read a counter that falls.
    in_flight: Shards<Mutex<InFlight>>,
    /// The same count once more, cheap to compare with a limit.
    open: AtomicU64,
    epoch: Instant,
}

/// One admitted request, until it is dropped.
#[derive(Debug)]
pub struct Admitted(Arc<Traffic>);

impl Traffic {
    pub(super) fn new(labels: String, epoch: Instant) -> Self {
        Self {
            labels,
            arrivals: Counter::default(),
            errors: Default::default(),
            queue_wait_us: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            in_flight: Shards::default(),
            open: AtomicU64::new(0),
            epoch,
        }
    }

    /// A request arrived; it may yet be refused.
    pub fn arrived(&self) {
        self.arrivals.add(1);
    }

    /// The proxy answers it itself.
    pub fn refused(&self, cause: Cause) {
        if let Some(count) = self.errors.get(cause as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// It waited for an endpoint.
    pub fn waited(&self, wait: std::time::Duration) {
        self.queue_wait_us.fetch_add(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// It is sent again.
    pub fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// It is in flight until the guard is dropped.
    pub fn admit(self: &Arc<Self>) -> Admitted {
        let mut mine = self.in_flight.mine().lock();
        // Read under the lock, so that a scrape's later reading is never before it.
        mine.start(ns(self.epoch));
        drop(mine);
        self.open.fetch_add(1, Relaxed);
        Admitted(self.clone())
    }

    /// The same, if fewer than `limit` are in flight. Under contention a few more may slip in: the limit protects
    /// memory, it is not a semaphore.
    pub fn admit_below(self: &Arc<Self>, limit: u64) -> Option<Admitted> {
        if self.open.load(Relaxed) >= limit {
            return None;
        }
        Some(self.admit())
    }

    /// `(open, ∫ open dt in ns)` at one moment.
    pub fn in_flight(&self) -> (u64, u128) {
        let shards: Vec<_> = self.in_flight.iter().map(Mutex::lock).collect();
        let sum = shards.iter().fold(InFlight::default(), |sum, s| sum.plus(**s));
        (sum.open(), sum.integral_ns(ns(self.epoch)))
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut mine = self.0.in_flight.mine().lock();
        mine.end(ns(self.0.epoch));
        drop(mine);
        self.0.open.fetch_sub(1, Relaxed);
    }
}

fn ns(epoch: Instant) -> u64 {
    u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
