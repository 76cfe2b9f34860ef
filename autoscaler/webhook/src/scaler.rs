//! What scales what: read out of a ScalingPolicy or a HorizontalPodAutoscaler, whatever else is in it.

use serde_json::Value;

/// A workload, wherever its API version has gone: the version makes no other workload of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
}

impl Target {
    /// Of a `scaleTargetRef`; `None` if it names nothing.
    pub fn of(reference: &Value, default_api_version: &str) -> Option<Self> {
        let text = |key: &str| reference.get(key).and_then(Value::as_str);
        let version = text("apiVersion").unwrap_or(default_api_version);
        let group = version.rsplit_once('/').map_or("", |(group, _)| group);
        let (kind, name) = (text("kind")?, text("name")?);
        Some(Self { group: group.to_owned(), kind: kind.to_owned(), name: name.to_owned() })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// One that scales, or that writes a ring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scaler {
    /// What it scales; `None`: nothing, or nothing that can be read.
    pub target: Option<Target>,
    /// The ConfigMap and key of its hashring.
    pub ring: Option<(String, String)>,
}

impl Scaler {
    /// Of a ScalingPolicy; one that does not write (Shadow, Paused, being deleted) scales nothing.
    pub fn of_policy(policy: &Value) -> Self {
        let spec = &policy["spec"];
        let mode = spec.get("mode").and_then(Value::as_str).unwrap_or("Active");
        if mode != "Active" || !policy["metadata"]["deletionTimestamp"].is_null() {
            return Self::default();
        }
        let ring = &spec["ring"];
        let key = ring.get("key").and_then(Value::as_str).unwrap_or("hashrings.json");
        let ring =
            ring.get("configMap").and_then(Value::as_str).map(|name| (name.to_owned(), key.to_owned()));
        Self { target: Target::of(&spec["scaleTargetRef"], "apps/v1"), ring }
    }

    /// Of a HorizontalPodAutoscaler of any version. One at `maxReplicas` and all still writes.
    pub fn of_hpa(hpa: &Value) -> Self {
        let target = match &hpa["metadata"]["deletionTimestamp"] {
            Value::Null => Target::of(&hpa["spec"]["scaleTargetRef"], ""),
            _ => None,
        };
        Self { target, ring: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_scaler_is_read_out_of_whatever_there_is() {
        let web = |group: &str| Target { group: group.into(), kind: "Deployment".into(), name: "web".into() };
        let reference = json!({"kind": "Deployment", "name": "web"});
        for (policy, target, ring) in [
            (json!({"spec": {"scaleTargetRef": reference}}), Some(web("apps")), None),
            (json!({"spec": {"scaleTargetRef": reference, "mode": "Shadow"}}), None, None),
            (json!({"spec": {"scaleTargetRef": reference, "mode": "Paused"}}), None, None),
            (
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"scaleTargetRef": reference}}),
                None,
                None,
            ),
            (
                json!({"spec": {"scaleTargetRef": reference, "ring": {"configMap": "r"}}}),
                Some(web("apps")),
                Some(("r".to_owned(), "hashrings.json".to_owned())),
            ),
            (json!({"spec": {"scaleTargetRef": {"kind": 1}}}), None, None),
            (json!(null), None, None),
            (json!([1]), None, None),
        ] {
            assert_eq!(Scaler::of_policy(&policy), Scaler { target, ring }, "{policy}");
        }
        let hpa = json!({"spec": {"scaleTargetRef": {"apiVersion": "apps/v1beta2", "kind": "Deployment", "name": "web"}}});
        assert_eq!(Scaler::of_hpa(&hpa).target, Some(web("apps")));
        assert_eq!(Scaler::of_hpa(&json!({"spec": {"scaleTargetRef": reference}})).target, Some(web("")));
    }
}
