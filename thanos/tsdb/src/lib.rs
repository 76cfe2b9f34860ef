//! The head: chunk encodings, write-ahead log, series index.
//!
//! Modules in reading order: [`chunkenc`].

pub mod chunkenc;
