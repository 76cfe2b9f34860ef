//! The scale subresource, and binding a pod to a node.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Call, PatchKind, State};
use crate::error::{ApiError, Cause, Result};
use crate::object;
use crate::patch;
use crate::resources::{Resource, Scale};

impl State {
    /// `autoscaling/v1` Scale of an object.
    pub(crate) fn get_scale(&self, call: &Call) -> Result<Value> {
        let scale = call.resource.scale.as_ref().ok_or_else(ApiError::no_such_path)?;
        let object = self.get(call)?;
        Ok(to_scale(&call.resource, scale, object))
    }

    /// Replaces the scale.
    pub(crate) fn update_scale(&mut self, call: &mut Call, body: &Value, now: Timestamp) -> Result<Value> {
        let resource = call.resource.clone();
        let scale = resource.scale.as_ref().ok_or_else(ApiError::no_such_path)?;
        let old = self.get(call)?.clone();
        let given = body.get("spec").and_then(|s| s.get("replicas"));
        let replicas = match given {
            // An absent number is zero, as in the original.
            None | Some(Value::Null) => 0,
            Some(n) => n.as_i64().filter(|n| (0..=i64::from(i32::MAX)).contains(n)).ok_or_else(|| {
                let cause = Cause::invalid(
                    "spec.replicas",
                    format!("{n}: must be an integer greater than or equal to 0"),
                );
                ApiError::invalid("autoscaling", "Scale", &call.name, &[cause])
            })?,
        };
        let mut new = Value::clone(&old);
        set_path(&mut new, &scale.spec_replicas, json!(replicas));
        let meta = object::meta_mut(&mut new);
        object::set_or_remove(meta, "resourceVersion", object::at(body, &["metadata", "resourceVersion"]));
        object::set_or_remove(meta, "uid", object::at(body, &["metadata", "uid"]));
        let stored = self.replace(call, &old, new, now, true)?;
        Ok(to_scale(&resource, scale, &stored))
    }

    /// Patches the scale; an apply counts as a merge by its manager.
    pub(crate) fn patch_scale(
        &mut self,
        call: &mut Call,
        kind: PatchKind,
        body: Value,
        now: Timestamp,
    ) -> Result<Value> {
        let shown = self.get_scale(call)?;
        let patched = match kind {
            PatchKind::Json => patch::json_patch(&shown, body)?,
            PatchKind::Merge | PatchKind::Strategic | PatchKind::Apply => patch::merge_patch(&shown, &body)?,
        };
        self.update_scale(call, &patched, now)
    }

    /// Puts a pod on a node (`pods/binding`).
    pub(crate) fn bind(&mut self, call: &mut Call, body: &Value, now: Timestamp) -> Result<()> {
        let node = object::text(body, &["target", "name"]);
        if node.is_empty() {
            let cause = Cause::required("target.name");
            return Err(ApiError::invalid("", "Binding", &call.name, &[cause]));
        }
        let old: Arc<Value> = self.get(call)?.clone();
        let bound = object::text(&old, &["spec", "nodeName"]);
        if !bound.is_empty() {
            return Err(call.conflict(&format!("pod {} is already assigned to node {bound:?}", call.name)));
        }
        if object::is_deleting(&old) {
            return Err(
                call.conflict(&format!("pod {} is being deleted, cannot be assigned to a host", call.name))
            );
        }
        let mut new = Value::clone(&old);
        object::child_mut(&mut new, "spec").insert("nodeName".into(), json!(node));
        let scheduled = json!({"type": "PodScheduled", "status": "True",
            "lastTransitionTime": super::write::time_text(now)});
        object::child_mut(&mut new, "status").insert("conditions".into(), json!([scheduled]));
        if !call.dry_run {
            self.store.put(&call.resource.collection, new);
        }
        Ok(())
    }
}

fn to_scale(resource: &Resource, scale: &Scale, object: &Value) -> Value {
    let number = |path: &[String]| get_path(object, path).and_then(Value::as_i64).unwrap_or(0);
    let mut out = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": object::name(object),
            "uid": object::uid(object),
            "resourceVersion": object::resource_version(object),
            "creationTimestamp": object::at(object, &["metadata", "creationTimestamp"]),
        },
        "spec": {},
        "status": {"replicas": number(&scale.status_replicas)},
    });
    // Zero is left out, as by the original.
    if let replicas @ 1.. = number(&scale.spec_replicas) {
        out["spec"]["replicas"] = json!(replicas);
    }
    if resource.namespaced {
        out["metadata"]["namespace"] = json!(object::namespace(object));
    }
    let selector = scale.selector.as_ref().and_then(|path| get_path(object, path));
    if let Some(selector) = selector {
        let text = selector.as_str().map_or_else(|| selector_text(selector), str::to_owned);
        out["status"]["selector"] = json!(text);
    }
    out
}

/// A `LabelSelector` in the words of a list request.
pub(crate) fn selector_text(selector: &Value) -> String {
    let mut terms: Vec<String> = object::at(selector, &["matchLabels"])
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
        .collect();
    for expression in object::list(selector, &["matchExpressions"]) {
        let key = object::text(expression, &["key"]);
        let values: Vec<&str> =
            object::list(expression, &["values"]).iter().filter_map(Value::as_str).collect();
        terms.push(match object::text(expression, &["operator"]) {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    terms.join(",")
}

fn get_path<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |v, key| v.get(key))
}

fn set_path(object: &mut Value, path: &[String], value: Value) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut at = object;
    for key in parents {
        at = object::map_mut(at).entry(key.clone()).or_insert(Value::Null);
    }
    object::map_mut(at).insert(last.clone(), value);
}
