//! OpenAPI v3: enough for `kubectl apply` to leave validation to the server, and for `kubectl explain`.

pub(super) mod v2;

use std::collections::BTreeSet;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::Server;
use crate::resources::{Registry, Resource, Source};

/// The answer at an OpenAPI path.
pub(super) fn answer(path: &str, registry: &Registry) -> Option<Value> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match segments.as_slice() {
        ["openapi", "v3"] => Some(index(registry)),
        ["openapi", "v3", "api", version] => document("", version, registry),
        ["openapi", "v3", "apis", group, version] => document(group, version, registry),
        _ => None,
    }
}

fn base(resource: &Resource) -> String {
    if resource.group.is_empty() {
        format!("api/{}", resource.version)
    } else {
        format!("apis/{}/{}", resource.group, resource.version)
    }
}

/// Where an object of the resource is.
fn path_of(resource: &Resource) -> String {
    if resource.namespaced {
        format!("/{}/namespaces/{{namespace}}/{}/{{name}}", base(resource), resource.plural)
    } else {
        format!("/{}/{}/{{name}}", base(resource), resource.plural)
    }
}

/// Parameters of a patch, and their types.
fn parameters() -> impl Iterator<Item = (&'static str, &'static str)> {
    [("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string"), ("force", "boolean")]
        .into_iter()
}

fn index(registry: &Registry) -> Value {
    let bases: BTreeSet<String> = registry.iter().map(|r| base(r)).collect();
    let paths: Map<String, Value> = bases
        .into_iter()
        .map(|b| (b.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{b}")})))
        .collect();
    json!({ "paths": paths })
}

fn document(group: &str, version: &str, registry: &Registry) -> Option<Value> {
    let found: Vec<&Resource> =
        registry.iter().map(AsRef::as_ref).filter(|r| r.group == group && r.version == version).collect();
    found.first()?;
    let mut generator = SchemaSettings::openapi3().into_generator();
    let mut schemas = Map::new();
    let mut paths = Map::new();
    for resource in &found {
        let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
        let (name, mut schema) = match &resource.source {
            Source::Builtin(b) => {
                (b.schema)(&mut generator);
                (format!("builtin.{}", b.kind), Value::Null)
            }
            Source::Custom(custom) => {
                let reversed: Vec<&str> = resource.group.split('.').rev().collect();
                (
                    format!("{}.{}.{}", reversed.join("."), resource.version, resource.kind),
                    custom.schema.clone(),
                )
            }
        };
        if schema.is_object() {
            schema["x-kubernetes-group-version-kind"] = json!([kind]);
            schemas.insert(name, schema);
        }
        let parameters: Vec<Value> = parameters()
            .map(|(name, kind)| json!({"name": name, "in": "query", "schema": {"type": kind}}))
            .collect();
        let operation = |action: &str| {
            json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind, "parameters": parameters,
                "responses": {"200": {"description": "OK"}}})
        };
        paths.insert(path_of(resource), json!({"get": operation("get"), "patch": operation("patch")}));
    }
    for (name, mut schema) in generator.take_definitions(true) {
        // k8s-openapi names a kind by its package: io.k8s.api.apps.v1.Deployment.
        let resource = found.iter().find(|r| {
            matches!(r.source, Source::Builtin(_))
                && name.rsplit('.').next() == Some(r.kind.as_str())
                && name.contains(&format!(".{}.", r.version))
        });
        if let (Some(r), Some(map)) = (resource, schema.as_object_mut()) {
            let kind = json!([{"group": r.group, "version": r.version, "kind": r.kind}]);
            map.insert("x-kubernetes-group-version-kind".into(), kind);
        }
        schemas.insert(name, schema);
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.35.4"},
        "paths": paths,
        "components": {"schemas": schemas},
    }))
}
