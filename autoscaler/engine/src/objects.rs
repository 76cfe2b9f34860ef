//! What watches see, as plain data: policies, targets, pods, rings, and the watches themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use autoscaler_api::{FINALIZER, Ring, ScalingPolicyStatus};
use autoscaler_core::{InForce, Policy};
use autoscaler_schedule::Schedule;
use serde::{Deserialize, Serialize};

/// A managed cluster, by its place in a list that the executors have.
pub type ClusterId = u16;

/// An object of a namespace in a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Name {
    /// Where.
    pub cluster: ClusterId,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Something that can be scaled. The API version does not make another workload of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetKey {
    /// Where.
    pub cluster: ClusterId,
    /// Its namespace, which is its policy's.
    pub namespace: String,
    /// API group; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// A kind of object in one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: String,
    /// API version without the group.
    pub version: String,
    /// Kind.
    pub kind: String,
}

/// A policy as a watch sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenPolicy {
    /// Where it is, and what it is called.
    pub name: Name,
    /// Tells it from another of the same name, and says to which shard it belongs.
    pub uid: String,
    /// Generation of its spec.
    pub generation: Option<i64>,
    /// What its spec means, or everything that is wrong with it.
    pub terms: Result<Arc<Terms>, String>,
    /// As last written by whoever led.
    pub status: Box<ScalingPolicyStatus>,
    /// What keeps it, and whether it is deleted.
    #[serde(default)]
    pub held: Held,
}

/// What keeps a policy from going at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The policy's version, which a change of the list must meet.
    pub resource_version: String,
    /// Its finalizers, everybody's.
    pub finalizers: Vec<String>,
    /// It is deleted, and goes as soon as nothing keeps it.
    pub deleting: bool,
}

impl Held {
    /// Whether this controller keeps it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.finalizers.iter().any(|finalizer| finalizer == FINALIZER)
    }
}

/// What a spec means to the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// For the decision.
    pub policy: Policy,
    /// Time between evaluations, in milliseconds, as asked for.
    pub interval_ms: u64,
    /// The target's kind.
    pub kind: Kind,
    /// The target's name.
    pub target: String,
    /// One question a metric, in the order of [`Policy::metrics`].
    pub questions: Vec<Question>,
    /// Bounds at times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<Scheduled>,
    /// The Receive ring, if the target has one.
    pub ring: Option<RingTerms>,
    /// When the policy is deleted, replicas become what they were before it.
    #[serde(default)]
    pub restores: bool,
}

/// A schedule, and what it asks for while it is in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scheduled {
    /// When.
    pub schedule: Schedule,
    /// What.
    pub bounds: InForce,
}

impl Terms {
    /// The schedules that are in force at `now_ms`, in milliseconds since the epoch.
    #[must_use]
    pub fn in_force(&self, now_ms: i64) -> Vec<InForce> {
        let in_force = self.schedules.iter().filter(|one| one.schedule.is_in_force(now_ms));
        in_force.map(|one| one.bounds.clone()).collect()
    }
}

/// How one metric is asked for. The text of the query stays with whoever sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// The querier that answers; each has slots of its own.
    pub source: String,
    /// How many slots the query takes; at least one.
    pub weight: u32,
    /// Why there is no query to send; the metric then fails without being asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
}

/// A ring's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RingTerms {
    /// As written.
    pub spec: Ring,
    /// How long members may take to learn of a smaller ring, in milliseconds.
    pub settle_ms: i64,
}

/// A scaled workload as a watch sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Its UID.
    pub uid: String,
    /// The version that a write must meet.
    pub resource_version: String,
    /// `scale.spec.replicas`.
    pub spec_replicas: i32,
    /// `scale.status.replicas`, surge included.
    pub status_replicas: i32,
    /// Ready replicas; `None` where its status does not say, so that pods must be counted.
    pub ready_replicas: Option<i32>,
    /// `scale.status.selector`, which finds its pods.
    pub selector: String,
    /// Whether its pods start one after the other.
    pub ordered_start: bool,
}

/// A pod as a watch sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its address, once it has one.
    pub ip: Option<String>,
    /// Ready, and not on its way out.
    pub ready: bool,
}

/// A ring's ConfigMap as a watch sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMap {
    /// The version that a write must meet.
    pub resource_version: String,
    /// Its data.
    pub data: BTreeMap<String, String>,
    /// What this controller noted beside it ([`crate::ring::file::ANNOTATION`]).
    pub notes: Option<String>,
}

/// What an executor keeps watching. Policies and HorizontalPodAutoscalers are watched in every cluster anyway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Watch {
    /// Targets of one kind in one namespace.
    Targets {
        /// Where.
        cluster: ClusterId,
        /// In which namespace.
        namespace: String,
        /// Of which kind.
        kind: Kind,
    },
    /// Pods that a selector finds.
    Pods {
        /// Where.
        cluster: ClusterId,
        /// In which namespace.
        namespace: String,
        /// Label selector.
        selector: String,
    },
    /// One ConfigMap.
    ConfigMap(Name),
}

/// Newer, for versions that can be compared: since Kubernetes 1.35 they are numbers that grow. What cannot be
/// compared counts as newer, for it was seen later.
#[must_use]
pub fn is_newer(version: &str, than: &str) -> bool {
    match (version.parse::<u128>(), than.parse::<u128>()) {
        (Ok(version), Ok(than)) => version > than,
        _ => version != than,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers_where_they_are_numbers() {
        for (version, than, newer) in
            [("10", "9", true), ("9", "10", false), ("9", "9", false), ("b", "a", true), ("a", "a", false)]
        {
            assert_eq!(is_newer(version, than), newer, "{version} {than}");
        }
    }
}
