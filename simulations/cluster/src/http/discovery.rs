//! What is served, in the form that clients discover it by.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::reviews;
use crate::resources::{Registry, Resource};

/// The version that is spoken; `gitVersion` says that this is not the original.
pub(super) fn version() -> Value {
    json!({
        "major": "1", "minor": "35", "gitVersion": "v1.35.4+gauntlet", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc", "platform": "linux/amd64",
    })
}

/// The answer at a discovery path.
pub(super) fn answer(path: &str, registry: &Registry) -> Option<Value> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match segments.as_slice() {
        [""] => Some(
            json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2",
                "/openapi/v3", "/readyz", "/version"]}),
        ),
        ["api"] => Some(json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})),
        ["apis"] => {
            let groups: Vec<Value> =
                groups(registry).iter().map(|(g, versions)| group(g, versions)).collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", name] => groups(registry).get(*name).map(|versions| {
            let mut value = group(name, versions);
            value["kind"] = json!("APIGroup");
            value["apiVersion"] = json!("v1");
            value
        }),
        ["api", version] => resources("", version, registry),
        ["apis", group, version] => asked(group, version).or_else(|| resources(group, version, registry)),
        _ => None,
    }
}

fn groups(registry: &Registry) -> BTreeMap<String, BTreeSet<String>> {
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (group, _) in reviews::GROUPS {
        groups.entry((*group).to_owned()).or_default().insert("v1".to_owned());
    }
    for resource in registry.iter().filter(|r| !r.group.is_empty()) {
        groups.entry(resource.group.clone()).or_default().insert(resource.version.clone());
    }
    groups
}

/// `v1` before `v1beta1` before `v1alpha1`, as Kubernetes prefers versions.
fn preference(version: &str) -> (u8, std::cmp::Reverse<String>) {
    let rank = if version.contains("alpha") {
        2
    } else if version.contains("beta") {
        1
    } else {
        0
    };
    (rank, std::cmp::Reverse(version.to_owned()))
}

fn group(name: &str, versions: &BTreeSet<String>) -> Value {
    let mut sorted: Vec<&String> = versions.iter().collect();
    sorted.sort_by_key(|v| preference(v));
    let listed: Vec<Value> =
        sorted.iter().map(|v| json!({"groupVersion": format!("{name}/{v}"), "version": v})).collect();
    json!({"name": name, "versions": listed, "preferredVersion": listed.first()})
}

/// What is asked and not kept.
fn asked(group: &str, version: &str) -> Option<Value> {
    let (_, kinds) = reviews::GROUPS.iter().find(|(name, _)| *name == group && version == "v1")?;
    let listed: Vec<Value> = kinds
        .iter()
        .map(|(plural, kind)| {
            json!({"name": plural, "singularName": kind.to_lowercase(), "namespaced": false, "kind": kind,
                "verbs": ["create"]})
        })
        .collect();
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{group}/v1"),
        "resources": listed}))
}

fn resources(group: &str, version: &str, registry: &Registry) -> Option<Value> {
    let found: Vec<&Resource> =
        registry.iter().map(AsRef::as_ref).filter(|r| r.group == group && r.version == version).collect();
    let group_version = found.first()?.api_version();
    let listed: Vec<Value> = found.iter().flat_map(|r| describe(r)).collect();
    Some(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}),
    )
}

fn describe(resource: &Resource) -> Vec<Value> {
    let mut whole = json!({
        "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    });
    if !resource.short_names.is_empty() {
        whole["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        whole["categories"] = json!(resource.categories);
    }
    let mut out = vec![whole];
    let mut sub = |name: &str, kind: &str, group: Option<(&str, &str)>, verbs: &[&str]| {
        let mut value = json!({
            "name": format!("{}/{name}", resource.plural), "singularName": "", "namespaced": resource.namespaced,
            "kind": kind, "verbs": verbs,
        });
        if let Some((group, version)) = group {
            value["group"] = json!(group);
            value["version"] = json!(version);
        }
        out.push(value);
    };
    if resource.has_status {
        sub("status", &resource.kind, None, &["get", "patch", "update"]);
    }
    if resource.scale.is_some() {
        sub("scale", "Scale", Some(("autoscaling", "v1")), &["get", "patch", "update"]);
    }
    if resource.collection == "pods" {
        sub("log", "Pod", None, &["get"]);
        sub("binding", "Binding", None, &["create"]);
        sub("eviction", "Eviction", Some(("policy", "v1")), &["create"]);
    }
    out
}
