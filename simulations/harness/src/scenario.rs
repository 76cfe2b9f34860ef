//! What a run is: clusters, services, policies, load, faults, and what must hold. The content of a scenario file.
//!
//! The JSON Schema of these types is `simulations/scenarios/scenario.schema.json`; [`mod@file`] reads and judges a file.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use simulations_load::schedule::{Arrivals, Stage};

use crate::judge::Expectation;
use crate::threshold::Threshold;

mod counterexample;
pub mod file;
mod values;

pub use counterexample::Counterexample;
pub(crate) use values::DurationText;
pub use values::Rate;

/// A run.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "Gauntlet scenario")]
pub struct Scenario {
    /// Name.
    pub name: String,
    /// What it shows, in a sentence or two.
    #[serde(default)]
    pub description: String,
    /// Clusters; the first also holds the querier and the controller.
    pub clusters: Vec<String>,
    /// Where the load's randomness starts.
    #[serde(default = "one")]
    pub seed: u64,
    /// Services by name, in namespace `default` of every cluster, each pod with a sidecar.
    pub services: BTreeMap<String, Service>,
    /// ScalingPolicies, applied to every cluster; `${CLUSTER}` in them is the cluster's name.
    #[serde(default)]
    pub policies: Vec<PolicySource>,
    /// What is sent, to every cluster alike.
    pub load: Load,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What the load's figures must be.
    #[serde(default)]
    pub thresholds: Vec<Threshold>,
    /// What the autoscaling must do.
    #[serde(default)]
    pub expect: Vec<Expectation>,
    /// Changes that make it fail, and the rows that must then fail: what shows that these rows can.
    #[serde(default)]
    pub counterexamples: Vec<Counterexample>,
}

fn one() -> u64 {
    1
}

/// A service: it works (`serviceTime`, `concurrency`) or passes requests on (`calls`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Service {
    /// Replicas at the start.
    #[serde(default = "two")]
    pub replicas: u16,
    /// How long a request is worked on; 50ms unless told.
    #[serde(default, deserialize_with = "values::optional_duration")]
    #[schemars(with = "Option<values::DurationText>")]
    pub service_time: Option<Duration>,
    /// Requests that a replica works on at once, 2 unless told; the others queue.
    pub concurrency: Option<u16>,
    /// How long a replica takes from its start to its first request.
    #[serde(default, deserialize_with = "values::optional_duration")]
    #[schemars(with = "Option<values::DurationText>")]
    pub start_up: Option<Duration>,
    /// The service that it calls for every request.
    pub calls: Option<String>,
    /// Requests per second that one replica carries within what users accept, as measured beforehand: with it
    /// the demand is known, and the elasticity figures are computed.
    pub sustains_rps: Option<f64>,
}

fn two() -> u16 {
    2
}

/// Where policies come from: the very YAML that goes to a cluster.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum PolicySource {
    /// A file of one or more documents, beside the scenario's own.
    File(String),
    /// One ScalingPolicy in place.
    Inline(#[schemars(with = "BTreeMap<String, serde_json::Value>")] serde_json::Value),
}

/// Load.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Load {
    /// The service that it is sent to.
    pub to: String,
    /// How arrivals are spread.
    #[serde(default)]
    #[schemars(with = "values::ArrivalsText")]
    pub arrivals: Arrivals,
    /// In order.
    pub stages: Vec<Phase>,
}

/// A named stretch of load, the same for every cluster.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Phase {
    /// Name: its start is a mark.
    pub name: String,
    /// Length.
    #[serde(rename = "for", with = "thanos_model::duration::serde_text")]
    #[schemars(with = "values::DurationText")]
    pub lasts: Duration,
    /// Requests per second and cluster: `200`, or `20..200` for a ramp.
    pub rate: Rate,
}

impl Phase {
    /// What the generator is told.
    pub fn stage(&self) -> Stage {
        Stage { duration: self.lasts, from_rps: self.rate.from_rps, to_rps: self.rate.to_rps }
    }
}

/// What is done to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FaultKind {
    /// SIGKILL, once.
    Kill,
    /// SIGSTOP, and SIGCONT at the end: alive, and answers nothing.
    Pause,
    /// The cluster's metrics stop arriving: its scraper is paused.
    DropMetrics,
}

/// Something that goes wrong.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Fault {
    /// Name: its beginning is the mark `NAME`, its end `NAME ended`.
    pub name: String,
    /// From the start of the load.
    #[serde(with = "thanos_model::duration::serde_text")]
    #[schemars(with = "values::DurationText")]
    pub at: Duration,
    /// How long; a kill has no length.
    #[serde(default, rename = "for", with = "thanos_model::duration::serde_text")]
    #[schemars(with = "values::DurationText")]
    pub lasts: Duration,
    /// What happens.
    pub kind: FaultKind,
    /// Cluster.
    pub cluster: String,
    /// A service, `SERVICE/proxy`, or one of `scrape`, `receive`, `query`, `autoscaler`, `destination`. The first
    /// such pod by name is hit. `dropMetrics` needs none.
    #[serde(default)]
    pub part: String,
}

/// A container to hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Namespace.
    pub namespace: &'static str,
    /// Value of the pods' label `app`.
    pub app: String,
    /// Container.
    pub container: String,
}

/// The parts that every world has, beside the services: name (also of app and container) and namespace. The last
/// two are only in the first cluster.
pub(crate) const PLATFORM: [(&str, &str); 5] = [
    ("destination", "mesh"),
    ("scrape", "monitoring"),
    ("receive", "monitoring"),
    ("query", "monitoring"),
    ("autoscaler", "gauntlet-system"),
];

impl Fault {
    /// What it hits.
    pub fn target(&self) -> Part {
        let part = if self.kind == FaultKind::DropMetrics { "scrape" } else { &self.part };
        if let Some((name, namespace)) = PLATFORM.iter().find(|(name, _)| *name == part) {
            return Part { namespace, app: (*name).to_owned(), container: (*name).to_owned() };
        }
        let (app, container) = part.split_once('/').unwrap_or((part, part));
        Part { namespace: "default", app: app.to_owned(), container: container.to_owned() }
    }

    /// Whether something has to be undone at its end.
    pub fn ends(&self) -> bool {
        self.kind != FaultKind::Kill
    }
}

impl Scenario {
    /// When each stage starts, as `(mark, offset)`.
    pub fn phase_marks(&self) -> Vec<(&str, Duration)> {
        let mut at = Duration::ZERO;
        self.load
            .stages
            .iter()
            .map(|p| {
                let mark = (p.name.as_str(), at);
                at += p.lasts;
                mark
            })
            .collect()
    }

    /// Every mark that a run of it makes.
    pub fn marks(&self) -> Vec<String> {
        let mut marks: Vec<String> = self.load.stages.iter().map(|p| p.name.clone()).collect();
        for f in &self.faults {
            marks.push(f.name.clone());
            if f.ends() {
                marks.push(format!("{} ended", f.name));
            }
        }
        marks.push("end".into());
        marks
    }

    /// Length of the load.
    pub fn duration(&self) -> Duration {
        self.load.stages.iter().map(|p| p.lasts).sum()
    }
}
