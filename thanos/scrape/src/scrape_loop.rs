//! One target's life: when it is scraped, what is reported about each scrape, and how it ends.
//!
//! Timing as in Prometheus (`scrape/scrape.go`): scrapes lie at a fixed offset within the interval, their
//! timestamps are moved onto the grid when they miss it by no more than 2 ms or 1 %; a target that is gone gets
//! its staleness markers more than two intervals later, dated at its first missed scrape; a process that stops
//! writes none, because it expects to be back.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thanos_model::{Labels, METRIC_NAME, TimestampMs, stale_nan};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::config::Job;
use crate::fetch::{FetchError, fetch};
use crate::metrics::Metrics;
use crate::remote_write::{Point, Series, Sink};
use crate::series_cache::{IngestError, Mutation, SeriesCache};
use crate::status::TargetStatus;
use crate::target::Target;

const TIMESTAMP_TOLERANCE: Duration = Duration::from_millis(2);
const REPORTS: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

/// How a loop is told to end.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// The target is gone: end its series, then end.
    pub removed: CancellationToken,
    /// End now, writing nothing.
    pub halt: CancellationToken,
}

/// What a loop knows that the next loop of the same series should know.
#[derive(Debug)]
pub struct Memory {
    /// Whose series.
    pub target: Arc<Target>,
    /// Which series.
    pub cache: SeriesCache,
    /// Whether a scrape was reported and not ended: `up` and its like are series too.
    pub alive: bool,
}

impl Memory {
    /// Nothing yet.
    pub fn new(target: Arc<Target>) -> Self {
        Self { target, cache: SeriesCache::default(), alive: false }
    }
}

/// What a loop works with.
pub struct ScrapeLoop {
    /// Whom, and what was known of it.
    pub memory: Memory,
    /// By which rules.
    pub job: Arc<Job>,
    /// Where samples go.
    pub sink: Arc<Sink>,
    /// Through which client.
    pub http: reqwest::Client,
    /// Process-wide counters.
    pub metrics: Metrics,
    /// What the API shows.
    pub status: Arc<TargetStatus>,
}

impl ScrapeLoop {
    /// Runs until stopped and returns what the next loop should know. A loop that starts with its target
    /// already removed only ends its series.
    pub async fn run(mut self, stop: Stop) -> Memory {
        let target = self.memory.target.clone();
        let first = until_offset(wall_clock(), target.interval, target.offset());
        let mut ticks = tokio::time::interval_at(Instant::now() + first, target.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let reports = self.report_series();
        let mut aligned: Option<Duration> = None;
        loop {
            tokio::select! {
                biased;
                () = stop.halt.cancelled() => return self.memory,
                () = stop.removed.cancelled() => break,
                _ = ticks.tick() => {}
            }
            let now = wall_clock();
            let now = align(aligned.get_or_insert(now), now, target.interval);
            tokio::select! {
                () = self.scrape(&reports, now) => {}
                () = stop.halt.cancelled() => return self.memory,
            }
        }
        if self.memory.alive {
            tokio::select! {
                () = self.end(&reports, ticks) => {}
                () = stop.halt.cancelled() => {}
            }
        }
        self.memory
    }

    async fn scrape(&mut self, reports: &[Arc<Series>; REPORTS.len()], now: Duration) {
        let now_ms = millis(now);
        let target = self.memory.target.clone();
        let started = Instant::now();
        let body = fetch(&self.http, &target, self.job.body_size_limit_bytes, self.job.fallback_format).await;
        let took = started.elapsed().as_secs_f64();
        let (mut points, counts, error) = match body {
            Ok(body) => {
                let mutation = Mutation {
                    target: &target.labels,
                    honor_labels: self.job.honor_labels,
                    honor_timestamps: self.job.honor_timestamps,
                    rules: &self.job.metric_relabel.compiled,
                    sample_limit: self.job.sample_limit,
                };
                let sink = &self.sink;
                let intern = |labels| sink.series(labels);
                let out = self.memory.cache.ingest(&body.text, body.format, now_ms, mutation, &intern);
                self.metrics.duplicates.inc_by(out.duplicates as u64);
                self.metrics.out_of_order.inc_by(out.out_of_order as u64);
                if matches!(out.error, Some(IngestError::SampleLimit { .. })) {
                    self.metrics.over_sample_limit.inc();
                }
                (out.points, [out.scraped, out.kept, out.added], out.error.map(|e| e.to_string()))
            }
            Err(error) => {
                if matches!(error, FetchError::TooLarge(_)) {
                    self.metrics.over_body_limit.inc();
                }
                (self.memory.cache.ingest_nothing(now_ms), [0; 3], Some(error.to_string()))
            }
        };
        let up = if error.is_none() { 1.0 } else { 0.0 };
        let [scraped, kept, added] = counts.map(|n| n as f64);
        let values = [up, took, scraped, kept, added];
        points.extend(report(reports, now_ms, values));
        self.status.record(now_ms, took, error);
        self.sink.append(&points);
        self.memory.alive = true;
    }

    /// Ends the series of a target that is gone.
    async fn end(&mut self, reports: &[Arc<Series>; REPORTS.len()], mut ticks: tokio::time::Interval) {
        ticks.tick().await;
        let first_missed_ms = millis(wall_clock());
        ticks.tick().await;
        tokio::time::sleep(self.memory.target.interval / 10).await;
        let mut points = self.memory.cache.ingest_nothing(first_missed_ms);
        points.extend(report(reports, first_missed_ms, [stale_nan(); REPORTS.len()]));
        self.sink.append(&points);
        self.memory.alive = false;
    }

    fn report_series(&self) -> [Arc<Series>; REPORTS.len()] {
        let target = &self.memory.target.labels;
        REPORTS.map(|name| self.sink.series(Labels::from_pairs([(METRIC_NAME, name)]).overlaid(target)))
    }
}

fn report(
    series: &[Arc<Series>; REPORTS.len()],
    t_ms: TimestampMs,
    values: [f64; REPORTS.len()],
) -> impl Iterator<Item = Point> + use<'_> {
    series.iter().zip(values).map(move |(series, value)| Point { series: series.clone(), t_ms, value })
}

fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn millis(since_epoch: Duration) -> TimestampMs {
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

/// How long until the next time that lies `offset` after a whole multiple of `interval`.
fn until_offset(now: Duration, interval: Duration, offset: Duration) -> Duration {
    let (now, interval, offset) = (now.as_nanos(), interval.as_nanos().max(1), offset.as_nanos());
    let wait = (interval - now % interval + offset) % interval;
    Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
}

/// The scrape's timestamp: `now`, or the grid point just before it.
fn align(aligned: &mut Duration, now: Duration, interval: Duration) -> Duration {
    let tolerance = TIMESTAMP_TOLERANCE.min(interval / 100);
    let behind = now.saturating_sub(*aligned);
    let whole = behind.as_nanos() / interval.as_nanos().max(1);
    *aligned += interval.saturating_mul(u32::try_from(whole).unwrap_or(u32::MAX));
    if now >= *aligned && now - *aligned <= tolerance { *aligned } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_next_offset_is_never_more_than_an_interval_away() {
        for (now, offset, wait) in [(1_000, 0, 0), (1_000, 300, 300), (1_400, 300, 900), (1_300, 300, 0)] {
            assert_eq!(until_offset(ms(now), ms(1_000), ms(offset)), ms(wait), "{now} {offset}");
        }
    }

    #[test]
    fn timestamps_keep_to_the_grid_when_they_nearly_do() {
        let mut aligned = ms(10_000);
        for (now, want) in
            [(10_000, 10_000), (11_001, 11_000), (12_002, 12_000), (13_003, 13_003), (19_001, 19_000)]
        {
            assert_eq!(align(&mut aligned, ms(now), ms(1_000)), ms(want), "{now}");
        }
        // The clock was set back: take it as it is.
        assert_eq!(align(&mut aligned, ms(5_000), ms(1_000)), ms(5_000));
    }
}
