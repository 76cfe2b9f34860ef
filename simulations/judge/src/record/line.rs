//! A run as it goes, for programs: one JSON object a line, ended by the verdict.
//!
//! The first line is the [`StartLine`], the last the [`VerdictLine`]; those between are the record's events, each
//! written within a second of when it happened. Every line has a `type`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use simulations_scenario::Loaded;

use super::{
    CounterexampleRecord, EventRecord, FaultRecord, LoadRecord, RowRecord, RunRecord, StageRecord, Verdict,
    WorkloadRecord,
};

/// The value of [`StartLine::format`].
pub const LINES_FORMAT: &str = "gauntlet/lines/v1";

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
#[schemars(title = "A line of gauntlet run --output json")]
pub enum Line {
    /// The first: what runs, and where it can be looked at.
    Start(StartLine),
    /// The last: how it ended.
    Verdict(VerdictLine),
    /// Something that happened, as in `result.json`.
    #[serde(untagged)]
    Event(EventRecord),
}

/// What runs, and where it can be looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartLine {
    /// [`LINES_FORMAT`].
    pub format: String,
    /// Version of the program.
    pub version: String,
    /// The scenario's name.
    pub scenario: String,
    /// Path as given, or `built in: NAME`.
    pub file: String,
    /// Start of the load, RFC 3339, UTC.
    pub started_at: String,
    /// Planned length of the load.
    pub duration_s: f64,
    /// Where the load's randomness starts.
    pub seed: u64,
    /// Clusters; the first holds the querier and the controller.
    pub clusters: Vec<String>,
    /// Each load's stages in order.
    pub stages: Vec<StageRecord>,
    /// What will go wrong on purpose.
    pub faults: Vec<FaultRecord>,
    /// The querier: its API, and the dashboard under `/ui/`.
    pub querier_url: String,
    /// API servers by cluster.
    pub api_urls: BTreeMap<String, String>,
    /// For kubectl: a context for each cluster.
    pub kubeconfig: String,
}

impl StartLine {
    /// What the scenario says; where things are is for the caller to fill in.
    pub fn new(loaded: &Loaded, started_at: Timestamp) -> Self {
        let s = &loaded.scenario;
        Self {
            format: LINES_FORMAT.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: s.name.clone(),
            file: loaded.file.clone(),
            started_at: started_at.to_string(),
            duration_s: s.duration().as_secs_f64(),
            seed: s.seed,
            clusters: s.clusters.clone(),
            stages: super::build::stages(s),
            faults: s.faults.iter().map(super::build::fault).collect(),
            ..Self::default()
        }
    }
}

/// How it ended: the record without its events and its scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerdictLine {
    /// How it ended.
    pub verdict: Verdict,
    /// The threshold that ended it early, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted_by: Option<String>,
    /// Length of the load as it ran.
    pub duration_s: f64,
    /// One row a threshold or expectation.
    pub rows: Vec<RowRecord>,
    /// What a reader should know, and what changed no row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Which of the scenario's counterexamples it was, and whether it failed as it should.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterexample: Option<CounterexampleRecord>,
    /// Figures of each load on each cluster, its whole run first, then its stages.
    pub loads: Vec<LoadRecord>,
    /// What each workload's replicas did.
    pub workloads: Vec<WorkloadRecord>,
}

impl From<&RunRecord> for VerdictLine {
    fn from(r: &RunRecord) -> Self {
        Self {
            verdict: r.verdict,
            aborted_by: r.aborted_by.clone(),
            duration_s: r.duration_s,
            rows: r.rows.clone(),
            warnings: r.warnings.clone(),
            counterexample: r.counterexample.clone(),
            loads: r.loads.clone(),
            workloads: r.workloads.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
