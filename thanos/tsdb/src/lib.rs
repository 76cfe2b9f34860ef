//! The head of a time series database: chunk encodings, a write-ahead log, an index of series in memory.
//!
//! ```text
//!  remote write ─► Db::append ─► wal (disk) ─► head (series, index, XOR chunks) ─► Db::select ─► StoreAPI
//! ```
//!
//! Invariants:
//! - a sample counts as stored only after the log was handed to the operating system;
//! - a refused sample changes nothing, a failed commit changes nothing;
//! - chunks are Prometheus' bytes, so that they go to the wire and into blocks as they are; the log is ours;
//! - time is an argument: nothing here reads a clock.
//!
//! Modules in reading order: [`chunkenc`], [`batch`], [`wal`], [`head`], [`db`].

pub mod batch;
pub mod chunkenc;
pub mod db;
pub mod head;
pub mod wal;

pub use batch::{Batch, BatchSeries};
pub use db::{Db, OpenError, Options, Outcome, Rejected, SampleError};
pub use head::{ChunkView, HeadStats, SelectedSeries, TooManySeries};
pub use wal::ReplayReport;
