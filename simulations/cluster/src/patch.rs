//! How a patch body changes an object: JSON patch, merge patch, strategic merge, server-side apply.

pub(crate) mod apply;
pub(crate) mod fields;
pub(crate) mod lists;
pub(crate) mod strategic;

use json_patch::PatchOperation;
use serde_json::Value;

use crate::error::{ApiError, Result};
use crate::object;

/// More operations than this are refused, as by the real API server.
const JSON_PATCH_OPERATIONS_MAX: usize = 10_000;
/// `copy` can double a document with every operation; together they may add this much.
const JSON_PATCH_COPIED_BYTES_MAX: usize = 3 << 20;

/// Nothing that can be read nests deeper, so nothing that is written may.
const DEPTH_MAX: usize = 128;

/// Applies RFC 6902.
pub(crate) fn json_patch(object: &Value, body: Value) -> Result<Value> {
    let operations: Vec<PatchOperation> = serde_json::from_value(body)
        .map_err(|e| ApiError::bad_request(format!("error decoding patch: {e}")))?;
    if operations.len() > JSON_PATCH_OPERATIONS_MAX {
        return Err(ApiError::bad_request(format!(
            "JSON patch has {} operations, more than {JSON_PATCH_OPERATIONS_MAX}",
            operations.len()
        )));
    }
    let mut patched = object.clone();
    let mut copied_bytes = 0usize;
    for operation in &operations {
        // What lands where, where it may be deeper than what it was before.
        let (landing, path) = match operation {
            PatchOperation::Add(add) => (Some(&add.value), Some(&add.path)),
            PatchOperation::Replace(replace) => (Some(&replace.value), Some(&replace.path)),
            PatchOperation::Copy(copy) => (copy.from.resolve(&patched).ok(), Some(&copy.path)),
            PatchOperation::Move(moved) if moved.path.count() > moved.from.count() => {
                (moved.from.resolve(&patched).ok(), Some(&moved.path))
            }
            _ => (None, None),
        };
        let depth = path.map_or(0, |p| p.count()).saturating_add(landing.map_or(0, depth));
        if depth > DEPTH_MAX {
            return Err(ApiError::bad_request(format!("JSON patch nests deeper than {DEPTH_MAX}")));
        }
        // What is looked through for its depth takes as long as a copy.
        if let (PatchOperation::Copy(_) | PatchOperation::Move(_), Some(value)) = (operation, landing) {
            copied_bytes = copied_bytes.saturating_add(object::json_bytes(value));
            if copied_bytes > JSON_PATCH_COPIED_BYTES_MAX {
                return Err(ApiError::bad_request("JSON patch copies more than 3 MiB"));
            }
        }
        json_patch::patch(&mut patched, std::slice::from_ref(operation))
            .map_err(|_| ApiError::unprocessable())?;
    }
    Ok(patched)
}

/// How many objects and lists are in each other; bounded in whatever was read or patched.
fn depth(value: &Value) -> usize {
    match value {
        Value::Object(map) => map.values().map(depth).max().unwrap_or(0) + 1,
        Value::Array(items) => items.iter().map(depth).max().unwrap_or(0) + 1,
        _ => 0,
    }
}

/// Applies RFC 7396.
pub(crate) fn merge_patch(object: &Value, body: &Value) -> Result<Value> {
    if !body.is_object() {
        return Err(ApiError::bad_request("a merge patch must be a JSON object"));
    }
    let mut patched = object.clone();
    json_patch::merge(&mut patched, body);
    Ok(patched)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn copies_are_bounded() {
        let object = json!({"a": "x".repeat(1000), "l": []});
        let ops: Vec<Value> =
            (0..4000).map(|_| json!({"op": "copy", "from": "/a", "path": "/l/-"})).collect();
        assert_eq!(json_patch(&object, json!(ops)).unwrap_err().code, 400);
        let doubled: Vec<Value> =
            (0..64).map(|i| json!({"op": "copy", "from": "", "path": format!("/n{i}")})).collect();
        assert_eq!(json_patch(&object, json!(doubled)).unwrap_err().code, 400);
    }

    #[test]
    fn no_patch_makes_what_nests_deeper_than_can_be_read() {
        let nested = |n: usize| (0..n).fold(json!({}), |inner, _| json!({"a": inner}));
        let path = |n: usize| "/a".repeat(n);
        let add = |n: usize, value: Value| json!({"op": "add", "path": path(n), "value": value});
        let copy_in = json!({"op": "copy", "from": "", "path": "/a"});
        let move_in = [
            json!({"op": "copy", "from": "/a", "path": "/b"}),
            json!({"op": "move", "from": "/b", "path": path(101)}),
        ];
        for (live, operations, taken) in [
            (
                0,
                (1..=128)
                    .map(|n| add(n, json!(1)))
                    .map(|mut o| {
                        o["value"] = json!({});
                        o
                    })
                    .collect(),
                false,
            ),
            (0, (1..=127).map(|n| add(n, json!({}))).collect::<Vec<_>>(), true),
            (100, vec![add(101, nested(20))], true),
            (100, vec![add(101, nested(60))], false),
            (100, vec![json!({"op": "replace", "path": path(100), "value": nested(60)})], false),
            (2, vec![copy_in.clone(); 100], true),
            (2, vec![copy_in; 200], false),
            (100, move_in.to_vec(), false),
            (100, vec![move_in[0].clone(), json!({"op": "move", "from": "/b", "path": "/c"})], true),
        ] {
            let patched = json_patch(&nested(live), json!(operations));
            assert_eq!(patched.is_ok(), taken, "{live} {:?}", operations.last());
            if let Ok(patched) = patched {
                assert!(depth(&patched) <= DEPTH_MAX);
            }
        }
    }

    #[test]
    fn json_patch_tests_and_replaces() {
        let object = json!({"spec": {"replicas": 1}});
        let patched = json_patch(
            &object,
            json!([{"op": "test", "path": "/spec/replicas", "value": 1},
                                        {"op": "replace", "path": "/spec/replicas", "value": 3}]),
        )
        .unwrap();
        assert_eq!(patched, json!({"spec": {"replicas": 3}}));
        let refused = json_patch(&object, json!([{"op": "test", "path": "/spec/replicas", "value": 2}]));
        assert_eq!(refused.unwrap_err().code, 422);
        assert_eq!(json_patch(&object, json!({"op": "x"})).unwrap_err().code, 400);
        assert_eq!(merge_patch(&object, &json!([1])).unwrap_err().code, 400);
    }
}
