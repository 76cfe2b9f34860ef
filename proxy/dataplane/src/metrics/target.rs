//! What is counted for one target of requests: an app port inbound, an endpoint outbound.
//!
//! A request reaches its series by two short scans of immutable lists (statuses seen, classes seen): no lock, no
//! hashing. A new status or class copies the list, once in the target's life.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use proxy_api::latency::BUCKETS_MS;
use proxy_core::classify::Class;

use super::shard::{Counter, Shards};

/// More distinct statuses than this share one series without a status: an app must not be able to grow us.
const STATUSES_MAX: usize = 64;

/// Series of one target.
#[derive(Debug)]
pub struct Target {
    pub(super) labels: String,
    pub(super) requests: Counter,
    pub(super) statuses: ArcSwap<Vec<Arc<Status>>>,
    growing: Mutex<()>,
    used_ms: AtomicU64,
}

/// Series of one target and status; `None` where there was no response.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) code: Option<u16>,
    pub(super) latency: Shards<Latency>,
    pub(super) classes: ArcSwap<Vec<Arc<ClassTotal>>>,
    growing: Mutex<()>,
}

/// One thread's share of a histogram.
#[derive(Debug, Default)]
pub(super) struct Latency {
    /// Not cumulative; the last is `+Inf`.
    pub(super) buckets: [AtomicU64; BUCKETS_MS.len() + 1],
    pub(super) sum_us: AtomicU64,
}

#[derive(Debug)]
pub(super) struct ClassTotal {
    pub(super) class: Class,
    pub(super) total: Counter,
}

impl Target {
    pub(super) fn new(labels: String, now_ms: u64) -> Self {
        Self {
            labels,
            requests: Counter::default(),
            statuses: ArcSwap::default(),
            growing: Mutex::new(()),
            used_ms: AtomicU64::new(now_ms),
        }
    }

    /// A request was sent.
    pub fn request(&self, now_ms: u64) {
        self.requests.add(1);
        // Only eviction reads it, to the minute: keep the line unwritten most of the time.
        if self.used_ms.load(Relaxed).saturating_add(1_000) < now_ms {
            self.used_ms.store(now_ms, Relaxed);
        }
    }

    /// The first body frame, or the end, came `latency_us` after the request.
    pub fn latency(&self, status: u16, latency_us: u64) {
        self.with_status(Some(status), |series| {
            let shard = series.latency.mine();
            let bucket = BUCKETS_MS.partition_point(|le| le.saturating_mul(1_000) < latency_us);
            if let Some(count) = shard.buckets.get(bucket) {
                count.fetch_add(1, Relaxed);
            }
            shard.sum_us.fetch_add(latency_us, Relaxed);
        });
    }

    /// The response is over, or broke; `status` is `None` if it never began.
    pub fn response(&self, status: Option<u16>, class: Class) {
        self.with_status(status, |series| {
            let count = |classes: &[Arc<ClassTotal>]| {
                classes.iter().find(|c| c.class == class).map(|c| c.total.add(1)).is_some()
            };
            if count(&series.classes.load()) {
                return;
            }
            let _one_at_a_time = series.growing.lock();
            let classes = series.classes.load_full();
            if count(&classes) {
                return;
            }
            let new = Arc::new(ClassTotal { class, total: Counter::default() });
            new.total.add(1);
            series.classes.store(Arc::new(classes.iter().cloned().chain([new]).collect()));
        });
    }

    /// When it was last used.
    pub(super) fn used_ms(&self) -> u64 {
        self.used_ms.load(Relaxed)
    }

    /// By closure rather than by handle: cloning an `Arc` would write to a line that all threads share.
    fn with_status(&self, code: Option<u16>, record: impl FnOnce(&Status)) {
        if let Some(s) = self.statuses.load().iter().find(|s| s.code == code) {
            return record(s);
        }
        record(&self.grow(code));
    }

    fn grow(&self, code: Option<u16>) -> Arc<Status> {
        let _one_at_a_time = self.growing.lock();
        let statuses = self.statuses.load_full();
        let code = if statuses.len() < STATUSES_MAX { code } else { None };
        if let Some(s) = statuses.iter().find(|s| s.code == code) {
            return s.clone();
        }
        let new = Arc::new(Status {
            code,
            latency: Shards::default(),
            classes: ArcSwap::default(),
            growing: Mutex::new(()),
        });
        self.statuses.store(Arc::new(statuses.iter().cloned().chain([new.clone()]).collect()));
        new
    }
}
