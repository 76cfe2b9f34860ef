//! What is sound in a policy's zero and activation, and does not do what it says.

use autoscaler_api::{Metric, Problem, ScalingPolicy, ScalingPolicySpec};
use thanos_promql_syntax::{Query, SeriesSelector};

/// Labels that tell a workload's own pods, beside the policy's own label of pods.
const OF_PODS: [&str; 4] = ["pod", "deployment", "statefulset", "workload"];

pub(super) fn notes(policy: &ScalingPolicy) -> Vec<Problem> {
    let spec = &policy.spec;
    let mut notes = Vec::new();
    let own = spec.metrics.iter().all(|metric| reads_own_pods(spec, metric));
    if spec.min_replicas == 0 && own && !spec.metrics.is_empty() {
        let name = &spec.scale_target_ref.name;
        notes.push(Problem::new(
            "spec.minReplicas",
            format!("0, and every query reads series of {name}'s own pods: at zero there are none, so nothing raises it"),
            "query what is there without them, for example a queue's length or a gateway's requests",
        ));
    }
    for (i, metric) in spec.metrics.iter().enumerate() {
        if metric.activation.is_some() && spec.min_replicas > 0 {
            notes.push(Problem::new(
                format!("spec.metrics[{i}].activation"),
                format!("changes nothing while minReplicas is {}", spec.min_replicas),
                "write minReplicas: 0, or remove it",
            ));
        }
    }
    notes
}

/// Whether all that a metric reads is by its labels the target's own.
fn reads_own_pods(spec: &ScalingPolicySpec, metric: &Metric) -> bool {
    let Ok(query) = Query::parse(&metric.query) else { return false };
    let selectors = query.selectors();
    !selectors.is_empty() && selectors.iter().all(|selector| is_own(spec, metric, selector))
}

fn is_own(spec: &ScalingPolicySpec, metric: &Metric, selector: &SeriesSelector) -> bool {
    let name = spec.scale_target_ref.name.as_str();
    selector.matchers().iter().any(|matcher| {
        let label: &str = &matcher.name;
        let is_of_pods = OF_PODS.contains(&label) || label == metric.evidence.pod_label;
        is_of_pods && matcher.value.starts_with(name)
    })
}
