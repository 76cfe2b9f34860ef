//! Everything that one decision depends on: the record of a decision starts with this.

use serde::{Deserialize, Serialize};

use crate::history::History;
use crate::name::Name;
use crate::observation::Observation;
use crate::pods::Pods;
use crate::policy::Policy;
use crate::schedule::InForce;

/// Everything that one decision depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Input {
    /// The evaluation time, milliseconds since the Unix epoch: the same that the queries were evaluated at.
    pub now_ms: i64,
    /// What the target's own cluster is called in the metrics; empty if unknown.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub cluster: Name,
    /// What the user asked for.
    pub policy: Policy,
    /// What the target has.
    pub scale: Scale,
    /// The policy's schedules that are in force at [`Self::now_ms`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<InForce>,
    /// The target's pods, where the policy asks for them ([`Policy::needs_pods`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<Pods>,
    /// What the querier said, in any order; found by name.
    pub observations: Vec<Observation>,
    /// What the previous decision handed on ([`crate::Decision::history`]), plus
    /// [`History::record_written`] for a write that succeeded. `History::default()` at the start.
    pub history: History,
}

/// What the target has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scale {
    /// `scale.spec.replicas`: "current" everywhere below.
    pub spec_replicas: i32,
    /// `scale.status.replicas`, which lags behind and includes surge: what an average divides by.
    pub status_replicas: i32,
    /// Running and ready replicas: what a `Value` target's ratio multiplies, averaged over its window.
    pub ready_replicas: i32,
}
