//! How a patch body changes an object: JSON patch, merge patch, strategic merge, server-side apply.

pub(crate) mod apply;
pub(crate) mod fields;
pub(crate) mod lists;
pub(crate) mod strategic;

use json_patch::PatchOperation;
use serde_json::Value;

use crate::error::{ApiError, Result};

/// More operations than this are refused, as by the real API server.
const JSON_PATCH_OPERATIONS_MAX: usize = 10_000;
/// `copy` can double a document with every operation; together they may add this much.
const JSON_PATCH_COPIED_BYTES_MAX: usize = 3 << 20;

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
        if let PatchOperation::Copy(copy) = operation {
            let size = copy.from.resolve(&patched).map_or(0, |v| v.to_string().len());
            copied_bytes = copied_bytes.saturating_add(size);
            if copied_bytes > JSON_PATCH_COPIED_BYTES_MAX {
                return Err(ApiError::bad_request("JSON patch copies more than 3 MiB"));
            }
        }
        json_patch::patch(&mut patched, std::slice::from_ref(operation))
            .map_err(|_| ApiError::unprocessable())?;
    }
    Ok(patched)
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
