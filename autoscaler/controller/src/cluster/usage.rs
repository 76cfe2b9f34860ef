//! `metrics.k8s.io`: what the pods of a selector use.

use std::time::Duration;

use autoscaler_pods::{PodMetrics, usage};

use super::{CallError, Cluster};

impl Cluster {
    /// One list of PodMetrics; the error is a sentence for a condition.
    pub(crate) async fn read_usage(
        &self,
        namespace: &str,
        selector: &str,
        deadline: Duration,
    ) -> Result<Vec<PodMetrics>, String> {
        let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods");
        let request = kube::core::Request::new(path);
        let chosen = kube::api::ListParams::default().labels(selector);
        let request = request.list(&chosen).map_err(|e| e.to_string())?;
        let call = self.client.request_text(request);
        match self.call("list", "pods.metrics.k8s.io", deadline, call).await {
            Ok(body) => usage(body.as_bytes()),
            Err(CallError::Api(kube::Error::Api(status))) if status.code == 404 => {
                Err("the API server does not serve it".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}
