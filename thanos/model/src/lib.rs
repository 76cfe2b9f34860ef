//! Labels, matchers, samples, histograms and durations: the words that every part of the metrics plane
//! shares.
//!
//! ```text
//!  exposition text ─► Labels + Sample ─► wire, head, chunks ─► Labels + Sample ─► PromQL
//! ```
//!
//! Invariants:
//! - a [`Labels`] is sorted by name, has no duplicate names and no empty values;
//! - time is milliseconds since the epoch in an `i64` ([`TimestampMs`]), never a clock type;
//! - a sample's value may be a histogram: nothing downstream may assume a float;
//! - nothing here does I/O, awaits or reads a clock.
//!
//! Modules in reading order: [`labels`], [`matcher`], [`sample`], [`histogram`], [`duration`].

pub mod duration;
pub mod histogram;
pub mod labels;
pub mod matcher;
pub mod sample;

pub use duration::{format_duration, parse_duration};
pub use histogram::{BucketSpan, FloatHistogram, ResetHint};
pub use labels::{Label, Labels, METRIC_NAME};
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use sample::{STALE_NAN_BITS, Sample, Value, is_stale, stale_nan};

/// Milliseconds since the Unix epoch.
pub type TimestampMs = i64;
