//! A policy in the making: what was understood of one object.

use autoscaler_api::{Behavior, Quantity, ScaleTargetRef};

use crate::field::At;
use crate::note::Note;

/// The period of the HPA controller, which KEDA's metrics follow too (`--horizontal-pod-autoscaler-sync-period`).
pub(crate) const SYNC_S: i64 = 15;

/// Where an object was found, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// File and document.
    pub(crate) at: String,
    /// `HorizontalPodAutoscaler` or `ScaledObject`.
    pub(crate) kind: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let namespace = self.namespace.as_deref().map(|n| format!("{n}/")).unwrap_or_default();
        let name = if self.name.is_empty() { "without a name" } else { &self.name };
        write!(f, "{} {namespace}{name}, {}", self.kind, self.at)
    }
}

/// What one object becomes.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) target: ScaleTargetRef,
    pub(crate) min_replicas: i32,
    pub(crate) max_replicas: i32,
    pub(crate) interval_s: i64,
    /// The object's owner had paused it.
    pub(crate) paused: bool,
    pub(crate) metrics: Vec<Metric>,
    /// Metrics that would do the same if a querier has the series.
    pub(crate) suggestions: Vec<Suggestion>,
    pub(crate) behavior: Option<Behavior>,
    pub(crate) handover: Handover,
}

/// One metric of the policy.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    /// Made unique and valid when the policy is written.
    pub(crate) name: String,
    pub(crate) measure: Measure,
    pub(crate) target: Target,
    pub(crate) fallback: Option<Fallback>,
    /// The field that it comes from.
    pub(crate) field: String,
    /// Address of the server that was asked, credentials included: for comparing, never for showing.
    pub(crate) server: Option<String>,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// One value.
    Query(String),
    /// One value a pod.
    QueryByPod(String),
    /// Of each pod, or of one container of each.
    Resource { name: String, container: Option<String> },
}

impl Measure {
    /// The query, if it is one.
    pub(crate) fn query(&self) -> Option<&str> {
        match self {
            Self::Query(query) | Self::QueryByPod(query) => Some(query),
            Self::Resource { .. } => None,
        }
    }
}

/// What a value is held to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Value(Quantity),
    AverageValue(Quantity),
    Utilization(i32),
}

/// What happens while evidence is missing for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fallback {
    pub(crate) after_s: i64,
    pub(crate) replicas: i32,
    /// The policy's word for it.
    pub(crate) behavior: &'static str,
}

/// A metric that may do what one that did not carry over did.
#[derive(Clone, Debug)]
pub(crate) struct Suggestion {
    /// What the querier has to have for it.
    pub(crate) needs: String,
    pub(crate) metric: Metric,
}

/// What taking over has to mind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Handover {
    Hpa,
    Keda {
        /// Deleting the ScaledObject sets the replicas that it once found.
        restores: bool,
        /// There may be no replicas at the moment.
        from_zero: bool,
    },
}

/// What a metric's query may need to know of the workload.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) namespace: Option<String>,
    pub(crate) target: ScaleTargetRef,
}

/// Metrics and suggestions of one object as they are found, with the notes on them.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) metrics: Vec<Metric>,
    pub(crate) suggestions: Vec<Suggestion>,
    pub(crate) notes: Vec<Note>,
}

/// A quantity above zero; anything else is told.
pub(crate) fn quantity(at: &At<'_>, notes: &mut Vec<Note>) -> Option<Quantity> {
    let found = at.scalar().map(Quantity).filter(|q| q.milli().is_ok_and(|milli| milli > 0));
    if found.is_none() {
        notes.push(at.wrong("a quantity above zero, for example \"50\""));
    }
    found
}

/// A quantity from thousandths.
pub(crate) fn milli(milli: i64) -> Quantity {
    if milli % 1000 == 0 { Quantity((milli / 1000).to_string()) } else { Quantity(format!("{milli}m")) }
}

/// The scaled workload. `apiVersion` and `kind` may be left out where `defaults` says so.
pub(crate) fn target(at: &At<'_>, defaults: bool, notes: &mut Vec<Note>) -> Option<ScaleTargetRef> {
    let word = |name: &str| at.field(name).and_then(|f| f.text().map(str::to_owned));
    let name = word("name").filter(|n| !n.is_empty())?;
    let kind =
        word("kind").filter(|k| !k.is_empty()).or_else(|| defaults.then(|| "Deployment".to_owned()))?;
    let workload = ["Deployment", "StatefulSet", "ReplicaSet"].contains(&kind.as_str());
    let group = |v: &str| v.split('/').next().unwrap_or_default().to_owned();
    let api_version = match word("apiVersion").filter(|v| !v.is_empty()) {
        Some(old)
            if workload && old != "apps/v1" && ["extensions", "apps"].contains(&group(&old).as_str()) =>
        {
            let message = format!("{old} is no longer served");
            notes.push(Note::differs(at.path_of("apiVersion"), message, "apps/v1 is written"));
            "apps/v1".to_owned()
        }
        Some(version) => version,
        None if workload => "apps/v1".to_owned(),
        None => return None,
    };
    if !["Deployment", "StatefulSet"].contains(&kind.as_str()) {
        notes.push(Note::differs(
            at.path_of("kind"),
            format!("the controller's role covers Deployments and StatefulSets, not {kind}"),
            "give it get on that kind, and get and update on its scale subresource",
        ));
    }
    Some(ScaleTargetRef { api_version, kind, name })
}
