//! What the engine wants done. Plain data; each effect may be carried out as soon as it is there, for budgets
//! and order were seen to before.

use autoscaler_api::ScalingPolicyStatus;
use autoscaler_core::WindowStart;
use serde::{Deserialize, Serialize};

use crate::objects::{ClusterId, Kind, Name, TargetKey, Watch};

/// One thing that the engine wants done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Effect {
    /// Begin to watch.
    Watch(Watch),
    /// Nobody needs it any more.
    Unwatch(Watch),
    /// Read a target, once, and tell it as [`crate::Event::Read`], failed or not: no watch has told it in time, or
    /// none can.
    ReadTarget {
        /// Comes back with the answer.
        read: u64,
        /// Which.
        key: TargetKey,
        /// Its kind's version.
        version: String,
    },
    /// Ask one metric of one policy.
    Query(Query),
    /// Read what pods use.
    ReadUsage(ReadUsage),
    /// Nobody waits for this query's answer any more.
    Abandon {
        /// [`Query::id`].
        query: u64,
    },
    /// Keep a decision, before it is acted on.
    Record(Box<Record>),
    /// A kept decision came to nothing, as one before it did.
    Discard {
        /// Whose.
        policy: Name,
        /// [`Record::digest`].
        digest: String,
    },
    /// Write to the API server.
    Write(Box<Write>),
    /// What an evaluation came to.
    Evaluated(Box<Evaluated>),
    /// What a write of replicas came to.
    Scaled(Box<Scaled>),
    /// A policy is no longer this process's: drop what is exposed of it.
    Forget(Name),
}

/// One metric of one policy, to be asked for now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Query {
    /// Comes back with the answer.
    pub id: u64,
    /// Whose.
    pub policy: Name,
    /// The policy's generation: the text is that generation's.
    pub generation: Option<i64>,
    /// Which metric, by its place in the policy.
    pub metric: usize,
    /// Which querier.
    pub source: String,
    /// The evaluation time, milliseconds since the Unix epoch; the same for all metrics of one evaluation.
    pub at_ms: i64,
    /// The time that its settled value is for, milliseconds since the Unix epoch; `None`: none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_ms: Option<i64>,
    /// Where windows begin whose series are counted beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<WindowStart>,
    /// How long it may take from now on, in milliseconds.
    pub deadline_ms: u64,
}

/// A list of PodMetrics, to be read now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadUsage {
    /// Comes back with the answer ([`crate::Event::Usage`]).
    pub id: u64,
    /// Where.
    pub cluster: ClusterId,
    /// In which namespace.
    pub namespace: String,
    /// Label selector of the pods.
    pub selector: String,
    /// How long it may take from now on, in milliseconds.
    pub deadline_ms: u64,
}

/// A decision with everything that it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Whose.
    pub policy: Name,
    /// When it was decided, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// SHA-256 of `json`, in hexadecimal digits.
    pub digest: String,
    /// [`autoscaler_core::Record`] in its canonical form.
    pub json: String,
}

/// A write to the API server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Write {
    /// Comes back with the outcome.
    pub id: u64,
    /// The shard in whose name it is made.
    pub shard: u16,
    /// It must be over by then ([`crate::Now::mono_ms`]); whoever sends it looks at the fence once more.
    pub valid_until_ms: u64,
    /// What is written.
    pub what: What,
}

/// What is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum What {
    /// Replicas.
    Scale(Scale),
    /// A hashring.
    Ring(Ring),
    /// A policy's status.
    Status(Status),
    /// An event about a policy.
    Event(Note),
    /// A policy's finalizers.
    Finalizers(Finalizers),
}

/// `PUT /scale` with a precondition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scale {
    /// The policy that wants it.
    pub policy: Name,
    /// What is scaled.
    pub target: TargetKey,
    /// Its kind's version.
    pub version: String,
    /// The UID that it must have.
    pub uid: String,
    /// The version that it must have.
    pub resource_version: String,
    /// Replicas that it has.
    pub from: i32,
    /// Replicas that it shall have.
    pub to: i32,
}

/// One key of a ConfigMap and the note beside it; other keys stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ring {
    /// The ConfigMap.
    pub map: Name,
    /// The version that it must have; `None`: it must not be there.
    pub resource_version: Option<String>,
    /// Which key.
    pub key: String,
    /// The key's text.
    pub text: String,
    /// The text of [`crate::ring::file::ANNOTATION`].
    pub notes: String,
}

/// A merge patch of a policy's status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Whose.
    pub policy: Name,
    /// The UID that it must have: another of the same name knows nothing of this.
    pub uid: String,
    /// All of it; what is absent is to be removed.
    pub status: ScalingPolicyStatus,
}

/// A merge patch of a policy's finalizers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finalizers {
    /// Whose.
    pub policy: Name,
    /// The UID that it must have.
    pub uid: String,
    /// The version that it must have: others have finalizers in this list as well.
    pub resource_version: String,
    /// All of them.
    pub finalizers: Vec<String>,
}

/// An event about a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// About whom.
    pub policy: Name,
    /// See `policy`.
    pub uid: String,
    /// A warning, or normal.
    pub warning: bool,
    /// One word, from [`autoscaler_api::conditions::events`].
    pub reason: String,
    /// One sentence.
    pub note: String,
    /// When it happened, milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// What an evaluation came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evaluated {
    /// Whose.
    pub policy: Name,
    /// In one word.
    pub became: Became,
    /// How long it took from its start, in milliseconds.
    pub took_ms: u64,
    /// The decision, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Decided>,
}

/// A decision in single words and numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    /// What is scaled.
    pub kind: Kind,
    /// See `kind`.
    pub target: String,
    /// Replicas asked for.
    pub current: i32,
    /// Replicas wanted.
    pub desired: i32,
    /// Why, from a closed set.
    pub cause: String,
    /// What limited it, from a closed set; empty: nothing.
    pub limited_by: String,
    /// What its evidence is worth, from a closed set.
    pub evidence: String,
    /// Whether the evidence would allow fewer replicas.
    pub sufficient: bool,
    /// By metric, the age of the slowest series' newest sample of the cluster that lags most, in milliseconds.
    pub ages_ms: Vec<(String, Option<i64>)>,
    /// The ring's version, where there is a ring.
    pub ring_version: Option<i64>,
}

/// What became of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// Nothing to change.
    Hold,
    /// A write was ordered; [`Scaled`] will tell.
    Ordered,
    /// A change is wanted, but waits: for a ring, an answer, or a fresh look at the target.
    Waiting,
    /// A change is wanted and not made, since the policy is a shadow.
    Shadow,
    /// The policy is paused.
    Paused,
    /// The spec contradicts itself, or is beyond the controller's limits.
    Invalid,
    /// Somebody else scales the target as well.
    Ambiguous,
    /// The target is not there or cannot be read.
    Unreadable,
}

/// What a write of replicas came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scaled {
    /// Whose.
    pub policy: Name,
    /// Replicas before.
    pub from: i32,
    /// Replicas wanted.
    pub to: i32,
    /// How it ended.
    pub ended: Ended,
    /// Why, from a closed set.
    pub cause: String,
    /// What limited it, from a closed set; empty: nothing.
    pub limited_by: String,
}

/// How a write of replicas ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Done.
    Written,
    /// Somebody else wrote in between.
    Conflict,
    /// Refused, or the target is gone.
    Failed,
    /// The API server had no time; it is tried again.
    Busy,
    /// Nobody knows.
    Unanswered,
    /// The lease was lost before.
    NotLeader,
}
