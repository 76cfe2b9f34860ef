//! A ScaledObject's triggers: queries, CPU and memory, and some seventy other sources.

use crate::draft::{Found, quantity};
use crate::field::At;
use crate::note::Note;
use crate::promql::{Matcher, selector};
use crate::resource::{Ask, Resource, take};

use super::prometheus;

/// A source whose usual exporter has the same number.
struct Exporter {
    trigger: &'static str,
    name: &'static str,
    metric: &'static str,
    /// Which label is which key of the trigger's metadata.
    labels: &'static [(&'static str, &'static str)],
}

const EXPORTERS: &[Exporter] = &[
    Exporter {
        trigger: "kafka",
        name: "kafka_exporter",
        metric: "kafka_consumergroup_lag",
        labels: &[("consumergroup", "consumerGroup"), ("topic", "topic")],
    },
    Exporter {
        trigger: "rabbitmq",
        name: "RabbitMQ's own Prometheus plugin, per object",
        metric: "rabbitmq_queue_messages",
        labels: &[("queue", "queueName")],
    },
    Exporter {
        trigger: "redis",
        name: "redis_exporter with --check-keys",
        metric: "redis_key_size",
        labels: &[("key", "listName")],
    },
];

/// Reads all of them.
pub(super) fn read(spec: &At<'_>, from_zero: bool, found: &mut Found) {
    let triggers = spec.field("triggers").map(|t| t.items()).unwrap_or_default();
    if triggers.is_empty() {
        let message = "is no list of triggers, so there is nothing to scale on";
        found.notes.push(Note::lost("spec.triggers", message, "write at least one"));
    }
    for trigger in triggers {
        one(&trigger, from_zero, found);
    }
}

fn one(trigger: &At<'_>, from_zero: bool, found: &mut Found) {
    trigger.tell_unknown(
        &["type", "name", "useCachedMetrics", "metadata", "authenticationRef", "metricType"],
        &mut found.notes,
    );
    let kind = trigger.field("type").and_then(|t| t.text()).unwrap_or_default();
    let Some(metadata) = trigger.field("metadata").filter(At::is_mapping) else {
        found.notes.push(Note::lost(
            trigger.path_of("metadata"),
            "is missing",
            "write the trigger's settings",
        ));
        return;
    };
    match kind {
        "prometheus" => prometheus::read(trigger, &metadata, from_zero, found),
        "cpu" | "memory" => resource(kind, trigger, &metadata, found),
        "cron" => cron(trigger, &metadata, found),
        _ => other(kind, trigger, &metadata, found),
    }
}

fn resource(kind: &str, trigger: &At<'_>, metadata: &At<'_>, found: &mut Found) {
    metadata.tell_unknown(&["type", "value", "containerName"], &mut found.notes);
    let Some(value) = metadata.field("value") else {
        found.notes.push(Note::lost(metadata.path_of("value"), "is missing", "write the target"));
        return;
    };
    // The key `type` is what KEDA had before `metricType`.
    let utilization = match trigger.field("metricType").or_else(|| metadata.field("type")) {
        Some(word) => word.one_of(&[("Utilization", true), ("AverageValue", false)], &mut found.notes),
        None => Some(true),
    };
    let ask = match utilization {
        None => None,
        Some(false) => quantity(&value, &mut found.notes).map(Ask::AverageValue),
        Some(true) => {
            let percent = value.scalar().and_then(|text| text.parse::<i32>().ok());
            let percent = percent.filter(|p| (1..=1_000_000).contains(p));
            if percent.is_none() {
                found.notes.push(value.wrong("a percentage, for example '70'"));
            }
            percent.map(Ask::Utilization)
        }
    };
    let Some(ask) = ask else { return };
    let container = metadata.field("containerName").and_then(|c| c.text()).filter(|c| !c.is_empty());
    take(Resource { name: kind, container, field: trigger.path() }, ask, found);
}

fn cron(trigger: &At<'_>, metadata: &At<'_>, found: &mut Found) {
    let word = |name: &str| metadata.field(name).and_then(|f| f.scalar()).unwrap_or_else(|| "?".to_owned());
    found.notes.push(Note::lost(
        trigger.path(),
        format!(
            "at least {} replicas from {} to {} ({}): a schedule of the policy, which is not a metric",
            word("desiredReplicas"),
            word("start"),
            word("end"),
            word("timezone")
        ),
        "write it into spec.schedules, with the same start and end",
    ));
}

fn other(kind: &str, trigger: &At<'_>, metadata: &At<'_>, found: &mut Found) {
    let message = format!("trigger {kind:?} asks something that is no Prometheus");
    let cure = match EXPORTERS.iter().find(|e| e.trigger == kind) {
        None => "let an exporter show it to the querier, and query that".to_owned(),
        Some(exporter) => {
            let value = |key: &str| metadata.field(key).and_then(|v| v.scalar());
            let matcher = |(label, key): &(&str, &str)| Some(Matcher::new(label, "=", value(key)?));
            let matchers: Vec<Matcher> = exporter.labels.iter().filter_map(matcher).collect();
            format!("query sum({}) of {}", selector(exporter.metric, &matchers), exporter.name)
        }
    };
    found.notes.push(Note::lost(trigger.path(), message, cure));
}
