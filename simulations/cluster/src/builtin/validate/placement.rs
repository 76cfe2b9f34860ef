//! Where a pod may run: tolerations, spread, affinity.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::names::{label_value, qualified_name};
use super::Check;
use crate::object;

pub(super) fn placement(spec: &Value, at: &str, check: &mut Check<'_>) {
    tolerations(spec, &format!("{at}.tolerations"), check);
    spread(spec, &format!("{at}.topologySpreadConstraints"), check);
    if let Some(affinity) = spec.get("affinity") {
        node_affinity(affinity, &format!("{at}.affinity.nodeAffinity"), check);
        for kind in ["podAffinity", "podAntiAffinity"] {
            pod_affinity(affinity.get(kind).unwrap_or(&Value::Null), &format!("{at}.affinity.{kind}"), check);
        }
    }
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

fn node_affinity(affinity: &Value, at: &str, check: &mut Check<'_>) {
    let Some(affinity) = affinity.get("nodeAffinity") else { return };
    if let Some(required) = affinity.get(REQUIRED) {
        let at = format!("{at}.{REQUIRED}.nodeSelectorTerms");
        let terms = object::list(required, &["nodeSelectorTerms"]);
        if terms.is_empty() {
            check.required(at.clone(), "must have at least one node selector term");
        }
        for (i, term) in terms.iter().enumerate() {
            node_term(term, true, &format!("{at}[{i}]"), check);
        }
    }
    for (i, term) in object::list(affinity, &[PREFERRED]).iter().enumerate() {
        let at = format!("{at}.{PREFERRED}[{i}]");
        weight(term, &at, check);
        node_term(term.get("preference").unwrap_or(&Value::Null), false, &format!("{at}.preference"), check);
    }
}

fn weight(term: &Value, at: &str, check: &mut Check<'_>) {
    let weight = object::int(term, &["weight"]).unwrap_or(0);
    if !(1..=100).contains(&weight) {
        check.invalid(format!("{at}.weight"), &weight.into(), "must be in the range 1-100");
    }
}

fn node_term(term: &Value, strict: bool, at: &str, check: &mut Check<'_>) {
    for (i, wanted) in object::list(term, &["matchExpressions"]).iter().enumerate() {
        let at = format!("{at}.matchExpressions[{i}]");
        let values = object::list(wanted, &["values"]);
        match object::text(wanted, &["operator"]) {
            "In" | "NotIn" if values.is_empty() => {
                check
                    .required(format!("{at}.values"), "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                check.forbidden(format!("{at}.values"), why);
            }
            "Gt" | "Lt" if values.len() != 1 => {
                let why = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                check.required(format!("{at}.values"), why);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => check.invalid(format!("{at}.operator"), &other.into(), "not a valid selector operator"),
        }
        let key = object::text(wanted, &["key"]);
        check.text(format!("{at}.key"), key, qualified_name(key));
        for (j, value) in values.iter().enumerate().filter(|_| strict) {
            let value = value.as_str().unwrap_or_default();
            check.text(format!("{at}.values[{j}]"), value, label_value(value));
        }
    }
}

fn pod_affinity(affinity: &Value, at: &str, check: &mut Check<'_>) {
    for (i, term) in object::list(affinity, &[REQUIRED]).iter().enumerate() {
        pod_term(term, &format!("{at}.{REQUIRED}[{i}]"), check);
    }
    for (i, weighted) in object::list(affinity, &[PREFERRED]).iter().enumerate() {
        let at = format!("{at}.{PREFERRED}[{i}]");
        weight(weighted, &at, check);
        let term = weighted.get("podAffinityTerm").unwrap_or(&Value::Null);
        pod_term(term, &format!("{at}.podAffinityTerm"), check);
    }
}

fn pod_term(term: &Value, at: &str, check: &mut Check<'_>) {
    for field in ["labelSelector", "namespaceSelector"] {
        check.selector(&format!("{at}.{field}"), term.get(field));
    }
    let key = object::text(term, &["topologyKey"]);
    if key.is_empty() {
        check.required(format!("{at}.topologyKey"), "can not be empty");
    }
    check.text(format!("{at}.topologyKey"), key, qualified_name(key));
}

fn tolerations(spec: &Value, at: &str, check: &mut Check<'_>) {
    for (i, toleration) in object::list(spec, &["tolerations"]).iter().enumerate() {
        let text = |field: &str| object::text(toleration, &[field]);
        let path = |field: &str| format!("{at}[{i}].{field}");
        if !text("key").is_empty() {
            check.text(path("key"), text("key"), qualified_name(text("key")));
        }
        let operator = text("operator");
        if text("key").is_empty() && operator != "Exists" {
            let why =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            check.invalid(path("operator"), &operator.into(), why);
        }
        if toleration.get("tolerationSeconds").is_some() && text("effect") != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            check.invalid(path("effect"), &text("effect").into(), why);
        }
        match operator {
            "" | "Equal" => check.text(path("operator"), text("value"), label_value(text("value"))),
            "Exists" if !text("value").is_empty() => {
                check.invalid(
                    path("operator"),
                    &text("value").into(),
                    "value must be empty when `operator` is 'Exists'",
                );
            }
            other => check.one_of(path("operator"), other, &["Equal", "Exists"]),
        }
        check.none_or_one_of(
            path("effect"),
            text("effect"),
            &["NoSchedule", "PreferNoSchedule", "NoExecute"],
        );
    }
}

fn spread(spec: &Value, at: &str, check: &mut Check<'_>) {
    let mut seen = BTreeSet::new();
    for (i, constraint) in object::list(spec, &["topologySpreadConstraints"]).iter().enumerate() {
        let at = format!("{at}[{i}]");
        let skew = object::int(constraint, &["maxSkew"]).unwrap_or(0);
        if skew <= 0 {
            check.invalid(format!("{at}.maxSkew"), &skew.into(), "must be greater than zero");
        }
        let key = object::text(constraint, &["topologyKey"]);
        if key.is_empty() {
            check.required(format!("{at}.topologyKey"), "can not be empty");
        } else {
            check.text(format!("{at}.topologyKey"), key, qualified_name(key));
        }
        let action = object::text(constraint, &["whenUnsatisfiable"]);
        if !matches!(action, "DoNotSchedule" | "ScheduleAnyway") {
            let allowed = &["DoNotSchedule", "ScheduleAnyway"];
            let field = format!("{at}.whenUnsatisfiable");
            check.0.push(crate::error::Cause::unsupported(field, &format!("{action:?}"), allowed));
        }
        if !seen.insert((key, action)) {
            let shown = format!("{{{key}, {action}}}");
            check.duplicate(format!("{at}.{{topologyKey, whenUnsatisfiable}}"), &shown.into());
        }
        check.selector(&format!("{at}.labelSelector"), constraint.get("labelSelector"));
    }
}
