//! What is read of a target.

use autoscaler_engine::objects::{Kind, Target, TargetKey};
use kube::api::DynamicObject;
use serde_json::Value;

use super::{CallError, Cluster};

impl Cluster {
    /// Reads a target; `None`: it is not there.
    pub(crate) async fn read(&self, key: &TargetKey, version: &str) -> Result<Option<Target>, CallError> {
        let (api, plural) = self.api(key, version).await?;
        let Some(object) = self.call("get", &plural, self.timeout, api.get_opt(&key.name)).await? else {
            return Ok(None);
        };
        let (group, kind) = (key.group.clone(), key.kind.clone());
        let kind = Kind { group, version: version.to_owned(), kind };
        if let Some(target) = told(&kind, &object) {
            return Ok(Some(target));
        }
        let mut target = shown(&object);
        let scale =
            self.call("get", &format!("{plural}/scale"), self.timeout, api.get_scale(&key.name)).await?;
        let status = scale.status.unwrap_or_default();
        target.resource_version = scale.metadata.resource_version.unwrap_or_default();
        target.spec_replicas = scale.spec.and_then(|s| s.replicas).unwrap_or(0);
        target.status_replicas = status.replicas;
        target.selector = status.selector.unwrap_or_default();
        // Others may not know it at all; then pods are counted.
        target.ready_replicas = number(&object, "/status/readyReplicas");
        Ok(Some(target))
    }
}

/// A target, where its object says all of it: the workloads of `apps`. Of others the scale is read, for where they keep
/// their replicas is known to the API server alone.
pub(crate) fn told(kind: &Kind, object: &DynamicObject) -> Option<Target> {
    (kind.group == "apps").then(|| shown(object))
}

/// A target as far as its object shows it in the places that workloads of `apps` have.
fn shown(object: &DynamicObject) -> Target {
    let policy = object.data.pointer("/spec/podManagementPolicy").and_then(Value::as_str);
    Target {
        uid: object.metadata.uid.clone().unwrap_or_default(),
        resource_version: object.metadata.resource_version.clone().unwrap_or_default(),
        spec_replicas: number(object, "/spec/replicas").unwrap_or(1),
        status_replicas: number(object, "/status/replicas").unwrap_or(0),
        ready_replicas: Some(number(object, "/status/readyReplicas").unwrap_or(0)),
        selector: selector(&object.data["spec"]["selector"]),
        ordered_start: policy != Some("Parallel"),
    }
}

fn number(object: &DynamicObject, at: &str) -> Option<i32> {
    object.data.pointer(at).and_then(Value::as_i64).map(clamp)
}

fn clamp(n: i64) -> i32 {
    i32::try_from(n).unwrap_or(if n < 0 { i32::MIN } else { i32::MAX })
}

/// A LabelSelector as the text that a scale's status has (`metav1.FormatLabelSelector`).
fn selector(selector: &Value) -> String {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<String> =
        labels.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let values: Vec<&str> =
            expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let values = values.join(",");
        parts.push(match expression["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_are_written_as_a_scale_has_them() {
        for (given, text) in [
            (json!(null), ""),
            (json!({"matchLabels": {"app": "web", "tier": "front"}}), "app=web,tier=front"),
            (
                json!({"matchExpressions": [
                    {"key": "a", "operator": "In", "values": ["x", "y"]},
                    {"key": "b", "operator": "NotIn", "values": ["z"]},
                    {"key": "c", "operator": "Exists"}, {"key": "d", "operator": "DoesNotExist"},
                ]}),
                "a in (x,y),b notin (z),c,!d",
            ),
        ] {
            assert_eq!(selector(&given), text);
        }
    }
}
