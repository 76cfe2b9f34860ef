//! The seam to the metrics: one query, one outcome.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use autoscaler_core::FailureKind;
use futures::future::BoxFuture;

/// What became of one query.
pub type Outcome = Result<Answer, QueryError>;

/// Whatever answers queries.
pub trait Querier: Send + Sync {
    /// Evaluates `query` at `time_ms`, milliseconds since the Unix epoch. Owes an outcome within `deadline`, counted
    /// from the first poll.
    fn instant(&self, query: &str, time_ms: i64, deadline: Duration) -> BoxFuture<'static, Outcome>;
}

impl<Q: Querier + ?Sized> Querier for Arc<Q> {
    fn instant(&self, query: &str, time_ms: i64, deadline: Duration) -> BoxFuture<'static, Outcome> {
        Q::instant(self, query, time_ms, deadline)
    }
}

/// What a query returned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The series; a scalar is one without labels.
    pub series: Vec<Series>,
    /// The server's warnings, clipped, the first of them; what only informs is left out.
    pub warnings: Vec<String>,
    /// The server said, otherwise than by a warning, that some of its data is not in the answer: its words or ours.
    pub incomplete: Option<String>,
    /// Which of the source's addresses answered, as it may be printed; empty for a querier that is no server.
    pub answered_by: Arc<str>,
}

impl Answer {
    /// Everything that the server said against its answer.
    pub fn reservations(&self) -> impl Iterator<Item = &String> {
        self.incomplete.iter().chain(&self.warnings)
    }
}

/// One series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value; `None` for a native histogram.
    pub value: Option<f64>,
}

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// What went wrong.
    pub kind: FailureKind,
    /// Cause and cure, without secrets.
    pub message: String,
}

impl QueryError {
    /// An error from its two parts.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}
