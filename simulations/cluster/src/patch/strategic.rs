//! Strategic merge patch: a merge patch whose lists merge by key, with `$patch` and its sisters.
//!
//! Source: kubernetes `staging/src/k8s.io/apimachinery/pkg/util/strategicpatch` (behaviour).

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::lists::{Typing, key_of};
use crate::error::{ApiError, Result};
use crate::types::ListType;

const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList/";
const SET_ELEMENT_ORDER: &str = "$setElementOrder/";
const RETAIN_KEYS: &str = "$retainKeys";
const DIRECTIVE: &str = "$patch";

/// Applies a strategic merge patch.
pub(crate) fn strategic_merge(object: &Value, patch: &Value, typing: Typing<'_>) -> Result<Value> {
    let (Value::Object(object), Value::Object(patch)) = (object, patch) else {
        return Err(ApiError::bad_request("a strategic merge patch must be a JSON object"));
    };
    merge_maps(object, patch, typing).map(Value::Object)
}

fn directive(value: &Value) -> Option<&str> {
    value.get(DIRECTIVE).and_then(Value::as_str)
}

fn merge_maps(
    live: &Map<String, Value>,
    patch: &Map<String, Value>,
    typing: Typing<'_>,
) -> Result<Map<String, Value>> {
    match patch.get(DIRECTIVE) {
        Some(Value::String(word)) => match word.as_str() {
            "replace" => return Ok(without_directives(patch)),
            "delete" => return Ok(Map::new()),
            "merge" => {}
            other => return Err(ApiError::bad_request(format!("unknown $patch directive {other:?}"))),
        },
        Some(other) => return Err(ApiError::bad_request(format!("$patch must be text, not {other}"))),
        None => {}
    }
    let mut out = live.clone();
    retain_keys(&mut out, patch)?;
    for (key, value) in patch {
        if let Some(field) = key.strip_prefix(DELETE_FROM_PRIMITIVE_LIST) {
            let Value::Array(gone) = value else { return Err(not_a_list(key)) };
            if let Some(Value::Array(items)) = out.get_mut(field) {
                let gone: HashSet<&Value> = gone.iter().collect();
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if key.starts_with(SET_ELEMENT_ORDER) || key == RETAIN_KEYS || key == DIRECTIVE {
            continue;
        }
        match value {
            Value::Null => {
                out.remove(key);
            }
            Value::Object(patch) => {
                if directive(value) == Some("delete") {
                    out.remove(key);
                    continue;
                }
                let empty = Map::new();
                let live = out.get(key).and_then(Value::as_object).unwrap_or(&empty);
                let merged = merge_maps(live, patch, typing.field(key))?;
                out.insert(key.clone(), Value::Object(merged));
            }
            Value::Array(patch) => {
                let live = out.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                let merged = merge_lists(live, patch, typing.field(key))?;
                out.insert(key.clone(), Value::Array(merged));
            }
            scalar => {
                out.insert(key.clone(), scalar.clone());
            }
        }
    }
    for (key, order) in patch {
        let Some(field) = key.strip_prefix(SET_ELEMENT_ORDER) else { continue };
        let Value::Array(order) = order else { return Err(not_a_list(key)) };
        let merge = typing.field(field).merge_type();
        let given = patch.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        agree(given, order, &merge, field)?;
        if let Some(Value::Array(items)) = out.get_mut(field) {
            let server = live.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            *items = in_order(std::mem::take(items), order, server, &merge);
        }
    }
    Ok(out)
}

fn not_a_list(key: &str) -> ApiError {
    ApiError::bad_request(format!("{key} must be a list"))
}

/// The map without directives, at any depth: what is taken over is no patch any more.
fn without_directives(patch: &Map<String, Value>) -> Map<String, Value> {
    patch.iter().filter(|(k, _)| !is_directive(k)).map(|(k, v)| (k.clone(), bare(v))).collect()
}

fn is_directive(key: &str) -> bool {
    key == DIRECTIVE
        || key == RETAIN_KEYS
        || key.starts_with(SET_ELEMENT_ORDER)
        || key.starts_with(DELETE_FROM_PRIMITIVE_LIST)
}

fn bare(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(without_directives(map)),
        Value::Array(items) => {
            Value::Array(items.iter().filter(|i| directive(i) != Some("delete")).map(bare).collect())
        }
        scalar => scalar.clone(),
    }
}

/// `$retainKeys`: whatever is not named goes, and the patch may not set what it does not name.
fn retain_keys(out: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<()> {
    let Some(keep) = patch.get(RETAIN_KEYS) else { return Ok(()) };
    let Value::Array(keep) = keep else { return Err(not_a_list(RETAIN_KEYS)) };
    let kept = |key: &str| keep.iter().any(|k| k == key);
    if patch.iter().any(|(key, value)| !is_directive(key) && !value.is_null() && !kept(key)) {
        return Err(ApiError::bad_request("a patch with $retainKeys may set only the keys that it names"));
    }
    out.retain(|key, _| kept(key));
    Ok(())
}

fn merge_lists(live: &[Value], patch: &[Value], typing: Typing<'_>) -> Result<Vec<Value>> {
    let replace = |item: &Value| directive(item) == Some("replace");
    if patch.iter().any(replace) {
        return Ok(patch.iter().filter(|item| !replace(item)).map(bare).collect());
    }
    let keys = match typing.merge_type() {
        ListType::Atomic => return Ok(patch.to_vec()),
        ListType::Set => {
            let mut there: HashSet<&Value> = live.iter().collect();
            let fresh: Vec<&Value> = patch.iter().filter(|item| there.insert(item)).collect();
            let merged = live.iter().chain(fresh).cloned().collect();
            return Ok(in_order(merged, patch, live, &ListType::Set));
        }
        ListType::Map(keys) => keys,
    };
    let mut out: Vec<Option<Value>> = live.iter().cloned().map(Some).collect();
    // Where the items of a key are; the first of them is the one that is patched.
    let mut places: HashMap<Vec<(String, Value)>, Vec<usize>> = HashMap::new();
    for (i, item) in live.iter().enumerate() {
        if let Some(key) = key_of(item, &keys) {
            places.entry(key).or_default().push(i);
        }
    }
    for item in patch {
        let Value::Object(fields) = item else {
            return Err(ApiError::bad_request("an item of a list that merges by key must be an object"));
        };
        let key = key_of(item, &keys).ok_or_else(|| {
            ApiError::bad_request(format!("an item of the list lacks its merge key {keys:?}"))
        })?;
        if directive(item) == Some("delete") {
            for place in places.remove(&key).unwrap_or_default() {
                if let Some(slot) = out.get_mut(place) {
                    *slot = None;
                }
            }
            continue;
        }
        let place = places.get(&key).and_then(|places| places.first());
        let empty = Map::new();
        match place.and_then(|i| out.get_mut(*i)) {
            Some(slot) => {
                let live = slot.as_ref().and_then(Value::as_object).unwrap_or(&empty);
                *slot = Some(Value::Object(merge_maps(live, fields, typing.item())?));
            }
            None => {
                let fresh = Value::Object(merge_maps(&empty, fields, typing.item())?);
                if let Some(key) = key_of(&fresh, &keys) {
                    places.entry(key).or_default().push(out.len());
                }
                out.push(Some(fresh));
            }
        }
    }
    // Without an order of its own, the patch's: what is new comes before what only the server has.
    let given: Vec<Value> = patch.iter().filter(|item| directive(item).is_none()).cloned().collect();
    Ok(in_order(out.into_iter().flatten().collect(), &given, live, &ListType::Map(keys)))
}

/// What tells an item of a list that has an order from another: its merge key, or the item itself.
fn identity(item: &Value, merge: &ListType) -> Option<Value> {
    match merge {
        ListType::Map(keys) => item.get(keys.first()?).cloned(),
        _ => Some(item.clone()),
    }
}

/// Whatever the patch has in the list must be in its order too, in the same order.
fn agree(given: &[Value], order: &[Value], merge: &ListType, field: &str) -> Result<()> {
    let mut rest = order.iter().map(|o| identity(o, merge));
    let in_turn = given
        .iter()
        .filter(|item| directive(item).is_none())
        .map(|item| identity(item, merge))
        .all(|wanted| rest.any(|o| o == wanted));
    if in_turn {
        return Ok(());
    }
    Err(ApiError::bad_request(format!("the order in the patch list does not match $setElementOrder/{field}")))
}

/// The items of a merged list: those that `order` names in its order, between them what only the server has, in the
/// order that it has there.
fn in_order(items: Vec<Value>, order: &[Value], server: &[Value], merge: &ListType) -> Vec<Value> {
    let places = |list: &[Value]| {
        let mut places = HashMap::new();
        for (i, item) in list.iter().enumerate() {
            places.entry(identity(item, merge)).or_insert(i);
        }
        places
    };
    let (in_order, in_server) = (places(order), places(server));
    let place = |item: &Value| in_server.get(&identity(item, merge)).copied();
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for item in items {
        match in_order.get(&identity(&item, merge)) {
            Some(at) => named.push((*at, item)),
            None => others.push((place(&item).unwrap_or(usize::MAX), item)),
        }
    }
    named.sort_by_key(|(at, _)| *at);
    others.sort_by_key(|(at, _)| *at);
    let mut out = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, item) in named {
        let here = place(&item);
        // Only where both have a place there can it be said which comes first: what has none is beyond all.
        while let Some((_, other)) = others.next_if(|(other, _)| here.is_some_and(|here| *other < here)) {
            out.push(other);
        }
        out.push(item);
    }
    out.extend(others.map(|(_, item)| item));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_merge_by_key() {
        let live = json!({"spec": {"containers": [
            {"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}],
             "ports": [{"containerPort": 80, "protocol": "TCP"}], "args": ["one", "two"]},
            {"name": "b", "image": "1"}]},
            "metadata": {"finalizers": ["f1", "f2"], "labels": {"k": "v", "gone": "x"}}});
        let patch = json!({"spec": {"$setElementOrder/containers": [{"name": "a"}, {"name": "c"}], "containers": [
            {"name": "a", "image": "2", "env": [{"name": "Y", "$patch": "delete"}, {"name": "Z", "value": "3"}],
             "ports": [{"containerPort": 81}], "args": ["three"]},
            {"name": "b", "$patch": "delete"}, {"name": "c", "image": "9"}]},
            "metadata": {"$deleteFromPrimitiveList/finalizers": ["f1"], "labels": {"gone": null}}});
        let merged = strategic_merge(&live, &patch, Typing::of_kind("Pod")).unwrap();
        assert_eq!(
            merged,
            json!({"spec": {"containers": [
                {"name": "a", "image": "2", "env": [{"name": "Z", "value": "3"}, {"name": "X", "value": "1"}],
                 "ports": [{"containerPort": 81}, {"containerPort": 80, "protocol": "TCP"}], "args": ["three"]},
                {"name": "c", "image": "9"}]},
                "metadata": {"finalizers": ["f2"], "labels": {"k": "v"}}})
        );
        let replaced = strategic_merge(
            &live,
            &json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "z"}]}, "metadata": {"$patch": "delete"}}),
            Typing::of_kind("Pod"),
        )
        .unwrap();
        assert_eq!(replaced, json!({"spec": {"containers": [{"name": "z"}]}}));
        let keyless = strategic_merge(
            &live,
            &json!({"spec": {"containers": [{"image": "x"}]}}),
            Typing::of_kind("Pod"),
        );
        assert_eq!(keyless.unwrap_err().code, 400);
    }

    #[test]
    fn keys_go_by_type_and_path() {
        for (kind, live, patch, expected) in [
            (
                "ServiceAccount",
                json!({"secrets": [{"name": "a"}]}),
                json!({"secrets": [{"name": "b"}]}),
                json!({"secrets": [{"name": "b"}, {"name": "a"}]}),
            ),
            (
                "Pod",
                json!({"spec": {"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1}]}}),
                json!({"spec": {"topologySpreadConstraints": [{"topologyKey": "host", "maxSkew": 1}]}}),
                json!({"spec": {"topologySpreadConstraints": [{"topologyKey": "host", "maxSkew": 1},
                    {"topologyKey": "zone", "maxSkew": 1}]}}),
            ),
            (
                "Pod",
                json!({"spec": {"containers": [{"name": "c", "volumeDevices": [{"devicePath": "/a", "name": "a"}]}]}}),
                json!({"spec": {"containers": [{"name": "c", "volumeDevices": [{"devicePath": "/b", "name": "b"}]}]}}),
                json!({"spec": {"containers": [{"name": "c", "volumeDevices": [{"devicePath": "/b", "name": "b"},
                    {"devicePath": "/a", "name": "a"}]}]}}),
            ),
            (
                "EndpointSlice",
                json!({"ports": [{"port": 1, "name": "a"}]}),
                json!({"ports": [{"port": 2, "name": "b"}]}),
                json!({"ports": [{"port": 2, "name": "b"}]}),
            ),
            (
                "Service",
                json!({"spec": {"ports": [{"port": 1, "name": "a"}]}}),
                json!({"spec": {"ports": [{"port": 2, "name": "b"}]}}),
                json!({"spec": {"ports": [{"port": 2, "name": "b"}, {"port": 1, "name": "a"}]}}),
            ),
            // The word names a list of another type there.
            (
                "Pod",
                json!({"spec": {"tolerations": [{"key": "a"}], "volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}]}}]}}),
                json!({"spec": {"tolerations": [{"key": "b"}], "volumes": [{"name": "v", "projected": {"sources": []}}]}}),
                json!({"spec": {"tolerations": [{"key": "b"}], "volumes": [{"name": "v", "projected": {"sources": []}}]}}),
            ),
        ] {
            assert_eq!(strategic_merge(&live, &patch, Typing::of_kind(kind)).unwrap(), expected, "{kind}");
        }
    }

    #[test]
    fn the_order_of_a_patch_is_kept() {
        let names = |list: &Value| -> String {
            let names = list.as_array().unwrap().iter().map(|i| i["name"].as_str().unwrap().to_owned());
            names.collect::<Vec<_>>().join(" ")
        };
        let list = |names: &str| -> Value {
            names.split_whitespace().map(|n| json!({"name": n})).collect::<Vec<_>>().into()
        };
        for (live, patch, order, expected) in [
            ("migrate", "wait", "wait migrate", Some("wait migrate")),
            ("a b c", "", "c a b", Some("c a b")),
            ("", "x y", "x y", Some("x y")),
            // What others added stays where it was beside what it stood next to.
            ("a other b", "n", "n a b", Some("n a other b")),
            ("other a b", "", "b a", Some("other b a")),
            ("a b", "new", "a new b", Some("a new b")),
            ("a", "y x", "x y a", None),
            ("a", "x", "a", None),
        ] {
            let mut body = json!({"spec": {"$setElementOrder/initContainers": list(order)}});
            if !patch.is_empty() {
                body["spec"]["initContainers"] = list(patch);
            }
            let live = json!({"spec": {"initContainers": list(live)}});
            let merged = strategic_merge(&live, &body, Typing::of_kind("Pod"));
            let shown = merged.as_ref().ok().map(|m| names(&m["spec"]["initContainers"]));
            assert_eq!(shown.as_deref(), expected, "{live} {patch:?} {order:?}: {merged:?}");
        }
        let live = json!({"metadata": {"finalizers": ["a", "b"]}});
        let patch =
            json!({"metadata": {"$setElementOrder/finalizers": ["c", "b", "a"], "finalizers": ["c"]}});
        let merged = strategic_merge(&live, &patch, Typing::of_kind("Pod")).unwrap();
        assert_eq!(merged["metadata"]["finalizers"], json!(["c", "b", "a"]));
    }

    #[test]
    fn keys_that_are_not_retained_go() {
        let live = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
        let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
        let merged = strategic_merge(&live, &patch, Typing::of_kind("Deployment")).unwrap();
        assert_eq!(merged, json!({"spec": {"strategy": {"type": "Recreate"}}}));
        for wrong in [
            json!({"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {"maxSurge": 2}}}}),
            json!({"spec": {"strategy": {"$retainKeys": "type"}}}),
            json!({"spec": {"$setElementOrder/x": {}}}),
            json!({"spec": {"$patch": "other"}}),
            json!({"spec": {"$patch": 1}}),
        ] {
            let refused = strategic_merge(&live, &wrong, Typing::of_kind("Deployment"));
            assert_eq!(refused.unwrap_err().code, 400, "{wrong}");
        }
    }
}
