//! What the engine is told. Plain data: a list of times and events is a whole run.

use autoscaler_core::Observation;
use autoscaler_pods::PodMetrics;
use serde::{Deserialize, Serialize};

use crate::objects::{ClusterId, ConfigMap, Name, Pod, SeenPolicy, Target, TargetKey, Watch};

/// One thing that the engine is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// Time passed; due at [`crate::Engine::next_wake_ms`] at the latest.
    Wake,
    /// A policy is there, or changed.
    Policy(Box<SeenPolicy>),
    /// A policy is gone.
    PolicyGone(Name),
    /// All policies of a cluster were listed: whatever else is known of there is gone.
    PoliciesListed {
        /// Where.
        cluster: ClusterId,
        /// What there is.
        names: Vec<Name>,
    },
    /// A target is there, changed, or (`None`) gone.
    Target {
        /// Which.
        key: TargetKey,
        /// As seen.
        target: Option<Target>,
    },
    /// A target is there, or changed, and its watch does not say how: it has to be read.
    TargetChanged {
        /// Which.
        key: TargetKey,
        /// Its UID.
        uid: String,
        /// Its version.
        resource_version: String,
    },
    /// A target was read, or (`Ok(None)`) is not there, or why it could not be read.
    Read {
        /// [`crate::Effect::ReadTarget`]'s `read`.
        read: u64,
        /// As read; the error is in the API server's words.
        target: Result<Option<Target>, String>,
    },
    /// A watch listed everything that it sees: of targets, whatever else is known is gone.
    Listed {
        /// Which watch.
        watch: Watch,
        /// Names of what there is.
        names: Vec<String>,
    },
    /// A watch fails; what it last saw stays.
    WatchFailed {
        /// Which watch.
        watch: Watch,
        /// Why, in the API server's words.
        message: String,
    },
    /// The pods of a selector, all of them, as they are now.
    Pods {
        /// The watch that sees them ([`Watch::Pods`]).
        watch: Watch,
        /// All of them.
        pods: Vec<Pod>,
        /// The same for metrics of pods.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<autoscaler_core::Pods>,
    },
    /// A ring's ConfigMap is there, changed, or (`None`) gone.
    ConfigMap {
        /// Which.
        name: Name,
        /// As seen.
        map: Option<ConfigMap>,
    },
    /// A HorizontalPodAutoscaler is there or changed (what it scales), or gone (`None`).
    HorizontalPodAutoscaler {
        /// Which.
        name: Name,
        /// What it scales.
        target: Option<TargetKey>,
    },
    /// All HorizontalPodAutoscalers of a cluster were listed: others are gone.
    HorizontalPodAutoscalersListed {
        /// Where.
        cluster: ClusterId,
        /// What there is.
        names: Vec<Name>,
    },
    /// The HorizontalPodAutoscalers of a cluster cannot be watched; those that are known stay, and policies are
    /// evaluated as if there were no others.
    HorizontalPodAutoscalersFailed {
        /// Where.
        cluster: ClusterId,
    },
    /// A query was answered, or failed.
    Answer {
        /// [`crate::effect::Query::id`].
        query: u64,
        /// What it says.
        observation: Observation,
    },
    /// What pods use was read, or why not.
    Usage {
        /// [`crate::effect::ReadUsage::id`].
        read: u64,
        /// All pods of the selector that have been measured.
        usage: Result<Vec<PodMetrics>, String>,
    },
    /// What became of a write.
    Done {
        /// [`crate::effect::Write::id`].
        write: u64,
        /// What became of it.
        outcome: Outcome,
    },
    /// Until when this process may act for a shard of a cluster; `None`: no longer.
    Fence {
        /// Where.
        cluster: ClusterId,
        /// Which shard.
        shard: u16,
        /// By [`crate::Now::mono_ms`].
        valid_until_ms: Option<u64>,
    },
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Outcome {
    /// It was done; the object's new version, where the answer has one.
    Done {
        /// The object's new version.
        resource_version: Option<String>,
    },
    /// Somebody else wrote in between (409); nothing was done.
    Conflict,
    /// There is nothing to write to (404).
    Missing,
    /// The API server will not do it, now or later, as it is (other 4xx).
    Refused {
        /// HTTP status.
        code: u16,
        /// In the API server's words.
        message: String,
    },
    /// The API server has no time for it (429); nothing was done.
    Busy {
        /// When to come back, if it says.
        retry_after_ms: Option<u64>,
        /// In the API server's words.
        message: String,
    },
    /// No answer, or one that leaves open whether it was done (5xx).
    Unanswered {
        /// When to come back, if it says.
        retry_after_ms: Option<u64>,
        /// What happened instead.
        message: String,
    },
    /// The fence had closed before it was sent; nothing was done.
    NotLeader,
}
