//! Chunk encodings, byte for byte Prometheus' (`tsdb/chunkenc`). A decoder takes bytes from the network, so it
//! is bounded by its input and answers garbage with [`ChunkError`].

mod bits;
pub mod xor;

pub use xor::{XorChunk, XorIter};

/// Prometheus' encoding number of an XOR chunk on disk; StoreAPI's number is one less.
pub const ENCODING_XOR: u8 = 1;

/// After this many samples a chunk is full (Prometheus' `DefaultSamplesPerChunk`).
pub const SAMPLES_PER_CHUNK: usize = 120;

/// Why bytes are not a chunk, or a chunk takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The data ends before the samples that its header promises.
    #[error("chunk is truncated: sample {sample} of {total} is incomplete")]
    Truncated {
        /// Index of the sample that is incomplete.
        sample: u16,
        /// Samples that the header promises.
        total: u16,
    },
    /// Fewer than the two bytes of a header.
    #[error("chunk has no header: {0} bytes")]
    NoHeader(usize),
    /// A bit pattern that no encoder writes.
    #[error("chunk is corrupt at sample {0}: {1}")]
    Corrupt(u16, &'static str),
    /// 65,535 samples are in it: the header counts no further.
    #[error("chunk is full")]
    Full,
}
