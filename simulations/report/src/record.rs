//! The record of a run as it is read: fields that are missing are empty, fields and events that are unknown are
//! passed over, so that a report outlives the harness that wrote its record. Only the format's name is insisted
//! on.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The format that this crate reads.
pub const FORMAT: &str = "gauntlet/run/v1";

/// One run. Times are seconds from the start of the load, latencies milliseconds, rates requests per second.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Record {
    pub(crate) format: String,
    pub(crate) version: String,
    pub(crate) scenario: ScenarioText,
    pub(crate) started_at: String,
    pub(crate) duration_s: f64,
    pub(crate) seed: u64,
    pub(crate) clusters: Vec<String>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) verdict: Verdict,
    /// The threshold that ended it early.
    pub(crate) aborted_by: Option<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) counterexample: Option<Counterexample>,
    pub(crate) loads: Vec<Load>,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) events: Vec<Event>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ScenarioText {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) file: String,
    pub(crate) text: String,
    pub(crate) set: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Verdict {
    Pass,
    Thresholds,
    InvalidGenerator,
    Interrupted,
    #[default]
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Stage {
    pub(crate) load: String,
    pub(crate) name: String,
    pub(crate) start_s: f64,
    pub(crate) end_s: f64,
    pub(crate) from_rps: f64,
    pub(crate) to_rps: f64,
    /// Of a recorded load: straight lines lead from one to the next.
    pub(crate) points: Option<Vec<Rate>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rate {
    pub(crate) at_s: f64,
    pub(crate) rps: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Fault {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) target: String,
    pub(crate) start_s: f64,
    pub(crate) end_s: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Row {
    pub(crate) expectation: String,
    pub(crate) found: String,
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
    pub(crate) name: String,
    pub(crate) why: String,
    pub(crate) rows: Vec<Row>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Load {
    pub(crate) cluster: String,
    pub(crate) load: String,
    pub(crate) to: String,
    pub(crate) stage: Option<String>,
    pub(crate) figures: Figures,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Figures {
    pub(crate) planned: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) dropped: u64,
    pub(crate) causes: BTreeMap<String, u64>,
    pub(crate) latency_p50_ms: f64,
    pub(crate) latency_p95_ms: f64,
    pub(crate) latency_p99_ms: f64,
    pub(crate) latency_max_ms: f64,
    pub(crate) send_lag_p99_ms: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Workload {
    pub(crate) cluster: String,
    pub(crate) workload: String,
    pub(crate) first_wanted: i32,
    pub(crate) most_wanted: i32,
    pub(crate) last_wanted: i32,
    pub(crate) changes: u32,
    pub(crate) reversals: u32,
    pub(crate) replica_hours: f64,
    /// Requests per second that one replica carries, where the scenario says so.
    pub(crate) sustains_rps: Option<f64>,
    /// What the loads plan to send it; each rate holds until the next.
    pub(crate) planned: Option<Vec<Rate>>,
    pub(crate) slo: Option<String>,
    pub(crate) elasticity: Option<Elasticity>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Elasticity {
    pub(crate) under_accuracy_percent: f64,
    pub(crate) over_accuracy_percent: f64,
    pub(crate) under_timeshare_percent: f64,
    pub(crate) over_timeshare_percent: f64,
    pub(crate) instability_percent: f64,
}

/// A metric of a decision.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metric {
    pub(crate) target: Option<f64>,
    pub(crate) target_type: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    #[serde(default)]
    pub(crate) at_s: f64,
    #[serde(flatten)]
    pub(crate) what: What,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum What {
    Mark {
        #[serde(default)]
        name: String,
    },
    Replicas {
        cluster: String,
        workload: String,
        wanted: i32,
        ready: i32,
    },
    Policy {
        cluster: String,
        policy: String,
        #[serde(default)]
        sufficient: Option<bool>,
        #[serde(default)]
        evidence: String,
        #[serde(default)]
        value: Option<f64>,
        #[serde(default)]
        desired: Option<i32>,
        #[serde(default)]
        cause: String,
    },
    Load {
        cluster: String,
        #[serde(default)]
        load: String,
        #[serde(default)]
        to: String,
        #[serde(default)]
        rate_rps: f64,
        #[serde(default)]
        figures: Figures,
    },
    Decision {
        cluster: String,
        policy: String,
        #[serde(default)]
        metrics: Vec<Metric>,
    },
    /// A second of one cluster, judged on the requests that were due in it.
    Slo {
        cluster: String,
        service: String,
        second: u64,
        due: u64,
        over: u64,
        held: bool,
    },
    Restart {
        #[serde(default)]
        container: String,
        #[serde(default)]
        count: i32,
    },
    #[serde(other)]
    Unknown,
}
