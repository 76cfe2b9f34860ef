//! Rules in CEL (`x-kubernetes-validations`): compiled when a kind is defined, checked at every write.

use std::fmt;

use kube_cel::{CompiledSchema, Validator, compile_schema};
use serde_json::Value;

use crate::error::Cause;

/// The rules of one version of a kind.
///
/// Those of each field of an object stand apart: a field that a write leaves as it was is not judged again, unless a rule
/// in it looks at what it was (validation ratcheting, Kubernetes' KEP-4008). A status that changes each second does
/// not have the whole specification judged each second.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Of the object as a whole.
    whole: Option<Compiled>,
    /// By field; those without any rule are not here.
    fields: Vec<(String, Compiled)>,
}

struct Compiled {
    schema: CompiledSchema,
    /// Whether a rule looks at what was.
    over_changes: bool,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("over_changes", &self.over_changes).finish_non_exhaustive()
    }
}

impl Compiled {
    fn new(schema: &Value) -> Self {
        let over_changes = any_rule(schema, &|rule| rule.contains("oldSelf"));
        Self { schema: compile_schema(schema), over_changes }
    }

    /// Notes which rules a value breaks that stands at `field`.
    fn check(&self, field: &str, value: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
        if !self.over_changes && old == Some(value) {
            return;
        }
        let Err(broken) = Validator::new().validate_compiled(&self.schema, value, old) else { return };
        causes.extend(broken.into_vec().into_iter().map(|rule| cause(field, &rule)));
    }
}

impl Rules {
    /// Compiles what a schema holds. Rules that do not compile fail whatever is checked: [`judge`] refuses them.
    pub(crate) fn new(schema: &Value) -> Self {
        let mut whole = schema.clone();
        let mut fields = Vec::new();
        for (name, below) in whole.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
        {
            if any_rule(below, &|_| true) {
                fields.push((name.clone(), Compiled::new(below)));
                strip(below);
            }
        }
        Self { whole: any_rule(&whole, &|_| true).then(|| Compiled::new(&whole)), fields }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.whole.is_none() && self.fields.is_empty()
    }

    /// Notes which rules an object breaks, after its defaults; rules over `oldSelf` hold for changes alone.
    pub(crate) fn check(&self, object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
        if let Some(whole) = &self.whole {
            whole.check("", object, old, causes);
        }
        for (name, rules) in &self.fields {
            let Some(value) = object.get(name) else { continue };
            rules.check(name, value, old.and_then(|old| old.get(name)), causes);
        }
    }
}

fn cause(field: &str, rule: &kube_cel::ValidationError) -> Cause {
    let reason = match rule.reason.as_deref() {
        Some("FieldValueForbidden") => "FieldValueForbidden",
        Some("FieldValueRequired") => "FieldValueRequired",
        Some("FieldValueDuplicate") => "FieldValueDuplicate",
        _ => "FieldValueInvalid",
    };
    let start = match reason {
        "FieldValueForbidden" => "Forbidden",
        "FieldValueRequired" => "Required value",
        "FieldValueDuplicate" => "Duplicate value",
        _ => "Invalid value",
    };
    let below = rule.field_path.trim_start_matches('.');
    let path = match (field, below) {
        ("", path) | (path, "") => path.to_owned(),
        (field, below) if below.starts_with('[') => format!("{field}{below}"),
        (field, below) => format!("{field}.{below}"),
    };
    Cause::new(reason, path, format!("{start}: {}", rule.message))
}

const RULES: &str = "x-kubernetes-validations";

/// Whether a schema has a rule of this kind, at any depth.
fn any_rule(schema: &Value, is: &dyn Fn(&str) -> bool) -> bool {
    let own = schema.get(RULES).and_then(Value::as_array).into_iter().flatten();
    own.filter_map(|rule| rule.get("rule").and_then(Value::as_str)).any(is)
        || match schema {
            Value::Object(map) => map.values().any(|below| any_rule(below, is)),
            Value::Array(items) => items.iter().any(|below| any_rule(below, is)),
            _ => false,
        }
}

/// The schema without its rules.
fn strip(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.remove(RULES);
            map.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Notes which rules of a schema do not compile.
pub(crate) fn judge(schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let rules = schema.get(RULES).and_then(Value::as_array);
    for (i, rule) in rules.into_iter().flatten().enumerate() {
        let alone = serde_json::json!({"type": schema.get("type"), "x-kubernetes-validations": [rule]});
        for error in compile_schema(&alone).compilation_errors() {
            let field = format!("{path}.x-kubernetes-validations[{i}].rule");
            causes.push(Cause::invalid(field, format!("{}: compilation failed: {error}", rule["rule"])));
        }
    }
    for (name, below) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        judge(below, &format!("{path}.properties[{name}]"), causes);
    }
    for below in ["items", "additionalProperties"] {
        if let Some(schema) = schema.get(below).filter(|s| s.is_object()) {
            judge(schema, &format!("{path}.{below}"), causes);
        }
    }
}
