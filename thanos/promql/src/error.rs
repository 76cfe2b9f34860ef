//! Why a query gave no result, in the classes that the Prometheus HTTP API tells apart.

use thanos_promql_syntax::{ErrorKind, SyntaxError};

use crate::source::{OverBudget, SourceError};

/// Who ended an evaluation before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The query's deadline passed.
    Timeout,
    /// Its caller went away.
    Cancelled,
}

/// Why a query gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The text is not PromQL, or asks what no evaluation can give (`bad_data`).
    #[error("{0}")]
    BadData(String),
    /// Right PromQL that this engine cannot do yet (`bad_data`).
    #[error("not supported yet: {name}")]
    Unsupported {
        /// The construct, as the user writes it.
        name: String,
    },
    /// Evaluation failed on the data (`execution`).
    #[error("{0}")]
    Execution(String),
    /// The query asked for more than it may have (`execution`).
    #[error(transparent)]
    Budget(#[from] OverBudget),
    /// The deadline passed (`timeout`).
    #[error("query timed out in {0}")]
    Timeout(String),
    /// The caller went away (`canceled`).
    #[error("query was canceled in {0}")]
    Cancelled(String),
    /// The series source failed (`execution`, or `unavailable` where the server tells them apart).
    #[error("expanding series: {0}")]
    Source(String),
}

impl QueryError {
    /// The `errorType` of Prometheus' HTTP API.
    pub fn api_type(&self) -> &'static str {
        match self {
            Self::BadData(_) | Self::Unsupported { .. } => "bad_data",
            Self::Execution(_) | Self::Budget(_) | Self::Source(_) => "execution",
            Self::Timeout(_) => "timeout",
            Self::Cancelled(_) => "canceled",
        }
    }

    pub(crate) fn parse(message: impl std::fmt::Display) -> Self {
        Self::BadData(format!("parse error: {message}"))
    }

    pub(crate) fn unsupported(name: impl Into<String>) -> Self {
        Self::Unsupported { name: name.into() }
    }

    pub(crate) fn exec(message: impl Into<String>) -> Self {
        Self::Execution(message.into())
    }

    pub(crate) fn stopped(stop: Stop, phase: &str) -> Self {
        match stop {
            Stop::Timeout => Self::Timeout(phase.into()),
            Stop::Cancelled => Self::Cancelled(phase.into()),
        }
    }
}

/// In Prometheus' form: `1:5: parse error: …`, a duration's with the bytes that it spans.
impl From<SyntaxError> for QueryError {
    fn from(e: SyntaxError) -> Self {
        match (e.kind, e.place, e.span) {
            (ErrorKind::Unsupported, ..) => Self::Unsupported { name: e.message },
            (ErrorKind::Grammar, Some(place), _) => {
                Self::BadData(format!("{}:{}: parse error: {}", place.line, place.column, e.message))
            }
            (ErrorKind::Grammar, None, _) => Self::parse(e.message),
            (ErrorKind::Duration, _, Some(span)) => {
                Self::BadData(format!("{}:{}: {}", span.start, span.end, e.message))
            }
            (ErrorKind::Duration, _, None) => Self::BadData(e.message),
        }
    }
}

impl From<SourceError> for QueryError {
    fn from(e: SourceError) -> Self {
        match e {
            SourceError::Budget(b) => Self::Budget(b),
            SourceError::Invalid(m) => Self::BadData(m),
            SourceError::Unavailable(m) => Self::Source(m),
            SourceError::Timeout(_) => Self::Timeout("expression evaluation".into()),
        }
    }
}
