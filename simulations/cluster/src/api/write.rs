//! Create, update, patch: a body becomes a stored object, or an error and nothing changed.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::checks::{applied, check_name, defaulted, incoming, judge};
use super::{Call, EVENTS_MAX, State, Subresource, in_version};
use crate::error::{ApiError, Cause, Result};
use crate::object;
use crate::patch::{self, apply};
use crate::resources::Source;

/// How a patch body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Json,
    Merge,
    Strategic,
    Apply,
}

/// RFC 3339, whole seconds, as Kubernetes writes times.
pub(super) fn time_text(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl State {
    /// Creates an object.
    pub(crate) fn create(&mut self, call: &mut Call, body: Value, now: Timestamp) -> Result<Arc<Value>> {
        let object = incoming(call, body)?;
        self.create_incoming(call, object, now, true)
    }

    fn create_incoming(
        &mut self,
        call: &mut Call,
        mut object: Value,
        now: Timestamp,
        track: bool,
    ) -> Result<Arc<Value>> {
        let resource = call.resource.clone();
        let generate = object::text(&object, &["metadata", "generateName"]).to_owned();
        let mut made = None;
        if object::name(&object).is_empty() && !generate.is_empty() {
            let (name, later) = self.generated(&resource.collection, &call.namespace, &generate);
            object::meta_mut(&mut object).insert("name".into(), json!(name));
            made = Some(later);
        }
        call.name = object::name(&object).to_owned();
        check_name(call)?;
        if resource.namespaced {
            self.check_namespace(call)?;
        }
        let uid = self.ids.uid(&resource.collection, &call.namespace, &call.name);
        {
            let meta = object::meta_mut(&mut object);
            for server_owned in
                ["resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"]
            {
                meta.remove(server_owned);
            }
            if track {
                meta.remove("managedFields");
            }
            meta.insert("uid".into(), json!(uid));
            meta.insert("creationTimestamp".into(), json!(time_text(now)));
            if resource.namespaced {
                meta.insert("namespace".into(), json!(call.namespace));
            }
            if resource.counts_generations() {
                meta.insert("generation".into(), json!(1));
            }
        }
        if resource.has_status && resource.kind != "Node" {
            object::map_mut(&mut object).remove("status");
        }
        let mut object = judge(call, object, None)?;
        // What cannot be is told before what is there already.
        if let Some(there) = self.store.get(&resource.collection, &call.namespace, &call.name) {
            let deleting = object::is_deleting(there);
            return Err(ApiError::already_exists(&resource.group, &resource.plural, &call.name, deleting));
        }
        if resource.kind == "PersistentVolumeClaim" {
            // Storage is a folder that the node makes on first use: every claim is bound at once.
            object::child_mut(&mut object, "status").insert("phase".into(), json!("Bound"));
        }
        if resource.kind == "CustomResourceDefinition" {
            establish(&mut object, now);
        }
        if track {
            let manager = manager(call, "Update");
            apply::track_update(None, &mut object, resource.typing(), &manager, &time_text(now));
        }
        if call.dry_run {
            return Ok(Arc::new(object));
        }
        check_size(&object)?;
        // Drawn by what is stored alone: what was refused or tried leaves the names of all others as they are.
        let made = made.map(|later| (generate.as_str(), later));
        self.ids.drawn(&resource.collection, &call.namespace, &call.name, made);
        let stored = self.store.put(&resource.collection, object);
        if resource.kind == "CustomResourceDefinition" {
            self.registry.define(&stored);
        }
        if resource.collection == "events" {
            self.forget_oldest_event();
        }
        self.collect_if_orphan(call, &stored, now);
        Ok(stored)
    }

    /// The next name of a `generateName` that nothing has, and how many before it are taken.
    fn generated(&self, collection: &str, namespace: &str, generate: &str) -> (String, u64) {
        let base: String = generate.chars().take(58).collect();
        let name = |later| format!("{base}{}", self.ids.suffix(collection, namespace, generate, later));
        let is_free = |later: &u64| self.store.get(collection, namespace, &name(*later)).is_none();
        let later = (0..GENERATE_TRIES).find(is_free).unwrap_or(0);
        (name(later), later)
    }

    /// Replaces an object, or its status; of some kinds it may also come to be (`true`).
    pub(crate) fn update(
        &mut self,
        call: &mut Call,
        body: Value,
        now: Timestamp,
    ) -> Result<(Arc<Value>, bool)> {
        let object = incoming(call, body)?;
        if object::name(&object) != call.name {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({}) does not match the name on the URL ({})",
                object::name(&object),
                call.name
            )));
        }
        let old = match self.get(call) {
            Ok(old) => old.clone(),
            Err(_) if call.subresource == Subresource::None && call.resource.created_by_update() => {
                return Ok((self.create_incoming(call, object, now, true)?, true));
            }
            Err(error) => return Err(error),
        };
        if object::resource_version(&object).is_empty() && !call.resource.updates_unconditionally() {
            let cause = Cause::invalid("metadata.resourceVersion", "0: must be specified for an update");
            let resource = &call.resource;
            return Err(ApiError::invalid(&resource.group, &resource.kind, &call.name, &[cause]));
        }
        Ok((self.replace(call, &old, object, now, true)?, false))
    }

    /// Changes an object; with server-side apply it may also come to be (`true`).
    pub(crate) fn patch(
        &mut self,
        call: &mut Call,
        kind: PatchKind,
        body: Value,
        now: Timestamp,
    ) -> Result<(Arc<Value>, bool)> {
        let resource = call.resource.clone();
        let old = match self.get(call) {
            Ok(old) => old.clone(),
            Err(_) if kind == PatchKind::Apply && call.subresource == Subresource::None => {
                let wanted = applied(call, body)?;
                let manager = manager(call, "Apply");
                let object = apply::apply(
                    None,
                    &wanted,
                    resource.typing(),
                    &manager,
                    call.force,
                    &time_text(now),
                    |o| defaulted(&resource, o),
                )?;
                return Ok((self.create_incoming(call, object, now, false)?, true));
            }
            Err(error) => return Err(error),
        };
        if kind == PatchKind::Apply {
            let mut wanted = applied(call, body)?;
            let given = object::resource_version(&wanted);
            if !given.is_empty() && given != object::resource_version(&old) {
                return Err(call.conflict(MODIFIED));
            }
            if call.subresource == Subresource::None && resource.has_status {
                object::map_mut(&mut wanted).remove("status");
            }
            let manager = manager(call, "Apply");
            let merged = apply::apply(
                Some(&old),
                &wanted,
                resource.typing(),
                &manager,
                call.force,
                &time_text(now),
                |o| defaulted(&resource, o),
            )?;
            return Ok((self.replace(call, &old, merged, now, false)?, false));
        }
        // The patch speaks of the version on the URL.
        let shown = in_version(&resource, &old).into_owned();
        let patched = match kind {
            PatchKind::Json => patch::json_patch(&shown, body)?,
            PatchKind::Merge => patch::merge_patch(&shown, &body)?,
            _ if matches!(resource.source, Source::Custom(_)) => {
                return Err(ApiError::unsupported_media_type("application/strategic-merge-patch+json"));
            }
            _ => patch::strategic::strategic_merge(&shown, &body, resource.typing())?,
        };
        let mut object = incoming(call, patched)?;
        if object::name(&object) != call.name {
            return Err(ApiError::bad_request("a patch may not change metadata.name"));
        }
        if object::at(&object, &["metadata", "resourceVersion"]).is_none() {
            let meta = object::meta_mut(&mut object);
            meta.insert("resourceVersion".into(), json!(object::resource_version(&old)));
        }
        Ok((self.replace(call, &old, object, now, true)?, false))
    }

    /// Merges a patch as it is, for parts of this process that write often and know what they write: nothing is checked
    /// but preconditions, and nobody comes to own the fields.
    pub(crate) fn merge(&mut self, call: &Call, patch: &Value, now: Timestamp) -> Result<Arc<Value>> {
        let old = self.get(call)?.clone();
        for key in ["uid", "resourceVersion"] {
            let given = object::text(patch, &["metadata", key]);
            if !given.is_empty() && given != object::text(&old, &["metadata", key]) {
                return Err(call.conflict(MODIFIED));
            }
        }
        let mut new = Value::clone(&old);
        if call.subresource == Subresource::Status {
            let status = object::map_mut(&mut new).entry("status").or_insert(Value::Null);
            json_patch::merge(status, patch.get("status").unwrap_or(&Value::Null));
        } else {
            json_patch::merge(&mut new, patch);
        }
        if new == *old {
            return Ok(old);
        }
        if call.resource.counts_generations() && new.get("spec") != old.get("spec") {
            let generation = object::int(&old, &["metadata", "generation"]).unwrap_or(0).saturating_add(1);
            object::meta_mut(&mut new).insert("generation".into(), json!(generation));
        }
        let stored = self.store.put(&call.resource.collection, new);
        Ok(self.finish_if_deleted(&call.resource.collection, &stored, now))
    }

    /// The common end of update and patch.
    pub(super) fn replace(
        &mut self,
        call: &mut Call,
        old: &Arc<Value>,
        mut new: Value,
        now: Timestamp,
        track: bool,
    ) -> Result<Arc<Value>> {
        let resource = call.resource.clone();
        let given = object::resource_version(&new);
        if !given.is_empty() && given != object::resource_version(old) {
            return Err(call.conflict(MODIFIED));
        }
        let given = object::uid(&new);
        if !given.is_empty() && given != object::uid(old) {
            return Err(call.conflict("the UID in the precondition does not match the UID in record"));
        }
        if call.subresource == Subresource::Status {
            let mut kept = Value::clone(old);
            object::set_or_remove(object::map_mut(&mut kept), "status", new.get("status"));
            if !track {
                let fields = object::at(&new, &["metadata", "managedFields"]);
                object::set_or_remove(object::meta_mut(&mut kept), "managedFields", fields);
            }
            new = kept;
        } else if resource.has_status {
            object::set_or_remove(object::map_mut(&mut new), "status", old.get("status"));
        }
        {
            let meta = object::meta_mut(&mut new);
            for key in SERVER_OWNED {
                object::set_or_remove(meta, key, object::at(old, &["metadata", key]));
            }
            if track {
                object::set_or_remove(meta, "managedFields", object::at(old, &["metadata", "managedFields"]));
            }
        }
        let mut new = judge(call, new, Some(old))?;
        let apart: &[&str] = if resource.has_status { &["metadata", "status"] } else { &["metadata"] };
        if resource.counts_generations() && !same_but_for(&new, old, apart) {
            let generation = object::int(old, &["metadata", "generation"]).unwrap_or(0).saturating_add(1);
            object::meta_mut(&mut new).insert("generation".into(), json!(generation));
        }
        if resource.kind == "CustomResourceDefinition" && call.subresource == Subresource::None {
            establish(&mut new, now);
        }
        if unchanged(&new, old) {
            return Ok(old.clone());
        }
        if track {
            let manager = manager(call, "Update");
            apply::track_update(Some(old), &mut new, resource.typing(), &manager, &time_text(now));
        }
        if call.dry_run {
            return Ok(Arc::new(new));
        }
        check_size(&new)?;
        let stored = self.store.put(&resource.collection, new);
        if resource.kind == "CustomResourceDefinition" {
            self.registry.define(&stored);
        }
        Ok(self.finish_if_deleted(&resource.collection, &stored, now))
    }

    fn check_namespace(&self, call: &Call) -> Result<()> {
        let namespace = self
            .store
            .get("namespaces", "", &call.namespace)
            .ok_or_else(|| ApiError::not_found("", "namespaces", &call.namespace))?;
        if object::is_deleting(namespace) {
            return Err(ApiError::forbidden(format!(
                "unable to create new content in namespace {} because it is being terminated",
                call.namespace
            )));
        }
        Ok(())
    }

    fn forget_oldest_event(&mut self) {
        while self.store.len("events") > EVENTS_MAX {
            let Some((namespace, name)) = self.store.oldest("events").cloned() else { return };
            if self.store.remove("events", &namespace, &name).is_none() {
                return;
            }
        }
    }
}

/// More taken names in a row are told as such.
const GENERATE_TRIES: u64 = 8;

/// What etcd takes of a request unless it is told otherwise.
const OBJECT_MAX_BYTES: usize = 3 << 19;

fn check_size(object: &Value) -> Result<()> {
    if object::json_bytes(object) > OBJECT_MAX_BYTES { Err(ApiError::too_large_to_store()) } else { Ok(()) }
}

const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// Metadata that a write cannot change.
const SERVER_OWNED: &[&str] = &[
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "resourceVersion",
    "generateName",
];

fn manager(call: &Call, operation: &'static str) -> apply::Manager {
    let subresource = match call.subresource {
        Subresource::None => "",
        Subresource::Status => "status",
        Subresource::Scale => "scale",
    };
    apply::Manager { name: call.manager.clone(), operation, subresource: subresource.into() }
}

fn same_but_for(a: &Value, b: &Value, fields: &[&str]) -> bool {
    fn rest<'a>(v: &'a Value, fields: &'a [&str]) -> impl Iterator<Item = (&'a String, &'a Value)> {
        v.as_object().into_iter().flatten().filter(move |(k, _)| !fields.contains(&k.as_str()))
    }
    rest(a, fields).eq(rest(b, fields))
}

/// Equal, but for when managers wrote.
fn unchanged(new: &Value, old: &Value) -> bool {
    const MANAGED: &str = "managedFields";
    fn managed(meta: &Value) -> &[Value] {
        object::list(meta, &[MANAGED])
    }
    let empty = Value::Null;
    let a = new.get("metadata").unwrap_or(&empty);
    let b = old.get("metadata").unwrap_or(&empty);
    same_but_for(new, old, &["metadata"])
        && same_but_for(a, b, &[MANAGED])
        && managed(a).len() == managed(b).len()
        && managed(a).iter().zip(managed(b)).all(|(a, b)| same_but_for(a, b, &["time"]))
}

/// A definition is served at once, and says so.
fn establish(crd: &mut Value, now: Timestamp) {
    let names = crd.get("spec").and_then(|s| s.get("names")).cloned().unwrap_or_default();
    let stored: Vec<Value> = object::list(crd, &["spec", "versions"])
        .iter()
        .filter(|v| v.get("storage") == Some(&json!(true)))
        .filter_map(|v| v.get("name").cloned())
        .collect();
    let since = object::list(crd, &["status", "conditions"])
        .first()
        .and_then(|c| c.get("lastTransitionTime").cloned())
        .unwrap_or_else(|| json!(time_text(now)));
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": since});
    let status = json!({
        "acceptedNames": names, "storedVersions": stored,
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
    });
    object::map_mut(crd).insert("status".into(), status);
}
