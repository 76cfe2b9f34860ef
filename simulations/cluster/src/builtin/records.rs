//! What the small kinds refuse: config maps that may not change, leases, events.

use serde_json::Value;

use crate::error::Cause;
use crate::object;

/// Longest note of an event.
const NOTE_MAX_BYTES: usize = 1024;
/// Longest reason and action of an event.
const WORD_MAX_BYTES: usize = 128;

/// Notes what an immutable config map or secret may not change.
pub(super) fn validate_settings_update(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    if old.get("immutable") != Some(&Value::Bool(true)) {
        return;
    }
    for field in ["immutable", "data", "binaryData"] {
        if old.get(field) != new.get(field) {
            causes.push(Cause::forbidden(field, "field is immutable when `immutable` is set"));
        }
    }
}

/// Notes what is wrong with a lease.
pub(super) fn validate_lease(spec: &Value, causes: &mut Vec<Cause>) {
    if let Some(n) = object::int(spec, &["leaseDurationSeconds"]).filter(|n| *n <= 0) {
        causes.push(Cause::invalid("spec.leaseDurationSeconds", format!("{n}: must be greater than 0")));
    }
    if let Some(n) = object::int(spec, &["leaseTransitions"]).filter(|n| *n < 0) {
        causes.push(Cause::invalid(
            "spec.leaseTransitions",
            format!("{n}: must be greater than or equal to 0"),
        ));
    }
}

/// Notes what is wrong with an event; `strictly`: it came through events.k8s.io, which asks for more. Fields are
/// named as that group names them, the object as the core group stores it.
pub(crate) fn validate_event(event: &Value, strictly: bool, causes: &mut Vec<Cause>) {
    let about = object::text(event, &["involvedObject", "namespace"]);
    if !about.is_empty() && about != object::namespace(event) {
        causes.push(Cause::invalid(
            "involvedObject.namespace",
            format!("{about:?}: does not match event.namespace"),
        ));
    }
    if !strictly {
        return;
    }
    if object::text(event, &["eventTime"]).is_empty() {
        causes.push(Cause::required("eventTime"));
        return;
    }
    for (field, shown) in [
        ("reportingComponent", "reportingController"),
        ("reportingInstance", "reportingInstance"),
        ("action", "action"),
        ("reason", "reason"),
    ] {
        let text = object::text(event, &[field]);
        if text.is_empty() {
            causes.push(Cause::required(shown));
        } else if text.len() > WORD_MAX_BYTES {
            causes.push(Cause::invalid(shown, format!("\"\": can have at most {WORD_MAX_BYTES} characters")));
        }
    }
    if object::text(event, &["message"]).len() > NOTE_MAX_BYTES {
        causes.push(Cause::invalid("note", format!("\"\": can have at most {NOTE_MAX_BYTES} characters")));
    }
    let kind = object::text(event, &["type"]);
    if !matches!(kind, "Normal" | "Warning") {
        causes.push(Cause::invalid("type", format!("\"\": has invalid value: {kind}")));
    }
}
