//! A policy's decisions, from the last ten that its status keeps: each told once, oldest first.

use std::collections::{BTreeMap, BTreeSet};

use autoscaler_api::{DecisionSummary, MetricStatus, ScalingPolicy};
use k8s_openapi::jiff::Timestamp;
use simulations_judge::timeline::{Decided, DecidedMetric, PolicyId};
use thanos_model::parse_duration;

/// What has been told of each policy, as `(time, digest)`: those that its status still keeps.
#[derive(Debug)]
pub(super) struct Told {
    since: Timestamp,
    told: BTreeMap<PolicyId, BTreeSet<(Timestamp, String)>>,
}

impl Told {
    /// Decisions before `since` are not the run's. Times of a status are whole seconds, so this is, too.
    pub(super) fn since(since: Timestamp) -> Self {
        let since = Timestamp::from_second(since.as_second()).unwrap_or(since);
        Self { since, told: BTreeMap::new() }
    }

    /// What is new in a policy's status.
    pub(super) fn new_in(&mut self, id: &PolicyId, policy: &ScalingPolicy) -> Vec<Decided> {
        let Some(status) = &policy.status else { return Vec::new() };
        let key = |d: &DecisionSummary| (d.time.0, d.digest.clone());
        let kept: BTreeSet<_> = status.last_decisions.iter().map(key).collect();
        let told = self.told.insert(id.clone(), kept).unwrap_or_default();
        let new = |d: &&DecisionSummary| d.time.0 >= self.since && !told.contains(&key(d));
        let mut decisions: Vec<Decided> =
            status.last_decisions.iter().filter(new).map(|d| decided(d, Vec::new())).collect();
        // Newest first; only the newest was taken on what the status shows.
        let newest = status.last_decisions.first().is_some_and(|d| new(&d));
        if let Some(first) = decisions.first_mut().filter(|_| newest) {
            first.metrics = status.metrics.iter().map(|m| metric(policy, m)).collect();
        }
        decisions.reverse();
        decisions
    }
}

fn decided(d: &DecisionSummary, metrics: Vec<DecidedMetric>) -> Decided {
    Decided {
        time: d.time.0.to_string(),
        from: d.from,
        to: d.to,
        written: d.written,
        cause: d.cause.clone(),
        limits: d.limits.clone(),
        digest: d.digest.clone(),
        metrics,
        record: None,
    }
}

fn metric(policy: &ScalingPolicy, status: &MetricStatus) -> DecidedMetric {
    let target = policy.spec.metrics.iter().find(|m| m.name == status.name).and_then(|m| m.target.as_ref());
    let quantity = target.and_then(|t| t.value.as_ref().or(t.average_value.as_ref()));
    DecidedMetric {
        name: status.name.clone(),
        value: status.value.as_ref().and_then(|v| v.parse().ok()),
        target: quantity.and_then(|q| q.milli().ok()).map(|milli| milli as f64 / 1000.0),
        target_type: target.map(|t| format!("{:?}", t.type_)).unwrap_or_default(),
        age: status.age.as_ref().and_then(|age| parse_duration(age).ok()),
        sufficient: status.sufficient,
        proposal: status.proposal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(decisions: &[(&str, i32)], value: &str) -> ScalingPolicy {
        let decisions: Vec<String> = decisions
            .iter()
            .map(|(time, to)| {
                format!(
                    "{{time: \"2026-01-01T00:00:{time}Z\", from: 2, to: {to}, written: true, cause: because, digest: d{to}, \
                     limits: [MaxReplicas 9 to 5]}}"
                )
            })
            .collect();
        let text = format!(
            "{{apiVersion: autoscaling.gauntlet.dev/v1alpha1, kind: ScalingPolicy, metadata: {{name: web}}, spec: \
             {{scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}, minReplicas: 1, maxReplicas: 5, \
             metrics: [{{name: m, query: vector(1), target: {{type: AverageValue, averageValue: 1500m}}}}]}}, status: \
             {{lastDecisions: [{}], metrics: [{{name: m, value: \"{value}\", age: 1s500ms, sufficient: true, proposal: 9}}]}}}}",
            decisions.join(", ")
        );
        thanos_telemetry::cli::parse_yaml(&text).unwrap()
    }

    #[test]
    fn each_decision_is_told_once_and_the_newest_with_what_it_was_taken_on() {
        let id = PolicyId { cluster: "east".into(), name: "web".into(), ..PolicyId::default() };
        let mut told = Told::since("2026-01-01T00:00:05.7Z".parse().unwrap());
        let mut step = |decisions: &[(&str, i32)], value: &str| {
            let new = told.new_in(&id, &policy(decisions, value));
            new.iter().map(|d| (d.to, d.metrics.first().and_then(|m| m.value))).collect::<Vec<_>>()
        };
        // What was decided before the run is not of it.
        assert_eq!(step(&[("04", 2)], "1"), []);
        // Its time is told in whole seconds.
        assert_eq!(step(&[("05", 2), ("04", 2)], "1"), [(2, Some(1.0))]);
        assert_eq!(step(&[("06", 3), ("05", 2), ("04", 2)], "4.5"), [(3, Some(4.5))]);
        assert_eq!(step(&[("06", 3), ("04", 2)], "4.6"), []);
        // Two at once: what is shown is what the later one was taken on.
        assert_eq!(step(&[("08", 5), ("07", 4), ("06", 3)], "7"), [(4, None), (5, Some(7.0))]);
    }

    #[test]
    fn a_metric_is_told_with_its_target_and_its_age() {
        let mut told = Told::since("2026-01-01T00:00:05Z".parse().unwrap());
        let d = told.new_in(&PolicyId::default(), &policy(&[("06", 5)], "9")).remove(0);
        let m = &d.metrics[0];
        assert_eq!((m.target, m.target_type.as_str(), m.proposal), (Some(1.5), "AverageValue", Some(9)));
        assert_eq!(m.age, Some(std::time::Duration::from_millis(1500)));
        assert_eq!((d.time.as_str(), d.limits.len(), d.written), ("2026-01-01T00:00:06Z", 1, true));
    }
}
