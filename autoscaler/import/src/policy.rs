//! From a draft to a ScalingPolicy that `gauntlet autoscaler check` and an API server take.

use std::collections::BTreeSet;
use std::time::Duration;

use autoscaler_api::{Compatibility, GROUP, Mode, ScalingPolicy, VERSION, schema, validate};
use serde_json::{Value, json};

use crate::draft::{Draft, Measure, Metric, Source, Target};
use crate::note::Note;

/// What a policy takes (the CRD's schema).
const MAX_METRICS: usize = 32;
const MAX_QUERY_LEN: usize = 16_384;
const MAX_NAME_LEN: usize = 63;
/// The policy's own default, where a query does not read less.
const MAX_AGE_MS: i64 = 60_000;

/// What is known of a query that parses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryFacts {
    /// The shortest range that it reads, in milliseconds; `None` without ranges.
    pub shortest_range_ms: Option<i64>,
}

/// Whether a text is PromQL that a policy can have; the error says why not.
pub type Judge<'a> = &'a dyn Fn(&str) -> Result<QueryFacts, String>;

/// Keeps the metrics that a policy can have, as it has them, under names that are valid and their own.
pub(crate) fn fit(metrics: &[Metric], judge: Judge<'_>, notes: &mut Vec<Note>) -> Vec<Value> {
    let mut names = BTreeSet::new();
    let mut kept: Vec<Value> = Vec::new();
    for metric in metrics {
        if kept.len() >= MAX_METRICS {
            let message = format!("is beyond the {MAX_METRICS} metrics that a policy has");
            notes.push(Note::lost(metric.field.clone(), message, "drop those that never decide"));
            continue;
        }
        let Some(query) = metric.measure.query() else {
            let name = unique(&metric.name, &mut names);
            kept.push(value(metric, &name, QueryFacts::default()));
            continue;
        };
        if query.len() > MAX_QUERY_LEN {
            let message = format!("a query of more than {MAX_QUERY_LEN} bytes does not fit");
            notes.push(Note::lost(metric.field.clone(), message, "record parts of it"));
            continue;
        }
        match judge(query) {
            Ok(facts) => {
                let name = unique(&metric.name, &mut names);
                kept.push(value(metric, &name, facts));
            }
            Err(e) => {
                let message = format!("the query does not do for a policy: {e}");
                notes.push(Note::lost(metric.field.clone(), message, "correct it, and import again"));
            }
        }
    }
    kept
}

/// The policy; `None` with notes if nobody would take it.
pub(crate) fn policy(
    source: &Source,
    name: &str,
    draft: &Draft,
    metrics: &[Value],
    options: (Mode, Option<Compatibility>),
    notes: &mut Vec<Note>,
) -> Option<ScalingPolicy> {
    let (mode, compatibility) = options;
    let mut metadata = json!({ "name": name });
    if let (Some(namespace), Some(fields)) = (&source.namespace, metadata.as_object_mut()) {
        fields.insert("namespace".into(), namespace.as_str().into());
    }
    let mut document = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "ScalingPolicy",
        "metadata": metadata,
        "spec": {
            "scaleTargetRef": draft.target,
            "minReplicas": draft.min_replicas,
            "maxReplicas": draft.max_replicas,
            "interval": seconds(draft.interval_s),
            "mode": mode,
            "metrics": metrics,
        },
    });
    if let Some(spec) = document.get_mut("spec").and_then(Value::as_object_mut) {
        spec.extend(draft.behavior.iter().map(|behavior| ("behavior".to_owned(), json!(behavior))));
        spec.extend(compatibility.iter().map(|whose| ("compatibility".to_owned(), json!(whose))));
    }
    let mut problems = schema::check(&document);
    let policy = serde_json::from_value::<ScalingPolicy>(document);
    if let Ok(policy) = &policy {
        problems.extend(validate(policy));
    }
    for p in &problems {
        notes.push(Note::lost(p.field.clone(), format!("no policy: {}", p.message), p.fix.clone()));
    }
    match policy {
        Ok(policy) if problems.is_empty() => Some(policy),
        Err(e) if problems.is_empty() => {
            notes.push(Note::lost("spec", format!("no policy: {e}"), "correct the field"));
            None
        }
        _ => None,
    }
}

fn value(metric: &Metric, name: &str, facts: QueryFacts) -> Value {
    let target = match &metric.target {
        Target::Value(q) => json!({"type": "Value", "value": q}),
        Target::AverageValue(q) => json!({"type": "AverageValue", "averageValue": q}),
        Target::Utilization(percent) => json!({"type": "Utilization", "averageUtilization": percent}),
    };
    let range_ms = facts.shortest_range_ms.filter(|ms| *ms > 0).unwrap_or(MAX_AGE_MS);
    let max_age = Duration::from_millis(range_ms.min(MAX_AGE_MS).unsigned_abs());
    let evidence = json!({"maxAge": thanos_model::format_duration(max_age)});
    let mut value = match &metric.measure {
        Measure::Query(query) => {
            json!({"name": name, "query": query, "target": target, "evidence": evidence})
        }
        Measure::QueryByPod(query) => {
            json!({"name": name, "type": "Pods", "query": query, "target": target, "evidence": evidence})
        }
        Measure::Resource { name: resource, container: None } => {
            json!({"name": name, "type": "Resource", "resource": {"name": resource, "target": target}})
        }
        Measure::Resource { name: resource, container: Some(container) } => json!({
            "name": name, "type": "ContainerResource",
            "containerResource": {"name": resource, "container": container, "target": target},
        }),
    };
    if let (Some(f), Some(fields)) = (&metric.fallback, value.as_object_mut()) {
        let fallback = json!({"after": seconds(f.after_s), "replicas": f.replicas, "behavior": f.behavior});
        fields.insert("fallback".into(), fallback);
    }
    value
}

fn seconds(s: i64) -> String {
    thanos_model::format_duration(Duration::from_secs(s.unsigned_abs()))
}

/// A name of a metric in a policy: letters, digits, and `-_.` between them.
fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    // A suffix has to fit behind it.
    let text: String = name.chars().map(word).take(MAX_NAME_LEN - 6).collect();
    let text = text.trim_matches(['-', '_', '.']);
    let text = if text.is_empty() { "metric" } else { text };
    let mut found = text.to_owned();
    let mut n = 2;
    while !taken.insert(found.clone()) {
        found = format!("{text}-{n}");
        n += 1;
    }
    found
}

/// Whether the API server takes it for an object's name (RFC 1123, `apimachinery/pkg/util/validation`). Commands for
/// people are made with it, so nothing else comes through.
pub(crate) fn is_object_name(name: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 253
        && name.split('.').all(|part| {
            part.starts_with(edge) && part.ends_with(edge) && part.chars().all(|c| edge(c) || c == '-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_valid_and_their_own() {
        let mut taken = BTreeSet::new();
        let long = "x".repeat(80);
        let made: Vec<String> =
            ["a b", "a-b", "a/b", "…", "_", &long, &long].iter().map(|n| unique(n, &mut taken)).collect();
        assert_eq!(made[..5], ["a-b", "a-b-2", "a-b-3", "metric", "metric-2"]);
        assert!(made.iter().all(|n| n.len() <= MAX_NAME_LEN));
        assert_ne!(made[5], made[6]);
    }

    #[test]
    fn names_of_objects_are_those_of_kubernetes() {
        for (name, sound) in [
            ("web", true),
            ("a.b-c", true),
            ("", false),
            ("Web", false),
            ("-a", false),
            ("a..b", false),
            ("a;b", false),
            ("a\nb", false),
        ] {
            assert_eq!(is_object_name(name), sound, "{name:?}");
        }
    }
}
