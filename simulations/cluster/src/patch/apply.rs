//! Server-side apply: merge what a manager wants, drop what it no longer wants, refuse what is another's.
//!
//! Source: kubernetes "Server-Side Apply" and structured-merge-diff (rules). Light against the original: no
//! versions conversion, and an atomic map (a label selector) is tracked by its leaves.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::fields::{FieldSet, Finder, Path, elements, leaves, remove_all};
use super::lists::Typing;
use crate::error::{ApiError, Result};
use crate::object;
use crate::types::ListType;

/// Who writes, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Manager {
    pub(crate) name: String,
    /// `Apply` or `Update`.
    pub(crate) operation: &'static str,
    pub(crate) subresource: String,
}

type Owners = BTreeMap<Manager, (FieldSet, Value)>;

fn owners(object: &Value) -> Owners {
    object::list(object, &["metadata", "managedFields"])
        .iter()
        .map(|entry| {
            let manager = Manager {
                name: object::text(entry, &["manager"]).to_owned(),
                operation: if object::text(entry, &["operation"]) == "Apply" { "Apply" } else { "Update" },
                subresource: object::text(entry, &["subresource"]).to_owned(),
            };
            let set = FieldSet::from_fields_v1(entry.get("fieldsV1").unwrap_or(&Value::Null));
            (manager, (set, entry.clone()))
        })
        .collect()
}

fn write_owners(object: &mut Value, owners: Owners) {
    let entries: Vec<Value> = owners
        .into_values()
        .filter(|(set, _)| !set.is_empty())
        .map(|(set, mut entry)| {
            object::map_mut(&mut entry).insert("fieldsV1".into(), set.to_fields_v1());
            entry
        })
        .collect();
    let meta = object::meta_mut(object);
    if entries.is_empty() {
        meta.remove("managedFields");
    } else {
        meta.insert("managedFields".into(), Value::Array(entries));
    }
}

fn entry(manager: &Manager, api_version: &str, now: &str) -> Value {
    let mut entry = json!({
        "manager": manager.name, "operation": manager.operation, "apiVersion": api_version,
        "time": now, "fieldsType": "FieldsV1",
    });
    if !manager.subresource.is_empty() {
        entry["subresource"] = Value::from(manager.subresource.clone());
    }
    entry
}

/// Notes that `manager` wrote the difference between two states.
pub(crate) fn track_update(
    old: Option<&Value>,
    new: &mut Value,
    typing: Typing<'_>,
    manager: &Manager,
    now: &str,
) {
    let mut owners = old.map(owners).unwrap_or_default();
    let before = old.map(|o| leaves(o, typing)).unwrap_or_default();
    let after = leaves(new, typing);
    let is_item = |p: &Path| p.last().is_some_and(|e| !e.starts_with("f:"));
    let written: BTreeSet<Path> = after
        .iter()
        .filter(|(path, value)| before.get(*path).is_none_or(|b| !is_item(path) && b != *value))
        .map(|(path, _)| path.clone())
        .collect();
    let mut there = Finder::new(new, typing);
    for (set, _) in owners.values_mut() {
        set.0.retain(|p| !written.contains(p) && (after.contains_key(p) || there.find(p).is_some()));
    }
    if !written.is_empty() {
        let api_version = object::text(new, &["apiVersion"]).to_owned();
        let (set, noted) = owners.entry(manager.clone()).or_default();
        set.0.extend(written);
        *noted = entry(manager, &api_version, now);
    }
    write_owners(new, owners);
}

/// Merges an applied configuration into the live object (or into nothing, to create it). `defaulted` fills in the
/// server's defaults: a list that is replaced as a whole conflicts by what it will be, not by how it was written.
///
/// # Errors
/// 409 naming the other managers and fields, unless forced.
pub(crate) fn apply(
    live: Option<&Value>,
    applied: &Value,
    typing: Typing<'_>,
    manager: &Manager,
    force: bool,
    now: &str,
    defaulted: impl Fn(&Value) -> Value,
) -> Result<Value> {
    if !object::list(applied, &["metadata", "managedFields"]).is_empty() {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    let mut owners = live.map(owners).unwrap_or_default();
    let wanted = FieldSet::of(applied, typing);
    let mut merged = merge(live.unwrap_or(&Value::Null), applied, typing);

    let mut conflicts = Vec::new();
    let outcome = defaulted(&merged);
    let mut before = live.map(|live| Finder::new(live, typing));
    let mut after = Finder::new(&outcome, typing);
    for (other, (set, entry)) in owners.iter_mut().filter(|(m, _)| *m != manager) {
        let taken: Vec<Path> = set
            .0
            .intersection(&wanted.0)
            .filter(|p| p.last().is_some_and(|e| e.starts_with("f:")))
            .filter(|p| before.as_mut().and_then(|b| b.find(p)) != after.find(p))
            .cloned()
            .collect();
        for path in taken {
            if force {
                set.0.remove(&path);
            } else {
                conflicts.push((shown(other, entry), dotted(&path)));
            }
        }
    }
    if !conflicts.is_empty() {
        return Err(ApiError::apply_conflict(&conflicts));
    }

    let previous = owners.remove(manager).map(|(set, _)| set).unwrap_or_default();
    // An item goes as a whole, and is told apart by its keys until then.
    let dropped = previous.0.difference(&wanted.0).filter(|p| !is_key(p));
    let kept = |path: &Path| owners.values().any(|(set, _)| set.touches(path)) || wanted.touches(path);
    let dropped: Vec<&Path> = dropped.filter(|path| !kept(path)).collect();
    remove_all(&mut merged, typing, dropped);
    let api_version = object::text(applied, &["apiVersion"]).to_owned();
    owners.insert(manager.clone(), (wanted, entry(manager, &api_version, now)));
    write_owners(&mut merged, owners);
    Ok(merged)
}

/// A manager as a conflict names it.
fn shown(manager: &Manager, entry: &Value) -> String {
    let mut text = format!("{:?}", manager.name);
    if !manager.subresource.is_empty() {
        text.push_str(&format!(" with subresource {:?}", manager.subresource));
    }
    if manager.operation == "Update" {
        let (version, time) = (object::text(entry, &["apiVersion"]), object::text(entry, &["time"]));
        text.push_str(&format!(" using {version} at {time}"));
    }
    text
}

/// Whether the path is a key of the list item that it is in.
fn is_key(path: &[String]) -> bool {
    let [.., item, field] = path else { return false };
    let (Some(keys), Some(field)) = (item.strip_prefix("k:"), field.strip_prefix("f:")) else { return false };
    serde_json::from_str::<Value>(keys).is_ok_and(|keys| keys.get(field).is_some())
}

fn dotted(path: &[String]) -> String {
    path.iter()
        .map(|e| match e.strip_prefix("f:") {
            Some(field) => format!(".{field}"),
            None => format!("[{}]", e.get(2..).unwrap_or_default()),
        })
        .collect()
}

fn merge(live: &Value, applied: &Value, typing: Typing<'_>) -> Value {
    match (live, applied) {
        (_, Value::Object(applied)) => {
            let mut out = live.as_object().cloned().unwrap_or_else(Map::new);
            for (key, value) in applied {
                if value.is_null() {
                    continue;
                }
                let merged = merge(out.get(key).unwrap_or(&Value::Null), value, typing.field(key));
                out.insert(key.clone(), merged);
            }
            Value::Object(out)
        }
        (Value::Array(live_items), Value::Array(applied_items)) => {
            let list_type = typing.list_type();
            let (Some(have), Some(want)) =
                (elements(live_items, &list_type), elements(applied_items, &list_type))
            else {
                return applied.clone();
            };
            let mut had: HashMap<&String, &Value> = HashMap::new();
            for (element, item) in &have {
                had.entry(element).or_insert(item);
            }
            let wanted: HashSet<&String> = want.iter().map(|(e, _)| e).collect();
            // What is applied, in its order; what others put there, after it.
            let mut out: Vec<Value> = want
                .iter()
                .map(|(element, item)| match had.get(element) {
                    Some(live) if list_type != ListType::Set => merge(live, item, typing.item()),
                    _ => (*item).clone(),
                })
                .collect();
            out.extend(have.iter().filter(|(e, _)| !wanted.contains(e)).map(|(_, item)| (*item).clone()));
            Value::Array(out)
        }
        (_, applied) => applied.clone(),
    }
}

#[cfg(test)]
mod tests;
