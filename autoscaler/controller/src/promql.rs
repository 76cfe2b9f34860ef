//! What a policy's query depends on: the querier's own reading of PromQL, and queries for the age of what it sees.

use thanos_promql_syntax::{Query as Syntax, SeriesSelector};

/// A query that was understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    /// Every series selector in it, in reading order, each once. Empty: a constant or a clock.
    pub selectors: Vec<Selector>,
    /// How far back the longest range reads, in milliseconds.
    pub window_ms: i64,
    /// The shortest range of any range selector, in milliseconds.
    pub shortest_range_ms: Option<i64>,
}

/// One series selector with the time that it looks at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Selector(SeriesSelector);

/// Parses `text` and finds its selectors.
///
/// # Errors
/// What is wrong, and where if that is known.
pub(crate) fn parse(text: &str) -> Result<Query, String> {
    let query = Syntax::parse(text).map_err(|e| e.to_string())?;
    Ok(Query {
        selectors: query.selectors().iter().cloned().map(Selector).collect(),
        window_ms: query.window_ms(),
        shortest_range_ms: query.shortest_range_ms(),
    })
}

impl Selector {
    /// Gives, per value of `cluster_label`, the time of the newest sample that the selector sees, in seconds.
    pub(crate) fn newest_sample_query(&self, cluster_label: &str) -> String {
        format!("max by ({cluster_label}) (timestamp({}))", self.0)
    }

    /// The time that a sample's age counts from, for an evaluation at `now_ms`.
    pub(crate) fn reference_ms(&self, now_ms: i64) -> i64 {
        self.0.reference_ms(now_ms)
    }

    /// Whether a series of that cluster could match.
    pub(crate) fn admits(&self, cluster_label: &str, cluster: &str) -> bool {
        self.0.admits(cluster_label, cluster)
    }
}

#[cfg(test)]
mod tests;
