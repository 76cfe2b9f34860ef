//! The built-in kinds: their names, their types, their defaults, and what they refuse.
//!
//! Types come from k8s-openapi: a body is read as its type and written back, which finds wrong types (with the
//! field) and drops unknown fields. What is left is brought into its one form (`canonical`), gets its defaults, and is
//! judged (`validate`).

mod canonical;
mod defaults;
mod former;
pub(crate) mod names;
mod quantity;
mod records;
mod validate;

use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::coordination::v1 as coordination;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;
use k8s_openapi::api::rbac::v1 as rbac;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use canonical::{settle, spell};
pub(crate) use defaults::default;
pub(crate) use former::drop_former;
pub(crate) use records::validate_event;
pub(crate) use validate::{name_faults, validate, validate_meta, validate_update, warnings};

/// The group of roles and bindings.
pub(crate) const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

/// A built-in kind.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) short_names: &'static [&'static str],
    pub(crate) namespaced: bool,
    pub(crate) has_status: bool,
    pub(crate) scale: bool,
    /// Part of `kubectl get all`.
    pub(crate) in_all: bool,
    /// Reads the value as its type and writes it back: what is unknown is gone.
    pub(crate) typed: fn(&Value) -> Result<Value, String>,
    /// Adds the type's OpenAPI schema, and those that it names.
    pub(crate) schema: fn(&mut SchemaGenerator),
}

fn typed<T: DeserializeOwned + Serialize>(value: &Value) -> Result<Value, String> {
    let object: T = serde_path_to_error::deserialize(value).map_err(|e| e.to_string())?;
    serde_json::to_value(&object).map_err(|e| e.to_string())
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) {
    generator.subschema_for::<T>();
}

/// Reads and rewrites the metadata of a custom resource, which has the API's own types.
pub(crate) fn typed_metadata(object: &mut Value) -> Result<(), String> {
    let Some(metadata) = object.get_mut("metadata") else { return Ok(()) };
    *metadata = typed::<k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta>(metadata)?;
    Ok(())
}

const fn kind<T: DeserializeOwned + Serialize + JsonSchema>(
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    short_names: &'static [&'static str],
) -> Builtin {
    Builtin {
        group,
        version: "v1",
        plural,
        kind,
        short_names,
        namespaced: true,
        has_status: false,
        scale: false,
        in_all: false,
        typed: typed::<T>,
        schema: schema::<T>,
    }
}

impl Builtin {
    const fn cluster_scoped(mut self) -> Self {
        self.namespaced = false;
        self
    }

    const fn with_status(mut self) -> Self {
        self.has_status = true;
        self
    }

    const fn with_scale(mut self) -> Self {
        self.scale = true;
        self
    }

    const fn in_all(mut self) -> Self {
        self.in_all = true;
        self
    }
}

/// Every built-in kind. RBAC objects are kept, not enforced; endpoints and slices are kept, not made: discovery
/// goes by Pods, since Kubernetes refuses endpoints in 127.0.0.0/8.
pub(crate) const KINDS: &[Builtin] = &[
    kind::<core::Pod>("", "pods", "Pod", &["po"]).with_status().in_all(),
    kind::<core::Service>("", "services", "Service", &["svc"]).with_status().in_all(),
    kind::<core::ConfigMap>("", "configmaps", "ConfigMap", &["cm"]),
    kind::<core::Secret>("", "secrets", "Secret", &[]),
    kind::<core::Namespace>("", "namespaces", "Namespace", &["ns"]).cluster_scoped().with_status(),
    kind::<core::Node>("", "nodes", "Node", &["no"]).cluster_scoped().with_status(),
    // Stored in core/v1's form; events.k8s.io is converted at the edge.
    kind::<core::Event>("", "events", "Event", &["ev"]),
    kind::<core::Event>("events.k8s.io", "events", "Event", &["ev"]),
    kind::<core::ServiceAccount>("", "serviceaccounts", "ServiceAccount", &["sa"]),
    kind::<core::Endpoints>("", "endpoints", "Endpoints", &["ep"]),
    kind::<core::PersistentVolumeClaim>("", "persistentvolumeclaims", "PersistentVolumeClaim", &["pvc"])
        .with_status(),
    kind::<apps::Deployment>("apps", "deployments", "Deployment", &["deploy"])
        .with_status()
        .with_scale()
        .in_all(),
    kind::<apps::ReplicaSet>("apps", "replicasets", "ReplicaSet", &["rs"])
        .with_status()
        .with_scale()
        .in_all(),
    kind::<apps::StatefulSet>("apps", "statefulsets", "StatefulSet", &["sts"])
        .with_status()
        .with_scale()
        .in_all(),
    kind::<coordination::Lease>("coordination.k8s.io", "leases", "Lease", &[]),
    kind::<discovery::EndpointSlice>("discovery.k8s.io", "endpointslices", "EndpointSlice", &[]),
    kind::<apiextensions::CustomResourceDefinition>(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        &["crd", "crds"],
    )
    .cluster_scoped()
    .with_status(),
    kind::<rbac::Role>("rbac.authorization.k8s.io", "roles", "Role", &[]),
    kind::<rbac::RoleBinding>("rbac.authorization.k8s.io", "rolebindings", "RoleBinding", &[]),
    kind::<rbac::ClusterRole>("rbac.authorization.k8s.io", "clusterroles", "ClusterRole", &[])
        .cluster_scoped(),
    kind::<rbac::ClusterRoleBinding>(
        "rbac.authorization.k8s.io",
        "clusterrolebindings",
        "ClusterRoleBinding",
        &[],
    )
    .cluster_scoped(),
];

/// Paths in `given` that are not in `kept`: the fields that the type does not know.
pub(crate) fn unknown_fields(given: &Value, kept: &Value, path: &str, out: &mut Vec<String>) {
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => {
            for (name, below) in given {
                let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match kept.get(name) {
                    Some(kept) => unknown_fields(below, kept, &at, out),
                    // A null is how some writers say "absent".
                    None if below.is_null() => {}
                    None => out.push(at),
                }
            }
        }
        (Value::Array(given), Value::Array(kept)) => {
            for (i, (given, kept)) in given.iter().zip(kept).enumerate() {
                unknown_fields(given, kept, &format!("{path}[{i}]"), out);
            }
        }
        _ => {}
    }
}
