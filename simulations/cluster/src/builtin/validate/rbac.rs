//! Roles and their bindings.

use serde_json::Value;

use super::super::RBAC_GROUP;
use super::super::names::{dns_subdomain, path_segment};
use super::Check;
use crate::object;

pub(super) fn rules(role: &Value, namespaced: bool, check: &mut Check<'_>) {
    for (i, rule) in object::list(role, &["rules"]).iter().enumerate() {
        let at = format!("rules[{i}]");
        let list = |field: &str| object::list(rule, &[field]);
        if list("verbs").is_empty() {
            check.required(format!("{at}.verbs"), "verbs must contain at least one value");
        }
        if !list("nonResourceURLs").is_empty() {
            let urls = format!("{at}.nonResourceURLs");
            let shown = Value::Array(list("nonResourceURLs").to_vec());
            if namespaced {
                check.invalid(urls.clone(), &shown, "namespaced rules cannot apply to non-resource URLs");
            }
            if ["apiGroups", "resources", "resourceNames"].iter().any(|f| !list(f).is_empty()) {
                let why = "rules cannot apply to both regular resources and non-resource URLs";
                check.invalid(urls, &shown, why);
            }
            continue;
        }
        if list("apiGroups").is_empty() {
            check.required(format!("{at}.apiGroups"), "resource rules must supply at least one api group");
        }
        if list("resources").is_empty() {
            check.required(format!("{at}.resources"), "resource rules must supply at least one resource");
        }
    }
    if let Some(rule) = role.get("aggregationRule") {
        let at = "aggregationRule.clusterRoleSelectors";
        let selectors = object::list(rule, &["clusterRoleSelectors"]);
        if selectors.is_empty() {
            check.required(at, "at least one clusterRoleSelector required if aggregationRule is non-nil");
        }
        for (i, selector) in selectors.iter().enumerate() {
            check.selector(&format!("{at}[{i}]"), Some(selector));
        }
    }
}

pub(super) fn binding(binding: &Value, kinds: &[&str], check: &mut Check<'_>) {
    let text = |field: &str| object::text(binding, &["roleRef", field]);
    unsupported("roleRef.apiGroup", text("apiGroup"), &[RBAC_GROUP], check);
    unsupported("roleRef.kind", text("kind"), kinds, check);
    match text("name") {
        "" => check.required("roleRef.name", ""),
        name => check.text("roleRef.name", name, path_segment(name)),
    }
    let namespaced = kinds.len() > 1;
    for (i, subject) in object::list(binding, &["subjects"]).iter().enumerate() {
        let at = format!("subjects[{i}]");
        let text = |field: &str| object::text(subject, &[field]);
        if text("name").is_empty() {
            check.required(format!("{at}.name"), "");
        }
        match text("kind") {
            "ServiceAccount" => {
                if !text("name").is_empty() {
                    check.text(format!("{at}.name"), text("name"), dns_subdomain(text("name")));
                }
                unsupported(format!("{at}.apiGroup"), text("apiGroup"), &[""], check);
                if !namespaced && text("namespace").is_empty() {
                    check.required(format!("{at}.namespace"), "");
                }
            }
            "User" | "Group" => unsupported(format!("{at}.apiGroup"), text("apiGroup"), &[RBAC_GROUP], check),
            other => unsupported(format!("{at}.kind"), other, &["ServiceAccount", "User", "Group"], check),
        }
    }
}

/// As `Check::one_of`, where an empty text is just another wrong one.
fn unsupported(at: impl Into<String>, text: &str, allowed: &[&str], check: &mut Check<'_>) {
    if !allowed.contains(&text) {
        check.0.push(crate::error::Cause::unsupported(at, &format!("{text:?}"), allowed));
    }
}
