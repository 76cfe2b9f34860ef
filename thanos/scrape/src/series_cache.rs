//! What one target's scrapes have in common: the series behind each line of text, and which of them ended.
//!
//! ```text
//!  body ─► each line's text ─► known? ─► its Series ─────────────┐
//!                               └ new ─► labels, rules ─► Series ┴► Point, and "seen in this round"
//!  end of the round: seen last round, not seen now ─► staleness marker
//! ```
//!
//! Pure: time, labels and limits are arguments. One difference from Prometheus: when a scrape fails half way
//! (parse error, sample limit), Prometheus marks stale only what it had not yet read; here all series of the last
//! good scrape end, because none of this scrape's samples were kept.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use thanos_model::{Labels, METRIC_NAME, TimestampMs, stale_nan};
use thanos_telemetry::exposition::{Format, Limits, Parser, Sample};

use crate::relabel::{self, Builder, Rule};
use crate::remote_write::{Point, Series};

/// How a target's own labels meet a sample's, and what a scrape may hold.
#[derive(Clone, Copy, Debug)]
pub struct Mutation<'a> {
    /// The target's labels.
    pub target: &'a Labels,
    /// Whether a sample's label wins over the target's.
    pub honor_labels: bool,
    /// Whether a sample's timestamp is taken.
    pub honor_timestamps: bool,
    /// `metric_relabel_configs`.
    pub rules: &'a [Rule],
    /// Most samples after relabelling; 0 for no limit.
    pub sample_limit: u64,
}

/// What a scrape gave.
#[derive(Debug, Default)]
pub struct Ingested {
    /// Samples and staleness markers, in no order that matters.
    pub points: Vec<Point>,
    /// Lines with a sample.
    pub scraped: usize,
    /// Those that rules kept.
    pub kept: usize,
    /// Series that were not known before.
    pub added: usize,
    /// Samples of a series that this scrape already gave.
    pub duplicates: usize,
    /// Samples older than their series' last, by their own timestamps.
    pub out_of_order: usize,
    /// Why the scrape counts as failed, though the target answered.
    pub error: Option<IngestError>,
}

/// Why a body was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// It does not follow its format, or a series is impossible.
    #[error("{0}")]
    Parse(String),
    /// Too many samples after relabelling.
    #[error("sample limit exceeded: {got} samples, sample_limit is {limit}")]
    SampleLimit {
        /// How many there were.
        got: u64,
        /// How many were allowed.
        limit: u64,
    },
}

/// Makes a [`Series`] of final labels: the remotes' business.
pub type Intern<'a> = &'a dyn Fn(Labels) -> Arc<Series>;

/// One target's memory.
#[derive(Debug, Default)]
pub struct SeriesCache {
    known: HashMap<Box<str>, Entry>,
    current: HashSet<Tracked>,
    previous: HashSet<Tracked>,
    round: u64,
    known_after_success: usize,
}

#[derive(Debug)]
struct Entry {
    /// `None`: rules drop it.
    series: Option<Arc<Series>>,
    round: u64,
    explicit_ms: Option<TimestampMs>,
}

/// A series as an element of a set, by its final labels.
#[derive(Clone, Debug)]
struct Tracked(Arc<Series>);

impl PartialEq for Tracked {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.hash == other.0.hash && self.0.labels == other.0.labels
    }
}
impl Eq for Tracked {}
impl Hash for Tracked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl SeriesCache {
    /// Takes in a body scraped at `now_ms`. On an error no sample of it is kept and every series of the last
    /// scrape ends.
    pub fn ingest(
        &mut self,
        body: &str,
        format: Format,
        now_ms: TimestampMs,
        mutation: Mutation<'_>,
        intern: Intern<'_>,
    ) -> Ingested {
        let mut out = Ingested::default();
        if body.is_empty() {
            out.points = self.ingest_nothing(now_ms);
            return out;
        }
        let error = self.read(body, format, now_ms, mutation, intern, &mut out).err().or_else(|| {
            let (got, limit) = (out.points.len() as u64, mutation.sample_limit);
            (limit > 0 && got > limit).then_some(IngestError::SampleLimit { got, limit })
        });
        if error.is_some() {
            self.current.clear();
            out.points = self.ingest_nothing(now_ms);
            out.error = error;
        } else {
            out.points.extend(self.stale_points(now_ms));
            self.end_round(true);
        }
        out
    }

    /// A scrape that gave nothing: every series of the last one ends.
    pub fn ingest_nothing(&mut self, now_ms: TimestampMs) -> Vec<Point> {
        let points = self.stale_points(now_ms).collect();
        self.end_round(false);
        points
    }

    /// Forgets how lines map to series, because rules or remotes changed, but not which series are alive:
    /// those that no longer come out still end properly.
    pub fn forget_lines(&mut self, intern: Intern<'_>) {
        self.known.clear();
        self.previous = self.previous.drain().map(|t| Tracked(intern(t.0.labels.clone()))).collect();
    }

    fn read(
        &mut self,
        body: &str,
        format: Format,
        now_ms: TimestampMs,
        mutation: Mutation<'_>,
        intern: Intern<'_>,
        out: &mut Ingested,
    ) -> Result<(), IngestError> {
        for sample in Parser::new(body, format, Limits::default()) {
            let sample = sample.map_err(|e| IngestError::Parse(e.to_string()))?;
            out.scraped += 1;
            let explicit_ms = sample.timestamp_ms.filter(|_| mutation.honor_timestamps);
            let (entry, is_new) = match self.known.get_mut(sample.series) {
                Some(entry) => (entry, false),
                None => {
                    let series = final_labels(&sample, mutation)?.map(intern);
                    let entry = Entry { series, round: u64::MAX, explicit_ms: None };
                    (self.known.entry(sample.series.into()).or_insert(entry), true)
                }
            };
            let seen_now = std::mem::replace(&mut entry.round, self.round) == self.round;
            let Some(series) = entry.series.clone() else { continue };
            out.kept += 1;
            let within_limit =
                mutation.sample_limit == 0 || (out.points.len() as u64) < mutation.sample_limit;
            out.added += usize::from(is_new && within_limit);
            if let Some(t_ms) = explicit_ms {
                // The same timestamp again is what such a target does between its updates: nothing new.
                match entry.explicit_ms.map(|last| t_ms.cmp(&last)) {
                    Some(std::cmp::Ordering::Less) => out.out_of_order += 1,
                    Some(std::cmp::Ordering::Equal) => {}
                    _ => {
                        entry.explicit_ms = Some(t_ms);
                        out.points.push(Point { series, t_ms, value: sample.value });
                    }
                }
            } else if seen_now || !self.current.insert(Tracked(series.clone())) {
                out.duplicates += 1;
            } else {
                out.points.push(Point { series, t_ms: now_ms, value: sample.value });
            }
        }
        Ok(())
    }

    fn stale_points(&self, now_ms: TimestampMs) -> impl Iterator<Item = Point> + use<'_> {
        let ended = self.previous.difference(&self.current);
        ended.map(move |t| Point { series: t.0.clone(), t_ms: now_ms, value: stale_nan() })
    }

    fn end_round(&mut self, success: bool) {
        // A target whose labels vary and whose scrapes fail would grow the map for ever: Prometheus' own bound.
        let outgrown = self.known.len() > self.known_after_success * 2 + 1000;
        if success || outgrown {
            let round = self.round;
            self.known.retain(|_, entry| entry.round == round);
        }
        if success {
            self.known_after_success = self.known.len();
        }
        std::mem::swap(&mut self.previous, &mut self.current);
        self.current.clear();
        self.round += 1;
    }
}

/// A sample's labels once the target's are added and the rules have run; `None` when they drop it.
fn final_labels(sample: &Sample<'_>, mutation: Mutation<'_>) -> Result<Option<Labels>, IngestError> {
    let own = sample.labels().map_err(|e| IngestError::Parse(e.to_string()))?;
    let mut labels = Builder::from_labels(&own);
    let mut conflicts: Vec<(&str, &str)> = Vec::new();
    for label in mutation.target {
        match own.get(&label.name) {
            "" => labels.set(&label.name, &label.value),
            _ if mutation.honor_labels => {}
            theirs => {
                conflicts.push((&label.name, theirs));
                labels.set(&label.name, &label.value);
            }
        }
    }
    conflicts.sort_by_key(|(name, _)| name.len());
    for (name, value) in conflicts {
        let mut name = format!("exported_{name}");
        while !labels.get(&name).is_empty() {
            name.insert_str(0, "exported_");
        }
        labels.set(&name, value);
    }
    if !relabel::apply(mutation.rules, &mut labels) {
        return Ok(None);
    }
    let labels = labels.labels();
    if labels.is_empty() {
        return Ok(None);
    }
    if !labels.has(METRIC_NAME) {
        return Err(IngestError::Parse(format!("relabelling left {own} without a metric name")));
    }
    Ok(Some(labels))
}
