//! The scale of a Deployment, as kube-controller-manager reads and writes it.

use std::time::Duration;

use autoscaler_hpa::Scale;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v1;
use kube::Api;
use kube::api::PostParams;
use simulations_world::Actor;

/// After this, what a connection does not answer is given up: HTTP/2's health check of client-go, 30 s of silence and
/// 15 s for its ping.
pub const CALL: Duration = Duration::from_secs(45);

/// How often a write that met another one is tried, and the time between (client-go `retry.DefaultRetry`).
const TRIES: u32 = 5;
const BETWEEN: Duration = Duration::from_millis(10);

/// A Deployment of the first cluster, on the way of one on trial.
#[derive(Debug, Clone)]
pub struct Target {
    api: Api<Deployment>,
    name: String,
}

/// A scale as it was read.
#[derive(Debug, Clone)]
pub struct Read {
    /// What the HPA looks at.
    pub scale: Scale,
    object: v1::Scale,
}

impl Target {
    /// The Deployment of that name; `None`: the first cluster has no API server.
    pub fn new(actor: &Actor, name: &str) -> Option<Self> {
        Some(Self { api: Api::default_namespaced(actor.client(0)?), name: name.to_owned() })
    }

    /// Reads the scale.
    ///
    /// # Errors
    /// What the API server says, or that it says nothing.
    pub async fn read(&self) -> Result<Read, String> {
        let object = within(self.api.get_scale(&self.name)).await.map_err(|e| e.to_string())?;
        let spec_replicas = object.spec.as_ref().and_then(|s| s.replicas).unwrap_or(0);
        let status_replicas = object.status.as_ref().map_or(0, |s| s.replicas);
        Ok(Read { scale: Scale { spec_replicas, status_replicas }, object })
    }

    /// Writes these replicas to the scale as it was read. If somebody changed it since, it is read again, and the same
    /// replicas are written (upstream: `horizontal.go`, `reconcileAutoscaler`, inside `RetryOnConflict`).
    ///
    /// # Errors
    /// What the API server says, or that it says nothing.
    pub async fn write(&self, read: &Read, replicas: i32) -> Result<(), String> {
        let mut object = read.object.clone();
        for left in (0..TRIES).rev() {
            object.spec.get_or_insert_default().replicas = Some(replicas);
            match within(self.api.replace_scale(&self.name, &PostParams::default(), &object)).await {
                Ok(_) => return Ok(()),
                Err(kube::Error::Api(status)) if status.code == 409 && left > 0 => {}
                Err(error) => return Err(error.to_string()),
            }
            tokio::time::sleep(BETWEEN).await;
            object = within(self.api.get_scale(&self.name)).await.map_err(|e| e.to_string())?;
        }
        Err("the scale changed again and again".to_owned())
    }

    /// Ready replicas.
    ///
    /// # Errors
    /// What the API server says, or that it says nothing.
    pub async fn ready(&self) -> Result<i32, String> {
        let object = within(self.api.get(&self.name)).await.map_err(|e| e.to_string())?;
        Ok(object.status.and_then(|s| s.ready_replicas).unwrap_or(0))
    }
}

/// The call's end, or a failure once it has lasted too long.
async fn within<T>(call: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    match tokio::time::timeout(CALL, call).await {
        Ok(done) => done,
        Err(late) => Err(kube::Error::Service(late.into())),
    }
}
