//! What a policy's spec means to the controller: the decision core's policy, and the queries of one tick.

use std::time::Duration;

use autoscaler_api as api;
use autoscaler_api::{Problem, ScalingPolicy, ScalingPolicySpec};
use autoscaler_core as core;

use thanos_promql_syntax::{Query, SeriesSelector};

use crate::defaults::{Given, SYNC_PERIOD_MS};
use crate::sources::Named;
use text::{Labels, QueryText};

mod terms;
pub(crate) mod text;

use autoscaler_engine::objects::Scheduled;

/// A policy, understood.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// For the decision.
    pub policy: core::Policy,
    /// Time between evaluations.
    pub interval: Duration,
    /// One per metric, in the policy's order.
    pub metrics: Vec<MetricPlan>,
    /// Bounds at times.
    pub schedules: Vec<Scheduled>,
    /// The Receive ring, if the target has one.
    pub ring: Option<RingPlan>,
}

/// One metric's queries.
#[derive(Clone, Debug)]
pub(crate) struct MetricPlan {
    /// The metric's name.
    pub name: core::Name,
    /// The server that is asked; `None`: the controller's own querier.
    pub source: Option<Named>,
    /// What is asked; the error says why the query makes no sense.
    pub asked: Result<Asked, String>,
    /// Of what form the value is.
    pub form: Form,
}

/// Of what form a query's value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One series.
    One,
    /// One series a pod.
    Pods {
        /// The label that tells pods apart.
        label: String,
    },
    /// Any series, which `compatibility: HPA` sums.
    All,
    /// What pods use, from `metrics.k8s.io`: no query is sent.
    Usage,
}

/// What is asked for a metric.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The text, but for its times.
    pub text: QueryText,
    /// The series that must be there, in the order of the text's parts.
    pub selectors: Vec<SeriesSelector>,
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

    /// The same for a whole policy, whose initial cool-down counts from its creation, with what holds where it does not
    /// say.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn of(
        policy: &ScalingPolicy,
        cluster_label: &str,
        given: &Given,
    ) -> Result<Self, Vec<Problem>> {
        let mut plan = Self::new(&policy.spec, cluster_label)?;
        let created_ms = policy.metadata.creation_timestamp.as_ref().map(|at| at.0.as_millisecond());
        plan.policy.zero = terms::zero(&policy.spec, created_ms).map_err(|problem| vec![problem])?;
        plan.policy.defaults = given.defaults.clone();
        if policy.spec.interval.is_none() {
            plan.interval = given.sync_period;
            plan.policy.interval_ms = i64::try_from(given.sync_period.as_millis()).unwrap_or(i64::MAX);
        }
        Ok(plan)
    }

    /// Every metric's queries of one evaluation, in order; each metric's settled value is for the time that its
    /// history says.
    #[cfg(test)]
    pub(crate) fn queries(&self, now_ms: i64, history: &core::History) -> Vec<Vec<String>> {
        let of = |metric: &MetricPlan| match &metric.asked {
            Ok(asked) => {
                let starts = history.starts(&self.policy, &metric.name, now_ms);
                asked.text.at(now_ms, history.settled_ms(&metric.name), &starts)
            }
            Err(_) => Vec::new(),
        };
        self.metrics.iter().map(of).collect()
    }
}

fn build(spec: &ScalingPolicySpec, cluster_label: &str) -> Result<Plan, Problem> {
    let mut metrics = Vec::with_capacity(spec.metrics.len());
    let mut specs = Vec::with_capacity(spec.metrics.len());
    for (i, metric) in spec.metrics.iter().enumerate() {
        let at = format!("spec.metrics[{i}]");
        let is_upstreams = spec.compatibility == Some(api::Compatibility::Hpa);
        let query = if metric.has_query() {
            Query::parse(&metric.query).map_err(|e| e.to_string())
        } else {
            Err("resources are not asked of a querier".to_owned())
        };
        let selectors = match &query {
            // Upstream knows nothing of samples.
            Ok(_) if is_upstreams => Ok(Vec::new()),
            Ok(query) => selectors(metric, query),
            Err(why) => Err(why.clone()),
        };
        let core = metric_spec(metric, query.as_ref().ok(), spec.source.as_ref(), &at)?;
        let pods = match metric.evidence.pods {
            api::PodEvidence::Auto => Some(pods_of(&spec.scale_target_ref)),
            api::PodEvidence::Ignore => None,
        };
        let labels =
            Labels { cluster: cluster_label, pod: &metric.evidence.pod_label, pods: pods.as_deref() };
        let asked = query.and_then(|query| {
            let selectors = selectors?;
            let text = QueryText::new(&query, &selectors, &labels, &core.evidence);
            Ok(Asked { text, selectors })
        });
        let form = match metric.type_ {
            api::MetricType::Pods => Form::Pods { label: metric.evidence.pod_label.clone() },
            api::MetricType::Resource | api::MetricType::ContainerResource => Form::Usage,
            api::MetricType::Query if is_upstreams => Form::All,
            api::MetricType::Query => Form::One,
        };
        metrics.push(MetricPlan { name: core.name.clone(), source: None, asked, form });
        specs.push(core);
    }
    let ring = match &spec.ring {
        Some(ring) => {
            Some(RingPlan { spec: ring.clone(), settle_ms: duration_ms("spec.ring.settle", &ring.settle)? })
        }
        None => None,
    };
    let interval_ms = match &spec.interval {
        Some(interval) => duration_ms("spec.interval", interval)?,
        None => SYNC_PERIOD_MS,
    };
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
            compatibility: match spec.compatibility {
                Some(api::Compatibility::Hpa) => core::Compatibility::Hpa,
                None => core::Compatibility::None,
            },
            defaults: core::Defaults::default(),
            interval_ms,
            zero: terms::zero(spec, None)?,
            pause: terms::pause(spec),
            formula: terms::formula(spec)?,
        },
        schedules: terms::schedules(spec)?,
        interval: Duration::from_millis(interval_ms.unsigned_abs()),
        metrics,
        ring,
    })
}

/// The series that must be there: those that the user names, else those that the query reads.
fn selectors(metric: &api::Metric, query: &Query) -> Result<Vec<SeriesSelector>, String> {
    if metric.evidence.selectors.is_empty() {
        return Ok(query.selectors().to_vec());
    }
    let named = metric.evidence.selectors.iter().enumerate();
    named
        .map(|(i, text)| SeriesSelector::parse(text).map_err(|e| format!("evidence.selectors[{i}] {e}")))
        .collect()
}

/// Matches the names of a target's pods.
fn pods_of(target: &api::ScaleTargetRef) -> String {
    let name = target.name.replace('.', "\\.");
    match target.kind.as_str() {
        "Deployment" => format!("{name}-[a-z0-9]{{1,10}}-[a-z0-9]{{5}}"),
        "StatefulSet" => format!("{name}-[0-9]+"),
        _ => format!("{name}-.+"),
    }
}

/// `shared` is the source of all metrics that name none.
fn metric_spec(
    metric: &api::Metric,
    query: Option<&Query>,
    shared: Option<&api::Source>,
    at: &str,
) -> Result<core::MetricSpec, Problem> {
    let (kind, inner) = kind(metric, at)?;
    let target = match metric.held_to() {
        Some(held_to) => target(held_to, &format!("{at}{inner}.target"))?,
        None if kind == core::MetricKind::Query => core::Target::None,
        None => {
            return Err(Problem::new(
                format!("{at}{inner}.target"),
                "is missing",
                "write what it is held to",
            ));
        }
    };
    Ok(core::MetricSpec {
        name: metric.name.as_str().into(),
        revision: revision(metric, metric.source.as_ref().or(shared)),
        kind,
        target,
        evidence: evidence(&metric.evidence, query, &format!("{at}.evidence"))?,
        fallback: metric.fallback.as_ref().map(|f| fallback(f, at)).transpose()?,
        activation_milli: terms::activation(metric.activation.as_ref(), &format!("{at}.activation"))?,
    })
}

/// What is measured, and the field of the metric that has it.
fn kind(metric: &api::Metric, at: &str) -> Result<(core::MetricKind, &'static str), Problem> {
    let missing = |field: &str| {
        Problem::new(format!("{at}.{field}"), "is missing", "write which resource, and its target")
    };
    Ok(match metric.type_ {
        api::MetricType::Query => (core::MetricKind::Query, ""),
        api::MetricType::Pods => (core::MetricKind::Pods, ""),
        api::MetricType::Resource => {
            let of = metric.resource.as_ref().ok_or_else(|| missing("resource"))?;
            (core::MetricKind::Resource { resource: of.name.as_str().into() }, ".resource")
        }
        api::MetricType::ContainerResource => {
            let of = metric.container_resource.as_ref().ok_or_else(|| missing("containerResource"))?;
            let (resource, container) = (of.name.as_str().into(), of.container.as_str().into());
            (core::MetricKind::ContainerResource { resource, container }, ".containerResource")
        }
    })
}

fn target(target: &api::MetricTarget, at: &str) -> Result<core::Target, Problem> {
    let milli = |field: &str, quantity: Option<&api::Quantity>| {
        let cure = "write for example \"50\"";
        let field = format!("{at}.{field}");
        let quantity = quantity.ok_or_else(|| Problem::new(field.as_str(), "is missing", cure))?;
        quantity.milli().map_err(|e| Problem::new(field, e, cure))
    };
    Ok(match target.type_ {
        api::MetricTargetType::Value => {
            core::Target::Value { value_milli: milli("value", target.value.as_ref())? }
        }
        api::MetricTargetType::AverageValue => core::Target::AverageValue {
            average_value_milli: milli("averageValue", target.average_value.as_ref())?,
        },
        api::MetricTargetType::Utilization => {
            let field = format!("{at}.averageUtilization");
            let missing = || Problem::new(field, "is missing", "write for example 70");
            core::Target::Utilization { average_utilization: target.average_utilization.ok_or_else(missing)? }
        }
    })
}

/// Changes when what is asked does, or who: what was learned of other samples says nothing of these. Credentials may
/// change. FNV-1a, since it is written down and has to stay what it is.
fn revision(metric: &api::Metric, source: Option<&api::Source>) -> u64 {
    let texts = std::iter::once(&metric.query).chain(&metric.evidence.selectors);
    let servers = source.into_iter().flat_map(|source| {
        let headers = source.headers.iter().flat_map(|header| [Some(&header.name), header.value.as_ref()]);
        let others = [source.path_prefix.as_ref(), source.tenant.as_ref()].into_iter().chain(headers);
        source.addresses.iter().chain(others.flatten())
    });
    let bytes = texts.chain(servers).flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn evidence(
    evidence: &api::Evidence,
    query: Option<&Query>,
    at: &str,
) -> Result<core::EvidenceSpec, Problem> {
    let optional_ms = |field: &str, text: &Option<String>| {
        text.as_ref().map(|text| duration_ms(&format!("{at}.{field}"), text)).transpose()
    };
    let window_ms = optional_ms("window", &evidence.window)?;
    Ok(core::EvidenceSpec {
        max_age_ms: duration_ms(&format!("{at}.maxAge"), &evidence.max_age)?,
        clusters: evidence.clusters.iter().map(|cluster| cluster.as_str().into()).collect(),
        window_ms: window_ms.or(query.map(Query::window_ms)).unwrap_or(0),
        shortest_range_ms: window_ms.or(query.and_then(Query::shortest_range_ms)),
        // A window of the user's own words may stand for anything.
        sums_over_window: window_ms.is_some() || query.is_some_and(text::sums_over_window),
        empty_is_zero: evidence.empty_means == Some(api::EmptyMeans::Zero),
        pods: match evidence.pods {
            api::PodEvidence::Auto => core::PodEvidence::Auto,
            api::PodEvidence::Ignore => core::PodEvidence::Ignore,
        },
        forget_clusters_ms: optional_ms("forgetClusters", &evidence.forget_clusters)?,
    })
}

fn fallback(fallback: &api::Fallback, at: &str) -> Result<core::Fallback, Problem> {
    use core::FallbackBehavior as Core;
    Ok(core::Fallback {
        after_ms: duration_ms(&format!("{at}.fallback.after"), &fallback.after)?,
        replicas: fallback.replicas,
        behavior: match fallback.behavior {
            api::FallbackBehavior::IfHigher => Core::IfHigher,
            api::FallbackBehavior::IfLower => Core::IfLower,
            api::FallbackBehavior::Static => Core::Static,
            api::FallbackBehavior::CurrentReplicas => Core::CurrentReplicas,
            api::FallbackBehavior::CurrentReplicasIfHigher => Core::CurrentReplicasIfHigher,
            api::FallbackBehavior::CurrentReplicasIfLower => Core::CurrentReplicasIfLower,
        },
    })
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
            Some(core::Float::new(core::tolerance_of_milli(milli)))
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
