//! The seam to the metrics: batches of instant queries, answered one by one as they come in.

pub(crate) mod prometheus;

use std::collections::BTreeMap;
use std::time::Duration;

use autoscaler_core::FailureKind;
use futures::stream::BoxStream;

/// One query's outcome.
pub(crate) type Outcome = Result<Answer, QueryError>;

/// Whatever answers queries. Owes exactly one outcome per query, by the deadline.
///
/// Batches, not single calls, so that a server with a batch endpoint can be given one; a stream, not a list,
/// so that one slow query delays its own policy and no other.
pub(crate) trait Querier: Send + Sync {
    /// Evaluates all `queries` at `time_ms`. Outcomes carry the query's index.
    fn instant_batch(
        &self,
        time_ms: i64,
        queries: Vec<String>,
        deadline: Duration,
    ) -> BoxStream<'static, (usize, Outcome)>;
}

/// What a query returned.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    /// The series; a scalar is one without labels.
    pub series: Vec<Series>,
    /// What the server could not ask or read.
    pub warnings: Vec<String>,
}

/// One series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value; `None` for a native histogram.
    pub value: Option<f64>,
}

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct QueryError {
    /// What went wrong.
    pub kind: FailureKind,
    /// Cause and cure.
    pub message: String,
}

impl QueryError {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}
