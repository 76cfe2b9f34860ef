//! What the API serves: the built-in kinds, and those that custom resource definitions add.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::builtin::{self, Builtin};
use crate::object;
use crate::patch::lists::Typing;
use crate::schema::rules::Rules;

/// One served resource in one version.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    pub(crate) has_status: bool,
    pub(crate) scale: Option<Scale>,
    /// Name of the collection in the store; both groups of events share one.
    pub(crate) collection: String,
    pub(crate) source: Source,
}

/// Where the scale subresource finds its numbers.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    pub(crate) spec_replicas: Vec<String>,
    pub(crate) status_replicas: Vec<String>,
    /// Path to a selector: text, or a `LabelSelector`.
    pub(crate) selector: Option<Vec<String>>,
}

/// Who knows the resource's fields.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Builtin(&'static Builtin),
    Custom(Arc<CustomVersion>),
}

/// A version of a custom resource, as its definition describes it.
#[derive(Debug)]
pub(crate) struct CustomVersion {
    pub(crate) schema: Value,
    pub(crate) rules: Rules,
    /// `additionalPrinterColumns`.
    pub(crate) columns: Vec<Value>,
    /// The version that objects are kept in (conversion strategy None: only `apiVersion` changes).
    pub(crate) storage_version: String,
}

impl Resource {
    /// `v1`, `apps/v1`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Whether `metadata.generation` counts changes of what is wanted.
    pub(crate) fn counts_generations(&self) -> bool {
        let counted = ["Pod", "Deployment", "ReplicaSet", "StatefulSet", "CustomResourceDefinition"];
        matches!(self.source, Source::Custom(_)) || counted.contains(&self.kind.as_str())
    }

    /// Whether an update may say nothing of the version that it replaces.
    pub(crate) fn updates_unconditionally(&self) -> bool {
        match &self.source {
            Source::Builtin(b) => !matches!(b.kind, "Lease" | "CustomResourceDefinition"),
            Source::Custom(_) => false,
        }
    }

    /// Whether an update of what is not there creates it.
    pub(crate) fn created_by_update(&self) -> bool {
        matches!(self.source, Source::Builtin(_))
            && (matches!(&*self.kind, "Service" | "Event" | "Endpoints" | "Lease")
                || self.group == builtin::RBAC_GROUP)
    }

    /// The walk over its fields.
    pub(crate) fn typing(&self) -> Typing<'_> {
        match &self.source {
            Source::Builtin(b) => Typing::of_kind(b.kind),
            Source::Custom(custom) => Typing::Custom(Some(&custom.schema)),
        }
    }

    /// The version of the stored form.
    pub(crate) fn storage_api_version(&self) -> String {
        match &self.source {
            Source::Custom(custom) => format!("{}/{}", self.group, custom.storage_version),
            // core/v1 is the stored form of events.
            Source::Builtin(_) if self.collection == "events" => "v1".to_owned(),
            Source::Builtin(_) => self.api_version(),
        }
    }
}

/// All that is served now.
#[derive(Debug)]
pub(crate) struct Registry {
    resources: BTreeMap<(String, String, String), Arc<Resource>>,
}

impl Registry {
    /// The built-in kinds.
    pub(crate) fn new() -> Self {
        let mut this = Self { resources: BTreeMap::new() };
        for b in builtin::KINDS {
            let words = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
            this.insert(Resource {
                group: b.group.into(),
                version: b.version.into(),
                plural: b.plural.into(),
                singular: b.kind.to_lowercase(),
                kind: b.kind.into(),
                list_kind: format!("{}List", b.kind),
                short_names: words(b.short_names),
                categories: if b.in_all { vec!["all".into()] } else { Vec::new() },
                namespaced: b.namespaced,
                has_status: b.has_status,
                scale: b.scale.then(|| Scale {
                    spec_replicas: words(&["spec", "replicas"]),
                    status_replicas: words(&["status", "replicas"]),
                    selector: Some(words(&["spec", "selector"])),
                }),
                collection: match (b.group, b.plural) {
                    ("" | "events.k8s.io", plural) => plural.into(),
                    (group, plural) => format!("{plural}.{group}"),
                },
                source: Source::Builtin(b),
            });
        }
        this
    }

    fn insert(&mut self, resource: Resource) {
        let key = (resource.group.clone(), resource.version.clone(), resource.plural.clone());
        self.resources.insert(key, Arc::new(resource));
    }

    pub(crate) fn get(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.resources.get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    /// In order of group, version, plural.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.values()
    }

    /// Serves what a definition describes, instead of what an earlier state of it did.
    pub(crate) fn define(&mut self, crd: &Value) {
        self.undefine(crd);
        for resource in custom_resources(crd) {
            self.insert(resource);
        }
    }

    /// Serves a definition's resources no longer; the collection's name.
    pub(crate) fn undefine(&mut self, crd: &Value) -> String {
        let (group, plural) =
            (object::text(crd, &["spec", "group"]), object::text(crd, &["spec", "names", "plural"]));
        self.resources
            .retain(|(g, _, p), r| !(g == group && p == plural && matches!(r.source, Source::Custom(_))));
        format!("{plural}.{group}")
    }
}

fn custom_resources(crd: &Value) -> Vec<Resource> {
    let names = |key: &str| object::text(crd, &["spec", "names", key]).to_owned();
    let words = |key: &str| -> Vec<String> {
        object::list(crd, &["spec", "names", key])
            .iter()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect()
    };
    let group = object::text(crd, &["spec", "group"]).to_owned();
    let (plural, kind) = (names("plural"), names("kind"));
    let or = |given: String, otherwise: String| if given.is_empty() { otherwise } else { given };
    let versions = object::list(crd, &["spec", "versions"]);
    let is = |v: &Value, flag: &str| v.get(flag).and_then(Value::as_bool).unwrap_or(false);
    let storage_version =
        versions.iter().find(|v| is(v, "storage")).map(|v| object::text(v, &["name"])).unwrap_or_default();
    versions
        .iter()
        .filter(|v| is(v, "served"))
        .map(|version| {
            let scale = object::at(version, &["subresources", "scale"]).map(|scale| {
                let path = |key: &str| split_path(object::text(scale, &[key]));
                Scale {
                    spec_replicas: path("specReplicasPath"),
                    status_replicas: path("statusReplicasPath"),
                    selector: scale.get("labelSelectorPath").map(|_| path("labelSelectorPath")),
                }
            });
            let schema = object::at(version, &["schema", "openAPIV3Schema"]).cloned().unwrap_or_default();
            Resource {
                group: group.clone(),
                version: object::text(version, &["name"]).to_owned(),
                singular: or(names("singular"), kind.to_lowercase()),
                list_kind: or(names("listKind"), format!("{kind}List")),
                plural: plural.clone(),
                kind: kind.clone(),
                short_names: words("shortNames"),
                categories: words("categories"),
                namespaced: object::text(crd, &["spec", "scope"]) == "Namespaced",
                has_status: object::at(version, &["subresources", "status"]).is_some(),
                scale,
                collection: format!("{plural}.{group}"),
                source: Source::Custom(Arc::new(CustomVersion {
                    rules: Rules::new(&schema),
                    schema,
                    columns: object::list(version, &["additionalPrinterColumns"]).to_vec(),
                    storage_version: storage_version.to_owned(),
                })),
            }
        })
        .collect()
}

/// `.spec.replicas` as keys.
fn split_path(path: &str) -> Vec<String> {
    path.split('.').filter(|p| !p.is_empty()).map(str::to_owned).collect()
}
