//! Sets of fields: who owns what, in the `FieldsV1` form of `metadata.managedFields`.
//!
//! A path is a list of elements as FieldsV1 writes them: `f:NAME` a field, `k:{…}` an item of a keyed list,
//! `v:VALUE` an item of a set. Source: kubernetes-sigs/structured-merge-diff `fieldpath` (format).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::lists::{ListType, Typing, key_of};

/// One owned field, as the elements that lead to it.
pub(crate) type Path = Vec<String>;

/// A set of owned fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSet(pub(crate) BTreeSet<Path>);

/// Deeper documents than serde_json itself accepts do not occur; this bounds hand-made `managedFields`.
const DEPTH_MAX: usize = 128;

impl FieldSet {
    /// All leaves of a value, and the items of keyed lists.
    pub(crate) fn of(value: &Value, typing: Typing<'_>) -> Self {
        let mut set = Self::default();
        collect(value, typing, &mut Vec::new(), &mut set.0);
        set
    }

    /// From `fieldsV1`; what is not in its form is left out.
    pub(crate) fn from_fields_v1(fields: &Value) -> Self {
        fn walk(map: &Map<String, Value>, at: &mut Path, out: &mut BTreeSet<Path>) {
            for (element, below) in map {
                let Some(below) = below.as_object().filter(|_| element != "." && at.len() < DEPTH_MAX) else {
                    continue;
                };
                at.push(element.clone());
                if below.is_empty() || below.contains_key(".") {
                    out.insert(at.clone());
                }
                walk(below, at, out);
                at.pop();
            }
        }
        let mut set = Self::default();
        if let Some(map) = fields.as_object() {
            walk(map, &mut Vec::new(), &mut set.0);
        }
        set
    }

    /// As `fieldsV1`.
    pub(crate) fn to_fields_v1(&self) -> Value {
        let mut root = Map::new();
        for path in &self.0 {
            let mut at = &mut root;
            for (i, element) in path.iter().enumerate() {
                // A field that is owned and has owned fields below says so with ".".
                if i > 0 && self.0.contains(path.get(..i).unwrap_or_default()) {
                    at.entry(".").or_insert_with(|| Value::Object(Map::new()));
                }
                let entry = at.entry(element.clone()).or_insert_with(|| Value::Object(Map::new()));
                match entry {
                    Value::Object(map) => at = map,
                    _ => break,
                }
            }
        }
        Value::Object(root)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any path of the set is `prefix` or below it.
    pub(crate) fn touches(&self, prefix: &[String]) -> bool {
        self.0.range(prefix.to_vec()..).next().is_some_and(|p| p.starts_with(prefix))
    }
}

/// The elements and values of a list's items, if it is a keyed list or set.
pub(crate) fn elements<'v>(items: &'v [Value], list_type: &ListType) -> Option<Vec<(String, &'v Value)>> {
    match list_type {
        ListType::Atomic => None,
        ListType::Set => Some(items.iter().map(|v| (format!("v:{v}"), v)).collect()),
        ListType::Map(keys) => items
            .iter()
            .map(|item| {
                let key: Map<String, Value> = key_of(item, keys)?.into_iter().collect();
                Some((format!("k:{}", Value::Object(key)), item))
            })
            .collect(),
    }
}

fn collect(value: &Value, typing: Typing<'_>, at: &mut Path, out: &mut BTreeSet<Path>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, below) in map {
                if is_untracked(at, key, below) {
                    continue;
                }
                at.push(format!("f:{key}"));
                collect(below, typing.field(key), at, out);
                at.pop();
            }
        }
        Value::Array(items) if !items.is_empty() => match elements(items, &typing.list_type()) {
            Some(elements) => {
                for (element, item) in elements {
                    at.push(element);
                    out.insert(at.clone());
                    if item.is_object() {
                        collect(item, typing.item(), at, out);
                    }
                    at.pop();
                }
            }
            None => {
                out.insert(at.clone());
            }
        },
        _ if at.is_empty() => {}
        _ => {
            out.insert(at.clone());
        }
    }
}

/// What nobody owns: identity and what the server itself writes.
fn is_untracked(at: &[String], key: &str, value: &Value) -> bool {
    let is_empty = |v: &Value| v.as_object().is_some_and(Map::is_empty);
    match at {
        [] => matches!(key, "apiVersion" | "kind") || key == "status" && is_empty(value),
        [meta] if meta == "f:metadata" => matches!(
            key,
            "name"
                | "namespace"
                | "uid"
                | "resourceVersion"
                | "generation"
                | "creationTimestamp"
                | "deletionTimestamp"
                | "deletionGracePeriodSeconds"
                | "managedFields"
                | "selfLink"
        ),
        _ => false,
    }
}

/// The value at a path.
pub(crate) fn lookup<'v>(value: &'v Value, typing: Typing<'_>, path: &[String]) -> Option<&'v Value> {
    let Some((element, rest)) = path.split_first() else { return Some(value) };
    if let Some(field) = element.strip_prefix("f:") {
        return lookup(value.get(field)?, typing.field(field), rest);
    }
    let items = value.as_array()?;
    let (_, item) = elements(items, &typing.list_type())?.into_iter().find(|(e, _)| e == element)?;
    lookup(item, typing.item(), rest)
}

/// Removes the value at a path; whether something was there.
pub(crate) fn remove(value: &mut Value, typing: Typing<'_>, path: &[String]) -> bool {
    let Some((element, rest)) = path.split_first() else { return false };
    if let Some(field) = element.strip_prefix("f:") {
        let Some(map) = value.as_object_mut() else { return false };
        if rest.is_empty() {
            return map.remove(field).is_some();
        }
        return map.get_mut(field).is_some_and(|below| remove(below, typing.field(field), rest));
    }
    let Some(items) = value.as_array_mut() else { return false };
    let list_type = typing.list_type();
    let position = elements(items, &list_type).and_then(|all| all.iter().position(|(e, _)| e == element));
    match position {
        Some(i) if rest.is_empty() => {
            items.remove(i);
            true
        }
        Some(i) => items.get_mut(i).is_some_and(|item| remove(item, typing.item(), rest)),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sets_survive_their_json_form() {
        let object = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "x", "labels": {"a": "b"}, "finalizers": ["f"]},
            "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}], "args": ["x"]}], "nodeSelector": {}}});
        let typing = Typing::of_kind("Pod");
        let set = FieldSet::of(&object, typing);
        let fields = set.to_fields_v1();
        assert_eq!(
            fields,
            json!({"f:metadata": {"f:labels": {"f:a": {}}, "f:finalizers": {"v:\"f\"": {}}},
            "f:spec": {"f:nodeSelector": {}, "f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:args": {},
                "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}})
        );
        assert_eq!(FieldSet::from_fields_v1(&fields), set);
        for path in &set.0 {
            assert!(lookup(&object, typing, path).is_some(), "{path:?}");
        }
    }
}
