//! What the API answers instead of an object: Kubernetes' `Status`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub(crate) type Result<T> = std::result::Result<T, ApiError>;

/// An error in the API's own words (`metav1.Status`).
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ApiError {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    details: Value,
}

/// One field that a 422 complains about.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    pub(crate) reason: &'static str,
    pub(crate) field: String,
    pub(crate) message: String,
}

impl Cause {
    pub(crate) fn new(reason: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason, field: field.into(), message: message.into() }
    }

    pub(crate) fn required(field: impl Into<String>) -> Self {
        Self::new("FieldValueRequired", field, "Required value")
    }

    /// `value` as it is to be shown.
    pub(crate) fn unsupported(field: impl Into<String>, value: &str, allowed: &[&str]) -> Self {
        let allowed: Vec<String> = allowed.iter().map(|a| format!("{a:?}")).collect();
        let why = format!("Unsupported value: {value}: supported values: {}", allowed.join(", "));
        Self::new("FieldValueNotSupported", field, why)
    }

    pub(crate) fn forbidden(field: impl Into<String>, message: impl std::fmt::Display) -> Self {
        Self::new("FieldValueForbidden", field, format!("Forbidden: {message}"))
    }

    pub(crate) fn invalid(field: impl Into<String>, message: impl std::fmt::Display) -> Self {
        Self::new("FieldValueInvalid", field, format!("Invalid value: {message}"))
    }
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }

    fn about(mut self, group: &str, plural: &str, name: &str) -> Self {
        self.details = about(group, plural, name);
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "Forbidden", message)
    }

    pub(crate) fn not_found(group: &str, plural: &str, name: &str) -> Self {
        let shown = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
        Self::new(404, "NotFound", format!("{shown} \"{name}\" not found")).about(group, plural, name)
    }

    /// The path itself is not served.
    pub(crate) fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    pub(crate) fn not_acceptable() -> Self {
        Self::new(
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json, application/yaml, \
             application/json;stream=watch",
        )
    }

    pub(crate) fn already_exists(group: &str, plural: &str, name: &str, deleting: bool) -> Self {
        let shown = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
        let still = if deleting { "object is being deleted: " } else { "" };
        Self::new(409, "AlreadyExists", format!("{still}{shown} \"{name}\" already exists"))
            .about(group, plural, name)
    }

    pub(crate) fn conflict(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let shown = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
        Self::new(409, "Conflict", format!("Operation cannot be fulfilled on {shown} \"{name}\": {why}"))
            .about(group, plural, name)
    }

    /// Server-side apply met fields of other managers: each manager as it is to be shown, and the field.
    pub(crate) fn apply_conflict(conflicts: &[(String, String)]) -> Self {
        let message = match conflicts {
            [(manager, field)] => format!("Apply failed with 1 conflict: conflict with {manager}: {field}"),
            many => {
                let mut fields: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
                for (manager, field) in many {
                    fields.entry(manager).or_default().push(field);
                }
                let listed: Vec<String> = fields
                    .iter()
                    .map(|(manager, fields)| format!("conflicts with {manager}:\n- {}", fields.join("\n- ")))
                    .collect();
                format!("Apply failed with {} conflicts: {}", many.len(), listed.join("\n"))
            }
        };
        let mut error = Self::new(409, "Conflict", message);
        let causes: Vec<Value> = conflicts
            .iter()
            .map(|(manager, field)| {
                json!({"reason": "FieldManagerConflict", "message": format!("conflict with {manager}"), "field": field})
            })
            .collect();
        error.details = json!({ "causes": causes });
        error
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// The object is larger than what etcd would take; in its words, and with the code that they have there.
    pub(crate) fn too_large_to_store() -> Self {
        Self::new(500, "", "etcdserver: request is too large")
    }

    /// A read wants a state that is yet to come.
    pub(crate) fn too_large_version(wanted: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
        let mut error = Self::new(504, "Timeout", message);
        error.details = json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        });
        error
    }

    /// What the original says when a patch that can be read does not fit the object.
    pub(crate) fn unprocessable() -> Self {
        let mut error =
            Self::new(422, "Invalid", "the server rejected our request due to an error in our request");
        error.details = json!({});
        error
    }

    /// Query parameters, or a body of options, that are wrong.
    pub(crate) fn bad_options(kind: &str, causes: &[Cause]) -> Self {
        let mut error = Self::invalid("meta.k8s.io", kind, "", causes);
        if let Value::Object(details) = &mut error.details {
            details.remove("name");
        }
        error
    }

    pub(crate) fn too_large(limit_bytes: usize) -> Self {
        Self::new(
            413,
            "RequestEntityTooLarge",
            format!("Request entity too large: limit is {limit_bytes} bytes"),
        )
    }

    pub(crate) fn unsupported_media_type(got: &str) -> Self {
        Self::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format ({got}); accepted media types include: \
                 application/json, application/yaml, application/json-patch+json, application/merge-patch+json, \
                 application/strategic-merge-patch+json, application/apply-patch+yaml, \
                 application/vnd.kubernetes.protobuf"
            ),
        )
    }

    pub(crate) fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let listed: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        let shown = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let body = match listed.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut error = Self::new(422, "Invalid", format!("{shown} \"{name}\" is invalid: {body}"));
        let causes: Vec<Value> = causes
            .iter()
            .map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field}))
            .collect();
        error.details = about(group, kind, name);
        error.details["causes"] = json!(causes);
        error
    }

    /// The `Status` object.
    pub(crate) fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}

/// `details` of a status; what is empty is left out.
pub(crate) fn about(group: &str, kind: &str, name: &str) -> Value {
    let mut details = json!({"kind": kind});
    for (key, value) in [("group", group), ("name", name)] {
        if !value.is_empty() {
            details[key] = json!(value);
        }
    }
    details
}
