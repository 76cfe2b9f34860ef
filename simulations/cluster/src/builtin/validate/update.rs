//! What may not change once an object is there.

use serde_json::Value;

use super::super::records;
use super::Check;
use crate::error::Cause;
use crate::object;

/// Notes fields that may not change.
pub(crate) fn validate_update(kind: &str, old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let check = &mut Check(causes);
    match kind {
        "ConfigMap" => records::validate_settings_update(old, new, check.0),
        "Secret" => {
            immutable(old, new, &["type"], check);
            records::validate_settings_update(old, new, check.0);
        }
        "Deployment" | "ReplicaSet" => immutable(old, new, &["spec", "selector"], check),
        "StatefulSet" => {
            let changeable = [
                "replicas",
                "ordinals",
                "template",
                "updateStrategy",
                "revisionHistoryLimit",
                "persistentVolumeClaimRetentionPolicy",
                "minReadySeconds",
            ];
            if without(old.get("spec"), &changeable) != without(new.get("spec"), &changeable) {
                let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                           'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                           'minReadySeconds' are forbidden";
                check.forbidden("spec", why);
            }
        }
        "PersistentVolumeClaim" => {
            let frozen = |claim: &Value| {
                let mut spec = without(claim.get("spec"), &["volumeAttributesClassName"]);
                if object::text(old, &["spec", "volumeName"]).is_empty() {
                    object::map_mut(&mut spec).remove("volumeName");
                }
                if let Some(requests) = spec.pointer_mut("/resources/requests") {
                    object::map_mut(requests).remove("storage");
                }
                spec
            };
            if frozen(old) != frozen(new) {
                let why = "spec is immutable after creation except resources.requests and \
                           volumeAttributesClassName for bound claims";
                check.forbidden("spec", why);
            }
        }
        "RoleBinding" | "ClusterRoleBinding" => {
            let reference = new.get("roleRef").unwrap_or(&Value::Null);
            if old.get("roleRef") != Some(reference) {
                check.invalid("roleRef", reference, "cannot change roleRef");
            }
        }
        "Pod" if frozen_pod(old) != frozen_pod(new) => {
            let why = "pod updates may not change fields other than `spec.containers[*].image`,\
                           `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only \
                           additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be \
                           set to 1 if it was previously negative)";
            check.forbidden("spec", why);
        }
        _ => {}
    }
}

fn immutable(old: &Value, new: &Value, path: &[&str], check: &mut Check<'_>) {
    let (old, new) = (object::at(old, path), object::at(new, path));
    if old != new {
        check.invalid(path.join("."), new.unwrap_or(&Value::Null), "field is immutable");
    }
}

fn without(spec: Option<&Value>, fields: &[&str]) -> Value {
    let mut spec = spec.cloned().unwrap_or_default();
    let map = object::map_mut(&mut spec);
    for field in fields {
        map.remove(*field);
    }
    spec
}

fn frozen_pod(pod: &Value) -> Value {
    let changeable =
        ["tolerations", "activeDeadlineSeconds", "terminationGracePeriodSeconds", "schedulingGates"];
    let mut spec = without(pod.get("spec"), &changeable);
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            object::map_mut(container).remove("image");
        }
    }
    spec
}
