//! Security contexts, of pods and of containers.

use serde_json::Value;

use super::{Check, NUMBER_MAX};
use crate::object;

/// Users, groups and profiles: of a pod or of one container.
pub(super) fn security(context: Option<&Value>, at: &str, check: &mut Check<'_>) {
    let Some(context) = context else { return };
    for field in ["runAsUser", "runAsGroup", "fsGroup"] {
        if let Some(n) = object::int(context, &[field]).filter(|n| !(0..=NUMBER_MAX).contains(n)) {
            check.invalid(
                format!("{at}.{field}"),
                &n.into(),
                format!("must be between 0 and {NUMBER_MAX}, inclusive"),
            );
        }
    }
    let policy = object::text(context, &["fsGroupChangePolicy"]);
    check.none_or_one_of(format!("{at}.fsGroupChangePolicy"), policy, &["Always", "OnRootMismatch"]);
    if let Some(profile) = context.get("seccompProfile") {
        let kinds = ["Localhost", "RuntimeDefault", "Unconfined"];
        let kind = object::text(profile, &["type"]);
        check.one_of(format!("{at}.seccompProfile.type"), kind, &kinds);
        let file = object::text(profile, &["localhostProfile"]);
        if kind == "Localhost" && file.is_empty() {
            check.required(
                format!("{at}.seccompProfile.localhostProfile"),
                "must be set when seccomp type is Localhost",
            );
        }
    }
    let is = |field: &str, value: bool| context.get(field) == Some(&Value::Bool(value));
    if is("privileged", true) && is("allowPrivilegeEscalation", false) {
        let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        check.invalid(at, context, why);
    }
}
