//! What the controller says back.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most decisions that the status keeps, newest first; of those that were written as many again.
pub const MAX_DECISIONS: usize = 10;

/// What was seen and decided.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScalingPolicyStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Replicas that the target's spec asked for when last read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_replicas: Option<i32>,
    /// Replicas that the last decision wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired_replicas: Option<i32>,
    /// When replicas were last written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_scale_time: Option<Time>,
    /// When the metrics below were last evaluated; written with the status, so up to a refresh old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_evaluation_time: Option<Time>,
    /// AbleToScale, ScalingActive, ScalingLimited and EvidenceSufficient; RingSettled where there is a ring.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Each metric's value with its evidence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricStatus>,
    /// The formula's number with its evidence, where the policy has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formula: Option<Box<MetricStatus>>,
    /// The last decisions that differed from the one before, newest first, at most ten.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_decisions: Vec<DecisionSummary>,
    /// The last decisions that were written, newest first, at most ten: others do not push them out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_scales: Vec<DecisionSummary>,
    /// The hashring, where the policy has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring: Option<RingStatus>,
    /// What the target had when the policy took it over; what onDelete: Restore goes back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<OriginalReplicas>,
    /// What another leader needs to go on from here; not for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<StatusMemory>,
}

/// What a target had when the policy took it over.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OriginalReplicas {
    /// The target's kind.
    pub kind: String,
    /// The target's name.
    pub name: String,
    /// Tells it from another of the same name.
    pub uid: String,
    /// Replicas that its spec asked for.
    pub replicas: i32,
}

/// What another leader needs to go on: rates, windows, since when evidence is insufficient.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusMemory {
    /// Form of `history`; one that is not known is not read.
    pub version: i64,
    /// When it was true, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Replicas that the target asked for then.
    pub replicas: i32,
    /// The decision's history, as JSON.
    pub history: String,
}

/// One metric's value with its evidence.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricStatus {
    /// The metric's name in the spec.
    pub name: String,
    /// The query's value that counts; absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The newest value, where it is another: samples may still be missing from it, so it may only raise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// Age of the newest sample of the cluster that lags most, as a Prometheus duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<String>,
    /// Whether the evidence would allow fewer replicas.
    pub sufficient: bool,
    /// Why it is insufficient, with the cure where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Expected clusters with a fresh sample.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clusters_answered: Vec<String>,
    /// Expected clusters without one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clusters_missing: Vec<String>,
    /// What the querier warned of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Replicas that this metric asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposal: Option<i32>,
}

/// One decision in short.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionSummary {
    /// When it was taken.
    pub time: Time,
    /// Replicas before.
    pub from: i32,
    /// Replicas wanted.
    pub to: i32,
    /// Whether it was written to the scale subresource.
    pub written: bool,
    /// The main reason, one sentence.
    pub cause: String,
    /// Limits that changed the outcome.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<String>,
    /// SHA-256 of the decision's record.
    pub digest: String,
}

/// The hashring as last written.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RingStatus {
    /// Counts every change of the members.
    pub version: i64,
    /// Addresses, by ordinal.
    pub members: Vec<String>,
}
