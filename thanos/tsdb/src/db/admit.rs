//! Which samples may enter, decided before anything is written. Private to the single writer.

use std::collections::HashMap;

use thanos_model::{Labels, TimestampMs};

use super::{Options, SampleError};
use crate::head::{Head, SeriesId};

/// What the writer knows of a series.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: SeriesId,
    last: Option<(TimestampMs, u64)>,
    /// The WAL segment that declares it.
    pub(super) declared_in: u64,
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
    known: HashMap<Labels, Known>,
    next_id: SeriesId,
    undo: Vec<Undo>,
}

#[derive(Debug)]
enum Undo {
    Last(Labels, Option<(TimestampMs, u64)>),
    Created(Labels),
}

impl Admission {
    /// From a head that was replayed.
    pub(super) fn from_head(head: &Head) -> Self {
        let known: HashMap<_, _> =
            head.all().map(|(id, l, last)| (l.clone(), Known { id, last, declared_in: 0 })).collect();
        let next_id = known.values().map(|k| k.id + 1).max().unwrap_or(1);
        Self { known, next_id, undo: Vec::new() }
    }

    /// Judges one sample; if new it becomes its series' newest.
    pub(super) fn admit(
        &mut self,
        head: &Head,
        bounds: Bounds,
        series_max: usize,
        labels: &Labels,
        (t_ms, value_bits): (TimestampMs, u64),
    ) -> Result<(Admitted, SeriesId), SampleError> {
        if t_ms > bounds.newest_ms {
            return Err(SampleError::TooFarInFuture { newest_ms: bounds.newest_ms });
        }
        let full = self.known.len() >= series_max;
        let known = self.known.get_mut(labels);
        if let Some((id, (last_ms, last_bits))) = known.as_ref().and_then(|k| k.last.map(|l| (k.id, l)))
            && t_ms <= last_ms
        {
            if t_ms == last_ms && value_bits == last_bits || head.holds(id, t_ms, value_bits) {
                return Ok((Admitted::Again, id));
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
                self.undo.push(Undo::Last(labels.clone(), known.last));
                known.last = Some((t_ms, value_bits));
                Ok((Admitted::New, known.id))
            }
            None if full => Err(SampleError::TooManySeries { max: series_max }),
            None => {
                let id = self.next_id;
                self.next_id += 1;
                self.undo.push(Undo::Created(labels.clone()));
                let known = Known { id, last: Some((t_ms, value_bits)), declared_in: 0 };
                self.known.insert(labels.clone(), known);
                Ok((Admitted::New, id))
            }
        }
    }

    pub(super) fn get_mut(&mut self, labels: &Labels) -> Option<&mut Known> {
        self.known.get_mut(labels)
    }

    /// The commit is stored: nothing is taken back any more. Created series share the head's texts.
    pub(super) fn settle(&mut self, mut create: impl FnMut(SeriesId, &Labels) -> Labels) {
        for step in std::mem::take(&mut self.undo) {
            let Undo::Created(labels) = step else { continue };
            if let Some(known) = self.known.remove(&labels) {
                self.known.insert(create(known.id, &labels), known);
            }
        }
    }

    /// The commit failed: as if it had never been.
    pub(super) fn take_back(&mut self) {
        for step in std::mem::take(&mut self.undo).into_iter().rev() {
            match step {
                Undo::Created(labels) => {
                    self.known.remove(&labels);
                }
                Undo::Last(labels, last) => {
                    if let Some(known) = self.known.get_mut(&labels) {
                        known.last = last;
                    }
                }
            }
        }
    }

    /// Series that the head let go of.
    pub(super) fn forget(&mut self, gone: &[Labels]) {
        for labels in gone {
            self.known.remove(labels);
        }
    }
}
