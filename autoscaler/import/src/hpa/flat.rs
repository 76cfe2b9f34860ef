//! What older versions of the API wrote otherwise (Kubernetes 1.35, `pkg/apis/autoscaling/v1/conversion.go`):
//! `autoscaling/v1` keeps metrics and behaviour as JSON in annotations, and there and in `v2beta1` a metric's name
//! and target are fields of the source itself.

use serde_json::{Map, Value};

use crate::field::At;
use crate::note::Note;

/// Metrics beside the CPU.
pub(super) const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
/// Behaviour, in Go's own field names.
pub(super) const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// An annotation that holds JSON, with its path.
pub(super) fn annotation(object: &At<'_>, name: &str, notes: &mut Vec<Note>) -> Option<(String, Value)> {
    let at = object.field("metadata")?.field("annotations")?.field(name)?;
    match at.text().and_then(|text| serde_json::from_str(text).ok()) {
        Some(value) => Some((at.path().to_owned(), value)),
        None => {
            notes.push(Note::lost(at.path(), "is no JSON", "import the object as autoscaling/v2"));
            None
        }
    }
}

/// Go's `ScaleUp` as `scaleUp`, all the way down.
pub(super) fn lower_camel(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(k, v)| (lower_first(k), lower_camel(v))).collect())
        }
        Value::Array(entries) => Value::Array(entries.iter().map(lower_camel).collect()),
        other => other.clone(),
    }
}

fn lower_first(name: &str) -> String {
    let mut rest = name.chars();
    rest.next().map(|c| c.to_ascii_lowercase()).into_iter().chain(rest).collect()
}

/// A source with its metric and target where `autoscaling/v2` has them. One that has them already stays.
pub(super) fn nested(source: &At<'_>) -> Value {
    let mut fields: Map<String, Value> = Map::new();
    let mut metric = Map::new();
    let mut target = Map::new();
    for name in source.names() {
        let Some(at) = source.field(name) else { continue };
        let value = at.value().clone();
        match name {
            "metricName" => drop(metric.insert("name".into(), value)),
            "metricSelector" | "selector" => drop(metric.insert("selector".into(), value)),
            "targetAverageUtilization" => drop(target.insert("averageUtilization".into(), value)),
            "targetAverageValue" | "averageValue" => drop(target.insert("averageValue".into(), value)),
            "targetValue" => drop(target.insert("value".into(), value)),
            // An object metric's `target` was the object itself.
            "target" if at.field("kind").is_some() => drop(fields.insert("describedObject".into(), value)),
            _ => drop(fields.insert(name.to_owned(), value)),
        }
    }
    if !metric.is_empty() {
        fields.entry("metric").or_insert(Value::Object(metric));
    }
    if !target.is_empty() {
        fields.entry("target").or_insert(Value::Object(target));
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn flat_sources_become_nested_ones_and_nested_ones_stay() {
        for (flat, wanted) in [
            (
                json!({"metricName": "q", "metricSelector": {"matchLabels": {"a": "b"}}, "targetAverageValue": "30"}),
                json!({"metric": {"name": "q", "selector": {"matchLabels": {"a": "b"}}}, "target": {"averageValue": "30"}}),
            ),
            (
                json!({"target": {"kind": "Service", "name": "s"}, "metricName": "q", "targetValue": "5"}),
                json!({"describedObject": {"kind": "Service", "name": "s"}, "metric": {"name": "q"}, "target": {"value": "5"}}),
            ),
            (
                json!({"name": "cpu", "targetAverageUtilization": 60}),
                json!({"name": "cpu", "target": {"averageUtilization": 60}}),
            ),
            (
                json!({"metric": {"name": "q"}, "target": {"type": "Value", "value": "5"}}),
                json!({"metric": {"name": "q"}, "target": {"type": "Value", "value": "5"}}),
            ),
        ] {
            assert_eq!(nested(&At::root(&flat)), wanted);
        }
    }
}
