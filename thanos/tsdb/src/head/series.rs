//! One series in memory: sealed chunks, and one that is open.

use std::sync::Arc;

use thanos_model::{Labels, TimestampMs};

use crate::chunkenc::{ChunkError, SAMPLES_PER_CHUNK, XorChunk, xor};

/// Chunks do not cross multiples of this, as in Prometheus, so that blocks can be cut between them.
const CHUNK_RANGE_MS: i64 = 2 * 3_600_000;

/// A chunk as a store hands it out: XOR encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkView {
    /// First sample.
    pub min_ms: TimestampMs,
    /// Last sample.
    pub max_ms: TimestampMs,
    /// Encoded samples.
    pub data: Arc<[u8]>,
}

impl ChunkView {
    fn overlaps(&self, min_ms: TimestampMs, max_ms: TimestampMs) -> bool {
        self.min_ms <= max_ms && min_ms <= self.max_ms
    }
}

#[derive(Debug)]
struct OpenChunk {
    xor: XorChunk,
    min_ms: TimestampMs,
    max_ms: TimestampMs,
    /// The sample from which on another chunk begins.
    end_ms: TimestampMs,
}

/// A series. Samples rise in time: whoever appends has admitted them.
#[derive(Debug)]
pub(super) struct MemSeries {
    pub(super) labels: Labels,
    sealed: Vec<ChunkView>,
    open: Option<OpenChunk>,
    /// Time and bits of the newest sample.
    pub(super) last: Option<(TimestampMs, u64)>,
}

impl MemSeries {
    pub(super) fn new(labels: Labels) -> Self {
        Self { labels, sealed: Vec::new(), open: None, last: None }
    }

    /// Adds a newer sample; whether a chunk was begun for it.
    pub(super) fn append(&mut self, t_ms: TimestampMs, value: f64) -> Result<bool, ChunkError> {
        let full = |o: &OpenChunk| o.xor.len() >= SAMPLES_PER_CHUNK || t_ms >= o.end_ms;
        if self.open.as_ref().is_some_and(full) {
            self.seal();
        }
        let fresh = self.open.is_none();
        let open = self.open.get_or_insert_with(|| OpenChunk {
            xor: XorChunk::new(),
            min_ms: t_ms,
            max_ms: t_ms,
            end_ms: t_ms.div_euclid(CHUNK_RANGE_MS).saturating_add(1).saturating_mul(CHUNK_RANGE_MS),
        });
        open.xor.append(t_ms, value)?;
        open.max_ms = t_ms;
        self.last = Some((t_ms, value.to_bits()));
        Ok(fresh)
    }

    fn seal(&mut self) {
        if let Some(open) = self.open.take() {
            self.sealed.push(ChunkView {
                min_ms: open.min_ms,
                max_ms: open.max_ms,
                data: open.xor.into_bytes().into(),
            });
        }
    }

    fn open_view(&self) -> Option<ChunkView> {
        let open = self.open.as_ref()?;
        Some(ChunkView { min_ms: open.min_ms, max_ms: open.max_ms, data: open.xor.bytes().into() })
    }

    /// Chunks that overlap, oldest first. The open one is copied, for it goes on changing.
    pub(super) fn chunks(&self, min_ms: TimestampMs, max_ms: TimestampMs) -> Vec<ChunkView> {
        let mut out: Vec<ChunkView> =
            self.sealed.iter().filter(|c| c.overlaps(min_ms, max_ms)).cloned().collect();
        if self.open.as_ref().is_some_and(|o| o.min_ms <= max_ms && min_ms <= o.max_ms) {
            out.extend(self.open_view());
        }
        out
    }

    /// Whether any chunk overlaps.
    pub(super) fn has_any(&self, min_ms: TimestampMs, max_ms: TimestampMs) -> bool {
        self.open.as_ref().is_some_and(|o| o.min_ms <= max_ms && min_ms <= o.max_ms)
            || self.sealed.iter().any(|c| c.overlaps(min_ms, max_ms))
    }

    /// Whether exactly this sample is stored.
    pub(super) fn holds(&self, t_ms: TimestampMs, value_bits: u64) -> bool {
        let chunks = self.chunks(t_ms, t_ms);
        let samples = chunks.iter().flat_map(|c| xor::decode(&c.data).unwrap_or_default());
        samples.into_iter().any(|(t, v)| t == t_ms && v.to_bits() == value_bits)
    }

    /// Lets go of chunks that end before `cutoff`; how many.
    pub(super) fn drop_before(&mut self, cutoff: TimestampMs) -> usize {
        let before = self.chunk_count();
        self.sealed.retain(|c| c.max_ms >= cutoff);
        if self.open.as_ref().is_some_and(|o| o.max_ms < cutoff) {
            self.open = None;
        }
        before - self.chunk_count()
    }

    pub(super) fn chunk_count(&self) -> usize {
        self.sealed.len() + usize::from(self.open.is_some())
    }

    /// The oldest sample.
    pub(super) fn min_ms(&self) -> Option<TimestampMs> {
        self.sealed.first().map(|c| c.min_ms).or(self.open.as_ref().map(|o| o.min_ms))
    }
}
