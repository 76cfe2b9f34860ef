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
//! - a [`Secret`] and the secrets of an [`HttpUrl`] are printed by nobody who does not ask for them;
//! - nothing here does I/O, awaits or reads a clock.
//!
//! Modules in reading order: [`labels`], [`re2`], [`matcher`], [`sample`], [`histogram`], [`duration`], [`secret`],
//! [`http_url`].

pub mod duration;
pub mod histogram;
pub mod http_url;
pub mod labels;
pub mod matcher;
pub mod re2;
pub mod sample;
pub mod secret;

pub use duration::{format_duration, parse_duration};
pub use histogram::{BucketSpan, FloatHistogram, ResetHint};
pub use http_url::{HttpUrl, HttpUrlError};
pub use labels::{Label, Labels, METRIC_NAME};
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use re2::Re2Error;
pub use sample::{STALE_NAN_BITS, Sample, Value, is_stale, stale_nan};
pub use secret::{Scrubber, Secret};

/// Milliseconds since the Unix epoch.
pub type TimestampMs = i64;
