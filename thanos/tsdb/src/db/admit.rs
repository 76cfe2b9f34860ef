//! Which samples may enter, decided before anything is written. Private to the single writer.

use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};
use thanos_model::{Labels, TimestampMs};

use super::{Options, SampleError};
use crate::batch::BatchSeries;
use crate::head::{Head, SeriesId};

/// What the writer knows of a series.
#[derive(Debug)]
struct Known {
    labels: Labels,
    hash: u64,
    id: SeriesId,
    last: Option<(TimestampMs, u64)>,
    /// The WAL segment that declares it.
    declared_in: u64,
}

/// A series that was found, to be found again without its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    hash: u64,
    pub(super) id: SeriesId,
}

/// A verdict that is not a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// Newer than all before.
    New,
    /// Stored already, exactly so: a sender that repeats itself after a lost answer.
    Again,
}

/// Bounds of time for one commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    oldest_kept_ms: TimestampMs,
    oldest_in_bounds_ms: TimestampMs,
    newest_ms: TimestampMs,
}

impl Bounds {
    pub(super) fn new(options: &Options, head_max: Option<TimestampMs>, now_ms: TimestampMs) -> Self {
        let behind = |ms: i64| head_max.map_or(i64::MIN, |m| m.saturating_sub(ms));
        Self {
            oldest_kept_ms: behind(options.retention_ms),
            oldest_in_bounds_ms: behind(options.append_window_ms),
            newest_ms: now_ms.saturating_add(options.future_ms),
        }
    }
}

/// Series by labels, with each one's newest sample as of the commit in progress, which can be taken back.
#[derive(Debug, Default)]
pub(super) struct Admission {
    known: HashTable<Known>,
    hashing: DefaultHashBuilder,
    next_id: SeriesId,
    undo: Vec<Undo>,
}

#[derive(Debug)]
enum Undo {
    Last(Found, Option<(TimestampMs, u64)>),
    Created(Found),
}

impl Admission {
    /// From a head that was replayed.
    pub(super) fn from_head(head: &Head) -> Self {
        let mut all = Self { next_id: 1, ..Self::default() };
        for (id, labels, last) in head.all() {
            let hash = all.hash(pairs(labels));
            all.insert(Known { labels: labels.clone(), hash, id, last, declared_in: 0 });
            all.next_id = all.next_id.max(id + 1);
        }
        all
    }

    /// What [`Admission::admit`] finds a series by.
    pub(super) fn hash<'a>(&self, labels: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
        let mut hasher = self.hashing.build_hasher();
        labels.for_each(|label| label.hash(&mut hasher));
        hasher.finish()
    }

    fn insert(&mut self, known: Known) {
        self.known.insert_unique(known.hash, known, |k| k.hash);
    }

    fn get_mut(&mut self, found: Found) -> Option<&mut Known> {
        self.known.find_mut(found.hash, |k| k.id == found.id)
    }

    fn remove(&mut self, hash: u64, is: impl FnMut(&Known) -> bool) {
        if let Ok(entry) = self.known.find_entry(hash, is) {
            entry.remove();
        }
    }

    /// Judges one sample of a series, which comes with its [`Admission::hash`]; if new it becomes its series' newest.
    pub(super) fn admit(
        &mut self,
        head: &Head,
        bounds: Bounds,
        series_max: usize,
        (series, hash): (BatchSeries<'_>, u64),
        (t_ms, value_bits): (TimestampMs, u64),
    ) -> Result<(Admitted, Found), SampleError> {
        if t_ms > bounds.newest_ms {
            return Err(SampleError::TooFarInFuture { newest_ms: bounds.newest_ms });
        }
        let full = self.known.len() >= series_max;
        let is = |k: &Known| pairs(&k.labels).eq(series.labels());
        let known = self.known.find_mut(hash, is);
        if let Some((id, (last_ms, last_bits))) = known.as_ref().and_then(|k| k.last.map(|l| (k.id, l)))
            && t_ms <= last_ms
        {
            if t_ms == last_ms && value_bits == last_bits || head.holds(id, t_ms, value_bits) {
                return Ok((Admitted::Again, Found { hash, id }));
            }
            if t_ms == last_ms {
                return Err(SampleError::Duplicate { stored: f64::from_bits(last_bits) });
            }
        }
        if t_ms < bounds.oldest_kept_ms {
            return Err(SampleError::TooOld { oldest_ms: bounds.oldest_kept_ms });
        }
        if t_ms < bounds.oldest_in_bounds_ms {
            return Err(SampleError::OutOfBounds { oldest_ms: bounds.oldest_in_bounds_ms });
        }
        match known {
            Some(known) => {
                if let Some((newest_ms, _)) = known.last.filter(|(last, _)| t_ms < *last) {
                    return Err(SampleError::OutOfOrder { newest_ms });
                }
                let found = Found { hash, id: known.id };
                self.undo.push(Undo::Last(found, known.last));
                known.last = Some((t_ms, value_bits));
                Ok((Admitted::New, found))
            }
            None if full => Err(SampleError::TooManySeries { max: series_max }),
            None => {
                let found = Found { hash, id: self.next_id };
                self.next_id += 1;
                self.undo.push(Undo::Created(found));
                let (labels, last) = (Labels::from_pairs(series.labels()), Some((t_ms, value_bits)));
                self.insert(Known { labels, hash, id: found.id, last, declared_in: 0 });
                Ok((Admitted::New, found))
            }
        }
    }

    /// Labels of a series that `segment` does not declare yet; from now on it does.
    pub(super) fn declare(&mut self, found: Found, segment: u64) -> Option<&Labels> {
        let known = self.get_mut(found).filter(|k| k.declared_in != segment)?;
        known.declared_in = segment;
        Some(&known.labels)
    }

    /// No segment declares these any more.
    pub(super) fn undeclare(&mut self, series: impl IntoIterator<Item = Found>) {
        for found in series {
            if let Some(known) = self.get_mut(found) {
                known.declared_in = 0;
            }
        }
    }

    /// The commit is stored: nothing is taken back any more. Created series share the head's texts.
    pub(super) fn settle(&mut self, mut create: impl FnMut(SeriesId, &Labels) -> Labels) {
        for step in std::mem::take(&mut self.undo) {
            let Undo::Created(found) = step else { continue };
            if let Some(known) = self.get_mut(found) {
                known.labels = create(known.id, &known.labels);
            }
        }
    }

    /// The commit failed: as if it had never been.
    pub(super) fn take_back(&mut self) {
        for step in std::mem::take(&mut self.undo).into_iter().rev() {
            match step {
                Undo::Created(found) => self.remove(found.hash, |k| k.id == found.id),
                Undo::Last(found, last) => {
                    if let Some(known) = self.get_mut(found) {
                        known.last = last;
                    }
                }
            }
        }
    }

    /// Series that the head let go of.
    pub(super) fn forget(&mut self, gone: &[Labels]) {
        for labels in gone {
            self.remove(self.hash(pairs(labels)), |k| k.labels == *labels);
        }
    }
}

fn pairs(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().map(|l| (&*l.name, &*l.value))
}
