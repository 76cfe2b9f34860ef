//! What a policy's spec means to the controller: the decision core's policy, and the queries of one tick.

use std::time::Duration;

use autoscaler_api as api;
use autoscaler_api::{Problem, ScalingPolicySpec};
use autoscaler_core as core;

use crate::promql::{self, Selector};

/// A policy, understood.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// For the decision.
    pub policy: core::Policy,
    /// Time between evaluations.
    pub interval: Duration,
    /// One per metric, in the policy's order.
    pub metrics: Vec<MetricPlan>,
    /// The Receive ring, if the target has one.
    pub ring: Option<RingPlan>,
}

/// One metric's queries.
#[derive(Clone, Debug)]
pub(crate) struct MetricPlan {
    /// The metric's name.
    pub name: String,
    /// The value's query.
    pub query: String,
    /// Clusters that must answer.
    pub clusters: Vec<String>,
    /// What the value depends on; the error says why the query makes no sense.
    pub evidence: Result<Vec<EvidenceQuery>, String>,
}

/// A query for the age of what one selector sees.
#[derive(Clone, Debug)]
pub(crate) struct EvidenceQuery {
    /// Gives the newest sample's time per cluster.
    pub query: String,
    /// What it was derived from.
    pub selector: Selector,
}

/// The Receive ring's settings.
#[derive(Clone, Debug)]
pub(crate) struct RingPlan {
    /// As written.
    pub spec: api::Ring,
    /// How long members may take to learn of a smaller ring.
    pub settle_ms: i64,
}

impl Plan {
    /// Understands a spec that has no problems.
    ///
    /// # Errors
    /// The field that could not be understood, if the spec was not validated before.
    pub(crate) fn new(spec: &ScalingPolicySpec, cluster_label: &str) -> Result<Self, Vec<Problem>> {
        build(spec, cluster_label).map_err(|problem| vec![problem])
    }

    /// Every query of one tick.
    #[cfg(test)]
    pub(crate) fn queries(&self) -> impl Iterator<Item = &str> {
        let understood = self.metrics.iter().filter_map(|m| m.evidence.as_ref().ok().map(|e| (m, e)));
        understood.flat_map(|(m, evidence)| {
            std::iter::once(m.query.as_str()).chain(evidence.iter().map(|e| e.query.as_str()))
        })
    }
}

fn build(spec: &ScalingPolicySpec, cluster_label: &str) -> Result<Plan, Problem> {
    let mut metrics = Vec::with_capacity(spec.metrics.len());
    let mut specs = Vec::with_capacity(spec.metrics.len());
    for (i, metric) in spec.metrics.iter().enumerate() {
        let query = promql::parse(&metric.query);
        specs.push(metric_spec(metric, query.as_ref().ok(), &format!("spec.metrics[{i}]"))?);
        let evidence = query.map(|query| {
            let derive =
                |s: Selector| EvidenceQuery { query: s.newest_sample_query(cluster_label), selector: s };
            query.selectors.into_iter().map(derive).collect()
        });
        metrics.push(MetricPlan {
            name: metric.name.clone(),
            query: metric.query.clone(),
            clusters: metric.evidence.clusters.clone(),
            evidence,
        });
    }
    let ring = match &spec.ring {
        Some(ring) => {
            Some(RingPlan { spec: ring.clone(), settle_ms: duration_ms("spec.ring.settle", &ring.settle)? })
        }
        None => None,
    };
    let interval_ms = duration_ms("spec.interval", &spec.interval)?;
    Ok(Plan {
        policy: core::Policy {
            min_replicas: spec.min_replicas,
            max_replicas: spec.max_replicas,
            metrics: specs,
            behavior: spec.behavior.as_ref().map(behavior).transpose()?,
            mode: match spec.mode {
                api::Mode::Active => core::Mode::Active,
                api::Mode::Shadow => core::Mode::Shadow,
                api::Mode::Paused => core::Mode::Paused,
            },
            defaults: core::Defaults::default(),
            interval_ms,
        },
        interval: Duration::from_millis(interval_ms.unsigned_abs()),
        metrics,
        ring,
    })
}

fn metric_spec(
    metric: &api::Metric,
    query: Option<&promql::Query>,
    at: &str,
) -> Result<core::MetricSpec, Problem> {
    let (field, quantity) = match metric.target.type_ {
        api::MetricTargetType::Value => ("value", &metric.target.value),
        api::MetricTargetType::AverageValue => ("averageValue", &metric.target.average_value),
    };
    let field = format!("{at}.target.{field}");
    let Some(quantity) = quantity else {
        return Err(Problem::new(field, "is missing", "write for example \"50\""));
    };
    let milli = quantity.milli().map_err(|e| Problem::new(field, e, "write for example \"50\""))?;
    let fallback = match &metric.fallback {
        None => None,
        Some(f) => Some(core::Fallback {
            after_ms: duration_ms(&format!("{at}.fallback.after"), &f.after)?,
            replicas: f.replicas,
            behavior: match f.behavior {
                api::FallbackBehavior::IfHigher => core::FallbackBehavior::IfHigher,
                api::FallbackBehavior::Static => core::FallbackBehavior::Static,
                api::FallbackBehavior::CurrentReplicas => core::FallbackBehavior::CurrentReplicas,
            },
        }),
    };
    Ok(core::MetricSpec {
        name: metric.name.clone(),
        target: match metric.target.type_ {
            api::MetricTargetType::Value => core::Target::Value { value_milli: milli },
            api::MetricTargetType::AverageValue => core::Target::AverageValue { average_value_milli: milli },
        },
        evidence: core::EvidenceSpec {
            max_age_ms: max_age_ms(
                duration_ms(&format!("{at}.evidence.maxAge"), &metric.evidence.max_age)?,
                query,
            ),
            clusters: metric.evidence.clusters.clone(),
            window_ms: query.map_or(0, |q| q.window_ms),
        },
        fallback,
    })
}

/// The age that counts. Beyond the query's shortest range a lagging cluster's part of the value is absent,
/// not merely old.
fn max_age_ms(asked_ms: i64, query: Option<&promql::Query>) -> i64 {
    query.and_then(|q| q.shortest_range_ms).map_or(asked_ms, |range_ms| asked_ms.min(range_ms))
}

fn behavior(behavior: &api::Behavior) -> Result<core::Behavior, Problem> {
    Ok(core::Behavior {
        scale_up: behavior.scale_up.as_ref().map(|r| rules(r, "scaleUp")).transpose()?,
        scale_down: behavior.scale_down.as_ref().map(|r| rules(r, "scaleDown")).transpose()?,
    })
}

fn rules(rules: &api::Rules, direction: &str) -> Result<core::Rules, Problem> {
    let tolerance = match &rules.tolerance {
        None => None,
        Some(quantity) => {
            let field = format!("spec.behavior.{direction}.tolerance");
            let milli = quantity.milli().map_err(|e| Problem::new(field, e, "write for example \"0.1\""))?;
            Some(core::Float::new(milli as f64 / 1000.0))
        }
    };
    let policy = |p: &api::RatePolicy| core::RatePolicy {
        kind: match p.type_ {
            api::PolicyType::Pods => core::RateKind::Pods,
            api::PolicyType::Percent => core::RateKind::Percent,
        },
        value: p.value,
        period_seconds: p.period_seconds,
    };
    Ok(core::Rules {
        stabilization_window_seconds: rules.stabilization_window_seconds,
        select_policy: rules.select_policy.map(|s| match s {
            api::SelectPolicy::Max => core::SelectPolicy::Max,
            api::SelectPolicy::Min => core::SelectPolicy::Min,
            api::SelectPolicy::Disabled => core::SelectPolicy::Disabled,
        }),
        policies: rules.policies.as_ref().map(|list| list.iter().map(policy).collect()),
        tolerance,
    })
}

fn duration_ms(field: &str, text: &str) -> Result<i64, Problem> {
    let duration =
        thanos_model::parse_duration(text).map_err(|e| Problem::new(field, e, "write for example 30s"))?;
    i64::try_from(duration.as_millis())
        .map_err(|_| Problem::new(field, "is too long", "write for example 30s"))
}

#[cfg(test)]
mod tests;
