//! The generated CRD, and the same schema held against a document without an API server.
//!
//! The interpreter knows the keywords that our own schema uses (a test keeps it so) and reports unknown
//! fields, which an API server would drop without a word.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::CustomResourceExt;
use serde_json::{Map, Value};
use thanos_model::http_url::without_secrets;

use crate::{Problem, ScalingPolicy};

/// Keywords that [`check`] enforces.
#[cfg(test)]
const ENFORCED: [&str; 14] = [
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "pattern",
    "nullable",
    "x-kubernetes-int-or-string",
];

/// Keywords that say nothing about validity, or that `validate` covers (the CEL rules).
#[cfg(test)]
const NOT_ENFORCED: [&str; 6] = [
    "description",
    "default",
    "format",
    "x-kubernetes-validations",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
];

/// The CustomResourceDefinition.
pub fn crd() -> CustomResourceDefinition {
    ScalingPolicy::crd()
}

/// The CustomResourceDefinition as YAML, for `kubectl apply`.
///
/// # Errors
/// Never in practice: the definition is a constant.
pub fn crd_yaml() -> Result<String, String> {
    let value = serde_json::to_value(crd()).map_err(|e| e.to_string())?;
    serde_saphyr::to_string(&value).map_err(|e| e.to_string())
}

/// Holds a whole ScalingPolicy document against the schema. Order: as the schema lists its fields.
pub fn check(document: &Value) -> Vec<Problem> {
    let mut found = Vec::new();
    let Ok(crd) = serde_json::to_value(crd()) else { return found };
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let Some(fields) = document.as_object() else {
        return vec![Problem::new("", "is not a mapping", "start with apiVersion, kind, metadata and spec")];
    };
    for (name, value) in fields {
        match name.as_str() {
            "apiVersion" | "kind" => {}
            "metadata" => metadata(value, &mut found),
            // Written by the controller; what a user writes there is dropped, so it is not worth judging.
            "status" => {}
            "spec" => walk(&schema["properties"]["spec"], value, "spec", &mut found),
            other => found.push(unknown(other, ["apiVersion", "kind", "metadata", "spec"].into_iter())),
        }
    }
    if !fields.contains_key("spec") {
        found.push(Problem::new("spec", "is missing", "say what to scale, and on what"));
    }
    found
}

fn metadata(value: &Value, found: &mut Vec<Problem>) {
    let name = value.get("name").or_else(|| value.get("generateName")).and_then(Value::as_str);
    if name.is_none_or(str::is_empty) {
        found.push(Problem::new("metadata.name", "is missing", "give the policy a name"));
    }
}

fn walk(schema: &Value, value: &Value, at: &str, found: &mut Vec<Problem>) {
    if value.is_null() {
        if schema["nullable"] != true {
            found.push(Problem::new(at, "is null", "give it a value, or leave it out"));
        }
        return;
    }
    if let Some(problem) = wrong_type(schema, value, at) {
        found.push(problem);
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        found.push(Problem::new(
            at,
            format!("{value} is unknown"),
            format!("write one of {}", names.join(", ")),
        ));
    }
    match value {
        Value::Object(fields) => object(schema, fields, at, found),
        Value::Array(items) => {
            count(schema, "Items", items.len(), at, "entries", found);
            for (i, item) in items.iter().enumerate() {
                walk(&schema["items"], item, &format!("{at}[{i}]"), found);
            }
        }
        Value::String(text) => string(schema, text, at, found),
        Value::Number(number) => bounds(schema, number.as_f64().unwrap_or(f64::NAN), at, found),
        Value::Bool(_) | Value::Null => {}
    }
}

fn wrong_type(schema: &Value, value: &Value, at: &str) -> Option<Problem> {
    let (fits, wanted) = if schema["x-kubernetes-int-or-string"] == true {
        (value.is_string() || value.is_i64() || value.is_u64(), "a whole number or a quoted string")
    } else {
        match schema["type"].as_str()? {
            "object" => (value.is_object(), "a mapping"),
            "array" => (value.is_array(), "a list"),
            "string" => (value.is_string(), "a string"),
            "integer" => (value.is_i64() || value.is_u64(), "a whole number"),
            "number" => (value.is_number(), "a number"),
            "boolean" => (value.is_boolean(), "true or false"),
            _ => return None,
        }
    };
    (!fits).then(|| Problem::new(at, format!("is {}", shown(value)), format!("write {wanted}")))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "a mapping".into(),
        Value::Array(_) => "a list".into(),
        Value::String(text) if text.len() > 60 => "a long string".into(),
        other => other.to_string(),
    }
}

fn object(schema: &Value, fields: &Map<String, Value>, at: &str, found: &mut Vec<Problem>) {
    let Some(known) = schema["properties"].as_object() else { return };
    for (name, value) in fields {
        match known.get(name) {
            Some(inner) => walk(inner, value, &format!("{at}.{name}"), found),
            None => {
                let mut problem = unknown(name, known.keys().map(String::as_str));
                problem.field = format!("{at}.{}", problem.field);
                found.push(problem);
            }
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            found.push(Problem::new(format!("{at}.{name}"), "is missing", "it has no default"));
        }
    }
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Problem {
    let known: Vec<&str> = known.collect();
    let similar = known.iter().find(|k| k.eq_ignore_ascii_case(name)).or_else(|| {
        let close = |k: &&&str| k.len() > 3 && name.len() > 3 && (k.contains(name) || name.contains(**k));
        known.iter().find(close)
    });
    let fix = match similar {
        Some(k) => format!("did you mean {k}?"),
        None => format!("known here: {}", known.join(", ")),
    };
    Problem::new(name, "is an unknown field", fix)
}

fn string(schema: &Value, text: &str, at: &str, found: &mut Vec<Problem>) {
    count(schema, "Length", text.chars().count(), at, "characters", found);
    if let Some(pattern) = schema["pattern"].as_str()
        && regex::Regex::new(pattern).is_ok_and(|r| !r.is_match(text))
    {
        // An address may carry a password.
        let shown = if text.contains("://") { without_secrets(text) } else { text.to_owned() };
        let shown: String = shown.chars().take(60).collect();
        found.push(Problem::new(
            at,
            format!("{shown:?} has the wrong form"),
            format!("it must match {pattern}"),
        ));
    }
}

fn count(schema: &Value, what: &str, n: usize, at: &str, unit: &str, found: &mut Vec<Problem>) {
    let limit = |side: &str| schema[format!("{side}{what}")].as_u64();
    if let Some(min) = limit("min").filter(|min| (n as u64) < *min) {
        found.push(Problem::new(at, format!("has {n} {unit}"), format!("write at least {min}")));
    }
    if let Some(max) = limit("max").filter(|max| n as u64 > *max) {
        found.push(Problem::new(at, format!("has {n} {unit}"), format!("write at most {max}")));
    }
}

fn bounds(schema: &Value, number: f64, at: &str, found: &mut Vec<Problem>) {
    // An int32 beyond its range would be refused by the API server through the format.
    let int32 = schema["format"] == "int32";
    let min = schema["minimum"].as_f64().or(int32.then_some(f64::from(i32::MIN)));
    let max = schema["maximum"].as_f64().or(int32.then_some(f64::from(i32::MAX)));
    if let Some(min) = min.filter(|min| number < *min) {
        found.push(Problem::new(at, format!("{number} is too small"), format!("write at least {min}")));
    }
    if let Some(max) = max.filter(|max| number > *max) {
        found.push(Problem::new(at, format!("{number} is too large"), format!("write at most {max}")));
    }
}

#[cfg(test)]
mod tests;
