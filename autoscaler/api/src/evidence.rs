//! What makes a query's answer complete, and what to do for as long as it is not.

#![allow(unreachable_pub, reason = "KubeSchema's derive emits a private copy of each struct, `pub` included")]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Prometheus' durations.
pub(crate) const DURATION_PATTERN: &str = r"^(0|([0-9]+(ms|s|m|h|d|w|y))+)$";

/// What a complete answer is. Anything less may hold or raise replicas, never lower them.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.emptyMeans) || (has(self.selectors) && size(self.selectors) > 0)")
        .message("emptyMeans needs selectors: name series that are there whenever the answer may be believed, or an \
                  empty answer cannot be told from a lost one")
        .field_path(".emptyMeans")
)]
pub struct Evidence {
    /// Oldest that the newest sample of each expected cluster may be.
    #[serde(default = "default_max_age")]
    #[schemars(regex(pattern = DURATION_PATTERN), length(max = 32))]
    pub max_age: String,
    /// Values of the cluster label that must all be present. Empty: those that ever answered, and at least one.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    pub clusters: Vec<String>,
    /// Where no clusters are named: how long one that answered once stays expected. Absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = DURATION_PATTERN), length(max = 32))]
    pub forget_clusters: Option<String>,
    /// PromQL selectors of series that must be there in place of those that the query reads: what a recorded series
    /// was recorded from, or what is scraped beside series that are seldom there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 4096)))]
    pub selectors: Vec<String>,
    /// How far back the value reads, if the query does not say so itself: the range that a recorded series was recorded
    /// with, or how often it is pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = DURATION_PATTERN), length(max = 32))]
    pub window: Option<String>,
    /// What an empty answer means; absent: nothing is known. Needs selectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_means: Option<EmptyMeans>,
    /// Whether pods without fresh samples are missed.
    #[serde(default, skip_serializing_if = "is_auto")]
    pub pods: PodEvidence,
    /// The label that tells pods apart.
    #[serde(default = "default_pod_label", skip_serializing_if = "is_default_pod_label")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub pod_label: String,
}

/// What an empty answer means.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[schemars(description = "Zero: the value is 0.")]
#[allow(missing_docs, reason = "described as one: a doc per variant would turn the schema's enum into oneOf")]
pub enum EmptyMeans {
    Zero,
}

/// Whether pods without fresh samples are missed.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[schemars(
    description = "Auto: where series carry pods, each that is ready must have fresh samples, and none may stop \
                   without a staleness marker; Ignore: pods are not looked at."
)]
#[allow(missing_docs, reason = "described as one: a doc per variant would turn the schema's enum into oneOf")]
pub enum PodEvidence {
    #[default]
    Auto,
    Ignore,
}

/// What to do once evidence has been missing for long.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fallback {
    /// How long evidence must have been missing.
    #[schemars(regex(pattern = DURATION_PATTERN), length(max = 32))]
    pub after: String,
    /// Replicas to fall back to.
    #[schemars(range(min = 1))]
    pub replicas: i32,
    /// How `replicas` and the current number combine.
    #[serde(default)]
    pub behavior: FallbackBehavior,
}

/// How a fallback and the current number combine.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[schemars(
    description = "IfHigher only raises; Static goes to replicas from either side and IfLower only down, the user's \
                   own choice to lower without evidence; CurrentReplicas holds and says so; \
                   CurrentReplicasIfHigher and CurrentReplicasIfLower take the higher or the lower of both, as \
                   KEDA has them."
)]
#[allow(missing_docs, reason = "described as one: a doc per variant would turn the schema's enum into oneOf")]
pub enum FallbackBehavior {
    #[default]
    IfHigher,
    IfLower,
    Static,
    CurrentReplicas,
    CurrentReplicasIfHigher,
    CurrentReplicasIfLower,
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            max_age: default_max_age(),
            clusters: Vec::new(),
            forget_clusters: None,
            selectors: Vec::new(),
            window: None,
            empty_means: None,
            pods: PodEvidence::Auto,
            pod_label: default_pod_label(),
        }
    }
}

fn default_max_age() -> String {
    "1m".into()
}

fn default_pod_label() -> String {
    "pod".into()
}

fn is_default_pod_label(label: &str) -> bool {
    label == "pod"
}

fn is_auto(pods: &PodEvidence) -> bool {
    *pods == PodEvidence::Auto
}
