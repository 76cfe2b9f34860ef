//! `--set PATH=VALUE`: puts a value into the tree before it is read.

use serde_json::{Map, Value};
use thanos_telemetry::cli;

use crate::names::nearest;

/// Mappings by name: a name that is not there is a mistake, unless the whole of it is set.
const BY_NAME: &str = "services";

/// Sets the value at `path`; list items by name, `stages.step`, or by index, `stages[1]`. Returns the path with
/// indices, as problems name it.
pub(super) fn apply(tree: &mut Value, path: &str, value: &str) -> Result<String, String> {
    let value: Value = cli::parse_yaml(value)?;
    let steps = steps(path).ok_or("write a path such as load.stages.step.rate")?;
    let mut at = tree;
    let mut found = String::new();
    for (i, step) in steps.iter().enumerate() {
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        at = match (at, step) {
            (Value::Object(fields), Step::Name(name)) => {
                if found == BY_NAME && i + 1 < steps.len() && !fields.contains_key(*name) {
                    let hint = nearest(name, fields.keys().map(String::as_str)).unwrap_or_default();
                    return Err(format!("there is no {name:?} in {found}{hint}"));
                }
                let dot = if found.is_empty() { "" } else { "." };
                found.push_str(&format!("{dot}{name}"));
                fields.entry(*name).or_insert(Value::Null)
            }
            (Value::Object(_), Step::Index(text)) => {
                return Err(format!("{found} is no list, so it has no [{text}]"));
            }
            (Value::Array(items), step) => {
                let (named, index) = match step {
                    // A name that looks like an index is a name first.
                    Step::Name(name) => (items.iter().position(|v| is_named(v, name)), *name),
                    Step::Index(index) => (None, *index),
                };
                let index = named.or_else(|| index.parse().ok());
                let names: Vec<&str> = items.iter().filter_map(|v| v.get("name")?.as_str()).collect();
                let hint = nearest(step.text(), names).unwrap_or_default();
                let item = index.and_then(|i| Some((i, items.get_mut(i)?)));
                let (i, item) =
                    item.ok_or_else(|| format!("the list has no item {:?}{hint}", step.text()))?;
                found.push_str(&format!("[{i}]"));
                item
            }
            _ => return Err(format!("there is nothing below a plain value, so no {:?}", step.text())),
        };
    }
    *at = value;
    Ok(found)
}

fn is_named(item: &Value, name: &str) -> bool {
    match item.get("name") {
        Some(Value::String(own)) => own == name,
        Some(Value::Number(own)) => own.to_string() == name,
        _ => false,
    }
}

enum Step<'a> {
    Name(&'a str),
    Index(&'a str),
}

impl Step<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Index(text) => text,
        }
    }
}

/// `a.b[1].c`; none where it is no path.
fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (name, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if name.is_empty() || name.contains(']') {
            return None;
        }
        steps.push(Step::Name(name));
        while !rest.is_empty() {
            let (index, after) = rest.strip_prefix('[')?.split_once(']')?;
            if index.is_empty() {
                return None;
            }
            steps.push(Step::Index(index));
            rest = after;
        }
    }
    Some(steps)
}
