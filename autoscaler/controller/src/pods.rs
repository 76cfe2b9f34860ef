//! A Pod, as far as a decision needs one: whether it is ready, and its address. The API server's whole type has
//! hundreds of others below it, which would all be compiled and parsed; what is not here is skipped unread.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;

/// `v1` Pod.
#[derive(Resource, Clone, Debug, Default, Deserialize)]
#[resource(inherit = k8s_openapi::api::core::v1::Pod)]
#[serde(default)]
pub(crate) struct Pod {
    /// Its name, and whether it is on its way out.
    pub metadata: ObjectMeta,
    /// What runs.
    pub status: Option<PodStatus>,
}

/// What runs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PodStatus {
    /// Its address.
    #[serde(rename = "podIP")]
    pub pod_ip: Option<String>,
    /// Ready among others.
    pub conditions: Option<Vec<PodCondition>>,
}

/// One thing that holds or does not.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PodCondition {
    /// Its name.
    #[serde(rename = "type")]
    pub type_: String,
    /// True, False or Unknown.
    pub status: String,
}

impl Pod {
    /// Whether it says that it is ready; one on its way out may.
    pub(crate) fn is_ready(&self) -> bool {
        let conditions = self.status.iter().flat_map(|s| s.conditions.iter().flatten());
        conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True")
    }

    /// Its address, once it has one.
    pub(crate) fn ip(&self) -> Option<&str> {
        self.status.as_ref()?.pod_ip.as_deref().filter(|ip| !ip.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_null_missing_or_unknown_leaves_a_pod_readable() {
        for (pod, ready, ip) in [
            (r#"{}"#, false, None),
            (r#"{"status": null}"#, false, None),
            (r#"{"status": {"podIP": "", "conditions": null, "hostIPs": 7}}"#, false, None),
            (
                r#"{"status": {"podIP": "10.0.0.1", "conditions": [{}, {"type": "Ready"}]}}"#,
                false,
                Some("10.0.0.1"),
            ),
            (
                r#"{"spec": 7, "status": {"conditions": [{"type": "Initialized", "status": "True"}]}}"#,
                false,
                None,
            ),
            (r#"{"status": {"conditions": [{"type": "Ready", "status": "True", "reason": 7}]}}"#, true, None),
        ] {
            let read: Pod = serde_json::from_str(pod).unwrap();
            assert_eq!((read.is_ready(), read.ip()), (ready, ip), "{pod}");
        }
    }
}
