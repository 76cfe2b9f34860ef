//! What the types cannot say: names that exist, marks in order, bounds that can fail, worlds that can start.

use std::collections::BTreeSet;
use std::time::Duration;

use simulations_load::app::{CV_MAX, Distribution, LONGEST_MEANS};

use super::{Input, PolicyDocument, Problem, Read};
use crate::load::{Load, Loads};
use crate::names::nearest;
use crate::platform::{PLATFORM, PROXY};
use crate::scenario::{Scenario, Service};
use crate::service_time::ServiceTime;

mod faults;
mod policies;
mod rows;

/// Pods that a run may start with, so that a typo does not fill the machine.
const REPLICAS_MAX: u16 = 100;
const CLUSTERS_MAX: usize = 8;
/// Each has a generator of two threads on each cluster.
const LOADS_MAX: usize = 8;
/// Each has histograms of its own.
const STAGES_MAX: usize = 200;
const CONTROLLERS_MAX: u16 = 5;
const LENGTH_MAX: Duration = Duration::from_secs(24 * 3600);
/// The first pods are waited for so long beside what they need anyway.
const START_UP_MAX: Duration = Duration::from_secs(60);

/// The policies' documents, and everything that is wrong.
pub(super) fn check(
    s: &Scenario,
    read: Read<'_>,
    inputs: &mut Vec<Input>,
) -> (Vec<PolicyDocument>, Vec<Problem>) {
    let mut c = Checker { scenario: s, problems: Vec::new() };
    c.clusters();
    c.services();
    c.loads();
    c.faults();
    let policies = c.policies(read, inputs);
    c.thresholds();
    c.expectations(&policies);
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
        self.known(path, "mark", name, marks.iter().map(|(name, _)| name.as_str()));
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
            if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
                self.wrong(format!("services.{name}"), "begins with a letter: it is the name of a Service");
            }
            if name == PROXY {
                self.wrong(format!("services.{name}"), "is the name of the container of every sidecar");
            }
            if PLATFORM.iter().any(|p| p.name == name) {
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
            if service.start_up.is_some_and(|long| long > START_UP_MAX) {
                self.wrong(
                    at("startUp"),
                    format!("is up to {START_UP_MAX:?}: a world waits for its first pods"),
                );
            }
            if let Some(slo) = &service.slo {
                if !slo.is_of_quality() {
                    self.wrong(
                        at("slo"),
                        "is a bound on latency or failures from above, for example p(95)<200",
                    );
                } else if let Some(why) = slo.says_nothing() {
                    self.wrong(at("slo"), format!("{} {why}", slo.text()));
                }
            }
            if service.sustains_rps.is_some_and(|r| !(r > 0.0 && r.is_finite())) {
                self.wrong(at("sustainsRps"), "is above 0, and finite");
            }
            self.kind(name, service);
            let Some(calls) = &service.calls else { continue };
            let mut next = Some(calls);
            for _ in 0..s.services.len() {
                next = next.and_then(|n| s.services.get(n)?.calls.as_ref());
            }
            if next.is_some() {
                self.wrong(at("calls"), "the calls go round in a circle");
            }
        }
    }

    /// Keys that go together, and names of services of the right kind.
    fn kind(&mut self, name: &str, service: &Service) {
        let at = |field: &str| format!("services.{name}.{field}");
        let kinds = service.kinds();
        if let [first, second, ..] = kinds[..] {
            self.wrong(at(second), format!("is of another kind of service than `{first}`: keep one"));
        }
        let works = kinds.is_empty() || kinds == ["drains"];
        let starts = works || kinds == ["inference"];
        let unfit = [
            ("serviceTime", service.service_time.is_some() && !works, "works on requests or jobs"),
            ("concurrency", service.concurrency.is_some() && !works, "works on requests or jobs"),
            ("startUp", service.start_up.is_some() && !starts, "works, or generates tokens"),
            ("grpc", service.grpc && !kinds.is_empty(), "works on requests"),
        ];
        for (field, _, of) in unfit.into_iter().filter(|(_, is_unfit, _)| *is_unfit) {
            let kind = kinds.first().copied().unwrap_or_default();
            self.wrong(at(field), format!("is of a service that {of}; this one has `{kind}`"));
        }
        if let Some(calls) = &service.calls {
            self.service(&at("calls"), calls);
            if let Some(why) = self.scenario.services.get(calls).and_then(Service::answers_none) {
                self.wrong(at("calls"), format!("{calls} {why}"));
            }
        }
        for (field, queue) in [("drains", &service.drains), ("exports", &service.exports)] {
            let Some(queue) = queue else { continue };
            let queues = self.scenario.services.iter().filter(|(_, s)| s.queue.is_some());
            self.known(&at(field), "service with a queue", queue, queues.map(|(name, _)| name.as_str()));
        }
        if service.queue.is_some() {
            if service.replicas != 1 {
                self.wrong(at("replicas"), "is 1: one replica holds all jobs of a queue");
            }
            if !self.scenario.services.values().any(|s| s.drains.as_deref() == Some(name)) {
                self.wrong(at("queue"), format!("no service `drains` {name}: no job would ever be done"));
            }
        }
        if let Some(inference) = &service.inference {
            let longest = inference.prompt_tokens.saturating_add(inference.output_tokens);
            let longest = longest.saturating_mul(LONGEST_MEANS);
            if inference.slots == 0 || inference.prompt_tokens == 0 || inference.output_tokens == 0 {
                self.wrong(at("inference"), "slots, promptTokens and outputTokens are at least 1");
            } else if inference.kv_tokens < longest {
                let message = format!("is {longest} or more: the longest request has so many tokens");
                self.wrong(at("inference.kvTokens"), message);
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
        if s.stages().count() > STAGES_MAX {
            self.wrong("load", format!("has more than {STAGES_MAX} stages; a recorded load has a `series`"));
        }
        let mut seen = BTreeSet::new();
        for (mark, _) in s.marks() {
            if !seen.insert(mark.clone()) {
                let stages = if let Loads::One(_) = s.load { "load.stages" } else { "load" };
                self.wrong(stages, format!("two stages or faults make the mark {mark:?}; rename one"));
            }
        }
    }

    fn load(&mut self, path: &str, load: &Load) {
        self.service(&format!("{path}.to"), &load.to);
        let grpc = "answers gRPC: send to a service that `calls` it";
        let unfit = |s: &Service| s.answers_none().or(s.grpc.then_some(grpc));
        if let Some(why) = self.scenario.services.get(&load.to).and_then(unfit) {
            self.wrong(format!("{path}.to"), format!("{} {why}", load.to));
        }
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
}
