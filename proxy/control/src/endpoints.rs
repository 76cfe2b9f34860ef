//! From a Service and the cluster's pods to addresses, and from two sets of addresses to updates. Pure.
//!
//! A pod takes part when the Service selects it, it is ready, it is not being deleted and it has an address.
//! Without traffic redirection, a pod's own proxy is reached by its port: where a pod declares container port
//! 4143, every port of it is reached there, but those that its proxy container declares itself and those that
//! the annotation `config.linkerd.io/skip-inbound-ports` names.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use linkerd2_proxy_api::destination::{AddrSet, NoEndpoints, Update, WeightedAddr, WeightedAddrSet, update};
use proxy_api::port;

use crate::objects::{Container, ContainerPort, Pod, Service, ServicePort};

const SKIP_INBOUND_PORTS: &str = "config.linkerd.io/skip-inbound-ports";
/// The weight that Linkerd's control plane gives every address.
const WEIGHT: u32 = 10_000;

/// Labels by name.
pub type LabelMap = BTreeMap<String, String>;

/// What is known of a service's port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Endpoints {
    /// There is no such service.
    #[default]
    Missing,
    /// There is, with these ready endpoints, perhaps none.
    Known {
        /// Of all endpoints.
        labels: LabelMap,
        /// Of each.
        addresses: BTreeMap<SocketAddr, LabelMap>,
    },
}

impl Endpoints {
    /// Resolves a service's port among the pods of its namespace.
    pub fn resolve<'a>(service: Option<&Service>, pods: impl Iterator<Item = &'a Pod>, port: u16) -> Self {
        let Some((service, spec)) = service.and_then(|s| Some((s, s.spec.as_ref()?))) else {
            return Self::Missing;
        };
        if spec.type_.as_deref() == Some("ExternalName") {
            return Self::Missing;
        }
        let text = |v: &Option<String>| v.clone().unwrap_or_default();
        let labels = LabelMap::from([
            ("namespace".to_owned(), text(&service.metadata.namespace)),
            ("service".to_owned(), text(&service.metadata.name)),
        ]);
        let selector = spec.selector.as_ref().filter(|s| !s.is_empty());
        let target = target_port(service, port);
        let unready_too = spec.publish_not_ready_addresses == Some(true);
        let mut addresses = BTreeMap::new();
        for pod in pods {
            let takes_part = selector.is_some_and(|s| selects(s, pod)) && serves(pod, unready_too);
            if let Some(address) = address(pod, &target).filter(|_| takes_part) {
                addresses.insert(address, pod_labels(pod));
            }
        }
        Self::Known { labels, addresses }
    }

    /// How many endpoints there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Missing => 0,
            Self::Known { addresses, .. } => addresses.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a proxy must be told. `before` is what it was told last; `None` at the start of a stream, which
    /// always gets a message, because a proxy keeps stale endpoints until it does.
    pub fn updates_since(&self, before: Option<&Self>) -> Vec<Update> {
        if before == Some(self) {
            return Vec::new();
        }
        let Self::Known { labels, addresses } = self else {
            return vec![no_endpoints(false)];
        };
        if addresses.is_empty() {
            return vec![no_endpoints(true)];
        }
        let empty = BTreeMap::new();
        let old = match before {
            Some(Self::Known { labels: l, addresses }) if l == labels => addresses,
            _ => &empty,
        };
        let gone: Vec<_> = old.keys().filter(|a| !addresses.contains_key(a)).map(|a| (*a).into()).collect();
        let new: Vec<_> = addresses.iter().filter(|(a, l)| old.get(a) != Some(l)).collect();
        let mut out = Vec::new();
        // First what comes, then what goes: a proxy is never without endpoints in between.
        if !new.is_empty() {
            out.push(update::Update::Add(weighted(labels, &new)));
        }
        if !gone.is_empty() {
            out.push(update::Update::Remove(AddrSet { addrs: gone }));
        }
        out.into_iter().map(|update| Update { update: Some(update) }).collect()
    }
}

fn no_endpoints(exists: bool) -> Update {
    Update { update: Some(update::Update::NoEndpoints(NoEndpoints { exists })) }
}

fn weighted(labels: &LabelMap, addresses: &[(&SocketAddr, &LabelMap)]) -> WeightedAddrSet {
    let map = |labels: &LabelMap| labels.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
    let addr = |(address, labels): &(&SocketAddr, &LabelMap)| WeightedAddr {
        addr: Some((**address).into()),
        weight: WEIGHT,
        metric_labels: map(labels),
        ..Default::default()
    };
    WeightedAddrSet { addrs: addresses.iter().map(addr).collect(), metric_labels: map(labels) }
}

/// The pod's port behind a service's port; a port that the service does not list stands for itself, as in
/// Linkerd.
fn target_port(service: &Service, port: u16) -> IntOrString {
    let ports = service.spec.iter().flat_map(|s| s.ports.iter().flatten());
    let tcp = |p: &&ServicePort| p.protocol.as_deref().unwrap_or("TCP") == "TCP";
    let listed = ports.filter(tcp).find(|p| p.port == i32::from(port));
    listed.and_then(|p| p.target_port.clone()).unwrap_or(IntOrString::Int(port.into()))
}

fn selects(selector: &BTreeMap<String, String>, pod: &Pod) -> bool {
    let labels = pod.metadata.labels.as_ref();
    selector.iter().all(|(name, value)| labels.and_then(|l| l.get(name)) == Some(value))
}

fn serves(pod: &Pod, unready_too: bool) -> bool {
    let Some(status) = &pod.status else { return false };
    let ready = || status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
    pod.metadata.deletion_timestamp.is_none()
        && !matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"))
        && (unready_too || ready())
}

fn address(pod: &Pod, target: &IntOrString) -> Option<SocketAddr> {
    let ip: IpAddr = pod.status.as_ref()?.pod_ip.as_deref()?.parse().ok()?;
    let wanted = match target {
        IntOrString::Int(number) => u16::try_from(*number).ok().filter(|p| *p != 0)?,
        IntOrString::String(name) => {
            let named = containers(pod).flat_map(ports).find(|p| p.name.as_deref() == Some(name));
            u16::try_from(named?.container_port).ok()?
        }
    };
    let declares = |c: &&Container, port: u16| ports(c).any(|p| p.container_port == i32::from(port));
    let proxy = containers(pod).find(|c| declares(c, port::INBOUND));
    let through_proxy = proxy.is_some_and(|c| !declares(&c, wanted)) && !skips_proxy(pod, wanted);
    Some(SocketAddr::new(ip, if through_proxy { port::INBOUND } else { wanted }))
}

/// All containers that run as long as the pod does: native sidecars are init containers.
fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let spec = pod.spec.iter();
    spec.flat_map(|s| {
        let sidecars =
            s.init_containers.iter().flatten().filter(|c| c.restart_policy.as_deref() == Some("Always"));
        s.containers.iter().flatten().chain(sidecars)
    })
}

fn ports(container: &Container) -> impl Iterator<Item = &ContainerPort> {
    container.ports.iter().flatten().filter(|p| p.protocol.as_deref().unwrap_or("TCP") == "TCP")
}

/// Reads `4222,6000-6010`; an entry that is neither says nothing.
fn skips_proxy(pod: &Pod, port: u16) -> bool {
    let annotation = pod.metadata.annotations.as_ref().and_then(|a| a.get(SKIP_INBOUND_PORTS));
    annotation.is_some_and(|list| {
        list.split(',').any(|entry| {
            let (from, to) = entry.split_once('-').unwrap_or((entry, entry));
            match (from.trim().parse::<u16>(), to.trim().parse::<u16>()) {
                (Ok(from), Ok(to)) => (from..=to).contains(&port),
                _ => false,
            }
        })
    })
}

/// `pod` and what owns it, under Linkerd's names: the proxy puts `dst_` in front.
fn pod_labels(pod: &Pod) -> LabelMap {
    let mut labels = LabelMap::new();
    let name = pod.metadata.name.clone().unwrap_or_default();
    let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
    if let Some(owner) = owners.iter().find(|o| o.controller == Some(true)) {
        let template_hash = pod.metadata.labels.as_ref().and_then(|l| l.get("pod-template-hash"));
        match owner.kind.as_str() {
            "ReplicaSet" => {
                if let Some(hash) = template_hash {
                    labels.insert("pod_template_hash".into(), hash.clone());
                }
                // A ReplicaSet that a Deployment made is named after it, with the template's hash behind.
                let deployment = match template_hash {
                    Some(hash) => owner.name.strip_suffix(hash.as_str()).and_then(|n| n.strip_suffix('-')),
                    None => None,
                };
                match deployment {
                    Some(deployment) => labels.insert("deployment".into(), deployment.to_owned()),
                    None => labels.insert("replicaset".into(), owner.name.clone()),
                };
            }
            // `job` is Prometheus' own.
            "Job" => drop(labels.insert("k8s_job".into(), owner.name.clone())),
            kind => drop(labels.insert(kind.to_lowercase(), owner.name.clone())),
        }
    }
    let account = pod.spec.as_ref().and_then(|s| s.service_account_name.clone());
    if let Some(account) = account.filter(|a| !a.is_empty()) {
        labels.insert("serviceaccount".into(), account);
    }
    labels.insert("pod".into(), name);
    labels
}
