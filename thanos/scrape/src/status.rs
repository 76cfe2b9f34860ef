//! What `/api/v1/targets` shows, in Prometheus' JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde_json::{Map, Value, json};
use thanos_model::{Labels, TimestampMs, format_duration};

use crate::target::Target;

/// Dropped targets shown per job; all are counted.
const DROPPED_SHOWN: usize = 100;
/// Go's zero time, which Prometheus shows for a target that was not scraped yet.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A target and its last scrape.
#[derive(Debug)]
pub struct TargetStatus {
    target: Arc<Target>,
    last: Mutex<Option<LastScrape>>,
}

#[derive(Debug)]
struct LastScrape {
    at_ms: TimestampMs,
    seconds: f64,
    error: Option<String>,
}

impl TargetStatus {
    /// A target that was not scraped yet.
    pub fn new(target: Arc<Target>) -> Self {
        Self { target, last: Mutex::default() }
    }

    /// Takes note of a scrape.
    pub fn record(&self, at_ms: TimestampMs, seconds: f64, error: Option<String>) {
        let mut last = self.last.lock();
        let error_before = last.as_ref().map(|l| l.error.as_deref());
        if let Some(text) = error.as_deref().filter(|_| !matches!(error_before, Some(Some(_)))) {
            tracing::warn!(target_url = %self.target.url, error = text, "scrape failed");
        } else if error.is_none() && matches!(error_before, Some(Some(_))) {
            tracing::info!(target_url = %self.target.url, "scrape works again");
        }
        *last = Some(LastScrape { at_ms, seconds, error });
    }

    fn to_json(&self, job: &str) -> Value {
        let last = self.last.lock();
        let error = last.as_ref().and_then(|l| l.error.as_deref());
        let health = match (&*last, error) {
            (None, _) => "unknown",
            (Some(_), None) => "up",
            (Some(_), Some(_)) => "down",
        };
        let at = last.as_ref().and_then(|l| jiff::Timestamp::from_millisecond(l.at_ms).ok());
        json!({
            "discoveredLabels": labels_json(&self.target.discovered),
            "labels": labels_json(&self.target.labels),
            "scrapePool": job,
            "scrapeUrl": self.target.url.to_string(),
            "globalUrl": self.target.url.to_string(),
            "lastError": error.unwrap_or_default(),
            "lastScrape": at.map_or_else(|| NEVER.to_owned(), |t| t.to_string()),
            "lastScrapeDuration": last.as_ref().map_or(0.0, |l| l.seconds),
            "health": health,
            "scrapeInterval": format_duration(self.target.interval),
            "scrapeTimeout": format_duration(self.target.timeout),
        })
    }
}

/// One job's targets.
#[derive(Clone, Debug, Default)]
pub struct JobStatus {
    /// Scraped.
    pub active: Vec<Arc<TargetStatus>>,
    /// Dropped by rules, the first of them.
    pub dropped: Vec<Labels>,
    /// All that rules dropped.
    pub dropped_count: usize,
}

impl JobStatus {
    /// Counts a dropped target.
    pub fn add_dropped(&mut self, discovered: Labels) {
        self.dropped_count += 1;
        if self.dropped.len() < DROPPED_SHOWN {
            self.dropped.push(discovered);
        }
    }
}

/// All jobs' targets, for whoever asks.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<RwLock<BTreeMap<String, JobStatus>>>);

impl Board {
    /// Replaces what is known of a job.
    pub fn set(&self, job: &str, status: JobStatus) {
        self.0.write().insert(job.to_owned(), status);
    }

    /// Forgets a job.
    pub fn remove(&self, job: &str) {
        self.0.write().remove(job);
    }

    /// The answer of `/api/v1/targets`; `state` is `active`, `dropped` or anything else for both.
    pub fn targets_json(&self, state: Option<&str>, scrape_pool: Option<&str>) -> Value {
        let jobs = self.0.read();
        let wanted = || jobs.iter().filter(|(job, _)| scrape_pool.is_none_or(|p| p.is_empty() || p == *job));
        let (active, dropped) = (state != Some("dropped"), state != Some("active"));
        let active: Vec<Value> = wanted()
            .filter(|_| active)
            .flat_map(|(job, status)| status.active.iter().map(|t| t.to_json(job)))
            .collect();
        let dropped_json = |(job, status): (&String, &JobStatus)| -> Vec<Value> {
            let one = |labels| json!({"discoveredLabels": labels_json(labels), "scrapePool": job});
            status.dropped.iter().map(one).collect()
        };
        let dropped: Vec<Value> = wanted().filter(|_| dropped).flat_map(dropped_json).collect();
        let counts: Map<String, Value> =
            jobs.iter().map(|(job, status)| (job.clone(), status.dropped_count.into())).collect();
        json!({
            "status": "success",
            "data": {"activeTargets": active, "droppedTargets": dropped, "droppedTargetCounts": counts},
        })
    }
}

fn labels_json(labels: &Labels) -> Value {
    labels.iter().map(|l| (l.name.to_string(), Value::from(&*l.value))).collect::<Map<_, _>>().into()
}
