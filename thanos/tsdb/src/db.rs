//! Head and log together.
//!
//! ```text
//!  batches ─► admission (pure) ─► one WAL write ─► head ─► outcomes
//!             one writer at a time                 │ read lock
//!  selections ◄────────────────────────────────────┘
//! ```

mod admit;

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use thanos_model::{Labels, Matcher, TimestampMs};

use crate::batch::Batch;
use crate::head::{Head, HeadStats, SelectedSeries, SeriesId, TooManySeries};
use crate::wal::{Entry, ReplayReport, SegmentLimits, Wal, record};
use admit::{Admission, Admitted, Bounds, Found};

/// How a database behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Samples farther behind the newest are let go of, in memory and on disk.
    pub retention_ms: i64,
    /// Samples farther behind the newest are refused (Prometheus: half a block, one hour).
    pub append_window_ms: i64,
    /// Samples farther ahead of the clock are refused: one of them would put all others out of bounds.
    pub future_ms: i64,
    /// New series beyond this many are refused.
    pub series_max: usize,
    /// A WAL segment ends at about this size, or at eight times what it takes to declare its series.
    pub segment_bytes: u64,
    /// Whether each commit is synced to the disk before it is acknowledged. Otherwise a commit is in the
    /// operating system's hands, which survives the process but not the machine, until [`Db::sync`].
    pub sync_each_commit: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention_ms: 2 * 3_600_000,
            append_window_ms: 3_600_000,
            future_ms: 600_000,
            series_max: 2_000_000,
            segment_bytes: 16 << 20,
            sync_each_commit: false,
        }
    }
}

/// Why a sample was refused. Names and meaning follow Prometheus' `storage` errors.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SampleError {
    /// Older than its series' newest.
    #[error("out of order sample: the series is already at {newest_ms}")]
    OutOfOrder {
        /// Where the series is.
        newest_ms: TimestampMs,
    },
    /// Same time, another value.
    #[error("duplicate sample for timestamp: {stored} is stored")]
    Duplicate {
        /// The value that is stored.
        stored: f64,
    },
    /// Behind what may still be appended.
    #[error("out of bounds: samples are taken from {oldest_ms} on")]
    OutOfBounds {
        /// The oldest time that is taken.
        oldest_ms: TimestampMs,
    },
    /// Behind what is kept.
    #[error("too old sample: samples are kept from {oldest_ms} on")]
    TooOld {
        /// The oldest time that is kept.
        oldest_ms: TimestampMs,
    },
    /// Ahead of the clock.
    #[error("sample is too far in the future: samples are taken up to {newest_ms}")]
    TooFarInFuture {
        /// The newest time that is taken.
        newest_ms: TimestampMs,
    },
    /// No room for another series.
    #[error("the head is full: it holds {max} series and takes no new one")]
    TooManySeries {
        /// The limit.
        max: usize,
    },
}

/// A refused sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rejected {
    /// Index of the series in its batch.
    pub series: usize,
    /// The sample's time.
    pub t_ms: TimestampMs,
    /// Why.
    pub error: SampleError,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Samples stored now.
    pub stored: u64,
    /// Samples that were stored already, exactly so.
    pub repeated: u64,
    /// Samples refused, in order.
    pub rejected: Vec<Rejected>,
}

/// A database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The file system failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The database's directory.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
}

/// A head with its log. All methods may be called from any thread; none is async.
#[derive(Debug)]
pub struct Db {
    options: Options,
    head: RwLock<Head>,
    writer: Mutex<Writer>,
    /// Holds the directory's lock; the system releases it with the process, however that ends.
    _lock: File,
}

#[derive(Debug)]
struct Writer {
    wal: Wal,
    admission: Admission,
    frames: Vec<u8>,
}

impl Db {
    /// Opens `dir`, replaying its log.
    ///
    /// # Errors
    /// The directory cannot be read or written, or another process has it. Damage is not an error: see the
    /// report.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, ReplayReport), OpenError> {
        let fail = |source| OpenError::Io { path: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(fail)?;
        let lock =
            File::options().create(true).truncate(false).write(true).open(dir.join("lock")).map_err(fail)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(dir.to_owned())),
            Err(TryLockError::Error(e)) => return Err(fail(e)),
        }
        let limits = SegmentLimits {
            bytes: options.segment_bytes,
            // Disk holds the retention and at most an eighth more.
            span_ms: (options.retention_ms / 8).max(1),
        };
        let mut replay = Replay::default();
        let (wal, report) =
            Wal::open(&dir.join("wal"), limits, &mut |e, report| replay.take(e, report)).map_err(fail)?;
        let mut head = replay.head;
        if let Some(max) = head.max_ms() {
            head.drop_before(max.saturating_sub(options.retention_ms));
        }
        let admission = Admission::from_head(&head);
        let writer = Mutex::new(Writer { wal, admission, frames: Vec::new() });
        Ok((Self { options, head: RwLock::new(head), writer, _lock: lock }, report))
    }

    /// Stores batches as one commit: one log write for all of them. What is stored when this returns survives
    /// kill −9. Samples within a batch are judged one by one; the good ones are stored.
    ///
    /// # Errors
    /// The log cannot be written: nothing of any batch is stored.
    pub fn append(&self, now_ms: TimestampMs, batches: &[Batch]) -> io::Result<Vec<Outcome>> {
        let mut writer = self.writer.lock();
        let Writer { wal, admission, frames } = &mut *writer;

        let mut outcomes = Vec::with_capacity(batches.len());
        let mut samples: Vec<(SeriesId, TimestampMs, f64)> = Vec::new();
        // Series touched, once for each time they appear in a batch.
        let mut touched: Vec<Found> = Vec::new();
        {
            let head = self.head.read();
            let bounds = Bounds::new(&self.options, head.max_ms(), now_ms);
            for batch in batches {
                let mut outcome = Outcome::default();
                for (index, series) in batch.iter().enumerate() {
                    let hash = admission.hash(series.labels());
                    let mut new = None;
                    for &(t_ms, value) in series.samples() {
                        let sample = (t_ms, value.to_bits());
                        match admission.admit(&head, bounds, self.options.series_max, (series, hash), sample)
                        {
                            Ok((Admitted::New, found)) => {
                                samples.push((found.id, t_ms, value));
                                new = Some(found);
                                outcome.stored += 1;
                            }
                            Ok((Admitted::Again, _)) => outcome.repeated += 1,
                            Err(error) => outcome.rejected.push(Rejected { series: index, t_ms, error }),
                        }
                    }
                    touched.extend(new);
                }
                outcomes.push(outcome);
            }
        }

        let (Some(min), Some(max)) = (samples.iter().map(|s| s.1).min(), samples.iter().map(|s| s.1).max())
        else {
            return Ok(outcomes);
        };
        if let Err(e) =
            log(wal, admission, frames, &touched, &samples, (min, max), self.options.sync_each_commit)
        {
            admission.take_back();
            return Err(e);
        }

        let mut head = self.head.write();
        admission.settle(|id, labels| head.create(id, labels));
        for (id, t_ms, value) in samples {
            // A chunk is sealed at 120 samples, far below where the encoding could refuse.
            let appended = head.append(id, t_ms, value);
            debug_assert!(appended.is_ok(), "{appended:?}");
        }
        Ok(outcomes)
    }

    /// Series that pass all matchers and may have samples in the range, sorted by labels.
    ///
    /// # Errors
    /// More than `series_max` series match.
    pub fn select(
        &self,
        matchers: &[Matcher],
        min_ms: TimestampMs,
        max_ms: TimestampMs,
        series_max: usize,
    ) -> Result<Vec<SelectedSeries>, TooManySeries> {
        self.head.read().select(matchers, min_ms, max_ms, series_max, true)
    }

    /// As [`Db::select`], labels only.
    ///
    /// # Errors
    /// More than `series_max` series match.
    pub fn select_labels(
        &self,
        matchers: &[Matcher],
        min_ms: TimestampMs,
        max_ms: TimestampMs,
        series_max: usize,
    ) -> Result<Vec<SelectedSeries>, TooManySeries> {
        self.head.read().select(matchers, min_ms, max_ms, series_max, false)
    }

    /// Label names of the series that match, ascending; without matchers, of all series.
    pub fn label_names(&self, matchers: &[Matcher], min_ms: i64, max_ms: i64) -> Vec<Arc<str>> {
        self.head.read().label_names(matchers, min_ms, max_ms)
    }

    /// Values of a label over the series that match, ascending; without matchers, of all series.
    pub fn label_values(&self, name: &str, matchers: &[Matcher], min_ms: i64, max_ms: i64) -> Vec<Arc<str>> {
        self.head.read().label_values(name, matchers, min_ms, max_ms)
    }

    /// Lets go of what is older than the retention, in memory and on disk. Call it now and then.
    ///
    /// # Errors
    /// A segment could not be deleted; it is tried again next time.
    pub fn truncate(&self) -> io::Result<()> {
        let mut writer = self.writer.lock();
        let stats = self.head.read().stats();
        let Some((min, max)) = stats.span_ms else { return Ok(()) };
        let cutoff = max.saturating_sub(self.options.retention_ms);
        // Walking every series is worth it when a sixteenth of the retention can go.
        if min < cutoff.saturating_sub(self.options.retention_ms / 16) {
            let gone = self.head.write().drop_before(cutoff);
            writer.admission.forget(&gone);
        }
        writer.wal.drop_before(cutoff)?;
        Ok(())
    }

    /// Brings the log to the disk. Commits go on meanwhile.
    ///
    /// # Errors
    /// The disk refused.
    pub fn sync(&self) -> io::Result<()> {
        let handle = self.writer.lock().wal.sync_handle()?;
        handle.sync_data()
    }

    /// What the head holds.
    pub fn stats(&self) -> HeadStats {
        self.head.read().stats()
    }

    /// Size of the log on disk.
    pub fn wal_bytes(&self) -> u64 {
        self.writer.lock().wal.bytes()
    }
}

/// Writes one commit; series that the segment does not know yet are declared first.
fn log(
    wal: &mut Wal,
    admission: &mut Admission,
    frames: &mut Vec<u8>,
    touched: &[Found],
    samples: &[(SeriesId, TimestampMs, f64)],
    (min, max): (TimestampMs, TimestampMs),
    sync: bool,
) -> io::Result<()> {
    let segment = wal.segment(min, max)?;
    let mut fresh: Vec<Found> = Vec::new();
    let mut declared: Vec<(SeriesId, Labels)> = Vec::new();
    for found in touched {
        if let Some(labels) = admission.declare(*found, segment) {
            fresh.push(*found);
            declared.push((found.id, labels.clone()));
        }
    }
    frames.clear();
    record::write_series(frames, declared.iter().map(|(id, labels)| (*id, labels)));
    let declared_bytes = frames.len();
    record::write_samples(frames, samples);
    let stored =
        wal.commit(frames, declared_bytes, (min, max)).and_then(|()| if sync { wal.sync() } else { Ok(()) });
    if stored.is_err() {
        admission.undeclare(fresh);
    }
    stored
}

/// Builds a head from the log's entries.
#[derive(Default)]
struct Replay {
    head: Head,
    by_labels: HashMap<Labels, SeriesId>,
    /// The log's id of a series to the head's: a series keeps one id, however often it is declared.
    ids: HashMap<u64, SeriesId>,
}

impl Replay {
    fn take(&mut self, entry: Entry, report: &mut ReplayReport) {
        match entry {
            Entry::Series { id, labels } => {
                let next = self.by_labels.len() as u64 + 1;
                let head = &mut self.head;
                let known = *self.by_labels.entry(labels).or_insert_with_key(|labels| {
                    head.create(next, labels);
                    next
                });
                self.ids.insert(id, known);
            }
            Entry::Sample { id, t_ms, value } => {
                let Some(&id) = self.ids.get(&id) else {
                    report.orphans += 1;
                    return;
                };
                // A commit that failed may be in the log in part and again in full.
                if self.head.last(id).is_none_or(|(last, _)| t_ms > last)
                    && self.head.append(id, t_ms, value).is_err()
                {
                    report.orphans += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
