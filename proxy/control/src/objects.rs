//! Pods, services and EndpointSlices as they come over the wire, as far as endpoints need them. The API server's
//! whole types have hundreds of others below them, which would all be compiled and parsed for each of ten thousand
//! pods; what is not here is skipped unread, so that a field of a newer Kubernetes cannot break the watch.
//!
//! These live for one event only: [`crate::pod`], [`crate::service`] and [`crate::slice`] say what is kept.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Resource;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// `v1` Service.
#[derive(Resource, Clone, Debug, Default, Deserialize)]
#[resource(inherit = k8s_openapi::api::core::v1::Service)]
#[serde(default)]
pub struct Service {
    /// Its name.
    #[serde(deserialize_with = "metadata")]
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
    /// Its virtual address; `None` where it is headless.
    #[serde(rename = "clusterIP", deserialize_with = "readable")]
    pub cluster_ip: Option<String>,
    /// One of each family.
    #[serde(rename = "clusterIPs", deserialize_with = "readable")]
    pub cluster_ips: Option<Vec<String>>,
}

/// A port of a service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServicePort {
    /// What clients ask for.
    pub port: i32,
    /// Slices list their ports under it.
    pub name: Option<String>,
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
    #[serde(deserialize_with = "metadata")]
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
    /// Its first label in DNS, if it is not the pod's name.
    pub hostname: Option<String>,
    /// Whether its address is the node's, and so that of others too.
    pub host_network: Option<bool>,
}

/// A container that was asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Container {
    /// Unique in the pod.
    pub name: String,
    /// The program, and perhaps its arguments.
    pub command: Option<Vec<String>>,
    /// Its arguments.
    pub args: Option<Vec<String>>,
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
    /// One of each family; the first is the same.
    #[serde(rename = "podIPs", deserialize_with = "readable")]
    pub pod_ips: Option<Vec<PodIp>>,
    /// Ready among others.
    pub conditions: Option<Vec<PodCondition>>,
}

/// An address of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodIp {
    /// As text.
    pub ip: String,
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

/// `discovery.k8s.io/v1` EndpointSlice.
#[derive(Resource, Clone, Debug, Default, Deserialize)]
#[resource(inherit = k8s_openapi::api::discovery::v1::EndpointSlice)]
#[serde(default)]
pub struct EndpointSlice {
    /// Its labels name the service.
    #[serde(deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    /// Addresses.
    pub endpoints: Option<Vec<SliceEndpoint>>,
    /// Ports of all of them.
    pub ports: Option<Vec<SlicePort>>,
}

/// One endpoint of a slice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SliceEndpoint {
    /// Interchangeable, so the first stands for all.
    pub addresses: Option<Vec<String>>,
    /// What it can do.
    pub conditions: Option<SliceConditions>,
    /// Its first label in DNS.
    pub hostname: Option<String>,
}

/// What an endpoint can do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SliceConditions {
    /// Nothing said means yes.
    pub ready: Option<bool>,
    /// Nothing said means no.
    pub terminating: Option<bool>,
}

/// A port of a slice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SlicePort {
    /// The service port's.
    pub name: Option<String>,
    /// The endpoints'.
    pub port: Option<i32>,
    /// `TCP` if it is not said.
    pub protocol: Option<String>,
}

/// Metadata without what is never read: who wrote which field is often half of an object.
fn metadata<'de, D: Deserializer<'de>>(from: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Lean {
        name: Option<String>,
        namespace: Option<String>,
        resource_version: Option<String>,
        labels: Option<BTreeMap<String, String>>,
        annotations: Option<BTreeMap<String, String>>,
        owner_references: Option<Vec<OwnerReference>>,
        deletion_timestamp: Option<Time>,
    }
    let lean = Option::<Lean>::deserialize(from)?.unwrap_or_default();
    Ok(ObjectMeta {
        name: lean.name,
        namespace: lean.namespace,
        resource_version: lean.resource_version,
        labels: lean.labels,
        annotations: lean.annotations,
        owner_references: lean.owner_references,
        deletion_timestamp: lean.deletion_timestamp,
        ..ObjectMeta::default()
    })
}

/// A field that is of use only if it has the shape that is expected.
fn readable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Maybe<T> {
        Is(T),
        IsNot(IgnoredAny),
    }
    Ok(match Maybe::deserialize(from)? {
        Maybe::Is(value) => Some(value),
        Maybe::IsNot(_) => None,
    })
}
