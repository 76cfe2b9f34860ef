//! The record of a run as it is read: what is missing or null is empty, fields and events that are unknown are passed
//! over, numbers beyond what can be counted are the nearest that can, so that a report outlives the harness that wrote
//! its record. Only the format's name is insisted on, and that a field has the type that it has.

use std::collections::BTreeMap;

use serde::Deserialize;

mod event;
mod loose;

pub(crate) use event::{Decision, Event, LoadSecond, Metric, Policy, SloSecond, What};
use loose::{count, count_or_none, counts, or_default, real, real_or_none, texts, whole};

use crate::Error;

/// The format that this crate reads.
pub const FORMAT: &str = "gauntlet/run/v1";

/// One run. Times are seconds from the start of the load, latencies milliseconds, rates requests per second.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Record {
    #[serde(deserialize_with = "or_default")]
    pub(crate) format: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) version: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) scenario: ScenarioText,
    #[serde(deserialize_with = "or_default")]
    pub(crate) started_at: String,
    #[serde(deserialize_with = "real")]
    pub(crate) duration_s: f64,
    #[serde(deserialize_with = "count")]
    pub(crate) seed: u64,
    #[serde(deserialize_with = "or_default")]
    pub(crate) clusters: Vec<String>,
    /// Files that were used, as they were.
    #[serde(deserialize_with = "or_default")]
    pub(crate) inputs: Vec<Input>,
    /// What a reader should know and what changes no row.
    #[serde(deserialize_with = "or_default")]
    pub(crate) warnings: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) stages: Vec<Stage>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) faults: Vec<Fault>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) verdict: Verdict,
    /// The threshold that ended it early.
    pub(crate) aborted_by: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) rows: Vec<Row>,
    pub(crate) counterexample: Option<Counterexample>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) loads: Vec<Load>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) workloads: Vec<Workload>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) events: Vec<Event>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ScenarioText {
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) description: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) file: String,
    /// As read.
    #[serde(deserialize_with = "or_default")]
    pub(crate) text: String,
    #[serde(deserialize_with = "texts")]
    pub(crate) set: BTreeMap<String, String>,
    /// As it ran.
    #[serde(deserialize_with = "or_default")]
    pub(crate) effective: String,
    /// Of the scenario as it ran without its seed, and of all inputs.
    #[serde(deserialize_with = "or_default")]
    pub(crate) digest: String,
}

/// A file that a run used.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Input {
    /// `policies`, `series` or `platform`.
    #[serde(deserialize_with = "or_default")]
    pub(crate) kind: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) path: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) sha256: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) text: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(crate) enum Verdict {
    Pass,
    Thresholds,
    InvalidGenerator,
    Interrupted,
    /// A word that this reader does not know; empty where the record has none.
    Other(String),
}

impl Default for Verdict {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

impl From<String> for Verdict {
    fn from(word: String) -> Self {
        match word.as_str() {
            "pass" => Self::Pass,
            "thresholds" => Self::Thresholds,
            "invalidGenerator" => Self::InvalidGenerator,
            "interrupted" => Self::Interrupted,
            _ => Self::Other(word),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Stage {
    #[serde(deserialize_with = "or_default")]
    pub(crate) load: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: String,
    #[serde(deserialize_with = "real")]
    pub(crate) start_s: f64,
    #[serde(deserialize_with = "real")]
    pub(crate) end_s: f64,
    #[serde(deserialize_with = "real")]
    pub(crate) from_rps: f64,
    #[serde(deserialize_with = "real")]
    pub(crate) to_rps: f64,
    /// Of a recorded load: straight lines lead from one to the next.
    pub(crate) points: Option<Vec<Rate>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rate {
    #[serde(deserialize_with = "real")]
    pub(crate) at_s: f64,
    #[serde(deserialize_with = "real")]
    pub(crate) rps: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Fault {
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) kind: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) target: String,
    #[serde(deserialize_with = "real")]
    pub(crate) start_s: f64,
    #[serde(deserialize_with = "real")]
    pub(crate) end_s: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Row {
    #[serde(deserialize_with = "or_default")]
    pub(crate) expectation: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) found: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) held: bool,
    /// False where the run was broken off before.
    pub(crate) reached: Option<bool>,
}

impl Row {
    /// Whether the run ended before it could be judged; it did not hold then.
    pub(crate) fn open(&self) -> bool {
        !self.held && self.reached == Some(false)
    }
}

/// A run that has to fail: a row holds if what it names failed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Counterexample {
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) why: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) rows: Vec<Row>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Load {
    #[serde(deserialize_with = "or_default")]
    pub(crate) cluster: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) load: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) to: String,
    pub(crate) stage: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) figures: Figures,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Figures {
    #[serde(deserialize_with = "count")]
    pub(crate) planned: u64,
    #[serde(deserialize_with = "count")]
    pub(crate) completed: u64,
    #[serde(deserialize_with = "count")]
    pub(crate) failed: u64,
    #[serde(deserialize_with = "count")]
    pub(crate) dropped: u64,
    #[serde(deserialize_with = "counts")]
    pub(crate) causes: BTreeMap<String, u64>,
    /// Failures that were the generator's own.
    #[serde(deserialize_with = "count_or_none")]
    pub(crate) own_failures: Option<u64>,
    /// Not sent, as every place was taken by requests without an answer.
    #[serde(deserialize_with = "count_or_none")]
    pub(crate) saturated: Option<u64>,
    /// Answers by status.
    #[serde(deserialize_with = "counts")]
    pub(crate) statuses: BTreeMap<String, u64>,
    #[serde(deserialize_with = "real")]
    pub(crate) latency_p50_ms: f64,
    #[serde(deserialize_with = "real")]
    pub(crate) latency_p95_ms: f64,
    #[serde(deserialize_with = "real")]
    pub(crate) latency_p99_ms: f64,
    #[serde(deserialize_with = "real")]
    pub(crate) latency_max_ms: f64,
    #[serde(deserialize_with = "real")]
    pub(crate) send_lag_p99_ms: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Workload {
    #[serde(deserialize_with = "or_default")]
    pub(crate) cluster: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) workload: String,
    #[serde(deserialize_with = "whole")]
    pub(crate) first_wanted: i32,
    #[serde(deserialize_with = "whole")]
    pub(crate) most_wanted: i32,
    #[serde(deserialize_with = "whole")]
    pub(crate) last_wanted: i32,
    #[serde(deserialize_with = "whole")]
    pub(crate) changes: i32,
    #[serde(deserialize_with = "whole")]
    pub(crate) reversals: i32,
    #[serde(deserialize_with = "real")]
    pub(crate) replica_hours: f64,
    /// Requests per second that one replica carries, where the scenario says so.
    #[serde(deserialize_with = "real_or_none")]
    pub(crate) sustains_rps: Option<f64>,
    /// What the loads plan to send it; each rate holds until the next.
    pub(crate) planned: Option<Vec<Rate>>,
    pub(crate) slo: Option<String>,
    pub(crate) elasticity: Option<Elasticity>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Elasticity {
    #[serde(deserialize_with = "real")]
    pub(crate) under_accuracy_percent: f64,
    #[serde(deserialize_with = "real")]
    pub(crate) over_accuracy_percent: f64,
    #[serde(deserialize_with = "real")]
    pub(crate) under_timeshare_percent: f64,
    #[serde(deserialize_with = "real")]
    pub(crate) over_timeshare_percent: f64,
    #[serde(deserialize_with = "real")]
    pub(crate) instability_percent: f64,
}

impl Record {
    /// Reads it; what cannot be read is said in one line that names the field.
    pub(crate) fn parse(source: &str, json: &[u8]) -> Result<Self, Error> {
        let problem =
            |reason: String| Error::Record { file: source.to_owned(), reason: loose::line(&reason) };
        let mut json = serde_json::Deserializer::from_slice(json);
        let record: Self =
            serde_path_to_error::deserialize(&mut json).map_err(|e| match e.path().to_string() {
                path if path == "." => problem(e.inner().to_string()),
                path => problem(format!("{path}: {}", e.inner())),
            })?;
        json.end().map_err(|e| problem(format!("there is more behind the record: {e}")))?;
        if record.format != FORMAT {
            let found = &record.format;
            return Err(problem(format!(
                "format is {found:?}, not {FORMAT:?}; give the JSON result of a run"
            )));
        }
        Ok(record)
    }
}
