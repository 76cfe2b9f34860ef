//! From a target and the cluster's state to what a stream says. Pure.
//!
//! A pod takes part in a service when the service selects it, it is ready, it is not being deleted and it has an
//! address. Who asks for a pod's own address gets the pod for as long as it runs: nobody else can answer instead.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::authority::Target;
use crate::endpoints::{Endpoint, Endpoints, Scope};
use crate::pod::{Pod, Stage};
use crate::ports::PortSet;
use crate::profile::{Parent, Profile};
use crate::service::{Service, Source};
use crate::state::State;

/// Whether there is what is asked for.
pub fn exists(state: &State, target: &Target) -> bool {
    match target {
        Target::Service { namespace, service, .. } => state.service_named(namespace, service).is_some(),
        Target::Instance { namespace, service, host, .. } => {
            let called = |pod: &&Arc<Pod>| pod.is_called(host);
            match state.service_named(namespace, service).map(|s| &s.source) {
                Some(Source::Pods(selector)) => state.selected(namespace, selector).any(|p| called(&p)),
                Some(Source::Slices) => state.slices(namespace, service).iter().any(|s| s.has_host(host)),
                Some(Source::Outside) | None => false,
            }
        }
        Target::Address(_) => true,
    }
}

/// The service that an answer is about, also where there is none of that name yet: its changes, and those of its
/// pods and slices, may change the answer.
pub fn service<'a>(state: &'a State, target: &'a Target) -> Option<(&'a str, &'a str)> {
    match target {
        Target::Service { namespace, service, .. } | Target::Instance { namespace, service, .. } => {
            Some((namespace, service))
        }
        Target::Address(address) => state.service_at(address.ip()).map(|s| (&*s.namespace, &*s.name)),
    }
}

/// What a `Get` stream says.
pub fn endpoints(state: &State, target: &Target) -> Endpoints {
    match target {
        Target::Service { namespace, service, port } => {
            of_service(state, state.service_named(namespace, service), *port, None)
        }
        Target::Instance { namespace, service, host, port } => {
            of_service(state, state.service_named(namespace, service), *port, Some(host))
        }
        Target::Address(address) => match (state.service_at(address.ip()), pod_at(state, *address)) {
            (Some(service), _) => of_service(state, Some(service), address.port(), None),
            (None, Some(endpoint)) => {
                let namespace = endpoint.pod.as_ref().map(|p| p.namespace.clone()).unwrap_or_default();
                Endpoints::known(Scope { namespace, service: None }, vec![endpoint])
            }
            (None, None) => Endpoints::Missing,
        },
    }
}

/// What a `GetProfile` stream says; `domain` ends the names of services.
pub fn profile(state: &State, target: &Target, domain: &Arc<str>) -> Profile {
    let of = |service: Option<&Arc<Service>>, port: u16| match service {
        // An alias has no port that could be known, but there it is.
        Some(s) => Profile {
            service: Some(Parent {
                namespace: s.namespace.clone(),
                service: s.name.clone(),
                port,
                domain: domain.clone(),
            }),
            endpoint: None,
            opaque: s.is_opaque(port),
        },
        None => unknown(port),
    };
    match target {
        Target::Service { namespace, service, port } => of(state.service_named(namespace, service), *port),
        Target::Instance { namespace, service, port, .. } => {
            let endpoint = endpoints(state, target).list().first().cloned();
            let opaque = state.service_named(namespace, service).is_some_and(|s| s.is_opaque(*port));
            let opaque = opaque || endpoint.as_ref().is_some_and(|e| is_opaque(e, e.address.port()));
            Profile { service: None, endpoint, opaque }
        }
        Target::Address(address) => match (state.service_at(address.ip()), pod_at(state, *address)) {
            (Some(service), _) => of(Some(service), address.port()),
            (None, Some(endpoint)) => Profile {
                service: None,
                opaque: is_opaque(&endpoint, address.port()),
                endpoint: Some(endpoint),
            },
            (None, None) => unknown(address.port()),
        },
    }
}

fn unknown(port: u16) -> Profile {
    Profile { opaque: PortSet::opaque(None, |_| None).has(port), ..Profile::default() }
}

fn is_opaque(endpoint: &Endpoint, port: u16) -> bool {
    endpoint.pod.as_ref().is_some_and(|p| p.ports.is_opaque(port))
}

fn of_service(state: &State, service: Option<&Arc<Service>>, port: u16, host: Option<&str>) -> Endpoints {
    let Some(service) = service else { return Endpoints::Missing };
    let list = match &service.source {
        Source::Outside => return Endpoints::Missing,
        Source::Pods(selector) => {
            let target = service.target(port);
            let takes_part =
                |p: &&Arc<Pod>| p.serves(service.unready_too) && host.is_none_or(|h| p.is_called(h));
            // Sidecars take HTTP alone: what the service or the pod says is none goes past them.
            let opaque = service.is_opaque(port);
            let endpoint = |pod: &Arc<Pod>| {
                let port = target.of(pod)?;
                let port = if opaque { port } else { pod.ports.reached_at(port) };
                Some(Endpoint { address: SocketAddr::new(pod.ip?, port), pod: Some(pod.clone()) })
            };
            state.selected(&service.namespace, selector).filter(takes_part).filter_map(endpoint).collect()
        }
        Source::Slices => {
            let slices = state.slices(&service.namespace, &service.name).iter();
            let addresses = slices.flat_map(|s| s.addresses(service, port, host));
            addresses.map(|address| Endpoint { address, pod: None }).collect()
        }
    };
    let scope = Scope { namespace: service.namespace.clone(), service: Some(service.name.clone()) };
    Endpoints::known(scope, list)
}

/// The pod at an address, if it is one's. Of those that share a node's address, the one that declares the port.
fn pod_at(state: &State, address: SocketAddr) -> Option<Endpoint> {
    let pods = state.pods_at(address.ip()).iter();
    let living =
        pods.filter(|p| p.stage != Stage::Done && (!p.host_network || p.ports.declares(address.port())));
    let pod = living.min_by_key(|p| (p.host_network, p.stage, &p.namespace, &p.name))?;
    // A sidecar listens at the pod's first address.
    let port =
        if pod.ip == Some(address.ip()) { pod.ports.reached_at(address.port()) } else { address.port() };
    Some(Endpoint { address: SocketAddr::new(address.ip(), port), pod: Some(pod.clone()) })
}
