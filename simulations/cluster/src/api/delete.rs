//! Deletion and what follows from it: grace, finalizers, dependents, namespaces, definitions.
//!
//! Garbage collection happens within the deletion itself: "background" is merely soon in Kubernetes, and here
//! at once, so that nothing can be seen half collected.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::write::time_text;
use super::{Call, State};
use crate::error::{ApiError, Cause, Result};
use crate::object;
use crate::selector::Selector;
use crate::store::owner_uids;

const FOREGROUND: &str = "foregroundDeletion";

/// The body of a deletion.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) grace_seconds: Option<i64>,
    /// `Background` (default), `Foreground` or `Orphan`.
    pub(crate) propagation: String,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) dry_run: bool,
}

impl DeleteOptions {
    /// From a body (or nothing) as `metav1.DeleteOptions`.
    pub(crate) fn from_body(body: &Value) -> Result<Self> {
        let text = |path: &[&str]| {
            object::at(body, path).and_then(Value::as_str).filter(|s| !s.is_empty()).map(str::to_owned)
        };
        let propagation = match (text(&["propagationPolicy"]), body.get("orphanDependents")) {
            (Some(policy), Some(Value::Bool(_))) => {
                let why = format!("{policy:?}: orphanDependents and deletionPropagation cannot be both set");
                return Err(ApiError::bad_options(
                    "DeleteOptions",
                    &[Cause::invalid("propagationPolicy", why)],
                ));
            }
            (Some(policy), _) if matches!(&*policy, "Background" | "Foreground" | "Orphan") => policy,
            (Some(other), _) => {
                let allowed = ["Foreground", "Background", "Orphan", "nil"];
                let cause = Cause::unsupported("propagationPolicy", &format!("{other:?}"), &allowed);
                return Err(ApiError::bad_options("DeleteOptions", &[cause]));
            }
            (None, Some(Value::Bool(true))) => "Orphan".into(),
            (None, _) => "Background".into(),
        };
        Ok(Self {
            grace_seconds: body.get("gracePeriodSeconds").and_then(Value::as_i64),
            propagation,
            uid: text(&["preconditions", "uid"]),
            resource_version: text(&["preconditions", "resourceVersion"]),
            dry_run: !object::list(body, &["dryRun"]).is_empty(),
        })
    }
}

/// What follows from a removal.
#[derive(Debug)]
pub(super) enum Step {
    /// Of a collection.
    Remove(String, Arc<Value>),
    ForgetHistory(String),
    DeleteDependents(String),
    ReleaseOwners(Arc<Value>),
    FinishNamespace(String),
}

impl State {
    /// Deletes an object, or begins to; `None`: it is gone at once.
    pub(crate) fn delete(
        &mut self,
        call: &Call,
        options: &DeleteOptions,
        now: Timestamp,
    ) -> Result<(Arc<Value>, bool)> {
        let old = self.get(call)?.clone();
        if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != object::uid(&old)) {
            return Err(call.conflict(&format!(
                "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have \
                 been deleted and then recreated",
                object::uid(&old)
            )));
        }
        let version = options.resource_version.as_deref();
        if let Some(version) = version.filter(|v| *v != object::resource_version(&old)) {
            return Err(call.conflict(&format!(
                "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record \
                 ({}). The object might have been modified",
                object::resource_version(&old)
            )));
        }
        if call.resource.kind == "Namespace"
            && matches!(&*call.name, "default" | "kube-system" | "kube-public")
        {
            return Err(ApiError::forbidden(format!(
                "namespaces \"{}\" is forbidden: this namespace may not be deleted",
                call.name
            )));
        }
        if call.dry_run || options.dry_run {
            return Ok((old, false));
        }
        let removed = self.begin_deletion(&call.resource.collection.clone(), &old, options, now);
        match self.store.get(&call.resource.collection, &call.namespace, &call.name) {
            Some(still) if !removed => Ok((still.clone(), false)),
            _ => Ok((old, true)),
        }
    }

    /// Deletes all that match; returns them as they were.
    pub(crate) fn delete_collection(
        &mut self,
        call: &Call,
        namespace: Option<&str>,
        selector: &Selector,
        options: &DeleteOptions,
        now: Timestamp,
    ) -> Vec<Arc<Value>> {
        let collection = call.resource.collection.clone();
        let found: Vec<Arc<Value>> = self
            .store
            .list(&collection, namespace, None)
            .filter(|(_, o)| selector.matches(o))
            .map(|(_, o)| o.clone())
            .collect();
        if !(call.dry_run || options.dry_run) {
            for object in &found {
                self.begin_deletion(&collection, object, options, now);
            }
        }
        found
    }

    /// Whether the object is gone already.
    fn begin_deletion(
        &mut self,
        collection: &str,
        old: &Arc<Value>,
        options: &DeleteOptions,
        now: Timestamp,
    ) -> bool {
        let mut new = Value::clone(old);
        match options.propagation.as_str() {
            "Orphan" => self.orphan_dependents(object::uid(old)),
            "Foreground" if self.has_dependents(object::uid(old)) => {
                let mut finalizers = object::finalizers(old).to_vec();
                if !finalizers.contains(&json!(FOREGROUND)) {
                    finalizers.push(json!(FOREGROUND));
                }
                object::meta_mut(&mut new).insert("finalizers".into(), Value::Array(finalizers));
            }
            _ => {}
        }
        let grace = grace_seconds(collection, old, options);
        let running = object::int(old, &["metadata", "deletionGracePeriodSeconds"]);
        // A second deletion may shorten the grace, never lengthen it.
        let grace = running.filter(|_| object::is_deleting(old)).map_or(grace, |r| r.min(grace));
        let blocked = grace > 0 || !object::finalizers(&new).is_empty() || collection == "namespaces";
        if !blocked {
            self.remove(collection, old, now);
            return true;
        }
        let ends = now.checked_add(SignedDuration::from_secs(grace)).unwrap_or(now);
        let meta = object::meta_mut(&mut new);
        if running != Some(grace) || !meta.contains_key("deletionTimestamp") {
            meta.insert("deletionTimestamp".into(), json!(time_text(ends)));
            meta.insert("deletionGracePeriodSeconds".into(), json!(grace));
        }
        if collection == "namespaces" {
            object::child_mut(&mut new, "status").insert("phase".into(), json!("Terminating"));
        }
        if new != **old {
            self.store.put(collection, new);
        }
        if collection == "namespaces" {
            return self.empty_namespace(object::name(old), now);
        }
        if options.propagation == "Foreground" {
            self.delete_dependents(object::uid(old), now);
            return self.store.get(collection, object::namespace(old), object::name(old)).is_none();
        }
        false
    }

    /// Takes an object out if nothing holds it any more; the object as it is or was.
    pub(super) fn finish_if_deleted(
        &mut self,
        collection: &str,
        object: &Arc<Value>,
        now: Timestamp,
    ) -> Arc<Value> {
        let grace = object::int(object, &["metadata", "deletionGracePeriodSeconds"]).unwrap_or(0);
        let done = object::is_deleting(object)
            && object::finalizers(object).is_empty()
            && grace == 0
            && collection != "namespaces";
        if done {
            self.remove(collection, object, now);
        }
        object.clone()
    }

    fn remove(&mut self, collection: &str, object: &Arc<Value>, now: Timestamp) {
        let (namespace, name) = (object::namespace(object).to_owned(), object::name(object).to_owned());
        if self.store.remove(collection, &namespace, &name).is_none() {
            return;
        }
        let mut after = Vec::new();
        if collection == "customresourcedefinitions.apiextensions.k8s.io" {
            let defined = self.registry.undefine(object);
            let objects = self.store.list(&defined, None, None).map(|(_, o)| o.clone());
            after.extend(objects.map(|o| Step::Remove(defined.clone(), o)));
            after.push(Step::ForgetHistory(defined));
        }
        after.push(Step::DeleteDependents(object::uid(object).to_owned()));
        after.push(Step::ReleaseOwners(object.clone()));
        after.push(Step::FinishNamespace(namespace));
        self.follow(after, now);
    }

    /// Takes these steps and all that follow from them, what follows from one before the next. A chain of owners is as
    /// long as clients make it, so that this is a queue and no recursion.
    fn follow(&mut self, steps: Vec<Step>, now: Timestamp) {
        self.following.extend(steps.into_iter().rev());
        if std::mem::replace(&mut self.is_following, true) {
            return;
        }
        while let Some(step) = self.following.pop() {
            match step {
                Step::Remove(collection, object) => self.remove(&collection, &object, now),
                Step::ForgetHistory(collection) => self.store.forget_history(&collection),
                Step::DeleteDependents(uid) => self.delete_dependents(&uid, now),
                Step::ReleaseOwners(gone) => self.release_foreground_owners(&gone, now),
                Step::FinishNamespace(namespace) => self.finish_namespace(&namespace),
            }
        }
        self.is_following = false;
    }

    fn owned_by(&self, uid: &str) -> Vec<(Arc<str>, Arc<Value>)> {
        self.store.owned_by(uid).map(|(collection, o)| (collection.clone(), o.clone())).collect()
    }

    fn has_dependents(&self, uid: &str) -> bool {
        self.store.owned_by(uid).next().is_some()
    }

    fn delete_dependents(&mut self, uid: &str, now: Timestamp) {
        let options = DeleteOptions { propagation: "Background".into(), ..DeleteOptions::default() };
        for (collection, dependent) in self.owned_by(uid) {
            // It may have gone with another dependent already.
            if self.store.by_uid(object::uid(&dependent)).is_none() {
                continue;
            }
            let others = owner_uids(&dependent).any(|u| u != uid && self.store.by_uid(u).is_some());
            if others {
                self.disown(&collection, &dependent, uid);
            } else {
                self.begin_deletion(&collection, &dependent, &options, now);
            }
        }
    }

    fn orphan_dependents(&mut self, uid: &str) {
        for (collection, dependent) in self.owned_by(uid) {
            self.disown(&collection, &dependent, uid);
        }
    }

    fn disown(&mut self, collection: &str, dependent: &Value, uid: &str) {
        let mut new = dependent.clone();
        if let Some(Value::Array(owners)) = object::meta_mut(&mut new).get_mut("ownerReferences") {
            owners.retain(|o| object::text(o, &["uid"]) != uid);
        }
        self.store.put(collection, new);
    }

    /// An owner deleted in the foreground goes when its last dependent has gone.
    fn release_foreground_owners(&mut self, gone: &Value, now: Timestamp) {
        let uids: Vec<String> = owner_uids(gone).map(str::to_owned).collect();
        for uid in uids {
            let owner = self
                .store
                .by_uid(&uid)
                .filter(|(_, o)| object::finalizers(o).contains(&json!(FOREGROUND)))
                .map(|(collection, o)| (collection.clone(), o.clone()));
            let Some((collection, owner)) = owner.filter(|_| !self.has_dependents(&uid)) else { continue };
            let mut new = Value::clone(&owner);
            if let Some(Value::Array(finalizers)) = object::meta_mut(&mut new).get_mut("finalizers") {
                finalizers.retain(|f| f != FOREGROUND);
            }
            let stored = self.store.put(&collection, new);
            self.finish_if_deleted(&collection, &stored, now);
        }
    }

    /// A new object whose owners have all gone meanwhile is garbage.
    pub(super) fn collect_if_orphan(&mut self, call: &Call, object: &Arc<Value>, now: Timestamp) {
        let mut owners = owner_uids(object).peekable();
        if owners.peek().is_some() && !owners.any(|uid| self.store.by_uid(uid).is_some()) {
            let options = DeleteOptions { propagation: "Background".into(), ..DeleteOptions::default() };
            self.begin_deletion(&call.resource.collection.clone(), object, &options, now);
        }
    }

    fn empty_namespace(&mut self, namespace: &str, now: Timestamp) -> bool {
        let options = DeleteOptions { propagation: "Background".into(), ..DeleteOptions::default() };
        let contents: Vec<(Arc<str>, Arc<Value>)> =
            self.store.within(namespace).map(|(collection, o)| (collection.clone(), o.clone())).collect();
        for (collection, object) in contents {
            // It may have gone with its owner already.
            let now_there = self.store.get(&collection, namespace, object::name(&object)).cloned();
            if let Some(object) = now_there {
                self.begin_deletion(&collection, &object, &options, now);
            }
        }
        self.finish_namespace(namespace);
        self.store.get("namespaces", "", namespace).is_none()
    }

    fn finish_namespace(&mut self, namespace: &str) {
        let ending = self.store.get("namespaces", "", namespace).is_some_and(|n| object::is_deleting(n));
        if ending && self.store.within(namespace).next().is_none() {
            self.store.remove("namespaces", "", namespace);
        }
    }
}

/// Only pods that a node runs have time to end.
fn grace_seconds(collection: &str, object: &Value, options: &DeleteOptions) -> i64 {
    let runs = collection == "pods"
        && !object::text(object, &["spec", "nodeName"]).is_empty()
        && !matches!(object::text(object, &["status", "phase"]), "Succeeded" | "Failed");
    if !runs {
        return 0;
    }
    let own = object::int(object, &["spec", "terminationGracePeriodSeconds"]).unwrap_or(30);
    options.grace_seconds.unwrap_or(own).max(0)
}
