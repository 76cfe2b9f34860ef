//! What is kept of a service.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::intern::{Interner, Labels};
use crate::objects;
use crate::pod::{Pod, address};
use crate::ports::{OPAQUE_PORTS, PortSet, number};

/// Where a service's endpoints are said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Pods with these labels.
    Pods(Arc<Labels>),
    /// EndpointSlices that somebody writes: it has no selector.
    Slices,
    /// Nowhere in this cluster: `ExternalName` is an alias in DNS, where a proxy may follow it.
    Outside,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Unique there.
    pub name: Arc<str>,
    /// Where its endpoints are said.
    pub source: Source,
    /// Pods take part before they are ready.
    pub unready_too: bool,
    /// Its virtual addresses, one of each family; none where it is headless.
    pub cluster_ips: Box<[IpAddr]>,
    ports: Box<[Port]>,
    opaque: PortSet,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Port {
    number: u16,
    name: Box<str>,
    target: Target,
}

/// A pod's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By number.
    Number(u16),
    /// By the name that a container gives it.
    Named(Box<str>),
}

impl Target {
    /// The port of a pod, if it has it.
    pub fn of(&self, pod: &Pod) -> Option<u16> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Named(name) => pod.ports.named(name),
        }
    }
}

impl Service {
    /// Reads what is kept; nothing without a name.
    pub fn new(object: &objects::Service, interner: &mut Interner) -> Option<Self> {
        let none = objects::ServiceSpec::default();
        let spec = object.spec.as_ref().unwrap_or(&none);
        let selector = spec.selector.as_ref().filter(|s| !s.is_empty());
        let source = match selector {
            _ if object.spec.is_none() || spec.type_.as_deref() == Some("ExternalName") => Source::Outside,
            Some(selector) => Source::Pods(interner.labels(selector)),
            None => Source::Slices,
        };
        let tcp = |p: &&objects::ServicePort| p.protocol.as_deref().unwrap_or("TCP") == "TCP";
        let port = |p: &objects::ServicePort| {
            let target = match &p.target_port {
                None | Some(IntOrString::Int(0)) => Target::Number(number(p.port)?),
                Some(IntOrString::Int(port)) => Target::Number(number(*port)?),
                Some(IntOrString::String(name)) => match name.parse().ok().filter(|p| *p != 0) {
                    Some(port) => Target::Number(port),
                    None => Target::Named(name.as_str().into()),
                },
            };
            Some(Port { number: number(p.port)?, name: p.name.as_deref().unwrap_or_default().into(), target })
        };
        let ports: Box<[_]> = spec.ports.iter().flatten().filter(tcp).filter_map(port).collect();
        let mut cluster_ips: Vec<_> = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip).collect();
        cluster_ips.dedup();
        let mut cluster_ips: Vec<_> = cluster_ips.into_iter().filter_map(|ip| address(ip)).collect();
        cluster_ips.sort_unstable();
        cluster_ips.dedup();
        let annotation =
            object.metadata.annotations.as_ref().and_then(|a: &BTreeMap<_, _>| a.get(OPAQUE_PORTS));
        let named =
            |name: &str| ports.iter().find(|p| !name.is_empty() && *p.name == *name).map(|p| p.number);
        Some(Self {
            namespace: interner.text(object.metadata.namespace.as_deref().unwrap_or_default()),
            name: interner.text(object.metadata.name.as_deref()?),
            source,
            unready_too: spec.publish_not_ready_addresses == Some(true),
            cluster_ips: cluster_ips.into(),
            opaque: PortSet::opaque(annotation.map(String::as_str), named),
            ports,
        })
    }

    /// The pods' port behind one of its own. A port that it does not list stands for itself, as in Linkerd.
    pub fn target(&self, port: u16) -> Target {
        self.listed(port).map_or(Target::Number(port), |p| p.target.clone())
    }

    /// The name under which slices list one of its ports, if it is listed at all; perhaps the empty one.
    pub fn name_of(&self, port: u16) -> Option<&str> {
        self.listed(port).map(|p| &*p.name)
    }

    /// Whether a port carries something else than HTTP.
    pub fn is_opaque(&self, port: u16) -> bool {
        self.opaque.has(port)
    }

    /// Whether it selects the pod.
    pub fn selects(&self, pod: &Pod) -> bool {
        matches!(&self.source, Source::Pods(selector) if selector.within(&pod.labels))
    }

    fn listed(&self, port: u16) -> Option<&Port> {
        self.ports.iter().find(|p| p.number == port)
    }
}
