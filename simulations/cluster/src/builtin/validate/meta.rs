//! Metadata: what every object has.

use serde_json::Value;

use super::super::names::qualified_name;
use super::Check;
use crate::object;

/// All keys and values of an object's annotations.
const ANNOTATIONS_MAX_BYTES: usize = 256 << 10;

pub(super) fn meta(meta: &Value, at: &str, check: &mut Check<'_>) {
    check.labels(&format!("{at}.labels"), meta.get("labels"));
    annotations(meta, &format!("{at}.annotations"), check);
    let owners = format!("{at}.ownerReferences");
    let mut controller: Option<String> = None;
    let references = object::list(meta, &["ownerReferences"]);
    for owner in references {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if object::text(owner, &[field]).is_empty() {
                let why =
                    if field == "apiVersion" { "version must not be empty" } else { "must not be empty" };
                check.invalid(format!("{owners}.{field}"), &"".into(), why);
            }
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            let name = format!("{}/{}", object::text(owner, &["kind"]), object::text(owner, &["name"]));
            match &controller {
                Some(first) => {
                    let why = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} \
                         and {name}"
                    );
                    check.invalid(owners.clone(), &Value::Array(references.to_vec()), why);
                }
                None => controller = Some(name),
            }
        }
    }
    for finalizer in object::list(meta, &["finalizers"]) {
        let name = finalizer.as_str().unwrap_or_default();
        check.text(format!("{at}.finalizers"), name, qualified_name(name));
    }
}

/// Keys and size of annotations.
pub(super) fn annotations(meta: &Value, at: &str, check: &mut Check<'_>) {
    let mut size = 0usize;
    for (key, value) in meta.get("annotations").and_then(Value::as_object).into_iter().flatten() {
        check.text(at, key, qualified_name(&key.to_lowercase()));
        size = size.saturating_add(key.len()).saturating_add(value.as_str().map_or(0, str::len));
    }
    if size > ANNOTATIONS_MAX_BYTES {
        check.too_long(at, ANNOTATIONS_MAX_BYTES);
    }
}
