//! What a run is: clusters, services, policies, load, faults, and what must hold. The content of a scenario file.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use simulations_load::schedule::Course;

use crate::condition::Condition;
use crate::counterexample::Counterexample;
use crate::expectation::Expectation;
use crate::fault::Fault;
use crate::inference::Inference;
use crate::load::{Load, Loads};
use crate::service_time::ServiceTime;
use crate::threshold::Threshold;
use crate::values;

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
    /// Replicas of the controller; one leads, the others stand by.
    #[serde(default = "one_replica")]
    #[schemars(range(min = 1, max = 5))]
    pub controllers: u16,
    /// Where the load's randomness starts.
    #[serde(default = "one")]
    pub seed: u64,
    /// Services by name, in namespace `default` of every cluster, each pod with a sidecar.
    pub services: BTreeMap<String, Service>,
    /// ScalingPolicies, applied to every cluster; `${CLUSTER}` in them is the cluster's name.
    #[serde(default)]
    pub policies: Vec<PolicySource>,
    /// What is sent: one load, or a list of them.
    pub load: Loads,
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

fn one_replica() -> u16 {
    1
}

/// A service: it works (`serviceTime`, `concurrency`), passes requests on (`calls`), holds jobs (`queue`), takes them
/// from there (`drains`), says how many there are (`exports`), or generates tokens (`inference`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Service {
    /// Replicas at the start.
    #[serde(default = "two")]
    pub replicas: u16,
    /// How long a request is worked on; 50ms unless told.
    pub service_time: Option<ServiceTime>,
    /// Requests that a replica works on at once, 2 unless told; the others queue.
    pub concurrency: Option<u16>,
    /// How long a replica takes from its start to its first request.
    #[serde(default, deserialize_with = "values::optional_duration")]
    #[schemars(with = "Option<values::DurationText>")]
    pub start_up: Option<Duration>,
    /// The service that it calls for every request.
    pub calls: Option<String>,
    /// Answers unary gRPC calls in place of HTTP; who `calls` it, calls so.
    #[serde(default)]
    pub grpc: bool,
    /// Holds jobs: a request is one, and is answered when a worker has done it. Has one replica.
    pub queue: Option<Queue>,
    /// The queue that it takes jobs from, which it works on as on requests.
    pub drains: Option<String>,
    /// The queue of which it says in RabbitMQ's metrics how many jobs it has.
    pub exports: Option<String>,
    /// Generates tokens for many requests at once, and says in its metrics how many run and wait.
    pub inference: Option<Inference>,
    /// Requests per second that one replica carries within what users accept, as measured beforehand: with it
    /// the demand is known, and the elasticity figures are computed.
    pub sustains_rps: Option<f64>,
    /// What users of the load accept, for example `p(95)<200`: a condition on latency or failures.
    #[schemars(with = "Option<String>")]
    pub slo: Option<Condition>,
}

fn two() -> u16 {
    2
}

/// Jobs that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Queue {
    /// How long a worker may take over a job before another gets it; 30s unless told.
    #[serde(default, deserialize_with = "values::optional_duration")]
    #[schemars(with = "Option<values::DurationText>")]
    pub ack_within: Option<Duration>,
}

impl Service {
    /// What makes it what it is, by the keys that it has; none is a service that works.
    pub fn kinds(&self) -> Vec<&'static str> {
        let all = [
            ("calls", self.calls.is_some()),
            ("queue", self.queue.is_some()),
            ("drains", self.drains.is_some()),
            ("exports", self.exports.is_some()),
            ("inference", self.inference.is_some()),
        ];
        all.into_iter().filter(|(_, there)| *there).map(|(key, _)| key).collect()
    }

    /// Why it answers no plain requests, if it does not.
    pub fn answers_none(&self) -> Option<&'static str> {
        match self.kinds()[..] {
            ["drains"] => Some("takes jobs from a queue"),
            ["exports"] => Some("answers only whoever scrapes it"),
            _ => None,
        }
    }
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

impl Scenario {
    /// When each stage of each load starts, as `(mark, offset)`.
    pub fn phase_marks(&self) -> Vec<(&str, Duration)> {
        self.load.iter().flat_map(Load::phase_marks).collect()
    }

    /// The names of all loads' stages.
    pub fn stages(&self) -> impl Iterator<Item = &str> {
        self.load.iter().flat_map(Load::stretches).map(|(name, _)| name)
    }

    /// Every mark that a run of it makes, and when it is planned.
    pub fn marks(&self) -> Vec<(String, Duration)> {
        let stages = self.phase_marks().into_iter();
        let mut marks: Vec<(String, Duration)> = stages.map(|(name, at)| (name.to_owned(), at)).collect();
        for f in &self.faults {
            marks.push((f.name.clone(), f.at));
            if f.ends() {
                marks.push((format!("{} ended", f.name), f.at.saturating_add(f.lasts)));
            }
        }
        marks.push(("end".into(), self.duration()));
        marks
    }

    /// The services that loads are sent to, of which a service's slo is judged: itself where a load is sent to it,
    /// else those from which its requests come, through `calls`.
    pub fn entries(&self, service: &str) -> BTreeSet<&str> {
        let all = || self.load.iter().map(|l| l.to.as_str());
        match all().find(|to| *to == service) {
            Some(itself) => BTreeSet::from([itself]),
            None => all().filter(|to| self.reaches(to, service)).collect(),
        }
    }

    /// What each row of a verdict is called: its key, an expectation's or a threshold's condition, and what it asks.
    pub fn rows(&self) -> Vec<(String, String)> {
        let expected = self.expect.iter().map(|e| (e.kind().to_owned(), e.to_string()));
        let bounded = self.thresholds.iter().map(|t| (t.that.text().to_owned(), t.to_string()));
        expected.chain(bounded).collect()
    }

    /// Length of the longest load.
    pub fn duration(&self) -> Duration {
        self.load.iter().map(Load::duration).max().unwrap_or_default()
    }

    /// Whether requests to `entry` make requests to `service`, through `calls`, or are jobs that it `drains`.
    pub fn reaches(&self, entry: &str, service: &str) -> bool {
        let drains = self.services.get(service).and_then(|s| s.drains.as_deref());
        let mut at = Some(entry);
        // As many steps as there are services: a circle, which the check refuses, would have no end.
        for _ in 0..=self.services.len() {
            if at == Some(service) || at.is_some() && at == drains {
                return true;
            }
            at = at.and_then(|name| self.services.get(name)?.calls.as_deref());
        }
        false
    }

    /// Planned requests per second on a service in a cluster, at each whole second: of every load that reaches it.
    pub fn planned_rps(&self, cluster: &str, service: &str) -> Vec<f64> {
        let seconds = 0..self.duration().as_secs();
        let loads = self.load.iter().filter(|l| l.runs_on(cluster) && self.reaches(&l.to, service));
        let courses: Vec<Course> = loads.map(|l| Course::new(l.course())).collect();
        let at = |second| courses.iter().map(|c| c.rate_at(Duration::from_secs(second))).sum();
        seconds.map(at).collect()
    }
}
