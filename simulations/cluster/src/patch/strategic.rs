//! Strategic merge patch: a merge patch whose lists merge by key, with `$patch` and its sisters.
//!
//! Source: kubernetes `staging/src/k8s.io/apimachinery/pkg/util/strategicpatch` (behaviour). Not kept:
//! `$setElementOrder` as an order (the live order stays, new items follow).

use serde_json::{Map, Value};

use super::lists::{ListType, Typing, key_of};
use crate::error::{ApiError, Result};

const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList/";

/// Applies a strategic merge patch.
pub(crate) fn strategic_merge(object: &Value, patch: &Value, typing: Typing<'_>) -> Result<Value> {
    let (Value::Object(object), Value::Object(patch)) = (object, patch) else {
        return Err(ApiError::bad_request("a strategic merge patch must be a JSON object"));
    };
    merge_maps(object, patch, typing).map(Value::Object)
}

fn merge_maps(
    live: &Map<String, Value>,
    patch: &Map<String, Value>,
    typing: Typing<'_>,
) -> Result<Map<String, Value>> {
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            return Ok(patch
                .iter()
                .filter(|(k, _)| *k != "$patch")
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect());
        }
        Some("delete") => return Ok(Map::new()),
        Some("merge") | None => {}
        Some(other) => return Err(ApiError::bad_request(format!("unknown $patch directive {other:?}"))),
    }
    let mut out = live.clone();
    if let Some(Value::Array(keep)) = patch.get("$retainKeys") {
        out.retain(|k, _| keep.iter().any(|kept| kept == k));
    }
    for (key, value) in patch {
        if let Some(field) = key.strip_prefix(DELETE_FROM_PRIMITIVE_LIST) {
            if let (Some(Value::Array(items)), Value::Array(gone)) = (out.get_mut(field), value) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if key.starts_with('$') {
            continue;
        }
        match value {
            Value::Null => {
                out.remove(key);
            }
            Value::Object(patch) => {
                if patch.get("$patch").and_then(Value::as_str) == Some("delete") {
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
    Ok(out)
}

fn merge_lists(live: &[Value], patch: &[Value], typing: Typing<'_>) -> Result<Vec<Value>> {
    let replace = |item: &Value| item.get("$patch").and_then(Value::as_str) == Some("replace");
    let list_type = match typing.list_type(patch) {
        // A list whose patch items carry only deletions may not show its kind; the live items do.
        ListType::Atomic => typing.list_type(live),
        known => known,
    };
    if patch.iter().any(replace) {
        return Ok(patch.iter().filter(|item| !replace(item)).cloned().collect());
    }
    let keys = match list_type {
        ListType::Atomic => return Ok(patch.to_vec()),
        ListType::Set => {
            let mut out = live.to_vec();
            out.extend(patch.iter().filter(|item| !live.contains(item)).cloned());
            return Ok(out);
        }
        // Strategic merge knows one key a list: ports merge by number alone.
        ListType::Map(keys) => keys.into_iter().take(1).collect::<Vec<_>>(),
    };
    let mut out = live.to_vec();
    for item in patch {
        let Value::Object(fields) = item else {
            return Err(ApiError::bad_request("an item of a list that merges by key must be an object"));
        };
        let key = key_of(item, &keys).ok_or_else(|| {
            ApiError::bad_request(format!("an item of the list lacks its merge key {keys:?}"))
        })?;
        let position = out.iter().position(|o| key_of(o, &keys).as_ref() == Some(&key));
        if fields.get("$patch").and_then(Value::as_str) == Some("delete") {
            if let Some(i) = position {
                out.remove(i);
            }
            continue;
        }
        match position.and_then(|i| out.get_mut(i)) {
            Some(slot) => {
                let empty = Map::new();
                let merged = merge_maps(slot.as_object().unwrap_or(&empty), fields, typing.item())?;
                *slot = Value::Object(merged);
            }
            None => out.push(Value::Object(merge_maps(&Map::new(), fields, typing.item())?)),
        }
    }
    Ok(out)
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
        let patch = json!({"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [
            {"name": "a", "image": "2", "env": [{"name": "Y", "$patch": "delete"}, {"name": "Z", "value": "3"}],
             "ports": [{"containerPort": 81}], "args": ["three"]},
            {"name": "b", "$patch": "delete"}, {"name": "c", "image": "9"}]},
            "metadata": {"$deleteFromPrimitiveList/finalizers": ["f1"], "labels": {"gone": null}}});
        let merged = strategic_merge(&live, &patch, Typing::Builtin("")).unwrap();
        assert_eq!(
            merged,
            json!({"spec": {"containers": [
                {"name": "a", "image": "2", "env": [{"name": "X", "value": "1"}, {"name": "Z", "value": "3"}],
                 "ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 81}], "args": ["three"]},
                {"name": "c", "image": "9"}]},
                "metadata": {"finalizers": ["f2"], "labels": {"k": "v"}}})
        );
        let replaced = strategic_merge(
            &live,
            &json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "z"}]}, "metadata": {"$patch": "delete"}}),
            Typing::Builtin(""),
        )
        .unwrap();
        assert_eq!(replaced, json!({"spec": {"containers": [{"name": "z"}]}}));
        let keyless =
            strategic_merge(&live, &json!({"spec": {"containers": [{"image": "x"}]}}), Typing::Builtin(""));
        assert_eq!(keyless.unwrap_err().code, 400);
    }
}
