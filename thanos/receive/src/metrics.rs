//! Own metrics, under the names that Thanos' and Prometheus' dashboards read.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

use thanos_tsdb::{HeadStats, Outcome, SampleError};

type FloatGauge = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct CodeTenant {
    pub(crate) code: String,
    pub(crate) tenant: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Outcomes {
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct SampleType {
    r#type: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct RingName {
    pub(crate) name: String,
}

/// `result="success"` or `"error"`.
pub(crate) fn outcome(ok: bool) -> Outcomes {
    Outcomes { result: if ok { "success" } else { "error" } }
}

const FLOAT: SampleType = SampleType { r#type: "float" };

#[derive(Clone, Debug)]
pub(crate) struct ReceiveMetrics {
    samples_appended: Family<SampleType, Counter>,
    out_of_order: Family<SampleType, Counter>,
    out_of_bounds: Family<SampleType, Counter>,
    too_old: Family<SampleType, Counter>,
    duplicates: Counter,
    pub(crate) repeated: Counter,
    head_series: Gauge,
    head_chunks: Gauge,
    head_min_time: Gauge,
    head_max_time: Gauge,
    wal_bytes: Gauge,
    pub(crate) wal_corruptions: Counter,
    pub(crate) wal_writes_failed: Counter,
    pub(crate) write_samples: Family<CodeTenant, Histogram>,
    pub(crate) write_timeseries: Family<CodeTenant, Histogram>,
    pub(crate) exemplars_dropped: Counter,
    pub(crate) pending_writes: Gauge,
    pub(crate) replications: Family<Outcomes, Counter>,
    pub(crate) forwards: Family<Outcomes, Counter>,
    pub(crate) hashring_nodes: Family<RingName, Gauge>,
    pub(crate) hashring_tenants: Family<RingName, Gauge>,
    pub(crate) hashring_missing_copies: Gauge,
    pub(crate) config_hash: FloatGauge,
    pub(crate) config_ok: Gauge,
    pub(crate) config_ok_time: FloatGauge,
    pub(crate) file_changes: Counter,
    pub(crate) file_errors: Counter,
    pub(crate) file_refreshes: Counter,
}

impl ReceiveMetrics {
    pub(crate) fn register(r: &mut Registry, replication_factor: usize) -> Self {
        fn add<M: prometheus_client::registry::Metric + Clone>(
            r: &mut Registry,
            name: &str,
            help: &str,
            m: M,
        ) -> M {
            r.register(name, help, m.clone());
            m
        }
        // Thanos' buckets.
        let sizes = || Histogram::new([10.0, 50.0, 100.0, 500.0, 1000.0, 5000.0, 10000.0]);
        let rf = add(
            r,
            "thanos_receive_replication_factor",
            "Configured replication factor",
            Gauge::<i64>::default(),
        );
        rf.set(replication_factor as i64);
        let this = Self {
            samples_appended: add(
                r,
                "prometheus_tsdb_head_samples_appended",
                "Samples appended",
                Family::default(),
            ),
            out_of_order: add(
                r,
                "prometheus_tsdb_out_of_order_samples",
                "Samples refused as out of order",
                Family::default(),
            ),
            out_of_bounds: add(
                r,
                "prometheus_tsdb_out_of_bound_samples",
                "Samples refused as out of bounds",
                Family::default(),
            ),
            too_old: add(
                r,
                "prometheus_tsdb_too_old_samples",
                "Samples refused as older than the retention",
                Family::default(),
            ),
            duplicates: add(
                r,
                "thanos_receive_duplicate_samples",
                "Samples refused because another value is stored at their time",
                Counter::default(),
            ),
            repeated: add(
                r,
                "thanos_receive_repeated_samples",
                "Samples that were stored already, exactly so",
                Counter::default(),
            ),
            head_series: add(r, "prometheus_tsdb_head_series", "Series in the head", Gauge::default()),
            head_chunks: add(r, "prometheus_tsdb_head_chunks", "Chunks in the head", Gauge::default()),
            head_min_time: add(
                r,
                "prometheus_tsdb_head_min_time",
                "Oldest sample in the head, milliseconds",
                Gauge::default(),
            ),
            head_max_time: add(
                r,
                "prometheus_tsdb_head_max_time",
                "Newest sample in the head, milliseconds",
                Gauge::default(),
            ),
            wal_bytes: add(
                r,
                "prometheus_tsdb_wal_storage_size_bytes",
                "Size of the write-ahead log",
                Gauge::default(),
            ),
            wal_corruptions: add(
                r,
                "prometheus_tsdb_wal_corruptions",
                "Damaged segments found at start",
                Counter::default(),
            ),
            wal_writes_failed: add(
                r,
                "prometheus_tsdb_wal_writes_failed",
                "Commits that the log could not take",
                Counter::default(),
            ),
            write_samples: add(
                r,
                "thanos_receive_write_samples",
                "Samples per remote write request",
                Family::new_with_constructor(sizes as fn() -> Histogram),
            ),
            write_timeseries: add(
                r,
                "thanos_receive_write_timeseries",
                "Series per remote write request",
                Family::new_with_constructor(sizes as fn() -> Histogram),
            ),
            exemplars_dropped: add(
                r,
                "thanos_receive_exemplars_dropped",
                "Exemplars received, which are not stored yet",
                Counter::default(),
            ),
            pending_writes: add(
                r,
                "thanos_receive_pending_write_requests",
                "Write requests at work",
                Gauge::default(),
            ),
            replications: add(r, "thanos_receive_replications", "Copies made on peers", Family::default()),
            forwards: add(
                r,
                "thanos_receive_forward_requests",
                "Requests forwarded to peers",
                Family::default(),
            ),
            hashring_nodes: add(r, "thanos_receive_hashring_nodes", "Nodes per hashring", Family::default()),
            hashring_tenants: add(
                r,
                "thanos_receive_hashring_tenants",
                "Tenants named per hashring",
                Family::default(),
            ),
            hashring_missing_copies: add(
                r,
                "thanos_receive_hashring_missing_copies",
                "Copies that the smallest hashring cannot hold because it has fewer nodes than the replication factor",
                Gauge::default(),
            ),
            config_hash: add(
                r,
                "thanos_receive_config_hash",
                "Hash of the hashring file in force",
                FloatGauge::default(),
            ),
            config_ok: add(
                r,
                "thanos_receive_config_last_reload_successful",
                "Whether the hashring file as it is now is in force",
                Gauge::default(),
            ),
            config_ok_time: add(
                r,
                "thanos_receive_config_last_reload_success_timestamp_seconds",
                "When a hashring file was last taken",
                FloatGauge::default(),
            ),
            file_changes: add(
                r,
                "thanos_receive_hashrings_file_changes",
                "Changes of the hashring file that were taken",
                Counter::default(),
            ),
            file_errors: add(
                r,
                "thanos_receive_hashrings_file_errors",
                "Readings of the hashring file that failed",
                Counter::default(),
            ),
            file_refreshes: add(
                r,
                "thanos_receive_hashrings_file_refreshes",
                "Readings of the hashring file",
                Counter::default(),
            ),
        };
        // Present from the first scrape, so that a rate over them is never absent.
        for family in [&this.samples_appended, &this.out_of_order, &this.out_of_bounds, &this.too_old] {
            drop(family.get_or_create(&FLOAT));
        }
        for family in [&this.replications, &this.forwards] {
            drop(family.get_or_create(&outcome(true)));
            drop(family.get_or_create(&outcome(false)));
        }
        this
    }

    /// Counts what one batch became.
    pub(crate) fn count(&self, outcome: &Outcome) {
        self.samples_appended.get_or_create(&FLOAT).inc_by(outcome.stored);
        self.repeated.inc_by(outcome.repeated);
        for r in &outcome.rejected {
            match r.error {
                SampleError::OutOfOrder { .. } => self.out_of_order.get_or_create(&FLOAT).inc(),
                SampleError::OutOfBounds { .. } | SampleError::TooFarInFuture { .. } => {
                    self.out_of_bounds.get_or_create(&FLOAT).inc()
                }
                SampleError::TooOld { .. } => self.too_old.get_or_create(&FLOAT).inc(),
                SampleError::Duplicate { .. } => self.duplicates.inc(),
                SampleError::TooManySeries { .. } => continue,
            };
        }
    }

    /// Shows what the head holds.
    pub(crate) fn show(&self, head: &HeadStats, wal_bytes: u64) {
        self.head_series.set(head.series as i64);
        self.head_chunks.set(head.chunks as i64);
        if let Some((min, max)) = head.span_ms {
            self.head_min_time.set(min);
            self.head_max_time.set(max);
        }
        self.wal_bytes.set(i64::try_from(wal_bytes).unwrap_or(i64::MAX));
    }
}
