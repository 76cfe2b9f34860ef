//! Config maps and secrets.

use serde_json::Value;

use super::super::names::config_key;
use super::Check;
use crate::object;

/// All values of a config map or secret.
const SIZE_MAX_BYTES: usize = 1 << 20;

pub(super) fn config_map(object: &Value, check: &mut Check<'_>) {
    let binary = object.get("binaryData").and_then(Value::as_object);
    let size = keys(object, "data", check, str::len) + keys(object, "binaryData", check, decoded_len);
    for (key, _) in object.get("data").and_then(Value::as_object).into_iter().flatten() {
        if binary.is_some_and(|b| b.contains_key(key)) {
            let why = "duplicate of key present in binaryData";
            check.invalid(format!("data[{key}]"), &key.as_str().into(), why);
        }
    }
    if size > SIZE_MAX_BYTES {
        check.too_long("", SIZE_MAX_BYTES);
    }
}

pub(super) fn secret(object: &Value, check: &mut Check<'_>) {
    if keys(object, "data", check, decoded_len) > SIZE_MAX_BYTES {
        check.too_long("data", SIZE_MAX_BYTES);
    }
    let given = |key: &str| object::at(object, &["data", key]).and_then(Value::as_str);
    let wanted: &[&str] = match object::text(object, &["type"]) {
        "kubernetes.io/service-account-token" => {
            let annotation = "kubernetes.io/service-account.name";
            if object::text(object, &["metadata", "annotations", annotation]).is_empty() {
                check.required(format!("metadata.annotations[{annotation}]"), "");
            }
            &[]
        }
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/ssh-auth" => {
            if given("ssh-privatekey").is_none_or(str::is_empty) {
                check.required("data[ssh-privatekey]", "");
            }
            &[]
        }
        "kubernetes.io/basic-auth" if given("username").or(given("password")).is_none() => {
            &["username", "password"]
        }
        _ => &[],
    };
    for key in wanted {
        match given(key) {
            None => check.required(format!("data[{key}]"), ""),
            Some(text) if key.starts_with(".docker") && !is_json_object(text) => {
                let why = "must be a JSON object";
                check.invalid(format!("data[{key}]"), &"<secret contents redacted>".into(), why);
            }
            Some(_) => {}
        }
    }
}

/// Judges the keys; how long the values are together.
fn keys(object: &Value, field: &str, check: &mut Check<'_>, len: fn(&str) -> usize) -> usize {
    let mut size = 0usize;
    for (key, value) in object.get(field).and_then(Value::as_object).into_iter().flatten() {
        check.text(format!("{field}[{key}]"), key, config_key(key));
        size = size.saturating_add(value.as_str().map_or(0, len));
    }
    size
}

/// How many bytes base64 stands for.
fn decoded_len(text: &str) -> usize {
    text.trim_end_matches('=').len() * 3 / 4
}

fn is_json_object(base64: &str) -> bool {
    let bytes = serde_json::from_value::<k8s_openapi::ByteString>(base64.into());
    bytes.is_ok_and(|b| serde_json::from_slice::<serde_json::Map<String, Value>>(&b.0).is_ok())
}
