//! `--set PATH=VALUE`: puts a value into the tree before it is read.

use serde_json::{Map, Value};
use thanos_telemetry::cli;

/// Sets the value at `path`; list items by index, `stages[1]`, or by name, `stages.step`. Returns the path with
/// indices, as problems name it.
pub(super) fn apply(tree: &mut Value, path: &str, value: &str) -> Result<String, String> {
    let value: Value = cli::parse_yaml(value)?;
    let path = path.replace('[', ".").replace(']', "");
    let mut at = tree;
    let mut found = String::new();
    for step in path.split('.') {
        if step.is_empty() {
            return Err("write a path such as load.stages.step.rate".into());
        }
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        at = match at {
            Value::Object(fields) => {
                let dot = if found.is_empty() { "" } else { "." };
                found.push_str(&format!("{dot}{step}"));
                fields.entry(step).or_insert(Value::Null)
            }
            Value::Array(items) => {
                let named = |v: &Value| v.get("name").and_then(Value::as_str) == Some(step);
                let index: Option<usize> = step.parse().ok().or_else(|| items.iter().position(named));
                let item = index.and_then(|i| Some((i, items.get_mut(i)?)));
                let (i, item) = item.ok_or_else(|| format!("the list has no item {step:?}"))?;
                found.push_str(&format!("[{i}]"));
                item
            }
            _ => return Err(format!("there is nothing below a plain value, so no {step:?}")),
        };
    }
    *at = value;
    Ok(found)
}
