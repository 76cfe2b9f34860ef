//! Everything that one decision depends on: the record of a decision starts with this.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::history::History;
use crate::number::Float;
use crate::policy::Policy;

/// Everything that one decision depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Input {
    /// The evaluation time, milliseconds since the Unix epoch: the same that the queries were evaluated at.
    pub now_ms: i64,
    /// What the user asked for.
    pub policy: Policy,
    /// What the target has.
    pub scale: Scale,
    /// What the querier said, in any order; found by name.
    pub observations: Vec<Observation>,
    /// What the previous decision handed on ([`crate::Decision::history`]), plus
    /// [`History::record_written`] for a write that succeeded. `History::default()` at the start.
    pub history: History,
}

/// What the target has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scale {
    /// `scale.spec.replicas`: "current" everywhere below.
    pub spec_replicas: i32,
    /// `scale.status.replicas`, which lags behind and includes surge: what an average divides by.
    pub status_replicas: i32,
    /// Running and ready replicas: what a `Value` target's ratio multiplies.
    pub ready_replicas: i32,
}

/// One metric's answer with everything known about its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Observation {
    /// The metric's name in the policy.
    pub name: String,
    /// The value, or why there is none.
    pub reading: Reading,
    /// How many series the query returned.
    pub series_count: u64,
    /// By cluster, the age of its newest sample at the evaluation time, in milliseconds; `None` or no entry:
    /// the cluster did not answer.
    pub newest_sample_age_ms: BTreeMap<String, Option<i64>>,
    /// The query selects no series (a constant, a clock), so it has no age and no clusters to judge.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub timeless: bool,
    /// What the querier said that it could not ask or read. Infos do not belong here.
    pub warnings: Vec<String>,
}

/// A metric's value, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Reading {
    /// What the query returned; NaN, infinite and negative values may be passed as they are.
    Value(Float),
    /// The query gave no value.
    #[serde(rename_all = "camelCase")]
    Failed {
        /// What went wrong.
        kind: FailureKind,
        /// The cause in the querier's or the client's words.
        message: String,
    },
}

/// Why a query gave no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FailureKind {
    /// No connection to the querier.
    Unreachable,
    /// No answer by the deadline.
    Timeout,
    /// The querier does not understand the query.
    BadQuery,
    /// The querier could not evaluate the query (5xx, limits).
    Execution,
    /// The answer is not the Prometheus HTTP API's.
    BadResponse,
    /// No series.
    Empty,
    /// More than one series.
    ManySeries,
    /// NaN or infinite.
    NotANumber,
    /// Anything else.
    Other,
}
