//! What a querier said about one metric: two values, and what is known of the samples behind them.

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::number::Float;
use crate::pods::Sample;

/// One metric's answer, all of it from one query, so from one querier at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Observation {
    /// The metric's name in the policy.
    pub name: Name,
    /// The value at the evaluation time: the newest, perhaps not whole. It may only raise.
    pub newest: Reading,
    /// The value at the settled time, if one was asked for. It may lower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
    /// The samples that the query reads.
    pub samples: Samples,
    /// What the same answer has of where windows begin, one entry a [`WindowStart`] that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<StartSamples>,
    /// What the querier warned of, infos too if it does not tell them apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The querier marked its answer as incomplete, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
}

/// The value at the settled time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settled {
    /// The settled time, in milliseconds since the epoch ([`crate::History::settled_ms`] before the query).
    pub at_ms: i64,
    /// The value there.
    pub reading: Reading,
}

/// A metric's value, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Reading {
    /// What the query returned; NaN, infinite and negative values may be passed as they are.
    Value(Float),
    /// One value a pod, for metrics of pods. A pod whose value is no finite number is left out.
    Pods(Vec<Sample>),
    /// Every series' value in thousandths, in an order that stays: for `compatibility: HPA`, which sums them.
    Series(Vec<i64>),
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
    /// `metrics.k8s.io` is not served, or did not answer.
    MetricsApi,
    /// The policy's own source cannot be asked: a Secret or ConfigMap of it is missing, unreadable or of no use.
    Source,
    /// Anything else.
    Other,
}

/// Where a window begins: what to ask for, beside the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WindowStart {
    /// Its beginning, in milliseconds since the epoch.
    pub at_ms: i64,
    /// How far before it a sample may be, in milliseconds: as far apart as samples were.
    pub back_ms: i64,
}

/// How many series have a sample within [`WindowStart::back_ms`] before a window's beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StartSamples {
    /// Where.
    pub start: WindowStart,
    /// One entry a series selector, in the query's order: of each cluster that has any.
    pub selectors: Vec<Vec<SeriesCount>>,
    /// How many of these are fresh by now, and have nothing at the next place: where the window ends, after where it
    /// begins; where it begins, after where one did before. As `selectors`; empty if there are none, or it was not asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<Vec<SeriesCount>>,
}

/// How many series of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeriesCount {
    /// The cluster label's value; empty where series have none.
    pub cluster: Name,
    /// Series.
    pub series: u32,
}

/// What is known of the samples that a query reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Samples {
    /// The query reads no series (a constant, a clock), so there is no age and no cluster to judge.
    Timeless,
    /// There was no answer about them, in the client's words; which says nothing, as they are collected all the
    /// same.
    Unknown(String),
    /// One entry a series selector, in the query's order.
    Seen(Vec<SelectorSamples>),
}

/// The samples that one series selector sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SelectorSamples {
    /// The selector's text, for sentences; empty if unknown.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub selector: Name,
    /// It looks at a fixed time (`@`), so its samples do not move on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    /// Of which clusters it can see series, by its own matchers.
    #[serde(default, skip_serializing_if = "ClusterScope::is_all")]
    pub scope: ClusterScope,
    /// One entry a value of the cluster label that was found, each once.
    pub clusters: Vec<ClusterSamples>,
}

/// Which clusters a selector can see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClusterScope {
    /// Any.
    #[default]
    All,
    /// Only these.
    Only(Vec<Name>),
    /// Any but these.
    Except(Vec<Name>),
}

impl ClusterScope {
    /// Whether it can see `cluster`.
    #[must_use]
    pub fn admits(&self, cluster: &Name) -> bool {
        match self {
            Self::All => true,
            Self::Only(clusters) => clusters.contains(cluster),
            Self::Except(clusters) => !clusters.contains(cluster),
        }
    }

    fn is_all(&self) -> bool {
        *self == Self::All
    }
}

/// The samples of one cluster that one selector sees. Times are in milliseconds since the epoch, as they count
/// for the query's evaluation time: a selector's offset is taken off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterSamples {
    /// The cluster label's value; empty where series have none.
    pub cluster: Name,
    /// The newest sample of any series.
    pub newest_ms: i64,
    /// The newest sample of the series that is furthest behind, among those that are not older than `maxAge`;
    /// `None` if all are.
    pub slowest_ms: Option<i64>,
    /// The target's pods among the fresh series.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pods: u32,
    /// Pods of any name whose series stopped without a staleness marker.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub silent_pods: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}
