//! All metrics of a spec: each one's proposal and status, the highest of them, and what failures forbid.

use crate::event::Event;
use crate::pod::requests;
use crate::reasons;
use crate::replicas::{Circumstances, PodTarget, by_pod, by_share, by_value, shared_total, total};
use crate::sample::Answer;
use crate::spec::{MetricIdentifier, MetricSpec, MetricTarget, MetricTargetType};
use crate::status::{MetricStatus, MetricValueStatus};

/// What the target's scale subresource says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scale {
    /// `spec.replicas`: what is ordered.
    pub spec_replicas: i32,
    /// `status.replicas`: what is there.
    pub status_replicas: i32,
}

/// The metrics' word before it is normalized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Replicas; may be negative where a conversion did not fit.
    pub replicas: i32,
    /// The metric that asks for them, by its place in the spec.
    pub metric: usize,
}

/// The first metric that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Of the condition and the event.
    pub reason: &'static str,
    /// What is wrong.
    pub message: String,
}

/// What came of all metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Computed {
    /// The highest proposal of those that did not fail.
    pub highest: Option<Proposal>,
    /// One per metric, `None` where it failed.
    pub statuses: Vec<Option<MetricStatus>>,
    /// What each metric asks for, or why it failed; empty where metrics were not asked.
    pub results: Vec<Result<i32, String>>,
    /// How many failed.
    pub failed: usize,
    /// The first that did.
    pub first_failure: Option<Failure>,
    /// One for each that failed.
    pub events: Vec<Event>,
}

impl Computed {
    /// Whether replicas may follow the highest proposal: not if all failed, and not down if one did.
    ///
    /// Upstream: `horizontal.go`, `computeReplicasForMetrics`.
    #[must_use]
    pub fn usable(&self, current: i32) -> Option<Proposal> {
        self.highest.filter(|highest| self.failed == 0 || highest.replicas >= current)
    }
}

/// Computes every metric of `specs` from the answer at the same place. The highest proposal wins; of equals the
/// first; a zero is replaced by whatever comes after it, even if that is below.
///
/// Upstream: `horizontal.go`, `computeReplicasForMetrics`.
#[must_use]
pub fn compute(at: &Circumstances<'_>, specs: &[MetricSpec], answers: &[Answer], scale: Scale) -> Computed {
    let mut computed = Computed::default();
    for (metric, spec) in specs.iter().enumerate() {
        let one = match answers.get(metric) {
            Some(answer) => compute_one(at, spec, answer, scale),
            None => compute_one(at, spec, &Answer::Failed("no answer was given".to_owned()), scale),
        };
        match one {
            Ok((replicas, current)) => {
                if computed.highest.is_none_or(|h| h.replicas == 0 || replicas > h.replicas) {
                    computed.highest = Some(Proposal { replicas, metric });
                }
                computed.statuses.push(Some(status(spec, current)));
                computed.results.push(Ok(replicas));
            }
            Err(message) => {
                computed.results.push(Err(message.clone()));
                let failure = Failure { reason: failure_reason(spec), message };
                let event = format!("{spec}: {}", failure.message);
                computed.events.push(Event::warning(failure.reason, event));
                computed.first_failure.get_or_insert(failure);
                computed.failed += 1;
                computed.statuses.push(None);
            }
        }
    }
    computed
}

/// Reason of the condition and of the event where a metric of this kind fails.
#[must_use]
pub fn failure_reason(spec: &MetricSpec) -> &'static str {
    match spec {
        MetricSpec::Resource { .. } => reasons::FAILED_GET_RESOURCE_METRIC,
        MetricSpec::ContainerResource { .. } => reasons::FAILED_GET_CONTAINER_RESOURCE_METRIC,
        MetricSpec::Pods { .. } => reasons::FAILED_GET_PODS_METRIC,
        MetricSpec::Object { .. } => reasons::FAILED_GET_OBJECT_METRIC,
        MetricSpec::External { .. } => reasons::FAILED_GET_EXTERNAL_METRIC,
        MetricSpec::Unknown { .. } => reasons::INVALID_METRIC_SOURCE_TYPE,
    }
}

fn status(spec: &MetricSpec, current: MetricValueStatus) -> MetricStatus {
    let (metric, container) = match spec {
        MetricSpec::ContainerResource { name, container, .. } => {
            (MetricIdentifier::from(name.as_str()), Some(container.clone()))
        }
        MetricSpec::Resource { name, .. } | MetricSpec::Unknown { kind: name } => {
            (MetricIdentifier::from(name.as_str()), None)
        }
        MetricSpec::Pods { metric, .. }
        | MetricSpec::Object { metric, .. }
        | MetricSpec::External { metric, .. } => (metric.clone(), None),
    };
    let MetricIdentifier { name, selector } = metric;
    MetricStatus { kind: spec.kind().to_owned(), name, selector, container, current }
}

/// What the condition on a metric that is followed calls it. Upstream tells neither containers nor objects apart,
/// and takes an object's average for an external metric; so does this, for a status is written when it changes.
///
/// Upstream: the names that the five `computeStatusFor…Metric` of `horizontal.go` return.
#[must_use]
pub fn followed(spec: &MetricSpec) -> String {
    match spec {
        MetricSpec::Resource { name, target } | MetricSpec::ContainerResource { name, target, .. }
            if target.average_value_milli.is_some() =>
        {
            format!("usage of {name}")
        }
        MetricSpec::Resource { name, .. } => format!("utilization of {name}"),
        MetricSpec::ContainerResource { name, .. } => format!("utilization of {name} by a container"),
        MetricSpec::Pods { metric, .. } => format!("pods metric {}", metric.name),
        MetricSpec::Object { metric, described_object, target } if target.kind == MetricTargetType::Value => {
            format!("metric {} of a {}", metric.name, described_object.kind)
        }
        MetricSpec::Object { metric, .. } | MetricSpec::External { metric, .. } => {
            format!("external metric {metric}")
        }
        MetricSpec::Unknown { kind } => format!("metric of type {kind}"),
    }
}

/// One metric's proposal and present value.
///
/// # Errors
///
/// The API failed, its answer is empty or of another kind, the target lacks the field that this kind needs, or the
/// pods allow no computation. The metric is named where upstream names it.
///
/// Upstream: `horizontal.go`, `computeReplicasForMetric` and the five `computeStatusFor…Metric`.
pub fn compute_one(
    at: &Circumstances<'_>,
    spec: &MetricSpec,
    answer: &Answer,
    scale: Scale,
) -> Result<(i32, MetricValueStatus), String> {
    match spec {
        MetricSpec::Resource { name, target } => resource(at, name, None, *target, answer, scale),
        MetricSpec::ContainerResource { name, container, target } => {
            resource(at, name, Some(container), *target, answer, scale)
        }
        MetricSpec::Pods { metric, target } => {
            let milli = target.average_value_milli.ok_or("set target.averageValue")?;
            let samples = match answer {
                Answer::Pods(samples) if !samples.is_empty() => samples,
                other => return Err(format!("pods metric {}: {}", metric.name, unusable(other))),
            };
            let target = PodTarget::Average { milli };
            let (replicas, usage) = by_pod(at, samples, None, scale.spec_replicas, &target)?;
            Ok((replicas, averaging(usage.average_milli)))
        }
        MetricSpec::Object { metric, described_object, target } => {
            let usage = || match answer {
                Answer::Object(milli) => Ok(*milli),
                other => Err(format!("metric {} of {described_object}: {}", metric.name, unusable(other))),
            };
            object(at, *target, usage, scale)
        }
        MetricSpec::External { metric, target } => {
            let values = || match answer {
                Answer::External(values) if !values.is_empty() => Ok(values.as_slice()),
                other => Err(format!("external metric {metric}: {}", unusable(other))),
            };
            external(at, *target, values, scale)
        }
        MetricSpec::Unknown { kind } => Err(format!("there is no metric type {kind}")),
    }
}

/// `averageValue` goes before `averageUtilization`, whatever `type` says.
fn resource(
    at: &Circumstances<'_>,
    name: &str,
    container: Option<&String>,
    asked: MetricTarget,
    answer: &Answer,
    scale: Scale,
) -> Result<(i32, MetricValueStatus), String> {
    let target = match (asked.average_value_milli, asked.average_utilization) {
        (Some(milli), _) => PodTarget::Average { milli },
        (None, Some(percent)) => {
            let container = container.map(String::as_str);
            let requests = requests(at.pods, name, container, at.settings.pod_level_resources);
            PodTarget::Utilization { percent, requests }
        }
        (None, None) => return Err("set target.averageUtilization or target.averageValue".to_owned()),
    };
    let computed = match answer {
        Answer::Pods(samples) => by_pod(at, samples, Some(name), scale.spec_replicas, &target),
        other => Err(unusable(other)),
    };
    let (replicas, usage) = computed.map_err(|why| format!("{} of {name}: {why}", asked.of_resource()))?;
    let current = averaging(usage.average_milli);
    Ok((replicas, MetricValueStatus { average_utilization: usage.utilization, ..current }))
}

/// Here `type` decides, and its field has to be set.
fn object(
    at: &Circumstances<'_>,
    target: MetricTarget,
    usage: impl FnOnce() -> Result<i64, String>,
    scale: Scale,
) -> Result<(i32, MetricValueStatus), String> {
    match (target.kind, target.value_milli, target.average_value_milli) {
        (MetricTargetType::Value, Some(milli), _) => {
            let usage = usage()?;
            Ok((by_value(at, usage, milli, scale.spec_replicas)?, whole(usage)))
        }
        (MetricTargetType::AverageValue, _, Some(milli)) => {
            let (replicas, share) = by_share(at.tolerances, usage()?, milli, scale.status_replicas, false);
            Ok((replicas, averaging(share)))
        }
        _ => Err("set target.value or target.averageValue, as target.type says".to_owned()),
    }
}

/// `averageValue` goes before `value`, whatever `type` says.
fn external<'a>(
    at: &Circumstances<'_>,
    target: MetricTarget,
    values: impl FnOnce() -> Result<&'a [i64], String>,
    scale: Scale,
) -> Result<(i32, MetricValueStatus), String> {
    match (target.average_value_milli, target.value_milli) {
        (Some(milli), _) => {
            let usage = shared_total(values()?);
            let (replicas, share) = by_share(at.tolerances, usage, milli, scale.status_replicas, true);
            Ok((replicas, averaging(share)))
        }
        (None, Some(milli)) => {
            let usage = total(values()?);
            Ok((by_value(at, usage, milli, scale.spec_replicas)?, whole(usage)))
        }
        (None, None) => Err("set target.value or target.averageValue".to_owned()),
    }
}

fn unusable(answer: &Answer) -> String {
    match answer {
        Answer::Failed(why) => format!("the metrics API failed: {why}"),
        Answer::Pods(samples) if samples.is_empty() => "the metrics API has no samples".to_owned(),
        Answer::External(values) if values.is_empty() => "the metrics API has no series".to_owned(),
        _ => "the answer is of another kind of metric".to_owned(),
    }
}

fn whole(value_milli: i64) -> MetricValueStatus {
    MetricValueStatus { value_milli: Some(value_milli), ..MetricValueStatus::default() }
}

fn averaging(average_value_milli: i64) -> MetricValueStatus {
    MetricValueStatus { average_value_milli: Some(average_value_milli), ..MetricValueStatus::default() }
}
