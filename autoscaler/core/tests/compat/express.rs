//! Upstream's inputs as ours.

use autoscaler_core::Decision;
use autoscaler_core::{
    Compatibility, Defaults, EvidenceSpec, FailureKind, Float, History, Input, MetricKind, MetricSpec, Name,
    Observation, Pods, Policy, Reading, Record, Samples, Scale, Target, canonical_json, decide, replay,
};
use autoscaler_hpa::{Answer, HpaSpec, MetricTarget, MetricTargetType, Settings};

/// What one sync reads, by upstream's types.
pub(crate) struct Sync<'a> {
    pub(crate) now_ms: i64,
    pub(crate) spec: &'a HpaSpec,
    pub(crate) settings: &'a Settings,
    pub(crate) scale: (i32, i32),
    pub(crate) pods: Pods,
    pub(crate) answers: &'a [Answer],
}

/// The same as our input; the error names what we have no words for.
pub(crate) fn input(sync: &Sync<'_>, history: History) -> Result<Input, String> {
    let specs = &sync.spec.metrics;
    let metrics: Vec<MetricSpec> =
        specs.iter().enumerate().map(|(i, spec)| metric(i, spec)).collect::<Result<_, _>>()?;
    if specs.iter().zip(sync.answers).any(|(spec, answer)| is_beyond(spec, answer)) {
        return Err("an object's average that is negative or beyond 32 bits, which upstream takes otherwise than a query's".to_owned());
    }
    let observed = metrics.iter().zip(sync.answers);
    let observations = observed.map(|(spec, answer)| Observation {
        name: spec.name.clone(),
        newest: reading(answer),
        settled: None,
        samples: Samples::Timeless,
        starts: Vec::new(),
        warnings: Vec::new(),
        incomplete: None,
    });
    let settings = sync.settings;
    if !settings.configurable_tolerance || !settings.pod_level_resources {
        return Err("a feature gate of before 1.35".to_owned());
    }
    Ok(Input {
        now_ms: sync.now_ms,
        cluster: Name::default(),
        policy: Policy {
            min_replicas: sync.spec.min_replicas.unwrap_or(1),
            max_replicas: sync.spec.max_replicas,
            metrics: metrics.clone(),
            behavior: sync.spec.behavior.clone(),
            mode: Default::default(),
            compatibility: Compatibility::Hpa,
            defaults: Defaults {
                tolerance: Float::new(settings.tolerance),
                downscale_window_ms: settings.downscale_stabilization_ms,
                scale_up_limit_factor: settings.scale_up_limit_factor as i32,
                scale_up_limit_minimum: settings.scale_up_limit_minimum as i32,
                cpu_initialization_period_ms: settings.cpu_initialization_period_ms,
                initial_readiness_delay_ms: settings.initial_readiness_delay_ms,
            },
            interval_ms: 15_000,
            zero: None,
            pause: Default::default(),
            formula: None,
        },
        schedules: Vec::new(),
        scale: Scale { spec_replicas: sync.scale.0, status_replicas: sync.scale.1, ready_replicas: 0 },
        pods: Some(sync.pods.clone()),
        observations: observations.collect(),
        history,
    })
}

/// Decides, and holds the decision to its record.
pub(crate) fn decided(input: &Input) -> Result<Decision, String> {
    let decision = decide(input);
    let record = canonical_json(&Record::new(input.clone(), decision.clone())).map_err(|e| e.to_string())?;
    let replayed = replay(&record).map_err(|e| e.to_string())?;
    if replayed.identical && replayed.input == *input {
        Ok(decision)
    } else {
        Err(format!("its record replays otherwise: {:?}", replayed.decision))
    }
}

fn metric(index: usize, spec: &autoscaler_hpa::MetricSpec) -> Result<MetricSpec, String> {
    use autoscaler_hpa::MetricSpec as Hpa;
    let (kind, target) = match spec {
        Hpa::Resource { name, target } => {
            (MetricKind::Resource { resource: name.as_str().into() }, of_pods(target)?)
        }
        Hpa::ContainerResource { name, container, target } => {
            let (resource, container) = (name.as_str().into(), container.as_str().into());
            (MetricKind::ContainerResource { resource, container }, of_pods(target)?)
        }
        Hpa::Pods { target, .. } => (MetricKind::Pods, of_pods(target)?),
        Hpa::External { target, .. } => (MetricKind::Query, of_value(target)?),
        Hpa::Object { target, .. } => {
            let fits = match target.kind {
                MetricTargetType::Value => target.value_milli.is_some(),
                MetricTargetType::AverageValue => target.average_value_milli.is_some(),
                MetricTargetType::Utilization => false,
            };
            if !fits {
                return Err("an object's target without its own field".to_owned());
            }
            let own = match target.kind {
                MetricTargetType::Value => MetricTarget { average_value_milli: None, ..*target },
                _ => MetricTarget { value_milli: None, ..*target },
            };
            (MetricKind::Query, of_value(&own)?)
        }
        Hpa::Unknown { .. } => return Err("a metric of no known type".to_owned()),
    };
    Ok(MetricSpec {
        name: format!("m{index}").into(),
        revision: 0,
        kind,
        target,
        evidence: EvidenceSpec::default(),
        fallback: None,
        activation_milli: 0,
    })
}

/// An average that does not fit: of objects it becomes negative and stays it, of external metrics it is the most.
fn is_beyond(spec: &autoscaler_hpa::MetricSpec, answer: &Answer) -> bool {
    let autoscaler_hpa::MetricSpec::Object { target, .. } = spec else { return false };
    match (target.average_value_milli, answer) {
        (Some(average), Answer::Object(milli)) => {
            *milli < 0 || *milli as f64 / average as f64 > f64::from(i32::MAX)
        }
        _ => false,
    }
}

/// The field that counts upstream: an average before a utilization, whatever the type says.
fn of_pods(target: &MetricTarget) -> Result<Target, String> {
    match (target.average_value_milli, target.average_utilization) {
        (Some(average_value_milli), _) => Ok(Target::AverageValue { average_value_milli }),
        (None, Some(average_utilization)) => Ok(Target::Utilization { average_utilization }),
        (None, None) => Err("no target".to_owned()),
    }
}

fn of_value(target: &MetricTarget) -> Result<Target, String> {
    match (target.average_value_milli, target.value_milli) {
        (Some(average_value_milli), _) => Ok(Target::AverageValue { average_value_milli }),
        (None, Some(value_milli)) => Ok(Target::Value { value_milli }),
        (None, None) => Err("no target".to_owned()),
    }
}

fn reading(answer: &Answer) -> Reading {
    match answer {
        Answer::Pods(samples) => Reading::Pods(samples.clone()),
        Answer::Object(milli) => Reading::Series(vec![*milli]),
        Answer::External(values) => Reading::Series(values.clone()),
        Answer::Failed(why) => Reading::Failed { kind: FailureKind::Other, message: why.clone() },
    }
}
