//! What the controller was started with.

use serde::{Deserialize, Serialize};

use crate::{pool, writer};

/// What the controller was started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// What each cluster is called in the metrics, by its number; one that is not here has no name.
    pub clusters: Vec<String>,
    /// Among how many shards the policies of a cluster are divided; the same in every process.
    pub shards: u16,
    /// How long a query may take from its start, in milliseconds.
    pub query_timeout_ms: u64,
    /// How long a write may take, in milliseconds; after a little more it counts as unanswered.
    pub write_timeout_ms: u64,
    /// Longest that numbers in a status may lag, in milliseconds; what matters is written within a second.
    pub status_refresh_ms: u64,
    /// How long to wait for a watch to tell what a write met, before the target is read.
    pub reread_after_ms: u64,
    /// Shortest interval; policies that ask for less are evaluated at it, and told so.
    pub min_interval_ms: u64,
    /// Most queries of one policy; policies with more are not evaluated, and told so.
    pub max_queries_per_policy: usize,
    /// Budgets of queries.
    pub pool: pool::Limits,
    /// Budgets of writes, for each cluster.
    pub writer: writer::Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            clusters: Vec::new(),
            shards: 1,
            query_timeout_ms: 3_000,
            write_timeout_ms: 5_000,
            status_refresh_ms: 5_000,
            reread_after_ms: 250,
            min_interval_ms: 100,
            max_queries_per_policy: 32,
            pool: pool::Limits::default(),
            writer: writer::Limits::default(),
        }
    }
}
