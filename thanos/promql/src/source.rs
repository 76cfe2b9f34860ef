//! The seam between the engine and whatever holds samples. A source owes four things:
//!
//! 1. every series that passes all matchers and has a sample in `start_ms..=end_ms`, each once, sorted by
//!    labels, samples ascending with distinct times; staleness markers included, for the engine reads them;
//! 2. a warning for everything that it could not ask: an answer is never silently partial;
//! 3. [`Budget::charge`] before it keeps a series' samples, so that one query cannot exhaust memory;
//! 4. an answer or an error by the deadline that its caller gave.
//!
//! A store may know more than it is asked (hints), never less.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;
use thanos_model::{Labels, Matcher, Sample, TimestampMs};

/// What one selector of a query reads.
#[derive(Clone, Debug)]
pub struct SelectRequest {
    /// All must pass.
    pub matchers: Vec<Matcher>,
    /// First sample that can matter, inclusive.
    pub start_ms: TimestampMs,
    /// Last sample that can matter, inclusive.
    pub end_ms: TimestampMs,
    /// What the samples are for; a source may ignore it.
    pub hints: SelectHints,
    /// What the whole query may still use.
    pub budget: Arc<Budget>,
}

/// What the samples are for.
#[derive(Clone, Debug, Default)]
pub struct SelectHints {
    /// Distance between steps; 0 for an instant query.
    pub step_ms: i64,
    /// Width of a range selector; 0 for an instant selector.
    pub range_ms: i64,
    /// The function or aggregation around the selector, `""` for none.
    pub func: String,
    /// Whether only the series' labels are wanted.
    pub skip_samples: bool,
}

/// One series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Identity, replica labels already removed.
    pub labels: Labels,
    /// Ascending in time.
    pub samples: Vec<Sample>,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct SeriesSet {
    /// Sorted by labels.
    pub series: Vec<Series>,
    /// What could not be asked or read, one sentence each.
    pub warnings: Vec<String>,
}

/// Why a source gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The query asked for more than it may have.
    #[error(transparent)]
    Budget(#[from] OverBudget),
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// No store could answer, or one failed and the caller wanted all or nothing.
    #[error("{0}")]
    Unavailable(String),
    /// The deadline passed.
    #[error("deadline exceeded: {0}")]
    Timeout(String),
}

/// Anything that holds series.
pub trait SeriesSource: Send + Sync {
    /// Reads one selector.
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<SeriesSet, SourceError>>;
}

/// A query's allowance: samples held at once and bytes held at once. Shared by all its selectors.
#[derive(Debug)]
pub struct Budget {
    samples_left: AtomicU64,
    bytes_left: AtomicU64,
    samples_max: u64,
    bytes_max: u64,
}

/// The allowance is used up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverBudget {
    /// Prometheus' own sentence, which its users know.
    #[error("query processing would load too many samples into memory in query execution (limit {0})")]
    Samples(u64),
    /// Ours.
    #[error("query would use more than its {0} bytes of memory; select fewer series or a shorter range")]
    Bytes(u64),
}

impl Budget {
    /// An allowance of samples and bytes.
    pub fn new(samples: u64, bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            samples_left: samples.into(),
            bytes_left: bytes.into(),
            samples_max: samples,
            bytes_max: bytes,
        })
    }

    /// Takes from the allowance.
    ///
    /// # Errors
    /// Nothing is taken when either runs out.
    pub fn charge(&self, samples: u64, bytes: u64) -> Result<(), OverBudget> {
        let take = |left: &AtomicU64, n| {
            left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |l| l.checked_sub(n)).is_ok()
        };
        if !take(&self.samples_left, samples) {
            return Err(OverBudget::Samples(self.samples_max));
        }
        if !take(&self.bytes_left, bytes) {
            self.samples_left.fetch_add(samples, Ordering::AcqRel);
            return Err(OverBudget::Bytes(self.bytes_max));
        }
        Ok(())
    }

    /// Gives back what is no longer held.
    pub fn release(&self, samples: u64, bytes: u64) {
        self.samples_left.fetch_add(samples, Ordering::AcqRel);
        self.bytes_left.fetch_add(bytes, Ordering::AcqRel);
    }
}
