//! A Pod, as far as a decision needs one: whether it is ready, its address, and what it asks for. The API server's whole
//! type has hundreds of others below it, which would all be compiled and parsed; what is not here is skipped unread.

use autoscaler_pods::{PodSpec, PodStatus};
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
    /// What it asks for.
    pub spec: Option<PodSpec>,
    /// What runs.
    pub status: Option<PodStatus>,
}

impl Pod {
    /// Whether it says that it is ready; one on its way out may.
    pub(crate) fn is_ready(&self) -> bool {
        self.status.as_ref().and_then(PodStatus::ready).is_some_and(|ready| ready.status == "True")
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
                r#"{"spec": {"containers": null, "x": 7}, "status": {"conditions": [{"type": "Initialized", "status": "True"}]}}"#,
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
