//! What a proxy asks about: a service, a pod of one by its name in DNS, or an address.
//!
//! | text | read as |
//! |---|---|
//! | `10.0.0.7:8080`, `[fd00::7]:8080` | an address |
//! | `web.default.svc[.cluster.local]` | a service |
//! | `web-1.web.default.svc[.cluster.local]` | a pod of a service |
//! | `web` | a service of the client's namespace, where it says which |
//! | `a.b` | pod `a` of service `b` in the client's namespace, if there is one; or service `a` in namespace `b` |
//! | `web-1.web.default` | a pod of a service, if there is that service; or a host outside |
//!
//! Names are tried in the order in which a pod's resolver goes through its search domains. Without a port it is 80.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

const PORT: u16 = 80;
/// More of a name than can be one is not repeated in errors.
const SHOWN_MAX: usize = 300;

/// What one discovery stream is about. Ports are the service's, or of the address; not the pods'.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A service.
    Service {
        /// Where it is.
        namespace: String,
        /// What it is called there.
        service: String,
        /// One that clients ask for.
        port: u16,
    },
    /// One pod of a service, by its name in DNS.
    Instance {
        /// Where the service is.
        namespace: String,
        /// What it is called there.
        service: String,
        /// The pod's first label.
        host: String,
        /// The service's port.
        port: u16,
    },
    /// An address: a service's, a pod's, or one that is neither.
    Address(SocketAddr),
}

/// What a text may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The first of these that exists, else the last. Never empty.
    pub candidates: Vec<Target>,
    /// Whether it may as well be a host outside of the cluster, which is none of ours.
    pub must_exist: bool,
}

/// Not a name in this cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// Some other form.
    #[error("{0:?} is no address and not [pod.]service.namespace[.svc[.domain]][:port]")]
    Form(String),
    /// A short name, and nobody says of which namespace.
    #[error("{0:?} has no namespace, and neither has the context token")]
    Short(String),
    /// Another cluster's name, or a host outside.
    #[error("{name:?} is not in this cluster's domains ({domains})")]
    Domain {
        /// What was asked for.
        name: String,
        /// What could be.
        domains: String,
    },
}

impl Names {
    /// Reads an authority, for a client in a namespace, if that is known.
    ///
    /// # Errors
    /// It names nothing in this cluster.
    pub fn parse(text: &str, client: Option<&str>, domains: &[String]) -> Result<Self, AuthorityError> {
        let shown = || text.chars().take(SHOWN_MAX).collect();
        if let Some(address) = address(text) {
            return Ok(Self::one(Target::Address(address)));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|p| *p != 0)),
            None => (text, Some(PORT)),
        };
        let port = port.ok_or_else(|| AuthorityError::Form(shown()))?;
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let (labels, full) = match host.split_once(".svc.") {
            Some((labels, domain)) if domains.iter().any(|d| d.eq_ignore_ascii_case(domain)) => {
                (labels, true)
            }
            Some(_) => {
                return Err(AuthorityError::Domain { name: shown(), domains: domains.join(", ") });
            }
            None => host.strip_suffix(".svc").map_or((&*host, false), |labels| (labels, true)),
        };
        let labels: Vec<_> = labels.splitn(5, '.').collect();
        if !labels.iter().all(|l| is_label(l)) {
            return Err(AuthorityError::Form(shown()));
        }
        let service = |service: &str, namespace: &str| {
            let (service, namespace) = (service.to_owned(), namespace.to_owned());
            Target::Service { namespace, service, port }
        };
        let instance = |host: &str, service: &str, namespace: &str| {
            let (host, service, namespace) = (host.to_owned(), service.to_owned(), namespace.to_owned());
            Target::Instance { namespace, service, host, port }
        };
        match (&labels[..], full, client) {
            ([name], false, Some(client)) => Ok(Self::one(service(name, client))),
            ([_], false, None) => Err(AuthorityError::Short(shown())),
            ([a, b], false, Some(client)) => {
                Ok(Self { candidates: vec![instance(a, b, client), service(a, b)], must_exist: false })
            }
            ([name, namespace], _, _) => Ok(Self::one(service(name, namespace))),
            ([host, name, namespace], full, _) => {
                Ok(Self { candidates: vec![instance(host, name, namespace)], must_exist: !full })
            }
            _ => Err(AuthorityError::Form(shown())),
        }
    }

    fn one(target: Target) -> Self {
        Self { candidates: vec![target], must_exist: false }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service { namespace, service, port } => write!(f, "{service}.{namespace}:{port}"),
            Self::Instance { namespace, service, host, port } => {
                write!(f, "{host}.{service}.{namespace}:{port}")
            }
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Who asks, as a proxy's context token says: Linkerd's JSON, or its older `ns:NAMESPACE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Client {
    /// The namespace of its pod.
    pub ns: Option<String>,
}

impl Client {
    /// Reads a token. One that is neither form says nothing, as in Linkerd: full names need none.
    pub fn parse(token: &str) -> Self {
        let read = match token.strip_prefix("ns:") {
            Some(namespace) => Self { ns: Some(namespace.to_owned()) },
            None => serde_json::from_str(token).unwrap_or_default(),
        };
        Self { ns: read.ns.filter(|ns| is_label(ns)) }
    }
}

fn address(text: &str) -> Option<SocketAddr> {
    let unbracketed = || text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let (ip, port) = match text.parse::<SocketAddr>() {
        Ok(address) => (address.ip(), address.port()),
        Err(_) => (unbracketed().parse::<IpAddr>().ok()?, PORT),
    };
    (port != 0).then(|| SocketAddr::new(ip.to_canonical(), port))
}

/// An RFC 1123 label.
fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}
