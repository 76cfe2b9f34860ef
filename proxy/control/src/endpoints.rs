//! What a `Get` stream says: addresses, and the messages that lead from one set of them to another.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use linkerd2_proxy_api::destination::{AddrSet, NoEndpoints, Update, WeightedAddr, WeightedAddrSet, update};

use crate::pod::Pod;

/// The weight that Linkerd's control plane gives every address.
const WEIGHT: u32 = 10_000;
/// Addresses in one message: nearly all services fit. It is what a slow stream holds encoded, about 200 KB, and with
/// the longest names it stays below the 4 MiB that gRPC clients take.
const ADDRESSES_MAX: usize = 1_000;

/// One address.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where it is.
    pub address: SocketAddr,
    /// The pod there, unless somebody wrote the address into a slice.
    pub pod: Option<Arc<Pod>>,
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.pod, &other.pod) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a.looks_like(b),
            (None, None) => true,
            _ => false,
        };
        same && self.address == other.address
    }
}

impl Endpoint {
    /// As it is told. What is left out would not be true yet:
    ///
    /// - `tls_identity`: our proxies speak no TLS, and Linkerd's are addressed past their own, which takes what
    ///   was redirected to it;
    /// - `protocol_hint`: it says that HTTP/1 may come as upgraded HTTP/2 and opaque streams in Linkerd's
    ///   transport header, neither of which our sidecar undoes;
    /// - zones: they are on nodes, which are not watched.
    pub fn message(&self, with_namespace: bool) -> WeightedAddr {
        let mut metric_labels = HashMap::new();
        if let Some(pod) = &self.pod {
            metric_labels.extend(pod.owner.iter().map(|(n, v)| (n.to_owned(), v.to_owned())));
            metric_labels.insert("pod".to_owned(), pod.name.to_string());
            if with_namespace {
                metric_labels.insert("namespace".to_owned(), pod.namespace.to_string());
            }
        }
        WeightedAddr { addr: Some(self.address.into()), weight: WEIGHT, metric_labels, ..Default::default() }
    }
}

/// What all endpoints of a set have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Where they are.
    pub namespace: Arc<str>,
    /// Whose they are, if they are not asked for by address.
    pub service: Option<Arc<str>>,
}

/// What is known of a target.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Endpoints {
    /// There is no such thing.
    #[default]
    Missing,
    /// There is, with these endpoints, perhaps none.
    Known {
        /// Of all endpoints.
        scope: Scope,
        /// In the order of their addresses, each address once.
        list: Arc<[Endpoint]>,
    },
}

impl Endpoints {
    /// A set; of two endpoints with one address, the pod that is first by name counts.
    pub fn known(scope: Scope, mut list: Vec<Endpoint>) -> Self {
        let name = |e: &Endpoint| e.pod.as_ref().map(|p| p.name.clone());
        list.sort_unstable_by(|a, b| a.address.cmp(&b.address).then_with(|| name(a).cmp(&name(b))));
        list.dedup_by(|later, first| later.address == first.address);
        Self::Known { scope, list: list.into() }
    }

    /// The endpoints there are.
    pub fn list(&self) -> &[Endpoint] {
        match self {
            Self::Missing => &[],
            Self::Known { list, .. } => list,
        }
    }

    /// What a proxy must be told. `before` is what it was told last; `None` at the start of a stream, which
    /// always gets a message, because a proxy keeps stale endpoints until it does.
    pub fn updates_since(&self, before: Option<&Self>) -> Vec<Update> {
        let Self::Known { scope, list } = self else {
            return if before == Some(&Self::Missing) { Vec::new() } else { vec![no_endpoints(false)] };
        };
        let old: &[Endpoint] = match before {
            Some(Self::Known { scope: s, list: old }) if s == scope => {
                if old.is_empty() && list.is_empty() {
                    return Vec::new();
                }
                old
            }
            // Of another service behind the same address: nothing of it may stay.
            Some(Self::Known { list: old, .. }) => {
                let gone: Vec<_> = old.iter().filter(|e| !has(list, e.address)).map(|e| e.address).collect();
                return if list.is_empty() {
                    vec![no_endpoints(true)]
                } else {
                    messages(scope, list.iter(), &gone)
                };
            }
            _ => &[],
        };
        if list.is_empty() {
            return vec![no_endpoints(true)];
        }
        let (new, gone) = differences(old, list);
        messages(scope, new.into_iter(), &gone)
    }
}

fn has(list: &[Endpoint], address: SocketAddr) -> bool {
    list.binary_search_by(|e| e.address.cmp(&address)).is_ok()
}

/// What is new or different, and which addresses are gone, in one pass over both.
fn differences<'a>(old: &[Endpoint], now: &'a [Endpoint]) -> (Vec<&'a Endpoint>, Vec<SocketAddr>) {
    let (mut new, mut gone) = (Vec::new(), Vec::new());
    let (mut old, mut now) = (old.iter().peekable(), now.iter().peekable());
    loop {
        let order = match (old.peek(), now.peek()) {
            (None, None) => return (new, gone),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(o), Some(n)) => o.address.cmp(&n.address),
        };
        let o = if order.is_le() { old.next() } else { None };
        let n = if order.is_ge() { now.next() } else { None };
        match (o, n) {
            (Some(o), None) => gone.push(o.address),
            (o, Some(n)) if o != Some(n) => new.push(n),
            _ => {}
        }
    }
}

/// First what comes, then what goes: a proxy is never without endpoints in between.
fn messages<'a>(scope: &Scope, new: impl Iterator<Item = &'a Endpoint>, gone: &[SocketAddr]) -> Vec<Update> {
    let mut labels = HashMap::from([("namespace".to_owned(), scope.namespace.to_string())]);
    labels.extend(scope.service.iter().map(|s| ("service".to_owned(), s.to_string())));
    let new: Vec<_> = new.map(|e| e.message(false)).collect();
    let add = new.chunks(ADDRESSES_MAX).map(|addrs| {
        update::Update::Add(WeightedAddrSet { addrs: addrs.to_vec(), metric_labels: labels.clone() })
    });
    let remove = gone
        .chunks(ADDRESSES_MAX)
        .map(|addrs| update::Update::Remove(AddrSet { addrs: addrs.iter().map(|a| (*a).into()).collect() }));
    add.chain(remove).map(|update| Update { update: Some(update) }).collect()
}

fn no_endpoints(exists: bool) -> Update {
    Update { update: Some(update::Update::NoEndpoints(NoEndpoints { exists })) }
}
