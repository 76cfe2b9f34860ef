//! What a user asks for: HPA v2's vocabulary, and a query with the evidence that makes its answer complete.

#![allow(unreachable_pub, reason = "KubeSchema's derive emits a private copy of each struct, `pub` included")]
#![allow(clippy::duplicated_attributes, reason = "every print column has a type_")]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::{DURATION_PATTERN, Evidence, Fallback};
use crate::terms::{OnDelete, Pause, Schedule, Zero};
use crate::{Quantity, ScalingPolicyStatus, Source};

/// Scales one workload on PromQL queries, and never down on incomplete evidence.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "autoscaling.gauntlet.dev",
    version = "v1alpha1",
    kind = "ScalingPolicy",
    plural = "scalingpolicies",
    shortname = "scp",
    category = "all",
    namespaced,
    status = "ScalingPolicyStatus",
    derive = "PartialEq",
    doc = "Scales one workload on PromQL queries, and never down on incomplete evidence.",
    printcolumn(name = "Target", type_ = "string", json_path = ".spec.scaleTargetRef.name"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "Min", type_ = "integer", json_path = ".spec.minReplicas"),
    printcolumn(name = "Max", type_ = "integer", json_path = ".spec.maxReplicas"),
    printcolumn(name = "Current", type_ = "integer", json_path = ".status.currentReplicas"),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".status.desiredReplicas"),
    printcolumn(
        name = "Evidence",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"EvidenceSufficient\")].status"
    ),
    printcolumn(name = "Why", type_ = "string", priority = 1, json_path = ".status.lastDecisions[0].cause"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.minReplicas <= self.maxReplicas")
        .message("minReplicas must not be above maxReplicas: lower it, or raise maxReplicas")
        .field_path(".minReplicas"),
    validation = Rule::new("!has(self.ring) || self.scaleTargetRef.kind == 'StatefulSet'")
        .message("members of a ring leave by ordinal: point scaleTargetRef at the Receive StatefulSet, or remove ring")
        .field_path(".ring"),
    validation = Rule::new("!has(self.ring) || self.maxReplicas >= self.ring.replicationFactor")
        .message("maxReplicas must not be below ring.replicationFactor: allow as many replicas as copies of each sample")
        .field_path(".maxReplicas"),
    validation = Rule::new("!has(self.ring) || self.minReplicas >= 1")
        .message("0 would leave a ring without members: write at least ring.replicationFactor")
        .field_path(".minReplicas"),
    validation = Rule::new("!has(self.zero) || self.minReplicas == 0")
        .message("zero says how the last replica goes: write minReplicas: 0, or remove zero")
        .field_path(".zero"),
    validation = Rule::new("!has(self.schedules) || self.schedules.all(s, (!has(s.minReplicas) || s.minReplicas <= self.maxReplicas) && (!has(s.maxReplicas) || s.maxReplicas >= self.minReplicas))")
        .message("schedules do not go beyond minReplicas and maxReplicas: change the schedule's, or the policy's")
        .field_path(".schedules"),
    validation = Rule::new("!has(self.pause) || !has(self.pause.replicas) || (self.pause.replicas <= self.maxReplicas && self.mode != 'Paused')")
        .message("pause.replicas needs mode Active or Shadow, and is at most maxReplicas: write mode: Active, or change it")
        .field_path(".pause.replicas"),
    validation = Rule::new("has(self.formula) || self.metrics.all(m, has(m.target))")
        .message("a metric without a target needs a formula that reads it: write a target, or spec.formula")
        .field_path(".metrics")
)]
pub struct ScalingPolicySpec {
    /// The workload, in the policy's own namespace; anything with a scale subresource.
    pub scale_target_ref: ScaleTargetRef,
    /// Replicas never go below this. 0: the last one goes as `zero` says.
    #[serde(default = "one")]
    #[schemars(range(min = 0))]
    pub min_replicas: i32,
    /// Replicas never go above this.
    #[schemars(range(min = 1))]
    pub max_replicas: i32,
    /// Evaluation period, 100ms to 1h; absent: the controller's, which is 15s unless its flags say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = DURATION_PATTERN), length(max = 32))]
    pub interval: Option<String>,
    /// Whether decisions are written.
    #[serde(default)]
    pub mode: Mode,
    /// What is paused beside mode Paused: one direction, or at a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// How the last replica goes; absent: after five minutes in which nothing was active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zero: Option<Zero>,
    /// Floors and ceilings for times of the day, the week or the year.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub schedules: Vec<Schedule>,
    /// What becomes of the replicas when the policy is deleted.
    #[serde(default, skip_serializing_if = "OnDelete::is_keep")]
    pub on_delete: OnDelete,
    /// Server that the queries go to; absent: the controller's own querier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Each proposes a number of replicas; the highest counts.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub metrics: Vec<Metric>,
    /// One number out of several metrics; its proposal counts like a metric's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formula: Option<FormulaMetric>,
    /// How fast and how far, in each direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<Behavior>,
    /// For a Thanos Receive StatefulSet: the hashring file that follows its ready members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<Ring>,
}

/// Names the scaled workload.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleTargetRef {
    /// API group and version, for example `apps/v1`.
    #[serde(default = "default_api_version")]
    #[schemars(length(min = 1, max = 317))]
    pub api_version: String,
    /// Kind, for example `Deployment`.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Whether decisions are written.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[schemars(
    description = "Active writes decisions; Shadow decides and shows, writes no replicas; Paused holds."
)]
#[allow(missing_docs, reason = "described as one: a doc per variant would turn the schema's enum into oneOf")]
pub enum Mode {
    #[default]
    Active,
    Shadow,
    Paused,
}

/// One query and what its value means.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// Unique within the policy; appears in status, events and records.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"))]
    pub name: String,
    /// PromQL that gives one series or a scalar.
    #[schemars(length(min = 1, max = 16384))]
    pub query: String,
    /// Server that this query goes to; absent: the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// What one value of the query asks for; absent: nothing, and the formula reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<MetricTarget>,
    /// Above this the workload is active, which counts where minReplicas is 0; 0 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Quantity>,
    /// What a complete answer is.
    #[serde(default)]
    pub evidence: Evidence,
    /// What to do once evidence has been insufficient for long; absent: hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
}

/// HPA v2's external metric target.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type == 'Value' ? has(self.value) && !has(self.averageValue) : has(self.averageValue) && !has(self.value)")
        .message("write value for type Value, averageValue for type AverageValue, and not the other")
)]
pub struct MetricTarget {
    /// Which of the two applies.
    #[serde(rename = "type")]
    pub type_: MetricTargetType,
    /// The query's value should be this; replicas follow its ratio to the ready pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Quantity>,
    /// The query's value divided by the replicas should be this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_value: Option<Quantity>,
}

/// How a value compares with its target.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[schemars(description = "Value compares the whole value, AverageValue the value per replica.")]
#[allow(missing_docs, reason = "described as one: a doc per variant would turn the schema's enum into oneOf")]
pub enum MetricTargetType {
    Value,
    AverageValue,
}

/// One number out of several metrics, which asks for replicas like a metric. Its evidence is that of all of them.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FormulaMetric {
    /// CEL over the metrics' names: + - * /, comparisons, && || !, ?:, max, min, has(metrics.NAME). All numbers are
    /// doubles. A name that is no word is metrics["queue-length"].
    #[schemars(length(min = 1, max = 1024))]
    pub expression: String,
    /// What the number asks for.
    pub target: MetricTarget,
    /// Above this the workload is active, which counts where minReplicas is 0; 0 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Quantity>,
}

/// HPA v2's behavior. A missing direction has the HPA's defaults.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Behavior {
    /// Rules upwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_up: Option<Rules>,
    /// Rules downwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<Rules>,
}

/// HPA v2's rules for one direction.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rules {
    /// How far back recommendations still count, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub stabilization_window_seconds: Option<i32>,
    /// Which of several policies applies; `Max` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select_policy: Option<SelectPolicy>,
    /// How much may change in how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub policies: Option<Vec<RatePolicy>>,
    /// How far the ratio to the target may be off before anything moves; 0.1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Quantity>,
}

/// Which of several policies applies.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[schemars(description = "Max allows the largest change, Min the smallest, Disabled none.")]
#[allow(missing_docs, reason = "described as one: a doc per variant would turn the schema's enum into oneOf")]
pub enum SelectPolicy {
    #[default]
    Max,
    Min,
    Disabled,
}

/// One limit on change.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RatePolicy {
    /// What `value` counts.
    #[serde(rename = "type")]
    pub type_: PolicyType,
    /// Pods, or percent of the replicas at the period's start.
    #[schemars(range(min = 1))]
    pub value: i32,
    /// The period in seconds.
    #[schemars(range(min = 1, max = 1800))]
    pub period_seconds: i32,
}

/// What a rate policy's value counts.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[schemars(description = "Pods counts replicas, Percent a share of the replicas at the period's start.")]
#[allow(missing_docs, reason = "described as one: a doc per variant would turn the schema's enum into oneOf")]
pub enum PolicyType {
    Pods,
    Percent,
}

/// The hashring file of a Thanos Receive StatefulSet: members join when ready, and leave before their pod does.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ring {
    /// Name of the ConfigMap, in the policy's own namespace; created if absent.
    #[schemars(length(min = 1, max = 253))]
    pub config_map: String,
    /// Key of the file in the ConfigMap.
    #[serde(default = "default_ring_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub key: String,
    /// gRPC port of the members.
    #[serde(default = "default_ring_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// Name of the hashring in the file.
    #[serde(default = "default_hashring")]
    #[schemars(length(min = 1, max = 63))]
    pub hashring: String,
    /// The receivers' replication factor: neither ring nor replicas go below it.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 9))]
    pub replication_factor: i32,
    /// How long the members that stay may take to learn of a smaller ring, before pods go; up to 10m.
    #[serde(default = "default_settle")]
    #[schemars(regex(pattern = DURATION_PATTERN), length(max = 32))]
    pub settle: String,
}

fn one() -> i32 {
    1
}

fn default_api_version() -> String {
    "apps/v1".into()
}

fn default_ring_key() -> String {
    "hashrings.json".into()
}

fn default_ring_port() -> u16 {
    10901
}

fn default_hashring() -> String {
    "default".into()
}

fn default_settle() -> String {
    "10s".into()
}
