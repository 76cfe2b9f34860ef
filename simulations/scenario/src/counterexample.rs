//! Counterexamples: a row that cannot fail proves nothing, so a scenario may say what makes which row fail.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use thanos_telemetry::cli;

/// A deliberately bad policy, or other change, and which rows must then fail.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Counterexample {
    /// Name.
    pub name: String,
    /// Why it must fail.
    #[serde(default)]
    pub why: String,
    /// Values by path, as `--set` takes them: numbers, strings, lists, mappings.
    pub set: BTreeMap<String, Value>,
    /// What must fail: keys of expectations (`reaches`), thresholds (`p(95)<1s`), or a row in full. Of each, at
    /// least one row.
    pub fails: Vec<String>,
}

impl Counterexample {
    /// What it sets, as `--set` would be told.
    pub fn overrides(&self) -> BTreeMap<String, String> {
        self.set.iter().map(|(path, value)| (path.clone(), text(value))).collect()
    }
}

/// YAML that reads as this value: JSON is YAML, but what needs no quotes is shown without.
fn text(value: &Value) -> String {
    match value {
        Value::String(plain) if cli::parse_yaml::<Value>(plain).is_ok_and(|v| v == *value) => plain.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_reads_back_from_its_override() {
        for value in [
            serde_json::json!(3),
            serde_json::json!("20..200"),
            serde_json::json!("3"),
            serde_json::json!("a: b"),
            serde_json::json!(null),
            serde_json::json!({"clusters": ["east"], "maxAge": "3s"}),
            serde_json::json!("sum(rate(x{a=\"b\"}[5s])) # all"),
        ] {
            assert_eq!(cli::parse_yaml::<Value>(&text(&value)).unwrap(), value);
        }
        assert_eq!(text(&serde_json::json!("20..200")), "20..200");
    }
}
