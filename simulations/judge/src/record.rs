//! The record of a run: everything that a report, a comparison or a second judgement needs, in one JSON file, and
//! decision records beside it.
//!
//! The format is ours and versioned ([`FORMAT`]); its JSON Schema is `simulations/scenarios/result.schema.json`.
//! Times are seconds from the start of the load, latencies milliseconds, rates requests per second.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::verdict::Verdict;

mod build;
mod identity;
mod line;

pub use build::{event, fault, figures, stages};
pub use identity::sha256;
pub use line::{LINES_FORMAT, Line, StartLine, VerdictLine};

/// The value of [`RunRecord::format`]: a reader that does not know it should say so and stop.
pub const FORMAT: &str = "gauntlet/run/v1";

/// One run, from the scenario's text to the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// [`FORMAT`].
    pub format: String,
    /// Version of the program that ran it.
    pub version: String,
    /// What was run.
    pub scenario: ScenarioText,
    /// The files that the scenario named, as they were read.
    #[serde(default)]
    pub inputs: Vec<InputRecord>,
    /// Start of the load, RFC 3339, UTC.
    pub started_at: String,
    /// Length of the load as it ran.
    pub duration_s: f64,
    /// Where the load's randomness started.
    pub seed: u64,
    /// Clusters; the first held the querier and the controller.
    pub clusters: Vec<String>,
    /// Each load's stages in order.
    pub stages: Vec<StageRecord>,
    /// What went wrong on purpose.
    pub faults: Vec<FaultRecord>,
    /// How it ended.
    pub verdict: Verdict,
    /// The threshold that ended it early, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted_by: Option<String>,
    /// One row a threshold or expectation.
    pub rows: Vec<RowRecord>,
    /// What a reader should know, and what changed no row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// How late the load generator might be.
    #[serde(default)]
    pub judged_with: JudgedWith,
    /// Which of the scenario's counterexamples it was, and whether it failed as it should.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterexample: Option<CounterexampleRecord>,
    /// Figures of each load on each cluster, its whole run first, then its stages.
    pub loads: Vec<LoadRecord>,
    /// What each workload's replicas did.
    pub workloads: Vec<WorkloadRecord>,
    /// What happened, in order.
    pub events: Vec<EventRecord>,
}

/// How late the load generator might be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JudgedWith {
    /// 99th percentile of (sent − planned).
    pub max_send_lag_ms: f64,
    /// A later one made the run invalid only where that could have changed a row.
    pub only_where_it_matters: bool,
}

/// What a decision's record says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptRecord {
    /// Whether deciding again from its input gives the same decision.
    pub replays: bool,
    /// Whether all of its evidence sufficed.
    pub sufficient: bool,
    /// Replicas that were asked for before it, and at it, and when: milliseconds since 1970.
    pub asked: Vec<(i64, i32)>,
}

/// The scenario as it was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScenarioText {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Path as given, or `built in: NAME`.
    pub file: String,
    /// The YAML as read, before [`ScenarioText::set`].
    pub text: String,
    /// `--set KEY=VALUE`, in order of keys.
    pub set: BTreeMap<String, String>,
    /// The scenario as it ran, after [`ScenarioText::set`] and without its counterexamples: JSON, which is YAML.
    #[serde(default)]
    pub effective: String,
    /// SHA-256 of what was run, whatever its seed: the effective scenario, policies and data. Runs of one digest by
    /// one version differ in their seeds at most.
    #[serde(default)]
    pub digest: String,
}

/// A file that a scenario named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InputRecord {
    /// `policies`, `series` (a CSV file), or `recorded` (the points that a query gave).
    pub kind: String,
    /// As the scenario names it.
    pub path: String,
    /// SHA-256 of its text.
    pub sha256: String,
    /// Its text.
    pub text: String,
}

/// A stretch of load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageRecord {
    /// The load that it is of.
    #[serde(default)]
    pub load: String,
    /// Name.
    pub name: String,
    /// When it starts.
    pub start_s: f64,
    /// When it ends.
    pub end_s: f64,
    /// Rate at its start, per cluster.
    pub from_rps: f64,
    /// Rate at its end, per cluster.
    pub to_rps: f64,
    /// A recorded load's corners, with straight lines between them; absent where the rate goes straight from start
    /// to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<Vec<PointRecord>>,
}

/// A rate at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PointRecord {
    /// When.
    pub at_s: f64,
    /// Requests per second, per cluster.
    pub rps: f64,
}

/// A fault as it was planned; marks in the events say when it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FaultRecord {
    /// Name.
    pub name: String,
    /// `kill`, `pause`, `dropMetrics`, `slow` or `partition`.
    pub kind: String,
    /// `cluster/namespace/app/container`; of a partition `cluster`, or `cluster/part`.
    pub target: String,
    /// When it begins.
    pub start_s: f64,
    /// When it ends; the same as its beginning for a kill.
    pub end_s: f64,
}

/// A run that has to fail. [`RunRecord::verdict`] and [`RunRecord::rows`] are those of any run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CounterexampleRecord {
    /// Its name.
    pub name: String,
    /// Why it must fail.
    pub why: String,
    /// One row a thing that must fail; it holds if that failed.
    pub rows: Vec<RowRecord>,
}

/// One line of the verdict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RowRecord {
    /// What was asked.
    pub expectation: String,
    /// What was found.
    pub found: String,
    /// Whether it held.
    pub held: bool,
    /// An expectation's key, or a threshold's condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Absent unless the run was broken off before this could be judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<bool>,
}

/// One load on one cluster, over the run or one stage of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadRecord {
    /// Cluster.
    pub cluster: String,
    /// The load's name.
    #[serde(default)]
    pub load: String,
    /// The service that it is sent to.
    #[serde(default)]
    pub to: String,
    /// Stage, by when a request was due; absent for the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The figures.
    pub figures: Figures,
}

/// Requests and their latency, from planned time to the last byte; a request that failed or was not sent counts as the
/// longest that there is, 20 s.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Requests that were due.
    pub planned: u64,
    /// Answered well.
    pub completed: u64,
    /// Sent and not answered well.
    pub failed: u64,
    /// Due and never sent.
    pub dropped: u64,
    /// Of those not sent, those for which the service held every slot.
    #[serde(default)]
    pub saturated: u64,
    /// Of those not sent, those that the generator had not the means to send.
    #[serde(default)]
    pub own_failures: u64,
    /// Failures by cause.
    pub causes: BTreeMap<String, u64>,
    /// What the generator had not the means for, by cause.
    #[serde(default)]
    pub own_causes: BTreeMap<String, u64>,
    /// Answers by status, well or not.
    #[serde(default)]
    pub statuses: BTreeMap<String, u64>,
    /// Median.
    pub latency_p50_ms: f64,
    /// 95th percentile.
    pub latency_p95_ms: f64,
    /// 99th percentile.
    pub latency_p99_ms: f64,
    /// Longest.
    pub latency_max_ms: f64,
    /// 99th percentile of (sent − planned).
    pub send_lag_p99_ms: f64,
}

/// What a scaled workload's replicas did over the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadRecord {
    /// Cluster.
    pub cluster: String,
    /// Name.
    pub workload: String,
    /// Wanted at the start.
    pub first_wanted: i32,
    /// Most wanted.
    pub most_wanted: i32,
    /// Wanted at the end.
    pub last_wanted: i32,
    /// Changes of wanted replicas.
    pub changes: u32,
    /// Changes of direction.
    pub reversals: u32,
    /// Integral of the replicas that are wanted, or ready still, in hours.
    pub replica_hours: f64,
    /// Requests per second that one replica sustains, where the scenario says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sustains_rps: Option<f64>,
    /// What the loads plan to send it, through `calls` too, where the scenario says what one replica sustains: each
    /// rate holds until the next, and the demand is it over `sustainsRps`, rounded up, at least one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Vec<PointRecord>>,
    /// What its users accept, where the scenario says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<String>,
    /// Against the demand, where the scenario says what one replica sustains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elasticity: Option<ElasticityRecord>,
}

/// The SPEC Research Group's elasticity metrics (arXiv 1604.03470), in percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ElasticityRecord {
    /// θ_U: missing replicas, as a share of those needed, over time.
    pub under_accuracy_percent: f64,
    /// θ_O: surplus replicas, as a share of those needed, over time.
    pub over_accuracy_percent: f64,
    /// τ_U: share of time with too few.
    pub under_timeshare_percent: f64,
    /// τ_O: share of time with too many.
    pub over_timeshare_percent: f64,
    /// υ: share of time in which supply and demand moved differently.
    pub instability_percent: f64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventRecord {
    /// When.
    pub at_s: f64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened; `type` says which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum What {
    /// A stage began (`NAME`), or a fault began (`NAME`) or ended (`NAME ended`), or the load did (`end`).
    Mark {
        /// Its name.
        name: String,
        /// When it was planned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        planned_s: Option<f64>,
    },
    /// The harness did something later than planned, or not at all.
    Late {
        /// What.
        what: String,
        /// How.
        how: String,
    },
    /// A fault found nothing to hit.
    Missed {
        /// The fault's name.
        fault: String,
        /// Why.
        why: String,
    },
    /// A workload's replicas, each time one of them changed.
    Replicas {
        /// Cluster.
        cluster: String,
        /// Workload.
        workload: String,
        /// `spec.replicas`.
        wanted: i32,
        /// Ready.
        ready: i32,
    },
    /// A policy's state, each time it changed.
    Policy {
        /// Cluster.
        cluster: String,
        /// Policy.
        policy: String,
        /// Its namespace, and its target's.
        #[serde(default)]
        namespace: String,
        /// Kind of what it scales.
        #[serde(default)]
        target_kind: String,
        /// Name of what it scales.
        #[serde(default)]
        target_name: String,
        /// Whether the evidence sufficed, once it was judged.
        sufficient: Option<bool>,
        /// Why, in the condition's own words.
        evidence: String,
        /// The first metric's value.
        value: Option<f64>,
        /// Its newest value, where that is another.
        #[serde(default)]
        newest: Option<f64>,
        /// Whether that metric's own evidence sufficed.
        #[serde(default)]
        value_sufficient: Option<bool>,
        /// Replicas that it wants.
        desired: Option<i32>,
        /// Replicas that its metrics ask for, where each of them asks.
        #[serde(default)]
        proposal: Option<i32>,
        /// Cause of the last decision.
        cause: String,
        /// Limits of the last decision.
        #[serde(default)]
        limits: Vec<String>,
    },
    /// A second of one load on one cluster: requests that were due, or ended, in it.
    Load {
        /// Cluster.
        cluster: String,
        /// The load's name.
        #[serde(default)]
        load: String,
        /// The service that it is sent to.
        #[serde(default)]
        to: String,
        /// The rate that the stages ask for.
        rate_rps: f64,
        /// The second's figures.
        figures: Figures,
    },
    /// A policy decided. `atS` is when its status said so.
    Decision {
        /// Cluster.
        cluster: String,
        /// Policy.
        policy: String,
        /// Its namespace, and its target's.
        #[serde(default)]
        namespace: String,
        /// Kind of what it scales.
        #[serde(default)]
        target_kind: String,
        /// Name of what it scales.
        #[serde(default)]
        target_name: String,
        /// When the controller took it, RFC 3339, UTC.
        time: String,
        /// Replicas before.
        from: i32,
        /// Replicas wanted.
        to: i32,
        /// Whether they were written to the scale subresource.
        written: bool,
        /// The main reason, one sentence.
        reason: String,
        /// Limits that changed the outcome.
        limits: Vec<String>,
        /// SHA-256 of the decision's record.
        digest: String,
        /// The record's file, below the folder of this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        record: Option<String>,
        /// What it says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<KeptRecord>,
        /// Each metric as the same status shows it; empty where a newer decision is in it too.
        metrics: Vec<DecisionMetric>,
    },
    /// Whether a service's slo held on the requests that were due in one second on one cluster.
    Slo {
        /// Cluster.
        cluster: String,
        /// Service.
        service: String,
        /// The second, from the start of the load; `atS` is when its last request had ended.
        second: u64,
        /// Requests that were due.
        due: u64,
        /// Those that failed, or took as long as the slo's latency or longer.
        over: u64,
        /// Whether it held.
        held: bool,
    },
    /// A container was started again.
    Restart {
        /// `cluster/pod/container`.
        container: String,
        /// How often so far.
        count: i32,
    },
}

/// A metric's value with its evidence and its target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionMetric {
    /// Name.
    pub name: String,
    /// The query's value.
    pub value: Option<f64>,
    /// What it should be: of the whole value, or of each replica.
    pub target: Option<f64>,
    /// `Value` or `AverageValue`.
    pub target_type: String,
    /// Age of the newest sample of the cluster that lags most.
    pub age_s: Option<f64>,
    /// Whether the evidence would allow fewer replicas.
    pub sufficient: bool,
    /// Replicas that it asks for.
    pub proposal: Option<i32>,
}
