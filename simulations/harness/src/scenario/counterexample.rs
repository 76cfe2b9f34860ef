//! Counterexamples: a row that cannot fail proves nothing, so a scenario may say what makes which row fail.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use thanos_telemetry::cli;

use crate::judge::Row;

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

    /// A row for each thing that must fail: it holds if a judged row did fail.
    pub fn judge(&self, rows: &[Row]) -> Vec<Row> {
        self.fails.iter().map(|named| failed(named, rows)).collect()
    }
}

/// YAML that reads as this value: JSON is YAML, but what needs no quotes is shown without.
fn text(value: &Value) -> String {
    match value {
        Value::String(plain) if cli::parse_yaml::<Value>(plain).is_ok_and(|v| v == *value) => plain.clone(),
        value => value.to_string(),
    }
}

fn failed(named: &str, rows: &[Row]) -> Row {
    let of_it: Vec<&Row> = rows.iter().filter(|r| r.is_named(named)).collect();
    let told = |r: &Row| format!("{}: {}", r.expectation, r.found);
    let (held, found) = match of_it.iter().find(|r| !r.held && r.reached) {
        Some(row) => (true, told(row)),
        None => {
            let all: Vec<String> = of_it.iter().map(|r| told(r)).collect();
            (false, if all.is_empty() { "no such row".to_owned() } else { all.join("; ") })
        }
    };
    Row { key: named.to_owned(), expectation: format!("{named} fails"), found, held, reached: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, expectation: &str, held: bool, reached: bool) -> Row {
        Row { key: key.into(), expectation: expectation.into(), found: "found".into(), held, reached }
    }

    #[test]
    fn of_each_named_thing_one_judged_row_has_to_fail() {
        let rows = [
            row("reaches", "east/web reaches 3", true, true),
            row("reaches", "west/web reaches 3", false, true),
            row("failed==0", "failed==0 in \"step\"", true, true),
            row("settles", "east/web settles", false, false),
        ];
        for (named, want) in [
            ("reaches", true),
            ("west/web reaches 3", true),
            ("east/web reaches 3", false),
            ("failed==0", false),
            // Not judged is not failed.
            ("settles", false),
            ("nothing", false),
        ] {
            let c = Counterexample {
                name: "bad".into(),
                why: String::new(),
                set: BTreeMap::new(),
                fails: vec![named.into()],
            };
            assert_eq!(c.judge(&rows)[0].held, want, "{named}");
        }
    }

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
