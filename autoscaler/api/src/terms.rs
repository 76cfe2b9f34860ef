//! What a policy says beyond its metrics: to zero and back, schedules, pauses, what it leaves behind.

#![allow(unreachable_pub, reason = "KubeSchema's derive emits a private copy of each struct, `pub` included")]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::DURATION_PATTERN;

/// How the last replica goes, where minReplicas is 0; KEDA's terms.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Zero {
    /// How long nothing must have been active, on sufficient evidence, before the last replica goes; up to 24h.
    #[serde(default = "default_cooldown")]
    #[schemars(regex(pattern = DURATION_PATTERN), length(max = 32))]
    pub cooldown: String,
    /// How long after the policy's creation the last replica stays whatever is active; up to 24h. Absent: no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = DURATION_PATTERN), length(max = 32))]
    pub initial_cooldown: Option<String>,
}

impl Default for Zero {
    fn default() -> Self {
        Self { cooldown: default_cooldown(), initial_cooldown: None }
    }
}

fn default_cooldown() -> String {
    "5m".into()
}

/// Bounds from a start to an end, again and again, within minReplicas and maxReplicas.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.minReplicas) || has(self.maxReplicas)")
        .message("a schedule without minReplicas and maxReplicas changes nothing: write either"),
    validation = Rule::new("!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas")
        .message("minReplicas must not be above maxReplicas: lower it, or raise maxReplicas")
        .field_path(".minReplicas")
)]
pub struct Schedule {
    /// Unique within the policy; a decision names the schedule that held it.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"))]
    pub name: String,
    /// Name in the IANA time zone database, for example Europe/Berlin.
    #[serde(default = "default_time_zone")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
    /// When it begins: minute, hour, day of the month, month, day of the week, as in a CronJob.
    #[schemars(length(min = 1, max = 256))]
    pub start: String,
    /// When it ends, in the same form.
    #[schemars(length(min = 1, max = 256))]
    pub end: String,
    /// Replicas do not go below this meanwhile. Of several schedules, the highest counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub min_replicas: Option<i32>,
    /// Replicas do not go above this meanwhile. Of several schedules, the lowest counts; a higher minReplicas wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_replicas: Option<i32>,
}

fn default_time_zone() -> String {
    "UTC".into()
}

/// What is paused of a policy that goes on otherwise. minReplicas and maxReplicas hold all the same.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// Nothing is raised.
    #[serde(default)]
    pub scale_up: bool,
    /// Nothing is lowered.
    #[serde(default)]
    pub scale_down: bool,
    /// Replicas are these and stay so, whatever metrics and schedules say; below minReplicas too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub replicas: Option<i32>,
}

/// What becomes of the replicas when the policy is deleted.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[schemars(
    description = "Keep leaves the replicas as they are; Restore sets those that there were before the policy first \
                   wrote, as KEDA's restoreToOriginalReplicaCount does."
)]
#[allow(missing_docs, reason = "described as one: a doc per variant would turn the schema's enum into oneOf")]
pub enum OnDelete {
    #[default]
    Keep,
    Restore,
}

impl OnDelete {
    pub(crate) fn is_keep(&self) -> bool {
        *self == Self::Keep
    }
}
