//! What a query answers with.

use std::collections::BTreeSet;

use thanos_model::{Labels, Sample, TimestampMs, Value};

/// A result and what the evaluation has to say about it.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryResult {
    /// The result.
    pub value: QueryValue,
    /// Sources that did not answer in full, and `PromQL warning: …` sentences.
    pub warnings: BTreeSet<String>,
    /// `PromQL info: …` sentences.
    pub infos: BTreeSet<String>,
}

/// A result by its PromQL type.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryValue {
    /// A number at the evaluation time.
    Scalar {
        /// Evaluation time.
        t_ms: TimestampMs,
        /// The number.
        value: f64,
    },
    /// A string at the evaluation time.
    String {
        /// Evaluation time.
        t_ms: TimestampMs,
        /// The text.
        value: String,
    },
    /// One value per series, all at the evaluation time. Order matters only after `sort…`, `topk`, `bottomk`.
    Vector(Vec<VectorSample>),
    /// Samples per series, sorted by labels; of range queries and of instant queries for a range vector.
    Matrix(Vec<MatrixSeries>),
}

/// A series' value at the evaluation time.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// Identity.
    pub labels: Labels,
    /// Evaluation time.
    pub t_ms: TimestampMs,
    /// Value.
    pub value: Value,
}

/// A series' samples.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSeries {
    /// Identity.
    pub labels: Labels,
    /// Ascending in time, never empty.
    pub samples: Vec<Sample>,
}
