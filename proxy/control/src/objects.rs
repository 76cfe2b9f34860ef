//! Pods and services, as far as endpoints need them. The API server's whole types have hundreds of others below
//! them, which would all be compiled, parsed and kept for each of ten thousand pods; what is not here is skipped
//! unread, so that a field of a newer Kubernetes cannot break the watch.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Resource;
use serde::Deserialize;

/// `v1` Service.
#[derive(Resource, Clone, Debug, Default, Deserialize)]
#[resource(inherit = k8s_openapi::api::core::v1::Service)]
#[serde(default)]
pub struct Service {
    /// Its name.
    pub metadata: ObjectMeta,
    /// What it stands for.
    pub spec: Option<ServiceSpec>,
}

/// What a service stands for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceSpec {
    /// `ExternalName` has no pods.
    #[serde(rename = "type")]
    pub type_: Option<String>,
    /// Labels of its pods.
    pub selector: Option<BTreeMap<String, String>>,
    /// What it listens on.
    pub ports: Option<Vec<ServicePort>>,
    /// Whether pods take part before they are ready.
    pub publish_not_ready_addresses: Option<bool>,
}

/// A port of a service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServicePort {
    /// What clients ask for.
    pub port: i32,
    /// The pods' port, or its name; the same number if it is not said.
    pub target_port: Option<IntOrString>,
    /// `TCP` if it is not said.
    pub protocol: Option<String>,
}

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
    /// Who it is to others.
    pub service_account_name: Option<String>,
    /// Its containers.
    pub containers: Option<Vec<Container>>,
    /// Those that run before, and native sidecars.
    pub init_containers: Option<Vec<Container>>,
}

/// A container that was asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Container {
    /// Those that it declares.
    pub ports: Option<Vec<ContainerPort>>,
    /// `Always` makes a native sidecar of an init container.
    pub restart_policy: Option<String>,
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
#[serde(default)]
pub struct PodStatus {
    /// Pending, Running, Succeeded, Failed or Unknown.
    pub phase: Option<String>,
    /// Its address.
    #[serde(rename = "podIP")]
    pub pod_ip: Option<String>,
    /// Ready among others.
    pub conditions: Option<Vec<PodCondition>>,
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
