//! The hashring file, read again and again. A file that is no good changes nothing: the ring before it stays.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thanos_telemetry::Shutdown;
use tokio::sync::watch;
use twox_hash::XxHash64;

use crate::hashring::{Algorithm, Hashrings, Ring, RingError};
use crate::ingest::now_ms;
use crate::metrics::{ReceiveMetrics, RingName};

/// Where series go.
#[derive(Clone, Debug, Default)]
pub enum Rings {
    /// No file is configured: all here.
    #[default]
    Local,
    /// A file is configured and has said nothing yet: nowhere.
    Awaited,
    /// As the file says.
    Active(Arc<Hashrings>),
}

/// Reads the file.
pub(crate) struct RingFile {
    pub(crate) path: PathBuf,
    pub(crate) interval: Duration,
    pub(crate) algorithm: Algorithm,
    pub(crate) replication_factor: usize,
    pub(crate) metrics: ReceiveMetrics,
    /// Content that was judged last, good or bad, so that each is judged and logged once.
    seen: Option<Result<u64, String>>,
}

impl RingFile {
    pub(crate) fn new(
        path: PathBuf,
        interval: Duration,
        algorithm: Algorithm,
        replication_factor: usize,
        metrics: ReceiveMetrics,
    ) -> Self {
        Self { path, interval, algorithm, replication_factor, metrics, seen: None }
    }

    /// Reads once a period until shutdown.
    pub(crate) async fn watch(mut self, rings: watch::Sender<Rings>, shutdown: Shutdown) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! { _ = ticks.tick() => {}, () = shutdown.started() => return }
            self.refresh(&rings).await;
        }
    }

    async fn refresh(&mut self, rings: &watch::Sender<Rings>) {
        self.metrics.file_refreshes.inc();
        let path = self.path.clone();
        let text = tokio::task::spawn_blocking(move || thanos_telemetry::cli::read_config(&path)).await;
        let text = match text {
            Ok(Ok(text)) => text,
            Ok(Err(e)) => return self.failed(Err(e.to_string())),
            Err(e) => return self.failed(Err(e.to_string())),
        };
        let hash = XxHash64::oneshot(0, text.as_bytes());
        if self.seen == Some(Ok(hash)) {
            return;
        }
        match Hashrings::parse(&text, self.algorithm, self.replication_factor) {
            Ok(hashrings) => {
                self.seen = Some(Ok(hash));
                self.show(&hashrings, hash);
                rings.send_replace(Rings::Active(Arc::new(hashrings)));
            }
            Err(e @ RingError::Empty) => self.failed(Err(format!("{}: {e}", self.path.display()))),
            Err(e) => self.failed(Err(format!("{}: {e}", self.path.display()))),
        }
    }

    fn failed(&mut self, why: Result<u64, String>) {
        self.metrics.file_errors.inc();
        self.metrics.config_ok.set(0);
        if let Err(error) = &why
            && self.seen.as_ref() != Some(&why)
        {
            tracing::warn!(error, "hashring file is of no use; what was in force stays so");
        }
        self.seen = Some(why);
    }

    fn show(&self, hashrings: &Hashrings, hash: u64) {
        let m = &self.metrics;
        m.file_changes.inc();
        m.config_ok.set(1);
        m.config_ok_time.set(now_ms() as f64 / 1000.0);
        // As Thanos: what fits a float exactly.
        m.config_hash.set((hash >> 16) as f64);
        m.hashring_nodes.clear();
        m.hashring_tenants.clear();
        for ring in hashrings.rings() {
            let name = RingName { name: ring.name().to_owned() };
            m.hashring_nodes.get_or_create(&name).set(ring.endpoints().len() as i64);
        }
        for (name, tenants) in hashrings.tenant_counts() {
            m.hashring_tenants.get_or_create(&RingName { name: name.to_owned() }).set(tenants as i64);
        }
        let fewest = hashrings.rings().map(Ring::copies).min().unwrap_or(0);
        let missing = self.replication_factor - fewest.min(self.replication_factor);
        m.hashring_missing_copies.set(missing as i64);
        let nodes: usize = hashrings.rings().map(|r| r.endpoints().len()).sum();
        tracing::info!(rings = hashrings.rings().count(), nodes, "hashring in force");
        if missing > 0 {
            tracing::warn!(
                copies = fewest,
                replication_factor = self.replication_factor,
                "a hashring has fewer nodes than the replication factor; series there have fewer copies"
            );
        }
    }
}
