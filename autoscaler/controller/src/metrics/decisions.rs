//! What was decided last, and what was written, by cause: in words from closed sets, so that the number of series
//! is bounded by the policies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use autoscaler_core::{Decision, Input};
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::PolicyLabels;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InfoLabels {
    cluster: String,
    namespace: String,
    policy: String,
    cause: String,
    limited_by: String,
    evidence: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct WriteLabels {
    cluster: String,
    namespace: String,
    policy: String,
    cause: String,
    limited_by: String,
}

/// A policy's series, to be removed with it.
#[derive(Debug, Default)]
struct Own {
    info: Option<InfoLabels>,
    writes: BTreeSet<WriteLabels>,
}

/// The series; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decisions {
    info: Family<InfoLabels, Gauge>,
    writes: Family<WriteLabels, Counter>,
    own: Arc<Mutex<BTreeMap<PolicyLabels, Own>>>,
}

impl Decisions {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "decision_info",
            "1; its labels say why the last decision is what it is, what limited it, and what its evidence is worth",
            self.info.clone(),
        );
        registry.register("scale_writes", "Writes of the scale subresource, by cause", self.writes.clone());
    }

    /// The latest decision; the one before is shown no more.
    pub(crate) fn decided(&self, policy: &PolicyLabels, decision: &Decision, input: &Input) {
        let w = write_labels(policy, decision, input);
        let info = InfoLabels {
            cluster: w.cluster,
            namespace: w.namespace,
            policy: w.policy,
            cause: w.cause,
            limited_by: w.limited_by,
            evidence: decision.evidence_code().to_owned(),
        };
        let mut own = self.own.lock();
        let own = own.entry(policy.clone()).or_default();
        if let Some(before) = own.info.replace(info.clone()).filter(|before| *before != info) {
            self.info.remove(&before);
        }
        self.info.get_or_create(&info).set(1);
    }

    /// A write by this decision.
    pub(crate) fn written(&self, policy: &PolicyLabels, decision: &Decision, input: &Input) {
        let labels = write_labels(policy, decision, input);
        self.writes.get_or_create(&labels).inc();
        self.own.lock().entry(policy.clone()).or_default().writes.insert(labels);
    }

    pub(super) fn forget(&self, policy: &PolicyLabels) {
        let Some(own) = self.own.lock().remove(policy) else { return };
        if let Some(info) = own.info {
            self.info.remove(&info);
        }
        for labels in own.writes {
            self.writes.remove(&labels);
        }
    }
}

fn write_labels(policy: &PolicyLabels, decision: &Decision, input: &Input) -> WriteLabels {
    WriteLabels {
        cluster: policy.cluster.clone(),
        namespace: policy.namespace.clone(),
        policy: policy.policy.clone(),
        cause: decision.cause_code(input).to_owned(),
        limited_by: decision.limited_by().map(|kind| kind.to_string()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use autoscaler_core::{Input, Policy, Scale, decide};

    use super::*;

    fn input(replicas: i32, max_replicas: i32) -> Input {
        Input {
            now_ms: 0,
            cluster: Default::default(),
            policy: Policy {
                min_replicas: 1,
                max_replicas,
                metrics: vec![autoscaler_core::MetricSpec {
                    name: "m".into(),
                    revision: 0,
                    kind: Default::default(),
                    target: autoscaler_core::Target::Value { value_milli: 1000 },
                    evidence: Default::default(),
                    fallback: None,
                    activation_milli: 0,
                }],
                behavior: None,
                mode: Default::default(),
                compatibility: Default::default(),
                defaults: Default::default(),
                interval_ms: 0,
                zero: None,
                pause: Default::default(),
                formula: None,
            },
            scale: Scale { spec_replicas: replicas, status_replicas: replicas, ready_replicas: replicas },
            schedules: Vec::new(),
            pods: None,
            observations: vec![],
            history: Default::default(),
        }
    }

    #[test]
    fn only_the_latest_decision_is_shown_and_nothing_of_a_policy_that_is_gone() {
        let mut registry = Registry::default();
        let decisions = Decisions::default();
        decisions.register(&mut registry);
        let exposed = thanos_telemetry::Metrics::new(registry);
        let lines = || -> Vec<String> {
            let text = exposed.encode(None).1;
            text.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect()
        };
        let policy =
            PolicyLabels { cluster: "east".into(), namespace: "default".into(), policy: "web".into() };
        for input in [input(2, 9), input(12, 9)] {
            let decision = decide(&input);
            decisions.decided(&policy, &decision, &input);
            if decision.write.is_some() {
                decisions.written(&policy, &decision, &input);
            }
        }
        let own = "cluster=\"east\",namespace=\"default\",policy=\"web\",cause=\"TooManyReplicas\",\
                   limited_by=\"TooManyReplicas\"";
        assert_eq!(
            lines(),
            [
                format!("decision_info{{{own},evidence=\"NotObserved\"}} 1"),
                format!("scale_writes_total{{{own}}} 1")
            ]
        );
        decisions.forget(&policy);
        assert_eq!(lines(), Vec::<String>::new());
    }
}
