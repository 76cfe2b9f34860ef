//! Which ports a pod has, which of them its sidecar stands in front of, and which carry something else than HTTP.
//!
//! A sidecar of ours forwards its inbound port to one port of the app. That port alone is reached through it: the
//! port after `--inbound-forward` among the sidecar's arguments, or what the annotation
//! `config.gauntlet.dev/inbound-ports` lists where the arguments do not say it (because they refer to variables, or
//! are in a file). Where neither says a port, none is reached through the sidecar: a port that is reached past it
//! is not counted, one that is reached through it by mistake gives another app's answers.
//!
//! Pods of Linkerd's injector declare 4143 too, but linkerd2-proxy takes mutual TLS there, and what was redirected
//! to it. They are known by the name of the container, and reached at the app's port.

use std::collections::BTreeMap;

use proxy_api::port;

use crate::objects::{Container, ContainerPort, Pod};

/// Ports that are reached through the sidecar, instead of what its arguments say.
pub const INBOUND_PORTS: &str = "config.gauntlet.dev/inbound-ports";
/// Ports that are never reached through a sidecar. Linkerd's.
pub const SKIP_INBOUND_PORTS: &str = "config.linkerd.io/skip-inbound-ports";
/// Ports that carry no HTTP, of a pod or a service. Linkerd's.
pub const OPAQUE_PORTS: &str = "config.linkerd.io/opaque-ports";
/// The container that Linkerd injects.
const LINKERD_PROXY: &str = "linkerd-proxy";
/// Linkerd's opaque ports where no annotation says any: SMTP, MySQL, Galera, PostgreSQL, Redis, ElasticSearch,
/// Memcached.
const OPAQUE_DEFAULT: [u16; 8] = [25, 587, 3306, 4444, 5432, 6379, 9300, 11211];
/// Entries of one annotation that are read.
const ENTRIES_MAX: usize = 1000;

/// Ports as an annotation lists them, as ranges from and to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PortSet(Box<[(u16, u16)]>);

impl PortSet {
    /// Reads `4222,6000-6010,metrics`; an entry that is neither port, range nor known name says nothing.
    pub fn parse(text: &str, named: impl Fn(&str) -> Option<u16>) -> Self {
        let one = |entry: &str| {
            let entry = entry.trim();
            if let Some(port) = named(entry) {
                return Some((port, port));
            }
            let (from, to) = entry.split_once('-').unwrap_or((entry, entry));
            Some((from.trim().parse().ok()?, to.trim().parse().ok()?))
        };
        Self(text.split(',').take(ENTRIES_MAX).filter_map(one).collect())
    }

    /// The opaque ports of something with these annotations.
    pub fn opaque(annotation: Option<&str>, named: impl Fn(&str) -> Option<u16>) -> Self {
        match annotation {
            Some(text) => Self::parse(text, named),
            None => Self(OPAQUE_DEFAULT.iter().map(|p| (*p, *p)).collect()),
        }
    }

    /// Whether it is among them.
    pub fn has(&self, port: u16) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&port))
    }
}

/// A sidecar of ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sidecar {
    listens: u16,
    forwards: PortSet,
    skips: PortSet,
}

/// What a pod's containers listen on. The same for all pods of a template, so it is shared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ports {
    declared: Box<[(Box<str>, u16)]>,
    sidecar: Option<Sidecar>,
    opaque: PortSet,
}

impl Ports {
    /// Reads a pod's containers and annotations.
    pub fn of(pod: &Pod) -> Self {
        let declared: Box<[_]> = containers(pod)
            .flat_map(tcp)
            .filter_map(|p| Some((p.name.as_deref().unwrap_or_default().into(), number(p.container_port)?)))
            .collect();
        let annotation = |name| pod.metadata.annotations.as_ref().and_then(|a: &BTreeMap<_, _>| a.get(name));
        let named = |name: &str| by_name(&declared, name);
        let set = |name| annotation(name).map(|text| PortSet::parse(text, named));
        let opaque = PortSet::opaque(annotation(OPAQUE_PORTS).map(String::as_str), named);
        let sidecar = sidecar(pod, set(INBOUND_PORTS)).map(|(listens, forwards)| Sidecar {
            listens,
            forwards,
            skips: set(SKIP_INBOUND_PORTS).unwrap_or_default(),
        });
        Self { declared, sidecar, opaque }
    }

    /// The port of that name.
    pub fn named(&self, name: &str) -> Option<u16> {
        by_name(&self.declared, name)
    }

    /// Whether some container declares it.
    pub fn declares(&self, port: u16) -> bool {
        self.declared.iter().any(|(_, p)| *p == port)
    }

    /// Whether it carries something else than HTTP.
    pub fn is_opaque(&self, port: u16) -> bool {
        self.opaque.has(port)
    }

    /// Where the app's `port` is reached: at the sidecar that forwards to it, or itself. Our sidecar takes HTTP
    /// alone, so what is opaque goes past it.
    pub fn reached_at(&self, port: u16) -> u16 {
        let through = |s: &&Sidecar| s.forwards.has(port) && !s.skips.has(port) && !self.opaque.has(port);
        self.sidecar.as_ref().filter(through).map_or(port, |s| s.listens)
    }
}

fn by_name(declared: &[(Box<str>, u16)], name: &str) -> Option<u16> {
    declared.iter().find(|(n, _)| !name.is_empty() && **n == *name).map(|(_, port)| *port)
}

/// Where a sidecar of ours listens, and for which ports.
fn sidecar(pod: &Pod, annotated: Option<PortSet>) -> Option<(u16, PortSet)> {
    let ours = || containers(pod).filter(|c| c.name != LINKERD_PROXY);
    for container in ours() {
        if let Some(forward) = flag(container, "--inbound-forward") {
            let listens = flag(container, "--inbound-listen").and_then(port_of).unwrap_or(port::INBOUND);
            let forward = port_of(forward).map(|p| PortSet([(p, p)].into()));
            return Some((listens, annotated.or(forward)?));
        }
    }
    let listens = |c: &Container| tcp(c).any(|p| p.container_port == i32::from(port::INBOUND));
    ours().any(listens).then_some((port::INBOUND, annotated?))
}

/// The value of a command line's flag, `--flag=value` or `--flag value`, also within a shell's line.
fn flag<'a>(container: &'a Container, name: &str) -> Option<&'a str> {
    let mut words =
        container.command.iter().chain(&container.args).flatten().flat_map(|a| a.split_whitespace());
    while let Some(word) = words.next() {
        match word.strip_prefix(name) {
            Some("") => return words.next(),
            Some(rest) if rest.starts_with('=') => return Some(&rest[1..]),
            _ => {}
        }
    }
    None
}

/// The port of `host:port`, whatever the host: it may be `$(POD_IP)`.
fn port_of(address: &str) -> Option<u16> {
    address.trim_matches(['"', '\'']).rsplit_once(':')?.1.parse().ok().filter(|p| *p != 0)
}

/// All containers that run as long as the pod does: native sidecars are init containers.
fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    pod.spec.iter().flat_map(|s| {
        let lasts = |c: &&Container| c.restart_policy.as_deref() == Some("Always");
        s.containers.iter().flatten().chain(s.init_containers.iter().flatten().filter(lasts))
    })
}

fn tcp(container: &Container) -> impl Iterator<Item = &ContainerPort> {
    container.ports.iter().flatten().filter(|p| p.protocol.as_deref().unwrap_or("TCP") == "TCP")
}

/// A port, if it can be one.
pub fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|p| *p != 0)
}

#[cfg(test)]
mod tests;
