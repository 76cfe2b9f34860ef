//! Where queries go: the controller's own querier by its flags, and policies' sources by their Secrets.

use autoscaler_api::{Problem, ScalingPolicySpec};

pub(crate) mod flags;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "whoever watches Secrets will ask; until then see `not_yet`")
)]
pub(crate) mod resolve;

pub(crate) use autoscaler_querier::{Answer, Outcome, Owner, QueryError, Series, Slots};

/// Sources are read and judged, but not asked yet. A policy with one must not be answered by another server.
pub(crate) fn not_yet(spec: &ScalingPolicySpec) -> Vec<Problem> {
    let own = spec.source.iter().map(|_| "spec.source".to_owned());
    let of_metrics = spec.metrics.iter().enumerate().filter(|(_, m)| m.source.is_some());
    own.chain(of_metrics.map(|(i, _)| format!("spec.metrics[{i}].source")))
        .map(|field| {
            Problem::new(field, "is not supported yet", "remove it; --query-url is asked by all policies")
        })
        .collect()
}
