//! Thresholds and expectations: about what there is, over stretches that have a length, with bounds that can fail.

use std::time::Duration;

use simulations_load::schedule::Stage;

use super::Checker;
use crate::expectation::{ContainerPlace, Expectation, Place};
use crate::file::PolicyDocument;
use crate::load::Load;
use crate::platform::{PLATFORM, PROXY, RING};
use crate::threshold::Threshold;
use crate::values::Percent;

impl Checker<'_> {
    pub(super) fn thresholds(&mut self) {
        let s = self.scenario;
        for (i, t) in s.thresholds.iter().enumerate() {
            let at = |field: &str| format!("thresholds[{i}].{field}");
            let before = self.problems.len();
            if let Some(stage) = &t.stage {
                let stages = s.stages().collect::<Vec<_>>();
                self.known(&at("stage"), "stage", stage, stages.into_iter());
            }
            if let Some(cluster) = &t.cluster {
                self.cluster(&at("cluster"), cluster);
            }
            if let Some(service) = &t.service {
                let to = s.load.iter().map(|l| l.to.as_str());
                self.known(&at("service"), "load to", service, to);
            }
            if self.problems.len() == before && !s.load.iter().any(|load| sends(load, t, &s.clusters)) {
                self.wrong(at("that"), format!("no request is due for {t}, so it could never hold"));
            }
            if let Some(why) = t.that.says_nothing() {
                self.wrong(at("that"), format!("{} {why}", t.that.text()));
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

    pub(super) fn expectations(&mut self, policies: &[PolicyDocument]) {
        for (i, e) in self.scenario.expect.iter().enumerate() {
            let at = |field: &str| format!("expect[{i}].{}.{field}", e.kind());
            for (field, mark) in e.marks() {
                self.mark(&at(field), mark);
            }
            if let Some(place) = e.workload() {
                self.place(&at("workload"), place);
            }
            self.stretch(e, &at);
            self.bounds(e, &at);
            self.names(e, policies, &at);
        }
    }

    /// Between its marks, or after its one, there is time in which it could fail.
    fn stretch(&mut self, e: &Expectation, at: &dyn Fn(&str) -> String) {
        let marks = self.scenario.marks();
        let end = self.scenario.duration();
        let planned = |mark: &str| marks.iter().find(|(name, _)| name == mark).map(|(_, at)| *at);
        match e.marks()[..] {
            [("after", after)] if planned(after).is_some_and(|at| at >= end) => {
                self.wrong(at("after"), format!("nothing happens after {after:?}: it is the end of the run"));
            }
            [("from", from), ("to", to)] => {
                let (Some(begins), Some(ends)) = (planned(from), planned(to)) else { return };
                if begins == ends {
                    self.wrong(at("to"), format!("{to:?} is at the same time as {from:?}, {begins:?}"));
                } else if begins > ends {
                    let message = format!("{to:?}, at {ends:?}, is before {from:?}, at {begins:?}");
                    self.wrong(at("to"), message);
                }
            }
            _ => {}
        }
        let within = match e {
            Expectation::Reaches { within, .. }
            | Expectation::Recovers { within, .. }
            | Expectation::Restarted { within, .. }
            | Expectation::Settles { within, .. } => Some(*within),
            _ => None,
        };
        if within == Some(Duration::ZERO) {
            self.wrong(at("within"), "is longer than 0s");
        }
    }

    /// What it bounds could be otherwise.
    fn bounds(&mut self, e: &Expectation, at: &dyn Fn(&str) -> String) {
        match e {
            Expectation::Reaches { at_least: None, at_most: None, .. } => {
                self.wrong(at("atLeast"), "say atLeast, atMost, or both");
            }
            Expectation::Reaches { at_least, at_most, .. } => {
                if at_least.is_some_and(|n| n < 1) {
                    self.wrong(at("atLeast"), "is 1 or more: fewer are always there");
                }
                if at_most.is_some_and(|n| n < 0) {
                    self.wrong(at("atMost"), "is 0 or more");
                }
                if let (Some(least), Some(most)) = (at_least, at_most)
                    && least > most
                {
                    self.wrong(at("atMost"), format!("{least} or more are never {most} or fewer"));
                }
            }
            Expectation::NeverBelow { at_least, .. } if *at_least < 1 => {
                self.wrong(at("atLeast"), "is 1 or more: fewer are always there");
            }
            Expectation::Doubts { share: Some(share), .. } if !(*share > 0.0 && *share < 1.0) => {
                self.wrong(at("share"), "is above 0 and below 1: what the value falls to, of what it was");
            }
            Expectation::ReplicaHours { at_most, .. } if !(*at_most > 0.0 && at_most.is_finite()) => {
                self.wrong(at("atMost"), "is above 0, and finite");
            }
            Expectation::SloViolations { at_most, .. } => self.share(&at("atMost"), Some(at_most)),
            Expectation::Elasticity { theta_u, theta_o, tau_u, tau_o, upsilon, .. } => {
                // Replicas may be more than twice too many; all other shares are of something.
                for (field, limit) in
                    [("thetaU", theta_u), ("tauU", tau_u), ("tauO", tau_o), ("upsilon", upsilon)]
                {
                    self.share(&at(field), limit.as_ref());
                }
                if [theta_u, theta_o, tau_u, tau_o, upsilon].iter().all(|limit| limit.is_none()) {
                    self.wrong(at("thetaU"), "say one or more of thetaU, thetaO, tauU, tauO, upsilon");
                }
            }
            _ => {}
        }
    }

    fn share(&mut self, path: &str, limit: Option<&Percent>) {
        if let Some(limit) = limit.filter(|l| l.0 >= 100.0) {
            self.wrong(path, format!("at most {limit} always holds; write less than 100 %"));
        }
    }

    /// What it names is there.
    fn names(&mut self, e: &Expectation, policies: &[PolicyDocument], at: &dyn Fn(&str) -> String) {
        let s = self.scenario;
        match e {
            Expectation::SloViolations { service, .. } => {
                self.service(&at("service"), service);
                let slo = s.services.get(service).map(|s| s.slo.is_some());
                if slo == Some(false) {
                    let message = format!("needs services.{service}.slo, for example p(95)<200");
                    self.wrong(at("service"), message);
                } else if s.entries(service).is_empty() {
                    self.wrong(at("service"), format!("no load reaches {service}"));
                }
            }
            Expectation::Elasticity { workload, .. } => {
                let service = s.services.get(&workload.name);
                if service.is_some_and(|s| s.sustains_rps.is_none()) || workload.name == RING {
                    let fix = "needs services.NAME.sustainsRps to know the demand; gauntlet run FILE \
                               --calibrate NAME finds it";
                    self.wrong(at("workload"), fix.replace("NAME", &workload.name));
                }
            }
            Expectation::Doubts { policy, .. } | Expectation::Recovers { policy, .. } => {
                self.policy_named(&at("policy"), policy, policies);
            }
            Expectation::Restarted { container, .. } => self.container(&at("container"), container),
            _ => {}
        }
    }

    fn place(&mut self, path: &str, place: &Place) {
        self.cluster(path, &place.cluster);
        let scenario = self.scenario;
        let known = scenario.services.keys().map(String::as_str).chain([RING]);
        self.known(path, "scaled workload", &place.name, known);
    }

    fn policy_named(&mut self, path: &str, place: &Place, policies: &[PolicyDocument]) {
        self.cluster(path, &place.cluster);
        let names: Vec<String> =
            policies.iter().map(|p| p.name.replace("${CLUSTER}", &place.cluster)).collect();
        match names.iter().filter(|name| **name == place.name).count() {
            0 => self.known(path, "policy", &place.name, names.iter().map(String::as_str)),
            1 => {}
            n => self.wrong(path, format!("{n} policies are named {:?}; rename one", place.name)),
        }
    }

    /// A container of pods that the cluster has.
    fn container(&mut self, path: &str, place: &ContainerPlace) {
        self.cluster(path, &place.cluster);
        let s = self.scenario;
        let first = s.clusters.first() == Some(&place.cluster);
        let services = s.services.keys().map(|name| (name.as_str(), true));
        let platform = PLATFORM.iter().filter(|p| first || !p.first_cluster_only);
        let pods: Vec<(&str, bool)> = services.chain(platform.map(|p| (p.name, p.has_proxy))).collect();
        let begins = |app: &str| app.starts_with(&place.pod) || place.pod.starts_with(&format!("{app}-"));
        let of: Vec<(&str, bool)> = pods.iter().filter(|(app, _)| begins(app)).copied().collect();
        if of.is_empty() {
            return self.known(path, "pod that begins with", &place.pod, pods.iter().map(|(app, _)| *app));
        }
        let containers = of.iter().flat_map(|(app, proxy)| [Some(*app), proxy.then_some(PROXY)]);
        let containers: Vec<&str> = containers.flatten().collect();
        self.known(path, "container", &place.container, containers.into_iter());
    }
}

/// Whether a threshold is about some of a load's requests.
fn sends(load: &Load, t: &Threshold, clusters: &[String]) -> bool {
    let runs = clusters.iter().any(|c| load.runs_on(c) && t.cluster.as_ref().is_none_or(|of| of == c));
    if !runs || t.service.as_ref().is_some_and(|to| *to != load.to) {
        return false;
    }
    let some = |stage: &Stage| stage.from_rps > 0.0 || stage.to_rps > 0.0;
    match &t.stage {
        // A recorded load is one stretch; one that is not known yet may send.
        Some(stage) if load.series.is_none() => {
            load.stages.iter().any(|phase| phase.name == *stage && some(&phase.stage()))
        }
        Some(stage) => load.name() == stage,
        None => load.series.is_some() || load.course().iter().any(some),
    }
}
