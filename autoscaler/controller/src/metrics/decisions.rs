//! What was decided last, and what was written, by cause: in words from closed sets, so that the number of series
//! is bounded by the policies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use autoscaler_engine::effect::{Decided, Scaled};
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
    pub(crate) fn decided(&self, policy: &PolicyLabels, decided: &Decided) {
        let info = InfoLabels {
            cluster: policy.cluster.clone(),
            namespace: policy.namespace.clone(),
            policy: policy.policy.clone(),
            cause: decided.cause.clone(),
            limited_by: decided.limited_by.clone(),
            evidence: decided.evidence.clone(),
        };
        let mut own = self.own.lock();
        let own = own.entry(policy.clone()).or_default();
        let before = own.info.replace(info.clone());
        if before.as_ref() == Some(&info) {
            return;
        }
        if let Some(before) = before {
            self.info.remove(&before);
        }
        self.info.get_or_create(&info).set(1);
    }

    /// A write of replicas.
    pub(crate) fn written(&self, policy: &PolicyLabels, scaled: &Scaled) {
        let labels = WriteLabels {
            cluster: policy.cluster.clone(),
            namespace: policy.namespace.clone(),
            policy: policy.policy.clone(),
            cause: scaled.cause.clone(),
            limited_by: scaled.limited_by.clone(),
        };
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

#[cfg(test)]
mod tests {
    use autoscaler_engine::effect::Ended;

    use super::*;

    fn decided(limited_by: &str) -> Decided {
        Decided {
            kind: Default::default(),
            target: String::new(),
            current: 12,
            desired: 9,
            cause: "TooManyReplicas".into(),
            limited_by: limited_by.into(),
            evidence: "NotObserved".into(),
            sufficient: false,
            ages_ms: Vec::new(),
            ring_version: None,
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
        decisions.decided(&policy, &decided("ScaleUpLimit"));
        decisions.decided(&policy, &decided("TooManyReplicas"));
        let scaled = Scaled {
            policy: Default::default(),
            from: 12,
            to: 9,
            ended: Ended::Written,
            cause: "TooManyReplicas".into(),
            limited_by: "TooManyReplicas".into(),
        };
        decisions.written(&policy, &scaled);
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
