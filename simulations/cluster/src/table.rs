//! `kubectl get`: objects as rows of a `meta.k8s.io/v1` Table.

mod jsonpath;
mod kinds;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::object;
use crate::resources::{Resource, Source};

/// One column: heading, and whether only `-o wide` shows it.
pub(crate) type Column = (&'static str, bool);

/// A Table of objects; `include` is the request's `includeObject`.
pub(crate) fn table(resource: &Resource, objects: &[&Value], include: &str, now: Timestamp) -> Value {
    let (columns, cells): (Vec<Value>, Vec<Vec<Value>>) = match &resource.source {
        Source::Builtin(b) => {
            let (columns, row) = kinds::of(b.kind);
            let definitions =
                columns.iter().map(|(name, wide)| definition(name, "string", i32::from(*wide))).collect();
            (
                definitions,
                objects.iter().map(|o| columns.iter().zip(row(o, now)).map(cell).collect()).collect(),
            )
        }
        Source::Custom(custom) => custom_rows(&custom.columns, objects, now),
    };
    let rows: Vec<Value> = objects
        .iter()
        .zip(cells)
        .map(|(object, cells)| match include {
            "None" => json!({ "cells": cells }),
            "Object" => json!({"cells": cells, "object": object}),
            _ => {
                json!({"cells": cells, "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.get("metadata")}})
            }
        })
        .collect();
    let revision = match objects {
        [one] => object::resource_version(one),
        _ => "",
    };
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": revision},
        "columnDefinitions": columns, "rows": rows})
}

fn definition(name: &str, kind: &str, priority: i32) -> Value {
    let format = if name == "Name" { "name" } else { "" };
    json!({"name": name, "type": kind, "format": format, "description": name, "priority": priority})
}

/// Columns whose cells are numbers, where they are nothing but digits.
const NUMBERS: &[&str] = &["Data", "Up-to-date", "Available", "Desired", "Current", "Ready"];

fn cell(((name, _), text): (&Column, String)) -> Value {
    match text.parse::<i64>() {
        Ok(number) if NUMBERS.contains(name) => json!(number),
        _ => json!(text),
    }
}

/// Name, the definition's columns, and an age if it has none of its own.
fn custom_rows(columns: &[Value], objects: &[&Value], now: Timestamp) -> (Vec<Value>, Vec<Vec<Value>>) {
    let mut definitions = vec![definition("Name", "string", 0)];
    for column in columns {
        let priority = object::int(column, &["priority"]).and_then(|p| i32::try_from(p).ok()).unwrap_or(0);
        definitions.push(definition(
            object::text(column, &["name"]),
            object::text(column, &["type"]),
            priority,
        ));
    }
    if columns.is_empty() {
        definitions.push(definition("Age", "date", 0));
    }
    let rows = objects
        .iter()
        .map(|o| {
            let mut cells = vec![json!(object::name(o))];
            cells.extend(columns.iter().map(|column| {
                let found = jsonpath::first(o, object::text(column, &["jsonPath"]));
                match (object::text(column, &["type"]), found) {
                    (_, None) => json!(""),
                    ("date", Some(Value::String(time))) => json!(since(time, now)),
                    ("string", Some(value)) if !value.is_string() => json!(value.to_string()),
                    (_, Some(value)) => value.clone(),
                }
            }));
            if columns.is_empty() {
                cells.push(json!(age(o, now)));
            }
            cells
        })
        .collect();
    (definitions, rows)
}

/// How long ago an object was made.
pub(crate) fn age(object: &Value, now: Timestamp) -> String {
    since(object::text(object, &["metadata", "creationTimestamp"]), now)
}

/// How long ago a time was, as kubectl writes it; `<unknown>` if it is no time.
pub(crate) fn since(time: &str, now: Timestamp) -> String {
    match time.parse::<Timestamp>() {
        Ok(then) => duration(now.as_second().saturating_sub(then.as_second())),
        Err(_) => "<unknown>".into(),
    }
}

/// Source: apimachinery `duration.HumanDuration` (which units are shown when).
fn duration(seconds: i64) -> String {
    let (m, h, d) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        ..0 => "0s".into(),
        0..120 => format!("{seconds}s"),
        120..600 if seconds % 60 != 0 => format!("{m}m{}s", seconds % 60),
        120..10_800 => format!("{m}m"),
        10_800..28_800 if m % 60 != 0 => format!("{h}h{}m", m % 60),
        10_800..172_800 => format!("{h}h"),
        172_800..691_200 if h % 24 != 0 => format!("{d}d{}h", h % 24),
        172_800..63_072_000 => format!("{d}d"),
        _ => format!("{}y", d / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_kubectl_writes_them() {
        for (seconds, text) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (3599, "59m"),
            (10_800, "3h"),
            (10_860, "3h1m"),
            (100_000, "27h"),
            (180_000, "2d2h"),
            (864_000, "10d"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
