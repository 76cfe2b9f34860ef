//! What makes pods: selectors, strategies, templates.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::names::{dns_label, percent};
use super::{Check, claim, pod, selects};
use crate::object;

pub(super) fn deployment(spec: &Value, check: &mut Check<'_>) {
    counts(spec, &["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"], check);
    selector(spec, "deployment", check);
    template(spec, "ReplicaSet", &BTreeSet::new(), check);
    strategy(spec, check);
    let least = object::int(spec, &["minReadySeconds"]).unwrap_or(0);
    if let Some(n) = object::int(spec, &["progressDeadlineSeconds"]).filter(|n| *n <= least) {
        check.invalid("spec.progressDeadlineSeconds", &n.into(), "must be greater than minReadySeconds");
    }
}

pub(super) fn replica_set(spec: &Value, check: &mut Check<'_>) {
    counts(spec, &["replicas", "minReadySeconds"], check);
    selector(spec, "deployment", check);
    template(spec, "ReplicaSet", &BTreeSet::new(), check);
}

pub(super) fn stateful_set(spec: &Value, check: &mut Check<'_>) {
    let text = |path: &[&str]| object::text(spec, path);
    let management = text(&["podManagementPolicy"]);
    if !matches!(management, "OrderedReady" | "Parallel") {
        let why = "must be 'OrderedReady' or 'Parallel'";
        check.invalid("spec.podManagementPolicy", &management.into(), why);
    }
    let update = spec.get("updateStrategy").unwrap_or(&Value::Null);
    let rolling = update.get("rollingUpdate");
    match (object::text(update, &["type"]), rolling) {
        ("RollingUpdate", rolling) => {
            let at = "spec.updateStrategy.rollingUpdate";
            let rolling = rolling.unwrap_or(&Value::Null);
            check.not_negative(format!("{at}.partition"), object::int(rolling, &["partition"]));
            if let Some(most) = rolling.get("maxUnavailable") {
                whole_or_percent(most, &format!("{at}.maxUnavailable"), check);
                if share(most) == 0 {
                    check.invalid(format!("{at}.maxUnavailable"), most, "cannot be 0");
                }
            }
        }
        ("OnDelete", Some(rolling)) => {
            let why = "only allowed for updateStrategy 'RollingUpdate'";
            check.invalid("spec.updateStrategy.rollingUpdate", rolling, why);
        }
        ("OnDelete", None) => {}
        _ => check.invalid("spec.updateStrategy", update, "must be 'RollingUpdate' or 'OnDelete'"),
    }
    for when in ["whenDeleted", "whenScaled"] {
        let at = ["persistentVolumeClaimRetentionPolicy", when];
        check.one_of(format!("spec.{}", at.join(".")), text(&at), &["Retain", "Delete"]);
    }
    let claims = object::list(spec, &["volumeClaimTemplates"]);
    for (i, given) in claims.iter().enumerate() {
        let spec = given.get("spec").unwrap_or(&Value::Null);
        claim::claim(spec, &format!("spec.volumeClaimTemplates[{i}].spec"), check);
    }
    counts(spec, &["replicas", "minReadySeconds", "revisionHistoryLimit"], check);
    check.not_negative("spec.ordinals.start", object::int(spec, &["ordinals", "start"]));
    let service = text(&["serviceName"]);
    if !service.is_empty() {
        check.text("spec.serviceName", service, dns_label(service));
    }
    selector(spec, "statefulset", check);
    let mounted = claims.iter().map(object::name).collect();
    template(spec, "StatefulSet", &mounted, check);
}

fn counts(spec: &Value, fields: &[&str], check: &mut Check<'_>) {
    for field in fields {
        check.not_negative(format!("spec.{field}"), object::int(spec, &[field]));
    }
}

/// A selector that selects everything, or not what the template makes, would make pods without end.
fn selector(spec: &Value, kind: &str, check: &mut Check<'_>) {
    let Some(selector) = spec.get("selector").filter(|s| !s.is_null()) else {
        check.required("spec.selector", "");
        return;
    };
    check.selector("spec.selector", Some(selector));
    let labels = object::at(selector, &["matchLabels"]).and_then(Value::as_object);
    let expressions = object::list(selector, &["matchExpressions"]);
    if labels.is_none_or(serde_json::Map::is_empty) && expressions.is_empty() {
        check.invalid("spec.selector", selector, format!("empty selector is invalid for {kind}"));
        return;
    }
    let labels = object::at(spec, &["template", "metadata", "labels"]);
    if !selects(selector, labels) {
        let shown = labels.cloned().unwrap_or(Value::Null);
        let why = "`selector` does not match template `labels`";
        check.invalid("spec.template.metadata.labels", &shown, why);
    }
}

fn template(spec: &Value, kind: &str, volumes: &BTreeSet<&str>, check: &mut Check<'_>) {
    let template = spec.get("template").unwrap_or(&Value::Null);
    pod::template(template, volumes, "spec.template", check);
    if object::at(template, &["spec", "activeDeadlineSeconds"]).is_some() {
        let why = format!("activeDeadlineSeconds in {kind} is not Supported");
        check.forbidden("spec.template.spec.activeDeadlineSeconds", &why);
    }
}

fn strategy(spec: &Value, check: &mut Check<'_>) {
    let strategy = spec.get("strategy").unwrap_or(&Value::Null);
    let rolling = strategy.get("rollingUpdate").filter(|r| !r.is_null());
    match object::text(strategy, &["type"]) {
        "Recreate" => {
            if rolling.is_some() {
                let why = "may not be specified when strategy `type` is 'Recreate'";
                check.forbidden("spec.strategy.rollingUpdate", why);
            }
        }
        "RollingUpdate" => {
            let at = "spec.strategy.rollingUpdate";
            let number = |field: &str| rolling.and_then(|r| r.get(field)).cloned().unwrap_or(json!(0));
            let (unavailable, surge) = (number("maxUnavailable"), number("maxSurge"));
            whole_or_percent(&unavailable, &format!("{at}.maxUnavailable"), check);
            whole_or_percent(&surge, &format!("{at}.maxSurge"), check);
            if share(&unavailable) == 0 && share(&surge) == 0 {
                let why = "may not be 0 when `maxSurge` is 0";
                check.invalid(format!("{at}.maxUnavailable"), &unavailable, why);
            }
            if unavailable.is_string() && share(&unavailable) > 100 {
                check.invalid(format!("{at}.maxUnavailable"), &unavailable, "must not be greater than 100%");
            }
        }
        _ => {
            let field = "spec.strategy";
            let allowed = &["Recreate", "RollingUpdate"];
            check.0.push(crate::error::Cause::unsupported(field, &strategy.to_string(), allowed));
        }
    }
}

fn whole_or_percent(value: &Value, at: &str, check: &mut Check<'_>) {
    match value {
        Value::String(text) => check.text(at, text, percent(text)),
        other => check.not_negative(at, other.as_i64()),
    }
}

/// The number of a count or of a percentage; text that is neither counts as zero.
fn share(value: &Value) -> i64 {
    let percentage = |text: &str| text.strip_suffix('%').unwrap_or(text).parse().unwrap_or(0);
    value.as_i64().or_else(|| value.as_str().map(percentage)).unwrap_or(0)
}
