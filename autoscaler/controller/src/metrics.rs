//! What the controller says about itself: `gauntlet_autoscaler_…`.

use std::sync::atomic::AtomicU64;

use autoscaler_core::FailureKind;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

mod calls;
mod decisions;
mod exposed;

pub(crate) use calls::Calls;
pub(crate) use exposed::Exposed;

use decisions::Decisions;

/// What becomes of almost every evaluation: there from the start, so that the first one is an increase.
const USUAL: [&str; 2] = ["hold", "written"];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(crate) struct PolicyLabels {
    pub cluster: String,
    pub namespace: String,
    pub policy: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct MetricLabels {
    pub cluster: String,
    pub namespace: String,
    pub policy: String,
    pub metric: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct TargetLabels {
    pub cluster: String,
    pub namespace: String,
    pub policy: String,
    pub kind: String,
    pub name: String,
}

impl PolicyLabels {
    /// The series that says what this policy scales.
    pub(crate) fn target(&self, kind: &str, name: &str) -> TargetLabels {
        TargetLabels {
            cluster: self.cluster.clone(),
            namespace: self.namespace.clone(),
            policy: self.policy.clone(),
            kind: kind.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// Kinds that are told apart; the rest is like `Other`.
const QUERY_ERROR_KINDS: [FailureKind; 8] = [
    FailureKind::Unreachable,
    FailureKind::Timeout,
    FailureKind::BadQuery,
    FailureKind::Execution,
    FailureKind::BadResponse,
    FailureKind::ManySeries,
    FailureKind::Source,
    FailureKind::Other,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OutcomeLabels {
    pub cluster: String,
    pub outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct KindLabels {
    kind: &'static str,
}

impl KindLabels {
    pub(crate) fn of(kind: FailureKind) -> Self {
        let kind = match kind {
            FailureKind::Unreachable => "unreachable",
            FailureKind::Timeout => "timeout",
            FailureKind::BadQuery => "bad_query",
            FailureKind::Execution => "execution",
            FailureKind::BadResponse => "bad_response",
            FailureKind::ManySeries => "many_series",
            FailureKind::Source => "source",
            FailureKind::Empty | FailureKind::NotANumber | FailureKind::MetricsApi | FailureKind::Other => {
                "other"
            }
        };
        Self { kind }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ClusterLabels {
    pub cluster: String,
}

type Float = Gauge<f64, AtomicU64>;

/// All of them; clones share the same numbers.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub decisions: Family<OutcomeLabels, Counter>,
    pub evaluation: Histogram,
    pub missed_ticks: Counter,
    pub queries: Counter,
    pub query_errors: Family<KindLabels, Counter>,
    pub leader: Family<ClusterLabels, Gauge>,
    pub policies: Family<ClusterLabels, Gauge>,
    pub desired: Family<PolicyLabels, Gauge>,
    pub current: Family<PolicyLabels, Gauge>,
    pub evidence_sufficient: Family<PolicyLabels, Gauge>,
    pub ring_version: Family<PolicyLabels, Gauge>,
    pub target_info: Family<TargetLabels, Gauge>,
    pub evidence_age: Family<MetricLabels, Float>,
    pub status_writes: Counter,
    pub queries_dropped: Counter,
    pub late_answers: Counter,
    pub events_dropped: Counter,
    pub calls: Calls,
    pub latest: Decisions,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry, calls: Calls) -> Self {
        let this = Self {
            decisions: Family::default(),
            evaluation: Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]),
            missed_ticks: Counter::default(),
            queries: Counter::default(),
            query_errors: Family::default(),
            leader: Family::default(),
            policies: Family::default(),
            desired: Family::default(),
            current: Family::default(),
            evidence_sufficient: Family::default(),
            ring_version: Family::default(),
            target_info: Family::default(),
            evidence_age: Family::default(),
            status_writes: Counter::default(),
            queries_dropped: Counter::default(),
            late_answers: Counter::default(),
            events_dropped: Counter::default(),
            calls,
            latest: Decisions::default(),
        };
        let r = registry.sub_registry_with_prefix("gauntlet_autoscaler");
        r.register("decisions", "Evaluations by what became of them", this.decisions.clone());
        r.register_with_unit(
            "evaluation",
            "Time from an evaluation's start to its end, writes included",
            Unit::Seconds,
            this.evaluation.clone(),
        );
        r.register(
            "missed_ticks",
            "Evaluations left out because the one before was not done, or the controller had no time",
            this.missed_ticks.clone(),
        );
        r.register("queries", "Metrics of policies asked for", this.queries.clone());
        r.register(
            "queries_dropped",
            "Metrics that were not asked for, since there was no slot within the interval",
            this.queries_dropped.clone(),
        );
        r.register("late_answers", "Answers that came after their deadline", this.late_answers.clone());
        r.register(
            "events_dropped",
            "Events that were not published, since too many waited",
            this.events_dropped.clone(),
        );
        r.register("query_errors", "Queries without an answer, by kind", this.query_errors.clone());
        for kind in QUERY_ERROR_KINDS.map(KindLabels::of) {
            // At 0 from the start: a rate cannot see the increment that a series begins with.
            drop(this.query_errors.get_or_create(&kind));
        }
        r.register("leader", "1 where this process holds the Lease", this.leader.clone());
        r.register("policies", "Policies known", this.policies.clone());
        r.register("desired_replicas", "Replicas that the last decision wants", this.desired.clone());
        r.register(
            "current_replicas",
            "Replicas that the target asked for when last read",
            this.current.clone(),
        );
        r.register(
            "evidence_sufficient",
            "1 if every metric's evidence would allow fewer replicas",
            this.evidence_sufficient.clone(),
        );
        r.register("ring_version", "Version of the hashring", this.ring_version.clone());
        r.register("target_info", "1; its labels say what a policy scales", this.target_info.clone());
        r.register_with_unit(
            "evidence_age",
            "Age of the newest sample of the cluster that lags most",
            Unit::Seconds,
            this.evidence_age.clone(),
        );
        r.register("status_writes", "Status patches sent", this.status_writes.clone());
        this.calls.register(r);
        this.latest.register(r);
        this
    }

    /// A cluster's counters begin.
    pub(crate) fn begin(&self, cluster: &str) {
        for outcome in USUAL {
            drop(self.decisions.get_or_create(&OutcomeLabels { cluster: cluster.to_owned(), outcome }));
        }
    }

    /// Drops a policy's own series, lest the last value of what is gone looks alive.
    pub(crate) fn forget(
        &self,
        labels: &PolicyLabels,
        target: Option<&TargetLabels>,
        metrics: impl Iterator<Item = String>,
    ) {
        if let Some(target) = target {
            self.target_info.remove(target);
        }
        self.desired.remove(labels);
        self.current.remove(labels);
        self.evidence_sufficient.remove(labels);
        self.ring_version.remove(labels);
        self.latest.forget(labels);
        for metric in metrics {
            self.evidence_age.remove(&MetricLabels {
                cluster: labels.cluster.clone(),
                namespace: labels.namespace.clone(),
                policy: labels.policy.clone(),
                metric,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_prefix_and_what_is_gone_is_not_shown() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry, Calls::default());
        let labels =
            PolicyLabels { cluster: "east".into(), namespace: "default".into(), policy: "web".into() };
        metrics.desired.get_or_create(&labels).set(3);
        let target = labels.target("Deployment", "web");
        metrics.target_info.get_or_create(&target).set(1);
        metrics.evaluation.observe(0.1);
        let exposed = thanos_telemetry::Metrics::new(registry);
        let text = exposed.encode(None).1;
        let line =
            "gauntlet_autoscaler_desired_replicas{cluster=\"east\",namespace=\"default\",policy=\"web\"} 3";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("gauntlet_autoscaler_evaluation_seconds_count 1"), "{text}");
        assert!(text.lines().all(|l| l.starts_with('#') || l.starts_with("gauntlet_autoscaler_")), "{text}");
        metrics.forget(&labels, Some(&target), std::iter::empty());
        assert!(!exposed.encode(None).1.contains("policy=\"web\""));
    }
}
