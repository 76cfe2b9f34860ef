//! What is kept of an EndpointSlice: addresses of a service that selects no pods.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::intern::Interner;
use crate::objects;
use crate::pod::address;
use crate::ports::number;
use crate::service::Service;

/// The label that names a slice's service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Selects all slices but those that Kubernetes makes from pods, which are most of them, and which pods say sooner.
pub const WRITTEN_BY_OTHERS: &str = "endpointslice.kubernetes.io/managed-by!=endpointslice-controller.k8s.io";

/// A slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Unique there.
    pub name: Arc<str>,
    /// Whose endpoints it holds.
    pub service: Arc<str>,
    ports: Box<[(Box<str>, u16)]>,
    endpoints: Box<[Endpoint]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Endpoint {
    ip: IpAddr,
    ready: bool,
    hostname: Option<Box<str>>,
}

impl Slice {
    /// Reads what is kept; nothing without a name or a service.
    pub fn new(object: &objects::EndpointSlice, interner: &mut Interner) -> Option<Self> {
        let service = object.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
        let tcp = |p: &&objects::SlicePort| p.protocol.as_deref().unwrap_or("TCP") == "TCP";
        let port =
            |p: &objects::SlicePort| Some((p.name.as_deref().unwrap_or_default().into(), number(p.port?)?));
        let endpoint = |e: &objects::SliceEndpoint| {
            let conditions = e.conditions.clone().unwrap_or_default();
            // One that is leaving goes, ready or not.
            if conditions.terminating == Some(true) {
                return None;
            }
            Some(Endpoint {
                ip: address(e.addresses.as_ref()?.first()?)?,
                ready: conditions.ready != Some(false),
                hostname: e.hostname.as_deref().filter(|h| !h.is_empty()).map(Into::into),
            })
        };
        Some(Self {
            namespace: interner.text(object.metadata.namespace.as_deref().unwrap_or_default()),
            name: interner.text(object.metadata.name.as_deref()?),
            service: interner.text(service),
            ports: object.ports.iter().flatten().filter(tcp).filter_map(port).collect(),
            endpoints: object.endpoints.iter().flatten().filter_map(endpoint).collect(),
        })
    }

    /// Its addresses for a service's port; those of one host, if it is said.
    pub fn addresses(
        &self,
        service: &Service,
        port: u16,
        host: Option<&str>,
    ) -> impl Iterator<Item = SocketAddr> {
        let port = match service.name_of(port) {
            Some(name) => self.ports.iter().find(|(n, _)| **n == *name).map(|(_, number)| *number),
            None => Some(port),
        };
        let takes_part = move |e: &&Endpoint| {
            (e.ready || service.unready_too) && host.is_none_or(|h| e.hostname.as_deref() == Some(h))
        };
        port.into_iter().flat_map(move |port| {
            self.endpoints.iter().filter(takes_part).map(move |e| SocketAddr::new(e.ip, port))
        })
    }

    /// Whether one of its endpoints is called so.
    pub fn has_host(&self, host: &str) -> bool {
        self.endpoints.iter().any(|e| e.hostname.as_deref() == Some(host))
    }
}
