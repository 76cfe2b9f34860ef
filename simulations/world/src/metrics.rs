//! The metrics of a world: fleets of pods, what was scraped of them, and when it could be seen by whom.

pub mod fault;

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use simulations_kernel::{Clock, Fault, Schedule, Streams};
use thanos_model::{Labels, METRIC_NAME, Matcher, Sample, Value, stale_nan};
use thanos_promql::source::{SelectRequest, Series, SeriesSet, SeriesSource, SourceError};

use crate::fleet::{Fleet, Pod, Scraped};
use fault::{Arrival, concerns};
pub use fault::{MetricFault, Part, Told};

/// A cluster whose pods are scraped.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Value of the label `cluster`.
    pub name: String,
    /// Its pods.
    pub fleet: Fleet,
    /// Labels that all its series have, beside `cluster` and `pod`.
    pub labels: Vec<(String, String)>,
}

/// What pods show: a counter of requests.
const COUNTER: &str = "request_total";

/// The engine's default.
const LOOKBACK_MS: i64 = 300_000;

/// All clusters' metrics, as a source of series. Its clones are the same metrics.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    clock: Clock,
    epoch_ms: i64,
    clusters: Mutex<Vec<Scraping>>,
    faults: Schedule<MetricFault>,
}

struct Scraping {
    cluster: Cluster,
    /// The labels of each pod's series, and of its copy under another replica.
    series: Vec<[Labels; 2]>,
    faults: Vec<Fault<MetricFault>>,
}

/// What one answer does not see.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hidden {
    pub(crate) parts: Vec<Part>,
    pub(crate) warnings: Vec<String>,
    pub(crate) is_partial: bool,
}

impl Metrics {
    /// The metrics of a world that begins now, by its clock.
    pub fn new(clusters: Vec<Cluster>, faults: Schedule<MetricFault>, clock: Clock) -> Self {
        let scraping = |(index, cluster): (usize, Cluster)| Scraping {
            cluster,
            series: Vec::new(),
            faults: faults.faults.iter().filter(|f| concerns(f, index)).cloned().collect(),
        };
        let clusters = Mutex::new(clusters.into_iter().enumerate().map(scraping).collect());
        Self(Arc::new(Inner { epoch_ms: clock.now_ms(), clock, clusters, faults }))
    }

    /// Milliseconds since the world began.
    pub fn now_ms(&self) -> i64 {
        self.0.clock.now_ms() - self.0.epoch_ms
    }

    /// When the world began, in milliseconds since the Unix epoch.
    pub fn epoch_ms(&self) -> i64 {
        self.0.epoch_ms
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Schedule<MetricFault> {
        &self.0.faults
    }

    /// Looks at a cluster's fleet, or tells it of something that happens now (milliseconds since the world began).
    /// Nothing happens for a cluster that there is not.
    pub fn fleet<R: Default>(&self, cluster: usize, f: impl FnOnce(&mut Fleet, i64) -> R) -> R {
        let now = self.now_ms();
        let mut clusters = self.0.clusters.lock();
        clusters.get_mut(cluster).map(|c| f(&mut c.cluster.fleet, now)).unwrap_or_default()
    }

    /// The load on all clusters at a time, in requests a second.
    pub fn true_rate(&self, at_ms: i64) -> f64 {
        self.0.clusters.lock().iter().map(|c| c.cluster.fleet.load().rate(at_ms)).sum()
    }

    /// At least so much came down on all clusters at every moment between two times.
    pub fn true_lowest(&self, from_ms: i64, to_ms: i64) -> f64 {
        self.0.clusters.lock().iter().map(|c| c.cluster.fleet.load().lowest(from_ms, to_ms)).sum()
    }

    /// At most so much came down on all clusters at any moment between two times.
    pub fn true_highest(&self, from_ms: i64, to_ms: i64) -> f64 {
        self.0.clusters.lock().iter().map(|c| c.cluster.fleet.load().highest(from_ms, to_ms)).sum()
    }

    /// What one query does not see, drawn for it.
    pub(crate) fn hidden(&self, streams: &Streams, query: u64) -> Hidden {
        let at = u64::try_from(self.now_ms()).unwrap_or(0);
        let mut hidden = Hidden::default();
        for fault in self.0.faults.on(at) {
            let MetricFault::Hidden { part, permille, told } = &fault.kind else { continue };
            let mut luck = fault.streams(streams).stream("query");
            luck.seek(query);
            if luck.below(1000) >= *permille {
                continue;
            }
            hidden.parts.push(*part);
            hidden.is_partial |= *told == Told::IsPartial;
            if *told == Told::Warning {
                let clusters = self.0.clusters.lock();
                let name = clusters.get(part.cluster).map_or("?", |c| c.cluster.name.as_str());
                hidden.warnings.push(format!(
                    "receive series from Addr: store-{name}:10901 LabelSets: {{cluster=\"{name}\"}}: rpc error: code = Unavailable desc = connection refused"
                ));
            }
        }
        hidden
    }

    /// The series that match, as a query sees them now.
    pub(crate) fn select(&self, request: &SelectRequest, hidden: &Hidden) -> Result<SeriesSet, SourceError> {
        let (now, epoch) = (self.now_ms(), self.0.epoch_ms);
        let range = (request.start_ms.saturating_sub(epoch), request.end_ms.saturating_sub(epoch));
        // An instant selector at one time looks at the newest sample alone.
        let hints = &request.hints;
        let newest_only = hints.step_ms == 0 && hints.range_ms == 0 && range.1 - range.0 < LOOKBACK_MS;
        let mut series = Vec::new();
        for (index, scraping) in self.0.clusters.lock().iter_mut().enumerate() {
            let unseen: Vec<Part> = hidden.parts.iter().filter(|p| p.cluster == index).copied().collect();
            if unseen.iter().any(|part| part.of == 1) {
                continue;
            }
            scraping.name_all();
            scraping.keep(range.0, now);
            scraping.read(&request.matchers, range, newest_only, now, &unseen, |labels, samples| {
                let bytes = samples.len() as u64 * 16;
                request.budget.charge(samples.len() as u64, bytes)?;
                let at = |(t_ms, value)| Sample { t_ms: t_ms + epoch, value: Value::Float(value) };
                series.push(Series { labels, samples: samples.into_iter().map(at).collect() });
                Ok(())
            })?;
        }
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(SeriesSet { series, warnings: Vec::new() })
    }
}

impl Scraping {
    fn name_all(&mut self) {
        let Self { cluster, series, .. } = self;
        for pod in cluster.fleet.pods().iter().skip(series.len()) {
            let own = cluster.labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
            let all = own.chain([(METRIC_NAME, COUNTER), ("cluster", &*cluster.name), ("pod", &*pod.name)]);
            let labels = Labels::from_pairs(all);
            let copy = labels.with("replica", "b");
            series.push([labels, copy]);
        }
    }

    /// Keeps what scrapes found of pods that a query from a time on looks at.
    fn keep(&mut self, from: i64, now: i64) {
        let fleet = &mut self.cluster.fleet;
        for index in 0..fleet.pods().len() {
            if fleet.pods().get(index).is_some_and(|pod| pod.is_up_after(from)) {
                fleet.keep(index, now);
            }
        }
    }

    fn read(
        &self,
        matchers: &[Matcher],
        (from, to): (i64, i64),
        newest_only: bool,
        now: i64,
        unseen: &[Part],
        mut each: impl FnMut(Labels, Vec<(i64, f64)>) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let fleet = &self.cluster.fleet;
        // By how much the time of a sample may be off the time of its scrape.
        let off = |f: &Fault<MetricFault>| match f.kind {
            MetricFault::Clock { ahead_ms, .. } => ahead_ms,
            _ => 0,
        };
        let ahead = self.faults.iter().map(off).max().unwrap_or(0).max(0);
        let behind = self.faults.iter().map(off).min().unwrap_or(0).min(0);
        let interval = fleet.scrape().interval_ms;
        let (first, last) = (from - ahead, (to - behind).min(now));
        let matching = |labels: &Labels| matchers.iter().all(|m| m.matches_labels(labels));
        for (index, (pod, [labels, copy])) in fleet.pods().iter().zip(&self.series).enumerate() {
            if !pod.is_up_after(first.saturating_sub(interval))
                || unseen.iter().any(|p| pod.is_of(p.of, p.is))
            {
                continue;
            }
            let (is_meant, is_copy_meant) = (matching(labels), self.is_copied(pod) && matching(copy));
            if !is_meant && !is_copy_meant {
                continue;
            }
            let has_begun = |f: &&Fault<MetricFault>| millis(f.from_ms) <= now;
            let is_of = |f: &&Fault<MetricFault>| f.kind.part().is_some_and(|p| pod.is_of(p.of, p.is));
            let concerned: Vec<&Fault<MetricFault>> =
                self.faults.iter().filter(has_begun).filter(is_of).collect();
            // Where times are wrong or series are double, the newest is not the last.
            let in_order = |f: &&Fault<MetricFault>| {
                !matches!(f.kind, MetricFault::Clock { .. } | MetricFault::Copies { .. })
            };
            let looks_back = if newest_only && concerned.iter().all(in_order) {
                [interval * 4, interval * 32, i64::MAX]
            } else {
                [i64::MAX; 3]
            };
            let mut samples: Vec<(i64, f64)> = Vec::new();
            let mut copies: Vec<(i64, f64)> = Vec::new();
            for back in looks_back {
                let mut newest = i64::MIN;
                samples.clear();
                fleet.scrapes(index, first.max(last.saturating_sub(back)), last, |scraped| {
                    let Some(seen) = self.seen(pod, &scraped, &concerned, now) else { return };
                    // A store takes nothing that is older than what it has.
                    if seen.at_ms <= newest {
                        return;
                    }
                    newest = seen.at_ms;
                    if (from..=to).contains(&seen.at_ms) {
                        if seen.copied && is_copy_meant {
                            copies.push((seen.at_ms, seen.value));
                        }
                        if is_meant {
                            samples.push((seen.at_ms, seen.value));
                        }
                    }
                });
                if back == i64::MAX || !samples.is_empty() {
                    if back < i64::MAX {
                        samples.drain(..samples.len() - 1);
                    }
                    break;
                }
            }
            for (labels, samples) in [(labels, samples), (copy, copies)] {
                if !samples.is_empty() {
                    each(labels.clone(), samples)?;
                }
            }
        }
        Ok(())
    }

    fn is_copied(&self, pod: &Pod) -> bool {
        self.faults.iter().any(|f| match f.kind {
            MetricFault::Copies { part } => pod.is_of(part.of, part.is),
            _ => false,
        })
    }

    /// A scrape as a query sees it now; `None`: it does not yet, or never will.
    fn seen(&self, pod: &Pod, scraped: &Scraped, faults: &[&Fault<MetricFault>], now: i64) -> Option<Seen> {
        let scrape = self.cluster.fleet.scrape();
        let mut later = 0;
        let mut arrives = scraped.at_ms + scrape.delay_ms;
        // What is as late as can be has come: nothing need be drawn.
        if arrives + scrape.jitter_ms > now {
            let jitter = u64::try_from(scrape.jitter_ms).unwrap_or(0).saturating_add(1);
            let drawn = pod.draw(scraped.number, "jitter") % jitter;
            arrives += i64::try_from(drawn).unwrap_or(0);
        }
        let mut seen =
            Seen { at_ms: scraped.at_ms, value: scraped.count.unwrap_or_else(stale_nan), copied: false };
        for fault in faults {
            let (from, to) = (millis(fault.from_ms), millis(fault.to_ms));
            if matches!(fault.kind, MetricFault::Lost { .. }) && now >= to && scraped.at_ms < to {
                return None;
            }
            match fault.kind.arrival(from, to, scraped.at_ms) {
                Some(Arrival::NotBefore(at)) => arrives = arrives.max(at),
                Some(Arrival::Later(ms)) => {
                    let MetricFault::Late { permille, .. } = fault.kind else { continue };
                    if pod.draw(scraped.number, &fault.name) % 1000 < permille {
                        later = later.max(ms);
                    }
                }
                Some(Arrival::Never) => return None,
                None if (from..to).contains(&scraped.at_ms) => match fault.kind {
                    MetricFault::Clock { ahead_ms, .. } => seen.at_ms += ahead_ms,
                    MetricFault::NotANumber { .. } if scraped.count.is_some() => seen.value = f64::NAN,
                    MetricFault::Copies { .. } => seen.copied = true,
                    _ => {}
                },
                None => {}
            }
        }
        (arrives + later <= now).then_some(seen)
    }
}

struct Seen {
    at_ms: i64,
    value: f64,
    copied: bool,
}

fn millis(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// The metrics as one query sees them.
pub(crate) struct View<'a> {
    pub(crate) metrics: &'a Metrics,
    pub(crate) hidden: Hidden,
}

impl SeriesSource for View<'_> {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<SeriesSet, SourceError>> {
        Box::pin(std::future::ready(self.metrics.select(&request, &self.hidden)))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("now_ms", &self.now_ms())
            .field("faults", &self.0.faults)
            .finish_non_exhaustive()
    }
}
