//! Sets of fields: who owns what, in the `FieldsV1` form of `metadata.managedFields`.
//!
//! A path is a list of elements as FieldsV1 writes them: `f:NAME` a field, `k:{…}` an item of a keyed list,
//! `v:VALUE` an item of a set. Source: kubernetes-sigs/structured-merge-diff `fieldpath` (format).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

use super::lists::{Typing, key_of};
use crate::types::ListType;

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
        Self(leaves(value, typing).into_keys().collect())
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

/// What [`FieldSet::of`] holds, each with its value; of items of the same key, the first.
pub(crate) fn leaves<'v>(value: &'v Value, typing: Typing<'_>) -> BTreeMap<Path, &'v Value> {
    let mut out = BTreeMap::new();
    collect(value, typing, &mut Vec::new(), &mut out);
    out
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

fn collect<'v>(value: &'v Value, typing: Typing<'_>, at: &mut Path, out: &mut BTreeMap<Path, &'v Value>) {
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
                    out.entry(at.clone()).or_insert(item);
                    if item.is_object() {
                        collect(item, typing.item(), at, out);
                    }
                    at.pop();
                }
            }
            None => {
                out.entry(at.clone()).or_insert(value);
            }
        },
        _ if at.is_empty() => {}
        _ => {
            out.entry(at.clone()).or_insert(value);
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

/// Finds values by their paths. The keys of a list are written once, however many paths lead through it.
pub(crate) struct Finder<'v, 't> {
    root: &'v Value,
    typing: Typing<'t>,
    /// By where its items are.
    lists: HashMap<*const Value, HashMap<String, &'v Value>>,
}

impl<'v, 't> Finder<'v, 't> {
    pub(crate) fn new(root: &'v Value, typing: Typing<'t>) -> Self {
        Self { root, typing, lists: HashMap::new() }
    }

    /// The value at a path.
    pub(crate) fn find(&mut self, path: &[String]) -> Option<&'v Value> {
        let (mut value, mut typing) = (self.root, self.typing);
        for element in path {
            if let Some(field) = element.strip_prefix("f:") {
                (value, typing) = (value.get(field)?, typing.field(field));
                continue;
            }
            let items = value.as_array().filter(|items| !items.is_empty())?;
            let by_key = self.lists.entry(items.as_ptr()).or_insert_with(|| {
                let mut by_key = HashMap::new();
                for (element, item) in elements(items, &typing.list_type()).unwrap_or_default() {
                    by_key.entry(element).or_insert(item);
                }
                by_key
            });
            (value, typing) = (by_key.get(element)?, typing.item());
        }
        Some(value)
    }
}

/// Paths as a tree.
#[derive(Default)]
struct Branch<'p> {
    /// A path ends here.
    ends: bool,
    below: BTreeMap<&'p str, Branch<'p>>,
}

/// Removes the values at these paths. Items are told apart by the keys that they had before.
pub(crate) fn remove_all<'p>(
    value: &mut Value,
    typing: Typing<'_>,
    paths: impl IntoIterator<Item = &'p Path>,
) {
    let mut root = Branch::default();
    for path in paths {
        let end = path.iter().fold(&mut root, |at, element| at.below.entry(element).or_default());
        end.ends = true;
    }
    prune(value, typing, &root);
}

fn prune(value: &mut Value, typing: Typing<'_>, branch: &Branch<'_>) {
    match value {
        Value::Object(map) => {
            for (element, below) in &branch.below {
                let Some(field) = element.strip_prefix("f:") else { continue };
                if below.ends {
                    map.remove(field);
                } else if let Some(value) = map.get_mut(field) {
                    prune(value, typing.field(field), below);
                }
            }
        }
        Value::Array(items) => {
            let Some(named) = elements(items, &typing.list_type()) else { return };
            let names: Vec<String> = named.into_iter().map(|(element, _)| element).collect();
            let mut seen = HashSet::new();
            let mut names = names.iter();
            items.retain_mut(|item| {
                let Some(name) = names.next() else { return true };
                let Some(below) = branch.below.get(name.as_str()).filter(|_| seen.insert(name)) else {
                    return true;
                };
                if !below.ends {
                    prune(item, typing.item(), below);
                }
                !below.ends
            });
        }
        _ => {}
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
        let mut finder = Finder::new(&object, typing);
        for (path, value) in leaves(&object, typing) {
            assert_eq!(finder.find(&path), Some(value), "{path:?}");
        }
        let mut emptied = object.clone();
        remove_all(&mut emptied, typing, &set.0);
        assert_eq!(
            FieldSet::of(&emptied, typing).0.into_iter().filter(|p| p.len() > 2).count(),
            0,
            "{emptied}"
        );
    }
}
