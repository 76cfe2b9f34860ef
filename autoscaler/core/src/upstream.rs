//! An input as upstream's controller sees it, and what it makes of it ([`autoscaler_hpa`]).
//!
//! ```text
//!  Input ─► spec, scale, pods, answers ─┐
//!  History ─► recommendations, changes ─┴─► Controller::begin ─► proposal, write, conditions, what it remembers
//! ```
//!
//! Values are taken as they are: their age, the querier's warnings and missing clusters say nothing, as they say
//! nothing to upstream.

use autoscaler_hpa::amd64::integer;
use autoscaler_hpa::spec::{MetricIdentifier, MetricTarget, MetricTargetType};
use autoscaler_hpa::{Answer, Controller, HpaSpec, HpaStatus, Inputs, Pending, Selected, State};

use crate::input::Input;
use crate::observation::{Observation, Reading};
use crate::pods::Pods;
use crate::policy::{MetricKind, MetricSpec, Target};

/// A whole sync up to its write, and what upstream remembers of it.
pub(crate) fn sync(input: &Input) -> (Pending, State) {
    let policy = &input.policy;
    let spec = HpaSpec {
        min_replicas: Some(policy.min_replicas),
        max_replicas: policy.max_replicas,
        metrics: policy.metrics.iter().map(metric).collect(),
        behavior: policy.behavior.clone(),
    };
    let answers: Vec<Answer> = policy.metrics.iter().map(|spec| answer(input, spec)).collect();
    let why;
    let pods = match input.pods.as_ref() {
        Some(Pods::Selected(pods)) => Selected::Pods(pods),
        Some(Pods::SelectorMissing) => Selected::Required,
        Some(Pods::SelectorInvalid(why)) => Selected::Invalid(why),
        Some(Pods::SelectorAmbiguous(others)) => Selected::Ambiguous(others),
        other => {
            why = Pods::why_unknown(other);
            Selected::Invalid(&why)
        }
    };
    let scale = autoscaler_hpa::Scale {
        spec_replicas: input.scale.spec_replicas,
        status_replicas: input.scale.status_replicas,
    };
    let inputs = Inputs {
        now_ms: input.now_ms,
        spec: &spec,
        status: &HpaStatus::default(),
        scale: Ok(scale),
        pods,
        answers: &answers,
    };
    let mut controller = Controller::with_state(policy.defaults.settings(), input.history.state());
    let pending = controller.begin(&inputs);
    (pending, controller.state().clone())
}

/// A query is an External metric to upstream.
fn metric(spec: &MetricSpec) -> autoscaler_hpa::MetricSpec {
    let target = match spec.target {
        Target::Value { value_milli } => MetricTarget {
            kind: MetricTargetType::Value,
            value_milli: Some(value_milli),
            ..MetricTarget::default()
        },
        Target::AverageValue { average_value_milli } => MetricTarget {
            kind: MetricTargetType::AverageValue,
            average_value_milli: Some(average_value_milli),
            ..MetricTarget::default()
        },
        Target::Utilization { average_utilization } => MetricTarget {
            kind: MetricTargetType::Utilization,
            average_utilization: Some(average_utilization),
            ..MetricTarget::default()
        },
        // Only a formula's metrics have none, and upstream has no formula.
        Target::None => MetricTarget::default(),
    };
    let named = || MetricIdentifier::from(spec.name.as_str());
    match &spec.kind {
        MetricKind::Query => autoscaler_hpa::MetricSpec::External { metric: named(), target },
        MetricKind::Pods => autoscaler_hpa::MetricSpec::Pods { metric: named(), target },
        MetricKind::Resource { resource } => {
            autoscaler_hpa::MetricSpec::Resource { name: resource.to_string(), target }
        }
        MetricKind::ContainerResource { resource, container } => {
            autoscaler_hpa::MetricSpec::ContainerResource {
                name: resource.to_string(),
                container: container.to_string(),
                target,
            }
        }
    }
}

/// What was said of a metric.
pub(crate) fn observation<'a>(input: &'a Input, spec: &MetricSpec) -> Option<&'a Observation> {
    input.observations.iter().find(|seen| seen.name == spec.name)
}

/// The newest value is the answer: settled times are not upstream's.
fn answer(input: &Input, spec: &MetricSpec) -> Answer {
    let Some(observation) = observation(input, spec) else {
        return Answer::Failed("it was not observed".to_owned());
    };
    match &observation.newest {
        Reading::Failed { message, .. } => Answer::Failed(message.clone()),
        Reading::Pods(samples) => Answer::Pods(samples.clone()),
        Reading::Series(values) => Answer::External(values.clone()),
        Reading::Value(value) if !value.get().is_finite() => {
            Answer::Failed(format!("the query returned {value}"))
        }
        // Towards zero, as adapters of Prometheus make a quantity of a value.
        Reading::Value(value) => Answer::External(vec![integer(value.get() * 1000.0)]),
    }
}
