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
    validation = Rule::new("!has(self.compatibility) || self.metrics.all(m, !has(m.fallback))")
        .message("compatibility: HPA has no fallbacks, as the HPA has none: remove fallback, or compatibility")
        .field_path(".metrics"),
    validation = Rule::new("!has(self.compatibility) || !has(self.formula) && !has(self.schedules) && !has(self.pause) && !has(self.zero)")
        .message("compatibility: HPA knows no formula, schedules, pause or zero: remove them, or compatibility")
        .field_path(".compatibility"),
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
    validation = Rule::new("has(self.formula) || self.metrics.all(m, has(m.target) || has(m.type) && m.type != 'Query')")
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
    /// HPA: decide to the letter as the HorizontalPodAutoscaler does, which takes values as they are, however old or
    /// incomplete. Absent: nothing is lowered on insufficient evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compatibility: Option<Compatibility>,
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

/// What is measured, and what its value means: HPA v2's types, with PromQL in place of its custom and external metrics.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.query) == (!has(self.type) || self.type == 'Query' || self.type == 'Pods')")
        .message("query belongs to types Query and Pods: write it there, and leave it out of other types"),
    validation = Rule::new("!has(self.type) || self.type == 'Query' || has(self.target) == (self.type == 'Pods')")
        .message("target stands beside query; that of a resource stands in resource or containerResource"),
    validation = Rule::new("has(self.resource) == (has(self.type) && self.type == 'Resource')")
        .message("resource belongs to type Resource: write both, or neither"),
    validation = Rule::new("has(self.containerResource) == (has(self.type) && self.type == 'ContainerResource')")
        .message("containerResource belongs to type ContainerResource: write both, or neither"),
    validation = Rule::new("!has(self.target) || self.target.type == 'AverageValue' || self.target.type == 'Value' && (!has(self.type) || self.type == 'Query')")
        .message("a query is held to Value or AverageValue, one of type Pods to AverageValue")
        .field_path(".target")
)]
pub struct Metric {
    /// Unique within the policy; appears in status, events and records.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"))]
    pub name: String,
    /// What is measured.
    #[serde(default, rename = "type", skip_serializing_if = "is_query")]
    pub type_: MetricType,
    /// PromQL that gives one series or a scalar; for type Pods one series a pod, told apart by evidence.podLabel.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 16384))]
    pub query: String,
    /// For type Resource: use of a resource by all containers of each pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceMetric>,
    /// For type ContainerResource: use of a resource by one container of each pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_resource: Option<ContainerResourceMetric>,
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

impl Metric {
    /// What the value is held to, wherever the metric's type has it.
    #[must_use]
    pub fn held_to(&self) -> Option<&MetricTarget> {
        match self.type_ {
            MetricType::Query | MetricType::Pods => self.target.as_ref(),
            MetricType::Resource => self.resource.as_ref().map(|resource| &resource.target),
            MetricType::ContainerResource => {
                self.container_resource.as_ref().map(|resource| &resource.target)
            }
        }
    }

    /// Whether it is asked of a querier; others are read from `metrics.k8s.io`.
    #[must_use]
    pub fn has_query(&self) -> bool {
        matches!(self.type_, MetricType::Query | MetricType::Pods)
    }
}

/// What is measured.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[schemars(
    description = "Query: one value of a query for the whole target; Pods: one value of a query for each pod; \
                   Resource and ContainerResource: use of CPU or memory by each pod, or by one container of each, \
                   from metrics.k8s.io. Absent: Query."
)]
#[allow(missing_docs, reason = "described as one: a doc per variant would turn the schema's enum into oneOf")]
pub enum MetricType {
    #[default]
    Query,
    Resource,
    ContainerResource,
    Pods,
}

/// HPA v2's resource metric.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.target.type != 'Value'")
        .message("a resource is held to Utilization or AverageValue")
        .field_path(".target.type")
)]
pub struct ResourceMetric {
    /// The resource, for example `cpu`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// What each pod's use is held to.
    pub target: MetricTarget,
}

/// HPA v2's resource metric of one container.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.target.type != 'Value'")
        .message("a resource is held to Utilization or AverageValue")
        .field_path(".target.type")
)]
pub struct ContainerResourceMetric {
    /// The resource, for example `cpu`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The container.
    #[schemars(length(min = 1, max = 63))]
    pub container: String,
    /// What each pod's use is held to.
    pub target: MetricTarget,
}

/// Whose rules decide.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[schemars(description = "HPA: the HorizontalPodAutoscaler's of Kubernetes 1.35, to the letter.")]
#[allow(missing_docs, reason = "described as one: a doc per variant would turn the schema's enum into oneOf")]
pub enum Compatibility {
    #[serde(rename = "HPA")]
    Hpa,
}

/// HPA v2's metric target.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.value) == (self.type == 'Value') && has(self.averageValue) == (self.type == 'AverageValue') && has(self.averageUtilization) == (self.type == 'Utilization')")
        .message("write value for type Value, averageValue for type AverageValue, averageUtilization for type Utilization, and not the others")
)]
pub struct MetricTarget {
    /// Which of the fields applies.
    #[serde(rename = "type")]
    pub type_: MetricTargetType,
    /// The query's value should be this; replicas follow its ratio to the ready pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Quantity>,
    /// The query's value divided by the replicas should be this; of a metric of pods, the average of their values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_value: Option<Quantity>,
    /// Of a resource: the share of the pods' requests that is used should be this, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub average_utilization: Option<i32>,
}

/// How a value compares with its target.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[schemars(
    description = "Value compares the whole value, AverageValue the value per replica, Utilization the use of a \
                   resource with what pods request."
)]
#[allow(missing_docs, reason = "described as one: a doc per variant would turn the schema's enum into oneOf")]
pub enum MetricTargetType {
    Value,
    AverageValue,
    Utilization,
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

fn is_query(type_: &MetricType) -> bool {
    *type_ == MetricType::Query
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
