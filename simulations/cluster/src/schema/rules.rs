//! Rules in CEL (`x-kubernetes-validations`): compiled when a kind is defined, checked at every write.

use std::fmt;

use kube_cel::{CompiledSchema, Validator, compile_schema};
use serde_json::Value;

use crate::error::Cause;

/// The rules of one version of a kind.
pub(crate) struct Rules {
    schema: CompiledSchema,
    any: bool,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("any", &self.any).finish_non_exhaustive()
    }
}

impl Rules {
    /// Compiles what a schema holds. Rules that do not compile fail whatever is checked: [`judge`] refuses them.
    pub(crate) fn new(schema: &Value) -> Self {
        Self { any: has_rules(schema), schema: compile_schema(schema) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.any
    }

    /// Notes which rules an object breaks, after its defaults; rules over `oldSelf` hold for changes alone.
    pub(crate) fn check(&self, object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
        if !self.any {
            return;
        }
        let Err(broken) = Validator::new().validate_compiled(&self.schema, object, old) else { return };
        for rule in broken.into_vec() {
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
            causes.push(Cause::new(reason, rule.field_path, format!("{start}: {}", rule.message)));
        }
    }
}

fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.contains_key("x-kubernetes-validations") || map.values().any(has_rules),
        Value::Array(items) => items.iter().any(has_rules),
        _ => false,
    }
}

/// Notes which rules of a schema do not compile.
pub(crate) fn judge(schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let rules = schema.get("x-kubernetes-validations").and_then(Value::as_array);
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
