//! Compares every sync of a run with what this crate does from the same inputs.

use autoscaler_hpa::{
    Controller, EventType, HpaSpec, HpaStatus, Inputs, MetricSpec, Outputs, Pod, Scale, Selected,
};
use serde_json::Value;

use crate::harness::lines::{MetricLine, Run, Scenario, Sync, answers, pods};
use crate::harness::wire::{ms, spec};

/// What came of comparing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Syncs that were compared.
    pub(crate) syncs: u64,
    /// Syncs that wrote the scale, or tried.
    pub(crate) writes: u64,
    /// Scenarios that the API refuses.
    pub(crate) invalid: u64,
    /// One line for each sync that differs; a scenario ends at its first.
    pub(crate) differences: Vec<String>,
}

impl Verdict {
    pub(crate) fn add(&mut self, other: Self) {
        self.syncs += other.syncs;
        self.writes += other.writes;
        self.invalid += other.invalid;
        self.differences.extend(other.differences);
    }
}

/// Judges one line of each.
pub(crate) fn judge(scenario: &str, run: &str) -> Verdict {
    let scenario: Scenario = serde_json::from_str(scenario).expect("a scenario");
    let run: Run = serde_json::from_str(run).unwrap_or_else(|error| panic!("{}: {error}", scenario.id));
    assert_eq!(scenario.id, run.id, "lines of different scenarios");
    let mut verdict = Verdict { invalid: u64::from(!run.invalid.is_empty()), ..Verdict::default() };
    let specs: Vec<HpaSpec> = run.specs.iter().map(spec).collect();
    let resources = scenario.resources();
    let mut controller = Controller::default();
    let mut status = HpaStatus::default();
    let mut known: Vec<Pod> = Vec::new();
    for sync in &run.syncs {
        if sync.started {
            controller = Controller::new(scenario.settings());
        }
        if let Some(lines) = &sync.pods {
            known = pods(lines, &resources);
        }
        let spec = &specs[sync.spec];
        let inputs = Inputs {
            now_ms: ms(sync.t),
            spec,
            status: &status,
            scale: match sync.scale {
                Some((spec_replicas, status_replicas)) => Ok(Scale { spec_replicas, status_replicas }),
                None => Err(&sync.get_scale_error),
            },
            pods: match sync.selector.as_deref() {
                None => Selected::Pods(&known),
                Some("") => Selected::Required,
                Some(text) if text.contains(' ') => Selected::Invalid("a space"),
                Some(_) => Selected::Pods(&[]),
            },
            answers: &answers(&sync.metrics, &spec.metrics, &resources.containers),
        };
        let mut outputs = controller.sync(&inputs, |_| sync.write_error.clone().map_or(Ok(()), Err));
        if outputs.status_changed {
            match &sync.status_error {
                Some(why) => outputs.status_rejected(why),
                None => status.clone_from(&outputs.status),
            }
        }
        verdict.syncs += 1;
        verdict.writes += u64::from(outputs.write.is_some());
        let found = differences(sync, &outputs, &spec.metrics);
        if !found.is_empty() {
            verdict.differences.push(format!("{} t={}: {}", run.id, sync.t, found.join("; ")));
            break;
        }
    }
    verdict
}

fn differences(sync: &Sync, outputs: &Outputs, metrics: &[MetricSpec]) -> Vec<String> {
    let mut found = Vec::new();
    let mut same = |field: &str, here: Value, real: Value| {
        if here != real {
            found.push(format!("{field} {here}, real {real}"));
        }
    };
    let status = &outputs.status;
    same("proposal", outputs.proposal.map(|p| p.replicas).into(), sync.proposal.into());
    let asking = outputs.proposal.and_then(|p| metrics.get(p.metric)).map(upstream_name).unwrap_or_default();
    let real = sync.proposal_metric.split('(').next().unwrap_or_default();
    same("metric", asking.split('(').next().into(), real.into());
    same("write", outputs.write.into(), sync.write.into());
    same("current", status.current_replicas.into(), sync.current_replicas.into());
    same("desired", status.desired_replicas.into(), sync.desired_replicas.into());
    same("last scale", status.last_scale_ms.into(), sync.last_scale_t.map(ms).into());
    let here = status
        .conditions
        .iter()
        .map(|c| (format!("{:?}", c.kind), format!("{:?}", c.status), c.reason.to_string(), c.transition_ms));
    let real = sync.conditions.iter().flatten().map(|(a, b, c, t)| (a.clone(), b.clone(), c.clone(), ms(*t)));
    same("conditions", list(here), list(real));
    let here = status.current_metrics.iter().map(|metric| {
        let metric = metric.as_ref()?;
        let current = metric.current;
        Some((
            metric.kind.clone(),
            current.value_milli,
            current.average_value_milli,
            current.average_utilization,
        ))
    });
    same("metrics", list::<Option<MetricLine>>(here), list(sync.current_metrics.iter().cloned()));
    let here = outputs.events.iter().map(|event| {
        let kind = if event.kind == EventType::Normal { "Normal" } else { "Warning" };
        (kind.to_owned(), event.reason.to_owned(), rescale(event.reason, &event.message))
    });
    let real = sync
        .events
        .iter()
        .map(|(kind, reason, message)| (kind.clone(), reason.clone(), rescale(reason, message)));
    same("events", list(here), list(real));
    same("failed", outputs.error.is_some().into(), (!sync.error.is_empty()).into());
    same("status writes", u32::from(outputs.status_changed).into(), sync.status_writes.into());
    found
}

fn list<T: serde::Serialize>(items: impl Iterator<Item = T>) -> Value {
    serde_json::to_value(items.collect::<Vec<_>>()).expect("JSON")
}

/// New size and kind of reason, which both sides' messages on a change hold in their own words.
fn rescale(reason: &str, message: &str) -> String {
    if !reason.ends_with("Rescale") {
        return String::new();
    }
    let size = message.split(';').next().unwrap_or_default();
    let kinds = ["above target", "below target", "axReplicas", "inReplicas"];
    let kind = kinds.into_iter().find(|kind| message.contains(kind)).unwrap_or_default();
    format!("{size} {kind}")
}

/// How upstream's messages call a metric.
fn upstream_name(spec: &MetricSpec) -> String {
    match spec {
        MetricSpec::Resource { name, target } if target.average_value_milli.is_some() => {
            format!("{name} resource")
        }
        MetricSpec::Resource { name, .. } => format!("{name} resource utilization (percentage of request)"),
        MetricSpec::ContainerResource { name, target, .. } if target.average_value_milli.is_some() => {
            format!("{name} resource")
        }
        MetricSpec::ContainerResource { name, .. } => {
            format!("{name} container resource utilization (percentage of request)")
        }
        MetricSpec::Pods { metric, .. } => format!("pods metric {}", metric.name),
        MetricSpec::Object { metric, described_object, target } if target.value_milli.is_some() => {
            format!("{} metric {}", described_object.kind, metric.name)
        }
        MetricSpec::Object { metric, .. } | MetricSpec::External { metric, .. } => {
            format!("external metric {}(", metric.name)
        }
        MetricSpec::Unknown { kind } => kind.clone(),
    }
}
