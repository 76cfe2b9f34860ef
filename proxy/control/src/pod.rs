//! What is kept of a pod: about 150 bytes and its name, where the API server's object has kilobytes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::intern::{Interner, Labels};
use crate::objects;
use crate::ports::Ports;

/// How far its life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Takes requests.
    Ready,
    /// Does not yet, or not now.
    Unready,
    /// Is being deleted.
    Leaving,
    /// Ended by itself. Its address may be another's by now.
    Done,
}

/// A pod. Two that are equal are the same to every proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Unique there.
    pub name: Box<str>,
    /// If it is not the name.
    hostname: Option<Box<str>>,
    /// The address at which it is reached: of the cluster's first family, as Kubernetes prefers.
    pub ip: Option<IpAddr>,
    /// A dual-stack pod's address of the other family. A pod is found by it, but not sent to.
    pub other_ip: Option<IpAddr>,
    /// How far its life has come.
    pub stage: Stage,
    /// Its address is the node's.
    pub host_network: bool,
    /// What services select it by.
    pub labels: Arc<Labels>,
    /// What owns it, under Linkerd's names: the proxy puts `dst_` in front.
    pub owner: Arc<Labels>,
    /// What it listens on.
    pub ports: Arc<Ports>,
}

impl Pod {
    /// Reads what is kept; nothing without a name.
    pub fn new(object: &objects::Pod, interner: &mut Interner) -> Option<Self> {
        let meta = &object.metadata;
        let name = meta.name.as_deref()?;
        let status = object.status.as_ref();
        let ip = status.and_then(|s| s.pod_ip.as_deref()).and_then(address);
        let all = status.and_then(|s| s.pod_ips.as_deref()).unwrap_or_default();
        let mut all = all.iter().filter_map(|p| address(&p.ip));
        let ip = ip.or_else(|| all.next());
        let spec = object.spec.as_ref();
        let hostname = spec.and_then(|s| s.hostname.as_deref()).filter(|h| !h.is_empty() && *h != name);
        Some(Self {
            namespace: interner.text(meta.namespace.as_deref().unwrap_or_default()),
            name: name.into(),
            hostname: hostname.map(Into::into),
            ip,
            other_ip: all.find(|other| Some(*other) != ip),
            stage: stage(object),
            host_network: spec.and_then(|s| s.host_network) == Some(true),
            labels: interner.labels(meta.labels.as_ref().unwrap_or(&BTreeMap::new())),
            owner: interner.labels(&owner(object)),
            ports: interner.ports(Ports::of(object)),
        })
    }

    /// Whether a service sends to it.
    pub fn serves(&self, unready_too: bool) -> bool {
        self.stage == Stage::Ready || (unready_too && self.stage == Stage::Unready)
    }

    /// Whether `host.service` names it, as DNS does the pods of a StatefulSet.
    pub fn is_called(&self, host: &str) -> bool {
        *self.name == *host || self.hostname.as_deref() == Some(host)
    }

    /// Whether a proxy would see no difference, at the same address.
    pub fn looks_like(&self, other: &Self) -> bool {
        self.name == other.name && self.owner == other.owner && self.namespace == other.namespace
    }
}

/// An address that can be one of an endpoint.
pub fn address(text: &str) -> Option<IpAddr> {
    let ip: IpAddr = text.parse().ok()?;
    let ip = ip.to_canonical();
    (!ip.is_unspecified()).then_some(ip)
}

fn stage(pod: &objects::Pod) -> Stage {
    let status = pod.status.as_ref();
    if matches!(status.and_then(|s| s.phase.as_deref()), Some("Succeeded" | "Failed")) {
        return Stage::Done;
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return Stage::Leaving;
    }
    let mut conditions = status.into_iter().flat_map(|s| s.conditions.iter().flatten());
    if conditions.any(|c| c.type_ == "Ready" && c.status == "True") { Stage::Ready } else { Stage::Unready }
}

fn owner(pod: &objects::Pod) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
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
    labels
}
