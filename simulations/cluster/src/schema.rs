//! Structural schemas of custom resources: defaults, pruning of unknown fields, validation.
//!
//! Covers what the structural subset says with types, `required`, `enum`, bounds, lengths, `pattern`, and the
//! `x-kubernetes-*` marks; rules in CEL are in `rules`. Messages are the original's.

pub(crate) mod rules;

use std::collections::HashMap;
use std::sync::LazyLock;

use parking_lot::Mutex;
use regex::Regex;
use serde_json::Value;

use crate::error::Cause;

/// Fills in defaults.
pub(crate) fn default(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(map) => {
            if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                for (name, below) in properties {
                    // A null that may not be one is as good as absent, where there is a default.
                    let absent = match map.get(name) {
                        None => true,
                        Some(value) => value.is_null() && below.get("nullable") != Some(&Value::Bool(true)),
                    };
                    if let Some(default) = below.get("default").filter(|_| absent) {
                        map.insert(name.clone(), default.clone());
                    }
                    if let Some(value) = map.get_mut(name) {
                        self::default(value, below);
                    }
                }
            }
            if let Some(each) = schema.get("additionalProperties").filter(|v| v.is_object()) {
                map.values_mut().for_each(|v| self::default(v, each));
            }
        }
        Value::Array(items) => {
            if let Some(each) = schema.get("items") {
                items.iter_mut().for_each(|v| self::default(v, each));
            }
        }
        _ => {}
    }
}

/// Removes fields that the schema does not have; notes their paths.
pub(crate) fn prune(value: &mut Value, schema: &Value, path: &str, unknown: &mut Vec<String>) {
    let preserve = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    let embedded = schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true));
    match value {
        Value::Object(map) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let additional = schema.get("additionalProperties").filter(|v| **v != Value::Bool(false));
            map.retain(|name, below| {
                let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let is_meta =
                    (path.is_empty() || embedded) && matches!(&**name, "apiVersion" | "kind" | "metadata");
                if let Some(schema) = properties.and_then(|p| p.get(name)) {
                    if !is_meta {
                        prune(below, schema, &at, unknown);
                    }
                    true
                } else if let Some(schema) = additional {
                    prune(below, schema, &at, unknown);
                    true
                } else if preserve || is_meta || schema.get("type").is_none() && properties.is_none() {
                    true
                } else {
                    unknown.push(at);
                    false
                }
            });
        }
        Value::Array(items) => {
            if let Some(each) = schema.get("items") {
                for (i, item) in items.iter_mut().enumerate() {
                    prune(item, each, &format!("{path}[{i}]"), unknown);
                }
            }
        }
        _ => {}
    }
}

/// Notes what is wrong with a value.
pub(crate) fn validate(value: &Value, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    if value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
        return;
    }
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        if !(value.is_i64() || value.is_u64() || value.is_string()) {
            causes.push(type_cause(path, value, "integer,string"));
        }
    } else if let Some(expected) = schema.get("type").and_then(Value::as_str)
        && !has_type(value, expected)
    {
        causes.push(type_cause(path, value, expected));
        return;
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let listed: Vec<String> = allowed.iter().map(Value::to_string).collect();
        causes.push(Cause::new(
            "FieldValueNotSupported",
            path,
            format!("Unsupported value: {value}: supported values: {}", listed.join(", ")),
        ));
    }
    match value {
        Value::Object(map) => {
            for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
                let name = name.as_str().unwrap_or_default();
                if !map.contains_key(name) {
                    causes.push(Cause::required(join(path, name)));
                }
            }
            count(map.len(), schema, "minProperties", "maxProperties", "properties", path, causes);
            let properties = schema.get("properties").and_then(Value::as_object);
            let additional = schema.get("additionalProperties").filter(|v| v.is_object());
            for (name, below) in map {
                if let Some(schema) = properties.and_then(|p| p.get(name)).or(additional) {
                    validate(below, schema, &join(path, name), causes);
                }
            }
        }
        Value::Array(items) => {
            count(items.len(), schema, "minItems", "maxItems", "items", path, causes);
            for (i, item) in items.iter().enumerate() {
                if let Some(schema) = schema.get("items") {
                    validate(item, schema, &format!("{path}[{i}]"), causes);
                }
            }
            unique(items, schema, path, causes);
        }
        Value::Number(number) => bounds(number.as_f64().unwrap_or_default(), schema, path, causes),
        Value::String(text) => {
            length(text, schema, path, causes);
            if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
                && !compiled(pattern).is_some_and(|r| r.is_match(text))
            {
                let message = format!("{text:?}: {path} in body should match '{pattern}'");
                causes.push(Cause::invalid(path, message));
            }
        }
        _ => {}
    }
    for all in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        validate(value, all, path, causes);
    }
    let passes = |schema: &Value| {
        let mut found = Vec::new();
        validate(value, schema, path, &mut found);
        found.is_empty()
    };
    if let Some(any) = schema.get("anyOf").and_then(Value::as_array).filter(|a| !a.iter().any(passes)) {
        causes.push(Cause::invalid(
            path,
            format!("must validate at least one of {} schemas (anyOf)", any.len()),
        ));
    }
    if let Some(one) = schema.get("oneOf").and_then(Value::as_array)
        && one.iter().filter(|s| passes(s)).count() != 1
    {
        causes.push(Cause::invalid(path, "must validate one and only one schema (oneOf)"));
    }
    if schema.get("not").is_some_and(passes) {
        causes.push(Cause::invalid(path, "must not validate the schema (not)"));
    }
}

fn has_type(value: &Value, expected: &str) -> bool {
    match expected {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|f| f.fract() == 0.0),
        "number" => value.is_number(),
        _ => true,
    }
}

fn type_cause(path: &str, value: &Value, expected: &str) -> Cause {
    let got = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    Cause::new(
        "FieldValueTypeInvalid",
        path,
        format!("Invalid value: \"{got}\": {path} in body must be of type {expected}: \"{got}\""),
    )
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn count(len: usize, schema: &Value, min: &str, max: &str, what: &str, path: &str, causes: &mut Vec<Cause>) {
    let limit = |key: &str| schema.get(key).and_then(Value::as_u64);
    if let Some(min) = limit(min).filter(|min| (len as u64) < *min) {
        causes.push(Cause::invalid(path, format!("{len}: {path} in body should have at least {min} {what}")));
    }
    if let Some(max) = limit(max).filter(|max| len as u64 > *max) {
        causes.push(Cause::new(
            "FieldValueTooMany",
            path,
            format!("Too many: {len}: must have at most {max} {what}"),
        ));
    }
}

fn length(text: &str, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let limit = |key: &str| schema.get(key).and_then(Value::as_u64);
    let chars = text.chars().count() as u64;
    if let Some(min) = limit("minLength").filter(|min| chars < *min) {
        let why = format!("{text:?}: {path} in body should be at least {min} chars long");
        causes.push(Cause::invalid(path, why));
    }
    if let Some(max) = limit("maxLength").filter(|max| chars > *max) {
        let why = format!("Too long: may not be more than {max} bytes");
        causes.push(Cause::new("FieldValueTooLong", path, why));
    }
}

fn bounds(number: f64, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let limit = |key: &str| schema.get(key).and_then(Value::as_f64);
    let exclusive = |key: &str| schema.get(key) == Some(&Value::Bool(true));
    if let Some(min) = limit("minimum") {
        let outside = if exclusive("exclusiveMinimum") { number <= min } else { number < min };
        if outside {
            causes.push(Cause::invalid(
                path,
                format!("{number}: {path} in body should be greater than or equal to {min}"),
            ));
        }
    }
    if let Some(max) = limit("maximum") {
        let outside = if exclusive("exclusiveMaximum") { number >= max } else { number > max };
        if outside {
            causes.push(Cause::invalid(
                path,
                format!("{number}: {path} in body should be less than or equal to {max}"),
            ));
        }
    }
    if let Some(step) = limit("multipleOf").filter(|step| *step != 0.0 && (number / step).fract() != 0.0) {
        causes.push(Cause::invalid(path, format!("{number}: {path} in body should be a multiple of {step}")));
    }
}

/// Keys of a map list, and items of a set, occur once.
fn unique(items: &[Value], schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    use crate::patch::fields::elements;
    use crate::patch::lists::Typing;
    let mut seen = std::collections::BTreeSet::new();
    let list_type = Typing::Custom(Some(schema)).list_type();
    for (i, (element, _)) in elements(items, &list_type).into_iter().flatten().enumerate() {
        if !seen.insert(element.clone()) {
            let shown = element.get(2..).unwrap_or_default();
            causes.push(Cause::new(
                "FieldValueDuplicate",
                format!("{path}[{i}]"),
                format!("Duplicate value: {shown}"),
            ));
        }
    }
}

/// Patterns kept: those of a few definitions, which every write asks for again. Compiling one takes longer than all else
/// that a write is judged by.
const PATTERNS_MAX: usize = 1024;

/// A schema's pattern; `None`: it cannot be compiled, and matches nothing.
fn compiled(pattern: &str) -> Option<Regex> {
    static KEPT: LazyLock<Mutex<HashMap<String, Option<Regex>>>> = LazyLock::new(Mutex::default);
    let mut kept = KEPT.lock();
    if let Some(regex) = kept.get(pattern) {
        return regex.clone();
    }
    let regex = regex::RegexBuilder::new(pattern).size_limit(1 << 20).build().ok();
    if kept.len() >= PATTERNS_MAX {
        kept.clear();
    }
    kept.insert(pattern.to_owned(), regex.clone());
    regex
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schemas_default_prune_and_judge() {
        let schema = json!({"type": "object", "required": ["spec"], "properties": {
            "spec": {"type": "object", "required": ["min"], "properties": {
                "min": {"type": "integer", "minimum": 1, "maximum": 10},
                "mode": {"type": "string", "enum": ["A", "B"], "default": "A"},
                "port": {"x-kubernetes-int-or-string": true},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 3},
                "list": {"type": "array", "maxItems": 2, "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["k"], "items": {"type": "object", "properties": {"k": {"type": "string"}}}}}}}});
        let mut object = json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "x"}, "junk": 1,
            "spec": {"min": 1, "free": {"x": {"y": 1}}, "other": 2, "list": [{"k": "a", "z": 1}]}});
        let mut unknown = Vec::new();
        prune(&mut object, &schema, "", &mut unknown);
        default(&mut object, &schema);
        unknown.sort();
        assert_eq!(unknown, ["junk", "spec.list[0].z", "spec.other"]);
        assert_eq!(object["spec"]["mode"], "A");
        object["spec"]["mode"] = Value::Null;
        default(&mut object, &schema);
        assert_eq!(object["spec"]["mode"], "A", "null is no mode");
        assert_eq!(object["spec"]["free"], json!({"x": {"y": 1}}));

        for (spec, field) in [
            (json!({"min": 0}), "spec.min"),
            (json!({"min": 11}), "spec.min"),
            (json!({"min": "x"}), "spec.min"),
            (json!({"min": 1.5}), "spec.min"),
            (json!({}), "spec.min"),
            (json!({"min": 1, "mode": "C"}), "spec.mode"),
            (json!({"min": 1, "port": true}), "spec.port"),
            (json!({"min": 1, "labels": {"a": 1}}), "spec.labels.a"),
            (json!({"min": 1, "name": "A"}), "spec.name"),
            (json!({"min": 1, "name": "abcd"}), "spec.name"),
            (json!({"min": 1, "list": [{"k": "a"}, {"k": "a"}]}), "spec.list[1]"),
        ] {
            let mut causes = Vec::new();
            validate(&json!({"spec": spec}), &schema, "", &mut causes);
            let fields: Vec<&str> = causes.iter().map(|c| c.field.as_str()).collect();
            assert_eq!(fields, [field], "{spec}");
        }
        let mut causes = Vec::new();
        validate(&object, &schema, "", &mut causes);
        assert!(causes.is_empty(), "{causes:?}");
    }
}
