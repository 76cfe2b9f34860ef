//! Own metrics, under Prometheus' names.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use thanos_model::TimestampMs;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RemoteLabels {
    remote_name: String,
    url: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    remote_name: String,
    url: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabels {
    scrape_job: String,
}

type FloatGauge = Gauge<f64, AtomicU64>;
type Seconds = fn() -> Histogram;

/// Everything that this process counts.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    samples: Family<RemoteLabels, Counter>,
    failed: Family<RemoteLabels, Counter>,
    retried: Family<RemoteLabels, Counter>,
    dropped: Family<DropLabels, Counter>,
    bytes: Family<RemoteLabels, Counter>,
    pending: Family<RemoteLabels, Gauge>,
    shards: Family<RemoteLabels, Gauge>,
    shard_capacity: Family<RemoteLabels, Gauge>,
    highest_sent: Family<RemoteLabels, FloatGauge>,
    batch_seconds: Option<Family<RemoteLabels, Histogram, Seconds>>,
    highest_seen: FloatGauge,
    pool_targets: Family<JobLabels, Gauge>,
    /// Targets known before relabelling, by job.
    discovered: Family<JobLabels, Gauge>,
    /// Scrapes that gave a series twice.
    pub duplicates: Counter,
    /// Samples older than their series' last.
    pub out_of_order: Counter,
    /// Scrapes over `sample_limit`.
    pub over_sample_limit: Counter,
    /// Scrapes over `body_size_limit`.
    pub over_body_limit: Counter,
    /// Whether the newest configuration is in force.
    pub reload_ok: Gauge,
    /// When the configuration in force was taken.
    pub reload_seconds: FloatGauge,
}

impl Metrics {
    /// Registers every family.
    pub fn register(registry: &mut Registry) -> Self {
        let mut m = Self::default();
        let seconds = Family::new_with_constructor(
            (|| Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]))
                as Seconds,
        );
        let remote = registry.sub_registry_with_prefix("prometheus_remote_storage");
        remote.register("samples", "Samples sent to remote storage, retries included", m.samples.clone());
        remote.register("samples_failed", "Samples that remote storage refused", m.failed.clone());
        remote.register("samples_retried", "Samples sent again after a recoverable error", m.retried.clone());
        remote.register(
            "samples_dropped",
            "Samples dropped before they were sent, by reason",
            m.dropped.clone(),
        );
        remote.register("bytes", "Compressed bytes sent", m.bytes.clone());
        remote.register("samples_pending", "Samples queued or on their way", m.pending.clone());
        remote.register("shards", "Shards that send in parallel", m.shards.clone());
        remote.register("shard_capacity", "Samples that one shard holds", m.shard_capacity.clone());
        remote.register("sent_batch_duration_seconds", "Duration of send calls", seconds.clone());
        remote.register(
            "queue_highest_sent_timestamp_seconds",
            "Newest sample that remote storage took",
            m.highest_sent.clone(),
        );
        remote.register(
            "highest_timestamp_in_seconds",
            "Newest sample that entered a queue",
            m.highest_seen.clone(),
        );
        m.batch_seconds = Some(seconds);
        let target = registry.sub_registry_with_prefix("prometheus_target");
        target.register("scrape_pool_targets", "Targets scraped, by job", m.pool_targets.clone());
        target.register(
            "scrapes_sample_duplicate_timestamp",
            "Samples refused: same series and time",
            m.duplicates.clone(),
        );
        target.register(
            "scrapes_sample_out_of_order",
            "Samples refused: out of order",
            m.out_of_order.clone(),
        );
        target.register(
            "scrapes_exceeded_sample_limit",
            "Scrapes over sample_limit",
            m.over_sample_limit.clone(),
        );
        target.register(
            "scrapes_exceeded_body_size_limit",
            "Scrapes over body_size_limit",
            m.over_body_limit.clone(),
        );
        registry.register(
            "prometheus_sd_discovered_targets",
            "Targets before relabelling",
            m.discovered.clone(),
        );
        let config = registry.sub_registry_with_prefix("prometheus_config");
        config.register("last_reload_successful", "1 if the newest file is in force", m.reload_ok.clone());
        config.register(
            "last_reload_success_timestamp_seconds",
            "When the configuration in force was taken",
            m.reload_seconds.clone(),
        );
        m
    }

    /// The counters of one remote.
    pub fn remote(&self, remote_name: &str, url: &str) -> RemoteMetrics {
        let labels = RemoteLabels { remote_name: remote_name.into(), url: url.into() };
        let dropped = |reason| {
            let labels = DropLabels { remote_name: remote_name.into(), url: url.into(), reason };
            self.dropped.get_or_create_owned(&labels)
        };
        RemoteMetrics {
            samples: self.samples.get_or_create_owned(&labels),
            failed: self.failed.get_or_create_owned(&labels),
            retried: self.retried.get_or_create_owned(&labels),
            bytes: self.bytes.get_or_create_owned(&labels),
            dropped_queue_full: dropped("queue_full"),
            dropped_too_old: dropped("too_old"),
            dropped_by_rules: dropped("dropped_series"),
            dropped_shutdown: dropped("shutdown"),
            pending: self.pending.get_or_create_owned(&labels),
            shards: self.shards.get_or_create_owned(&labels),
            shard_capacity: self.shard_capacity.get_or_create_owned(&labels),
            batch_seconds: match &self.batch_seconds {
                Some(family) => family.get_or_create_owned(&labels),
                None => Histogram::new([]),
            },
            highest_sent: self.highest_sent.get_or_create_owned(&labels),
            highest_seen: self.highest_seen.clone(),
            name: remote_name.into(),
        }
    }

    /// Sets how many targets a job has.
    pub fn job_targets(&self, job: &str, scraped: usize, discovered: usize) {
        let labels = JobLabels { scrape_job: job.into() };
        self.pool_targets.get_or_create(&labels).set(scraped as i64);
        self.discovered.get_or_create(&labels).set(discovered as i64);
    }

    /// Forgets a job that is no longer configured.
    pub fn remove_job(&self, job: &str) {
        let labels = JobLabels { scrape_job: job.into() };
        self.pool_targets.remove(&labels);
        self.discovered.remove(&labels);
    }
}

/// The counters of one remote, looked up once.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each is named and described where it is registered")]
pub struct RemoteMetrics {
    pub samples: Counter,
    pub failed: Counter,
    pub retried: Counter,
    pub bytes: Counter,
    pub dropped_queue_full: Counter,
    pub dropped_too_old: Counter,
    pub dropped_by_rules: Counter,
    pub dropped_shutdown: Counter,
    pub pending: Gauge,
    pub shards: Gauge,
    pub shard_capacity: Gauge,
    pub batch_seconds: Histogram,
    highest_sent: FloatGauge,
    highest_seen: FloatGauge,
    name: String,
}

impl RemoteMetrics {
    /// The remote's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A sample of this time was taken by the remote.
    pub fn highest_sent(&self, t_ms: TimestampMs) {
        raise(&self.highest_sent, t_ms);
    }

    /// A sample of this time was queued.
    pub fn highest_seen(&self, t_ms: TimestampMs) {
        raise(&self.highest_seen, t_ms);
    }
}

/// Never lowers: shards finish in any order.
fn raise(gauge: &FloatGauge, t_ms: TimestampMs) {
    let seconds = t_ms as f64 / 1000.0;
    let _ = gauge.inner().fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
        (f64::from_bits(now) < seconds).then_some(seconds.to_bits())
    });
}
