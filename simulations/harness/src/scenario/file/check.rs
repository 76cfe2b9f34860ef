//! What the types cannot say: names that exist, marks that happen, lengths that fit.

use std::collections::BTreeSet;
use std::time::Duration;

use autoscaler_api::{ScalingPolicy, schema, validate};
use serde_json::Value;
use simulations_load::app::{CV_MAX, Distribution};
use thanos_telemetry::cli;

use super::{Problem, nearest};
use crate::judge::{Expectation, Place};
use crate::manifests::RECEIVE_POLICY;
use crate::scenario::{Load, Loads, PLATFORM, PolicySource, Scenario, ServiceTime};

mod faults;

/// Pods that a run may start with, so that a typo does not fill the machine.
const REPLICAS_MAX: u16 = 100;
const CLUSTERS_MAX: usize = 8;
/// Each has a generator of two threads on each cluster.
const LOADS_MAX: usize = 8;
const CONTROLLERS_MAX: u16 = 5;
const LENGTH_MAX: Duration = Duration::from_secs(24 * 3600);

/// The policies' documents, and everything that is wrong.
pub(super) fn check(
    s: &Scenario,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> (Vec<String>, Vec<Problem>) {
    let mut c = Checker { scenario: s, problems: Vec::new() };
    c.clusters();
    c.services();
    c.loads();
    c.faults();
    c.thresholds();
    c.expectations();
    let policies = c.policies(read);
    (policies, c.problems)
}

struct Checker<'a> {
    scenario: &'a Scenario,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn wrong(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem::new(path, message));
    }

    fn known<'k>(
        &mut self,
        path: &str,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'k str> + Clone,
    ) {
        if !known.clone().any(|k| k == name) {
            let all: Vec<&str> = known.clone().collect();
            let hint = nearest(name, known).unwrap_or_default();
            self.wrong(path, format!("no {what} {name:?}, only {}{hint}", all.join(", ")));
        }
    }

    fn cluster(&mut self, path: &str, name: &str) {
        let scenario = self.scenario;
        self.known(path, "cluster", name, scenario.clusters.iter().map(String::as_str));
    }

    fn service(&mut self, path: &str, name: &str) {
        let scenario = self.scenario;
        self.known(path, "service", name, scenario.services.keys().map(String::as_str));
    }

    fn mark(&mut self, path: &str, name: &str) {
        let marks = self.scenario.marks();
        self.known(path, "mark", name, marks.iter().map(String::as_str));
    }

    fn clusters(&mut self) {
        let s = self.scenario;
        if s.clusters.is_empty() || s.clusters.len() > CLUSTERS_MAX {
            self.wrong("clusters", format!("name 1 to {CLUSTERS_MAX} clusters"));
        }
        if s.controllers == 0 || s.controllers > CONTROLLERS_MAX {
            self.wrong("controllers", format!("is from 1 to {CONTROLLERS_MAX}"));
        }
        let mut seen = BTreeSet::new();
        for (i, name) in s.clusters.iter().enumerate() {
            let path = format!("clusters[{i}]");
            self.name(&path, name);
            if !seen.insert(name) {
                self.wrong(&path, format!("{name:?} is there twice"));
            }
        }
    }

    /// Names become DNS labels.
    fn name(&mut self, path: &str, name: &str) {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let edges = name.starts_with('-') || name.ends_with('-');
        if name.is_empty() || name.len() > 40 || edges || !name.chars().all(fine) {
            self.wrong(path, format!("{name:?} is no name: 1 to 40 of a-z, 0-9 and -, no - at an end"));
        }
    }

    fn services(&mut self) {
        let s = self.scenario;
        if s.services.is_empty() {
            self.wrong("services", "name at least one service");
        }
        for (name, service) in &s.services {
            let at = |field: &str| format!("services.{name}.{field}");
            self.name(&format!("services.{name}"), name);
            if PLATFORM.iter().any(|(p, _)| p == name) {
                self.wrong(format!("services.{name}"), "is the name of a part that every world has");
            }
            if service.replicas == 0 || service.replicas > REPLICAS_MAX {
                self.wrong(at("replicas"), format!("is from 1 to {REPLICAS_MAX}"));
            }
            if service.concurrency == Some(0) {
                self.wrong(at("concurrency"), "is at least 1");
            }
            let lognormal = |t: &ServiceTime| t.distribution == Distribution::Lognormal;
            match service.service_time.and_then(|t| Some((lognormal(&t), t.cv?))) {
                Some((false, _)) => self.wrong(at("serviceTime.cv"), "is of a lognormal distribution"),
                Some((true, cv)) if !(cv > 0.0 && cv <= CV_MAX) => {
                    self.wrong(at("serviceTime.cv"), format!("is above 0, up to {CV_MAX}"));
                }
                _ => {}
            }
            if service.slo.as_ref().is_some_and(|slo| !slo.is_of_quality()) {
                self.wrong(at("slo"), "is a condition on latency or failures, for example p(95)<200");
            }
            if service.sustains_rps.is_some_and(|r| r <= 0.0) {
                self.wrong(at("sustainsRps"), "is above 0");
            }
            let Some(calls) = &service.calls else { continue };
            self.service(&at("calls"), calls);
            for (field, there) in [
                ("serviceTime", service.service_time.is_some()),
                ("concurrency", service.concurrency.is_some()),
                ("startUp", service.start_up.is_some()),
            ] {
                if there {
                    self.wrong(
                        at(field),
                        "is of a service that works; this one passes requests on (`calls`)",
                    );
                }
            }
            let mut next = Some(calls);
            for _ in 0..s.services.len() {
                next = next.and_then(|n| s.services.get(n)?.calls.as_ref());
            }
            if next.is_some() {
                self.wrong(at("calls"), "the calls go round in a circle");
            }
        }
    }

    fn loads(&mut self) {
        let s = self.scenario;
        if s.load.iter().count() == 0 || s.load.iter().count() > LOADS_MAX {
            self.wrong("load", format!("name 1 to {LOADS_MAX} loads"));
        }
        let mut names = BTreeSet::new();
        for (path, load) in s.load.with_paths() {
            self.load(&path, load);
            if path != "load" && load.name.is_none() {
                self.wrong(&path, "one of several loads has a `name`");
            } else if !names.insert(load.name()) {
                self.wrong(format!("{path}.name"), format!("{:?} is there twice", load.name()));
            }
        }
        let mut seen = BTreeSet::new();
        for mark in s.marks() {
            if !seen.insert(mark.clone()) {
                let stages = if let Loads::One(_) = s.load { "load.stages" } else { "load" };
                self.wrong(stages, format!("two stages or faults make the mark {mark:?}; rename one"));
            }
        }
    }

    fn load(&mut self, path: &str, load: &Load) {
        self.service(&format!("{path}.to"), &load.to);
        for (i, cluster) in load.clusters.iter().flatten().enumerate() {
            self.cluster(&format!("{path}.clusters[{i}]"), cluster);
        }
        if load.clusters.as_ref().is_some_and(Vec::is_empty) {
            self.wrong(format!("{path}.clusters"), "name at least one cluster, or leave it out for all");
        }
        for (i, stage) in load.stages.iter().enumerate() {
            if stage.lasts.is_zero() {
                self.wrong(format!("{path}.stages[{i}].for"), "is longer than 0s");
            }
        }
        if load.duration() > LENGTH_MAX {
            let of = if load.series.is_some() { "series" } else { "stages" };
            self.wrong(format!("{path}.{of}"), "lasts more than a day");
        }
    }

    fn thresholds(&mut self) {
        let s = self.scenario;
        for (i, t) in s.thresholds.iter().enumerate() {
            if let Some(stage) = &t.stage {
                let stages = s.stages().collect::<Vec<_>>();
                self.known(&format!("thresholds[{i}].stage"), "stage", stage, stages.into_iter());
            }
            let at = |field: &str| format!("thresholds[{i}].{field}");
            if let Some(cluster) = &t.cluster {
                self.cluster(&at("cluster"), cluster);
            }
            if let Some(service) = &t.service {
                let to = s.load.iter().map(|l| l.to.as_str());
                self.known(&at("service"), "load to", service, to);
            }
            if t.abort_on_fail
                && let Err(why) = t.that.may_abort()
            {
                let figure = t.that.text();
                self.wrong(at("abortOnFail"), format!("{figure} can only be judged at the end: {why}"));
            }
            if t.delay_abort_eval.is_some() && !t.abort_on_fail {
                self.wrong(at("delayAbortEval"), "is of a threshold with abortOnFail: true");
            }
        }
    }

    fn place(&mut self, path: &str, place: &Place) {
        self.cluster(path, &place.cluster);
        let scenario = self.scenario;
        let known = scenario.services.keys().map(String::as_str).chain(["receive"]);
        self.known(path, "scaled workload", &place.name, known);
    }

    fn expectations(&mut self) {
        for (i, e) in self.scenario.expect.iter().enumerate() {
            let at = |field: &str| format!("expect[{i}].{}.{field}", e.kind());
            for (field, mark) in e.marks() {
                self.mark(&at(field), mark);
            }
            if let Some(place) = e.workload() {
                self.place(&at("workload"), place);
            }
            match e {
                Expectation::Reaches { at_least: None, at_most: None, .. } => {
                    self.wrong(at("atLeast"), "say atLeast, atMost, or both");
                }
                Expectation::SloViolations { service, .. } => {
                    self.service(&at("service"), service);
                    let slo = self.scenario.services.get(service).map(|s| s.slo.is_some());
                    if slo == Some(false) {
                        let message = format!("needs services.{service}.slo, for example p(95)<200");
                        self.wrong(at("service"), message);
                    } else if crate::slo::entries(self.scenario, service).is_empty() {
                        self.wrong(at("service"), format!("no load reaches {service}"));
                    }
                }
                Expectation::Elasticity { workload, theta_u, theta_o, tau_u, tau_o, upsilon } => {
                    if [theta_u, theta_o, tau_u, tau_o, upsilon].iter().all(|limit| limit.is_none()) {
                        self.wrong(at("thetaU"), "say one or more of thetaU, thetaO, tauU, tauO, upsilon");
                    }
                    let service = self.scenario.services.get(&workload.name);
                    if service.is_some_and(|s| s.sustains_rps.is_none()) || workload.name == "receive" {
                        let fix = "needs services.NAME.sustainsRps to know the demand; gauntlet run FILE \
                                   --calibrate NAME finds it";
                        self.wrong(at("workload"), fix.replace("NAME", &workload.name));
                    }
                }
                Expectation::Doubts { policy, .. } | Expectation::Recovers { policy, .. } => {
                    // Policies are named freely; their clusters are not.
                    self.cluster(&at("policy"), &policy.cluster);
                }
                Expectation::Restarted { container, .. } => {
                    self.cluster(&at("container"), &container.cluster);
                }
                _ => {}
            }
        }
    }

    fn policies(&mut self, read: &dyn Fn(&str) -> Result<String, String>) -> Vec<String> {
        let mut documents = Vec::new();
        let mut ring = false;
        for (i, source) in self.scenario.policies.iter().enumerate() {
            let (path, values) = match source {
                PolicySource::Inline(value) => (format!("policies[{i}].inline"), Ok(vec![value.clone()])),
                PolicySource::File(file) => {
                    (format!("policies[{i}].file"), read(file).and_then(|t| cli::parse_yaml_documents(&t)))
                }
            };
            match values {
                Ok(values) => {
                    for value in values {
                        self.policy(&path, &value);
                        ring |= value["spec"]["scaleTargetRef"]["name"] == "receive";
                        // JSON is YAML.
                        documents.push(value.to_string());
                    }
                }
                Err(e) => self.wrong(path, e),
            }
        }
        if !ring {
            documents.push(RECEIVE_POLICY.to_owned());
        }
        documents
    }

    fn policy(&mut self, path: &str, value: &Value) {
        if value["kind"] != "ScalingPolicy" {
            return self.wrong(path, "has a document that is no ScalingPolicy");
        }
        let mut problems = schema::check(value);
        match serde_json::from_value::<ScalingPolicy>(value.clone()) {
            Ok(policy) if problems.is_empty() => {
                problems = validate(&policy);
                let target = &policy.spec.scale_target_ref;
                let s = self.scenario;
                let known = s.services.keys().map(String::as_str).chain(["receive"]);
                self.known(path, "workload to scale", &target.name, known);
            }
            Ok(_) => {}
            Err(e) if problems.is_empty() => self.wrong(path, e.to_string()),
            Err(_) => {}
        }
        for p in problems {
            self.wrong(format!("{path}.{}", p.field), format!("{}; {}", p.message, p.fix));
        }
    }
}
