//! What the engine says of evaluations, as series.

use std::collections::BTreeMap;

use autoscaler_engine::Counters;
use autoscaler_engine::effect::{Became, Decided, Ended, Evaluated, Scaled};
use autoscaler_engine::objects::Name;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::{Float, MetricLabels, Metrics, OutcomeLabels, PolicyLabels, TargetLabels};

/// Keeps series in step with the engine's words.
#[derive(Debug)]
pub(crate) struct Exposed {
    metrics: Metrics,
    /// Names of the managed clusters.
    clusters: Vec<String>,
    shown: BTreeMap<Name, Shown>,
    counted: Counters,
}

/// What is shown of one policy, to change only what changed and to remove it all.
#[derive(Debug)]
struct Shown {
    labels: PolicyLabels,
    target: TargetLabels,
    /// By metric, the age of its evidence: it is another at each evaluation, where the rest seldom changes.
    ages: Vec<(String, Float)>,
    last: Decided,
}

impl Shown {
    /// Sets ages alone; `false`: something else changed too.
    fn aged(&mut self, decided: &mut Decided) -> bool {
        let before = std::mem::take(&mut self.last.ages_ms);
        let now = std::mem::take(&mut decided.ages_ms);
        let same = self.last == *decided && before.iter().map(|(m, _)| m).eq(now.iter().map(|(m, _)| m));
        if same {
            for ((_, gauge), (_, age_ms)) in self.ages.iter().zip(&now) {
                gauge.set(seconds(*age_ms));
            }
            self.last.ages_ms = now;
        } else {
            self.last.ages_ms = before;
            decided.ages_ms = now;
        }
        same
    }
}

/// Unknown is not zero.
fn seconds(age_ms: Option<i64>) -> f64 {
    age_ms.map_or(f64::NAN, |ms| ms as f64 / 1_000.0)
}

impl Exposed {
    pub(crate) fn new(metrics: Metrics, clusters: Vec<String>) -> Self {
        Self { metrics, clusters, shown: BTreeMap::new(), counted: Counters::default() }
    }

    /// An evaluation ended.
    pub(crate) fn evaluated(&mut self, evaluated: Evaluated) {
        // What is ordered is counted by how its write ends.
        if let Some(outcome) = outcome_of(evaluated.became) {
            self.count(evaluated.policy.cluster, outcome);
        }
        self.metrics.evaluation.observe(evaluated.took_ms as f64 / 1_000.0);
        if let Some(decided) = evaluated.decided {
            self.decided(&evaluated.policy, decided);
        }
    }

    /// A write of replicas ended.
    pub(crate) fn scaled(&mut self, scaled: &Scaled) {
        let outcome = match scaled.ended {
            Ended::Written => "written",
            Ended::Conflict => "conflict",
            // An alert asks for what failed, and no answer is a failure like any other.
            Ended::Failed | Ended::Unanswered => "failed",
            Ended::Busy => "busy",
            Ended::NotLeader => "not_leader",
        };
        self.count(scaled.policy.cluster, outcome);
        if scaled.ended == Ended::Written {
            let labels = self.labels(&scaled.policy);
            self.metrics.current.get_or_create(&labels).set(i64::from(scaled.to));
            self.metrics.latest.written(&labels, scaled);
        }
    }

    /// A policy is no longer ours.
    pub(crate) fn forget(&mut self, name: &Name) {
        if let Some(shown) = self.shown.remove(name) {
            self.metrics.forget(
                &shown.labels,
                Some(&shown.target),
                shown.ages.into_iter().map(|(metric, _)| metric),
            );
        }
    }

    /// What the engine counted by now.
    pub(crate) fn counted(&mut self, now: Counters) {
        let before = std::mem::replace(&mut self.counted, now);
        let add = |counter: &Counter, now: u64, before: u64| {
            counter.inc_by(now.saturating_sub(before));
        };
        add(&self.metrics.missed_ticks, now.missed, before.missed);
        add(&self.metrics.queries, now.queries, before.queries);
        add(&self.metrics.queries_dropped, now.dropped, before.dropped);
        add(&self.metrics.late_answers, now.late, before.late);
        add(&self.metrics.events_dropped, now.events_dropped, before.events_dropped);
    }

    fn count(&self, cluster: u16, outcome: &'static str) {
        let cluster = self.cluster(cluster);
        self.metrics.decisions.get_or_create(&OutcomeLabels { cluster, outcome }).inc();
    }

    fn cluster(&self, id: u16) -> String {
        self.clusters.get(usize::from(id)).cloned().unwrap_or_default()
    }

    fn labels(&self, name: &Name) -> PolicyLabels {
        PolicyLabels {
            cluster: self.cluster(name.cluster),
            namespace: name.namespace.clone(),
            policy: name.name.clone(),
        }
    }

    fn decided(&mut self, name: &Name, mut decided: Decided) {
        if self.shown.get_mut(name).is_some_and(|shown| shown.aged(&mut decided)) {
            return;
        }
        let labels = self.labels(name);
        let metrics = &self.metrics;
        let gauge = |family: &Family<PolicyLabels, Gauge>, value: i64| {
            family.get_or_create(&labels).set(value);
        };
        gauge(&metrics.desired, i64::from(decided.desired));
        gauge(&metrics.current, i64::from(decided.current));
        gauge(&metrics.evidence_sufficient, i64::from(decided.sufficient));
        if let Some(version) = decided.ring_version {
            gauge(&metrics.ring_version, version);
        }
        let target = labels.target(&decided.kind.kind, &decided.target);
        if let Some(before) = self.shown.get(name).filter(|s| s.target != target) {
            metrics.target_info.remove(&before.target);
        }
        metrics.target_info.get_or_create(&target).set(1);
        let age = |(metric, age_ms): &(String, Option<i64>)| {
            let labels = MetricLabels {
                cluster: labels.cluster.clone(),
                namespace: labels.namespace.clone(),
                policy: labels.policy.clone(),
                metric: metric.clone(),
            };
            let gauge = metrics.evidence_age.get_or_create(&labels).clone();
            gauge.set(seconds(*age_ms));
            (metric.clone(), gauge)
        };
        let ages = decided.ages_ms.iter().map(age).collect();
        metrics.latest.decided(&labels, &decided);
        self.shown.insert(name.clone(), Shown { labels, target, ages, last: decided });
    }
}

fn outcome_of(became: Became) -> Option<&'static str> {
    Some(match became {
        Became::Ordered => return None,
        Became::Hold => "hold",
        Became::Waiting => "waiting",
        Became::Shadow => "shadow",
        Became::Paused => "paused",
        Became::Invalid => "invalid",
        Became::Ambiguous => "ambiguous",
        Became::Unreadable => "unreadable",
    })
}
