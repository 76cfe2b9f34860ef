//! The head: every series that is not too old, in memory, readable while it grows.

mod index;
mod series;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use thanos_model::{Label, Labels, Matcher, TimestampMs};

use crate::chunkenc::ChunkError;
use index::Postings;
pub(crate) use index::SeriesId;
pub use series::ChunkView;
use series::MemSeries;

/// One series of a selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectedSeries {
    /// Labels as stored.
    pub labels: Labels,
    /// Chunks that overlap the time asked for, oldest first; they may begin before and end after it.
    pub chunks: Vec<ChunkView>,
}

/// A selection asked for more than it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the selection has more than {0} series; select fewer")]
pub struct TooManySeries(pub usize);

/// What the head holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadStats {
    /// Series.
    pub series: usize,
    /// Chunks, open ones included.
    pub chunks: usize,
    /// Oldest and newest sample.
    pub span_ms: Option<(TimestampMs, TimestampMs)>,
}

/// Series, chunks, index. Readers share it under a lock; one writer changes it.
#[derive(Debug, Default)]
pub(crate) struct Head {
    series: BTreeMap<SeriesId, MemSeries>,
    postings: Postings,
    symbols: HashSet<Arc<str>>,
    chunks: usize,
    span_ms: Option<(TimestampMs, TimestampMs)>,
}

impl Head {
    /// Adds a series under an id larger than all before; gives back its labels with shared texts.
    pub(crate) fn create(&mut self, id: SeriesId, labels: &Labels) -> Labels {
        let labels: Labels = labels
            .iter()
            .map(|l| Label {
                name: intern(&mut self.symbols, &l.name),
                value: intern(&mut self.symbols, &l.value),
            })
            .collect();
        self.postings.add(id, &labels);
        self.series.insert(id, MemSeries::new(labels.clone()));
        labels
    }

    /// Adds a sample that was admitted.
    pub(crate) fn append(&mut self, id: SeriesId, t_ms: TimestampMs, value: f64) -> Result<(), ChunkError> {
        let Some(series) = self.series.get_mut(&id) else { return Ok(()) };
        if series.append(t_ms, value)? {
            self.chunks += 1;
        }
        let (min, max) = self.span_ms.unwrap_or((t_ms, t_ms));
        self.span_ms = Some((min.min(t_ms), max.max(t_ms)));
        Ok(())
    }

    /// Time and bits of a series' newest sample.
    pub(crate) fn last(&self, id: SeriesId) -> Option<(TimestampMs, u64)> {
        self.series.get(&id)?.last
    }

    /// Whether exactly this sample is stored.
    pub(crate) fn holds(&self, id: SeriesId, t_ms: TimestampMs, value_bits: u64) -> bool {
        self.series.get(&id).is_some_and(|s| s.holds(t_ms, value_bits))
    }

    fn matching<'a>(
        &'a self,
        matchers: &[Matcher],
        min_ms: TimestampMs,
        max_ms: TimestampMs,
    ) -> impl Iterator<Item = &'a MemSeries> + use<'a> {
        let mut selection = self.postings.select(matchers);
        let ids: Box<dyn Iterator<Item = SeriesId>> = match selection.only.take() {
            Some(ids) => Box::new(ids.into_iter()),
            None => Box::new(self.series.keys().copied()),
        };
        ids.filter(move |id| selection.keeps(*id))
            .filter_map(|id| self.series.get(&id))
            .filter(move |s| s.has_any(min_ms, max_ms))
    }

    /// Series that pass all matchers and have a chunk that overlaps, sorted by labels.
    pub(crate) fn select(
        &self,
        matchers: &[Matcher],
        min_ms: TimestampMs,
        max_ms: TimestampMs,
        series_max: usize,
        with_chunks: bool,
    ) -> Result<Vec<SelectedSeries>, TooManySeries> {
        let mut out = Vec::new();
        for s in self.matching(matchers, min_ms, max_ms) {
            if out.len() >= series_max {
                return Err(TooManySeries(series_max));
            }
            let chunks = if with_chunks { s.chunks(min_ms, max_ms) } else { Vec::new() };
            out.push(SelectedSeries { labels: s.labels.clone(), chunks });
        }
        out.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(out)
    }

    /// Label names of the series that match, ascending.
    pub(crate) fn label_names(&self, matchers: &[Matcher], min_ms: i64, max_ms: i64) -> Vec<Arc<str>> {
        if matchers.is_empty() {
            return self.postings.names().cloned().collect();
        }
        let names: BTreeSet<_> =
            self.matching(matchers, min_ms, max_ms).flat_map(|s| &s.labels).map(|l| l.name.clone()).collect();
        names.into_iter().collect()
    }

    /// Values of one label over the series that match, ascending.
    pub(crate) fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        min_ms: i64,
        max_ms: i64,
    ) -> Vec<Arc<str>> {
        if matchers.is_empty() {
            return self.postings.values(name).cloned().collect();
        }
        let values: BTreeSet<_> = self
            .matching(matchers, min_ms, max_ms)
            .flat_map(|s| &s.labels)
            .filter(|l| &*l.name == name)
            .map(|l| l.value.clone())
            .collect();
        values.into_iter().collect()
    }

    /// Lets go of what ends before `cutoff`; the series that are gone, by labels.
    pub(crate) fn drop_before(&mut self, cutoff: TimestampMs) -> Vec<Labels> {
        let mut dropped = 0;
        let mut gone = Vec::new();
        let mut min = None;
        self.series.retain(|id, s| {
            dropped += s.drop_before(cutoff);
            match s.min_ms() {
                Some(t) => {
                    min = Some(min.map_or(t, |m: i64| m.min(t)));
                    true
                }
                None => {
                    gone.push((*id, s.labels.clone()));
                    false
                }
            }
        });
        for (id, labels) in &gone {
            self.postings.remove(*id, labels);
        }
        self.chunks -= dropped;
        self.span_ms = min.zip(self.span_ms.map(|s| s.1));
        let gone: Vec<Labels> = gone.into_iter().map(|(_, labels)| labels).collect();
        if !gone.is_empty() {
            // One holder is the table itself; those in `gone` go with the next round.
            self.symbols.retain(|s| Arc::strong_count(s) > 1);
        }
        gone
    }

    /// Every series with its newest sample.
    pub(crate) fn all(&self) -> impl Iterator<Item = (SeriesId, &Labels, Option<(TimestampMs, u64)>)> {
        self.series.iter().map(|(id, s)| (*id, &s.labels, s.last))
    }

    /// Newest sample.
    pub(crate) fn max_ms(&self) -> Option<TimestampMs> {
        self.span_ms.map(|s| s.1)
    }

    pub(crate) fn stats(&self) -> HeadStats {
        HeadStats { series: self.series.len(), chunks: self.chunks, span_ms: self.span_ms }
    }
}

fn intern(symbols: &mut HashSet<Arc<str>>, text: &Arc<str>) -> Arc<str> {
    match symbols.get(text) {
        Some(known) => known.clone(),
        None => {
            symbols.insert(text.clone());
            text.clone()
        }
    }
}
