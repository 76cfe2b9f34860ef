//! A Pod, as far as its targets need one. The API server's whole type has hundreds of others below it, which would
//! all be compiled, parsed and kept for each of ten thousand pods; what is not here is skipped unread, so that a
//! field of a newer Kubernetes cannot break the watch.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;

/// `v1` Pod.
#[derive(Resource, Clone, Debug, Default, Deserialize)]
#[resource(inherit = k8s_openapi::api::core::v1::Pod)]
#[serde(default)]
pub struct Pod {
    /// Whose it is and what is written on it.
    pub metadata: ObjectMeta,
    /// What was asked for.
    pub spec: Option<PodSpec>,
    /// What runs.
    pub status: Option<PodStatus>,
}

/// What was asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    /// Where it runs.
    pub node_name: Option<String>,
    /// Its containers.
    pub containers: Option<Vec<Container>>,
    /// Those that run before, and native sidecars.
    pub init_containers: Option<Vec<Container>>,
}

/// A container that was asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Container {
    /// Unique in the pod.
    pub name: String,
    /// What it runs.
    pub image: Option<String>,
    /// Those that it declares.
    pub ports: Option<Vec<ContainerPort>>,
}

/// A port that a container declares.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerPort {
    /// At the pod's address.
    pub container_port: i32,
    /// Unique in the pod.
    pub name: Option<String>,
    /// `TCP` if it is not said.
    pub protocol: Option<String>,
}

/// What runs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodStatus {
    /// Pending, Running, Succeeded, Failed or Unknown.
    pub phase: Option<String>,
    /// Its own address.
    #[serde(rename = "podIP")]
    pub pod_ip: Option<String>,
    /// Its node's address.
    #[serde(rename = "hostIP")]
    pub host_ip: Option<String>,
    /// Ready among others.
    pub conditions: Option<Vec<PodCondition>>,
    /// Of [`PodSpec::containers`].
    pub container_statuses: Option<Vec<ContainerStatus>>,
    /// Of [`PodSpec::init_containers`].
    pub init_container_statuses: Option<Vec<ContainerStatus>>,
}

/// One thing that holds or does not.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodCondition {
    /// Its name.
    #[serde(rename = "type")]
    pub type_: String,
    /// True, False or Unknown.
    pub status: String,
}

/// A container that runs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContainerStatus {
    /// The container's name.
    pub name: String,
    /// The runtime's name for it.
    #[serde(rename = "containerID")]
    pub container_id: Option<String>,
}
