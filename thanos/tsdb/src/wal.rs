//! The write-ahead log: what is acknowledged is in it.
//!
//! ```text
//! wal/00000001.wal 00000002.wal …      each: magic │ record │ record │ …
//! ```
//!
//! Every segment is self-contained: it declares each series that it has samples of. So there are no
//! checkpoints: old segments are deleted, and damage to one cannot orphan the samples of another. The price is a
//! series record per series and segment, at most a ninth of a full one.
//!
//! A commit is handed to the operating system before it is acknowledged, so kill −9 loses nothing. What a power
//! cut may lose is bounded by how often `Db::sync` is called.

pub(crate) mod record;
mod replay;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thanos_model::TimestampMs;

pub(crate) use record::Entry;
pub use replay::ReplayReport;

const MAGIC: &[u8; 8] = b"GNTLWAL1";
/// A segment has at least this many times as many bytes of samples as of declared series before it ends by size.
const SAMPLES_PER_DECLARED: u64 = 8;

/// What the log knows of a segment.
#[derive(Clone, Debug, Default)]
struct SegmentInfo {
    bytes: u64,
    /// Thereof, of this process, what declares series.
    declared_bytes: u64,
    /// Oldest and newest sample.
    span: Option<(TimestampMs, TimestampMs)>,
}

impl SegmentInfo {
    fn fresh() -> Self {
        Self { bytes: MAGIC.len() as u64, ..Self::default() }
    }

    fn is_full(&self, limits: SegmentLimits) -> bool {
        let samples = self.bytes - self.declared_bytes;
        samples >= limits.bytes.max(self.declared_bytes * SAMPLES_PER_DECLARED)
    }

    fn cover(&mut self, min: TimestampMs, max: TimestampMs) {
        let (a, b) = self.span.unwrap_or((min, max));
        self.span = Some((a.min(min), b.max(max)));
    }
}

/// When a segment ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentLimits {
    /// Of samples.
    pub(crate) bytes: u64,
    /// Samples farther apart do not share a segment, so that old ones can be deleted.
    pub(crate) span_ms: i64,
}

/// The log, open for appending.
#[derive(Debug)]
pub(crate) struct Wal {
    dir: PathBuf,
    limits: SegmentLimits,
    file: File,
    number: u64,
    /// Never used before, not even by an attempt that failed.
    next_number: u64,
    current: SegmentInfo,
    closed: BTreeMap<u64, SegmentInfo>,
    /// A write failed and could not be taken back: nothing may follow it in this segment.
    must_roll: bool,
}

impl Wal {
    /// Reads what is there, then opens a new segment: an old one is never appended to.
    pub(crate) fn open(
        dir: &Path,
        limits: SegmentLimits,
        give: &mut dyn FnMut(Entry, &mut ReplayReport),
    ) -> io::Result<(Self, ReplayReport)> {
        fs::create_dir_all(dir)?;
        let mut numbers: Vec<u64> = Vec::new();
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(|n| n.strip_suffix(".wal")?.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        let mut report = ReplayReport::default();
        let mut closed = BTreeMap::new();
        for (i, number) in numbers.iter().enumerate() {
            // The report is lent to the replay and to `give` in turn.
            let mut late = ReplayReport::default();
            let is_last = i + 1 == numbers.len();
            let info = replay::replay_segment(&path(dir, *number), is_last, &mut report, &mut |e| {
                give(e, &mut late);
            })?;
            report.orphans += late.orphans;
            closed.insert(*number, info);
        }
        let number = numbers.last().map_or(1, |n| n.saturating_add(1));
        let file = create(dir, number)?;
        let current = SegmentInfo::fresh();
        let next_number = number.saturating_add(1);
        let dir = dir.to_owned();
        Ok((Self { dir, limits, file, number, next_number, current, closed, must_roll: false }, report))
    }

    /// The segment that the next commit goes to; a new one first when the current is full. A caller declares
    /// its series again when this number changes.
    pub(crate) fn segment(&mut self, next_min: TimestampMs, next_max: TimestampMs) -> io::Result<u64> {
        let mut next = self.current.clone();
        next.cover(next_min, next_max);
        let too_wide = self.current.span.is_some()
            && next.span.is_some_and(|(a, b)| b.saturating_sub(a) > self.limits.span_ms);
        if self.must_roll || too_wide || self.current.is_full(self.limits) {
            self.roll()?;
        }
        Ok(self.number)
    }

    fn roll(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        let number = self.next_number;
        self.next_number = number.saturating_add(1);
        let file = create(&self.dir, number)?;
        self.closed.insert(self.number, std::mem::replace(&mut self.current, SegmentInfo::fresh()));
        self.file = file;
        self.number = number;
        self.must_roll = false;
        Ok(())
    }

    /// Hands frames to the operating system, of which the first `declared` bytes declare series. On an error nothing of
    /// them counts as stored.
    pub(crate) fn commit(
        &mut self,
        frames: &[u8],
        declared: usize,
        (min, max): (TimestampMs, TimestampMs),
    ) -> io::Result<()> {
        if let Err(e) = self.file.write_all(frames) {
            // Part of it may be there. What cannot be cut off is left behind in a segment of its own.
            if self.file.set_len(self.current.bytes).is_err() {
                self.must_roll = true;
            }
            return Err(e);
        }
        self.current.bytes += frames.len() as u64;
        self.current.declared_bytes += declared as u64;
        self.current.cover(min, max);
        Ok(())
    }

    /// A second handle of the current segment, to sync it without holding up commits.
    pub(crate) fn sync_handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Syncs the current segment.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Deletes segments without a sample at or after `cutoff`.
    pub(crate) fn drop_before(&mut self, cutoff: TimestampMs) -> io::Result<usize> {
        let old: Vec<u64> = self
            .closed
            .iter()
            .filter(|(_, info)| info.span.is_none_or(|(_, newest)| newest < cutoff))
            .map(|(number, _)| *number)
            .collect();
        for number in &old {
            fs::remove_file(path(&self.dir, *number))?;
            self.closed.remove(number);
        }
        Ok(old.len())
    }

    #[cfg(test)]
    pub(crate) fn force_roll(&mut self) {
        self.must_roll = true;
    }

    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.closed.values().map(|i| i.bytes).sum::<u64>() + self.current.bytes
    }
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.wal"))
}

/// Opened for append, so that after a cut the next write lands at the new end.
fn create(dir: &Path, number: u64) -> io::Result<File> {
    let mut file = OpenOptions::new().append(true).create_new(true).open(path(dir, number))?;
    file.write_all(MAGIC)?;
    // The name must survive a power cut, not only the content.
    File::open(dir)?.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests;
