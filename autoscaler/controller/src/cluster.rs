//! One managed cluster: its calls, each with a deadline and counted, and the fence before every write.

use std::collections::BTreeMap;
use std::time::Duration;

use autoscaler_engine::objects::{Kind, TargetKey};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::follow::{Chosen, Follow, told};
use crate::lease::Fence;
use crate::metrics::Calls;

pub(crate) mod targets;
mod usage;
mod writes;

/// A cluster that this controller scales in.
pub(crate) struct Cluster {
    /// Its kubeconfig context, or `in-cluster`.
    pub name: String,
    /// Its API.
    pub client: Client,
    /// By shard, whether this process leads there.
    pub fences: Vec<Fence>,
    /// Deadline of one call.
    pub timeout: Duration,
    /// Resources found by discovery, so at most as many as the API server has; the workloads of `apps` need none.
    pub resources: Mutex<BTreeMap<Kind, ApiResource>>,
    /// What is counted of calls.
    pub calls: Calls,
}

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The API server said no, or could not be reached.
    #[error("{}", told(.0))]
    Api(#[from] kube::Error),
    /// It did not answer in time. A write may have happened.
    #[error("the API server did not answer within {0:?}")]
    Timeout(Duration),
    /// This process does not lead, so it may not write.
    #[error("this process does not hold the Lease")]
    NotLeader,
}

impl Cluster {
    /// Lists and watches objects; `what` is for logs. A page of a list may take longer than a call on one object.
    pub(crate) fn follow<K>(&self, api: Api<K>, chosen: Chosen, what: &str) -> Follow<K>
    where
        K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
    {
        Follow::new(api, chosen, self.timeout.saturating_mul(4), &self.name, what)
    }

    /// A call with a deadline.
    async fn call<T>(
        &self,
        verb: &'static str,
        resource: &str,
        deadline: Duration,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, CallError> {
        let began = Instant::now();
        let done = match tokio::time::timeout(deadline, call).await {
            Ok(done) => done.map_err(CallError::from),
            Err(_) => Err(CallError::Timeout(deadline)),
        };
        let code = match &done {
            Ok(_) => 200,
            Err(CallError::Api(kube::Error::Api(status))) => status.code,
            Err(_) => 0,
        };
        self.calls.count(&self.name, verb, resource, code, began.elapsed());
        done
    }

    /// A write that only the leader may make: asked right before, and over before the fence closes.
    async fn fenced<T>(
        &self,
        verb: &'static str,
        resource: &str,
        (shard, until): (u16, Instant),
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, CallError> {
        let now = Instant::now();
        let left =
            self.fences.get(usize::from(shard)).and_then(|f| f.left(now)).ok_or(CallError::NotLeader)?;
        let left = left.min(until.saturating_duration_since(now)).min(self.timeout);
        if left.is_zero() {
            return Err(CallError::NotLeader);
        }
        self.call(verb, resource, left, call).await
    }

    /// Finds a kind's resource.
    pub(crate) async fn resource(&self, kind: &Kind) -> Result<ApiResource, CallError> {
        let gvk = GroupVersionKind::gvk(&kind.group, &kind.version, &kind.kind);
        let known = well_known(&gvk).or_else(|| self.resources.lock().get(kind).cloned());
        if let Some(resource) = known {
            return Ok(resource);
        }
        let found = kube::discovery::pinned_kind(&self.client, &gvk);
        let found = self.call("get", "discovery", self.timeout, found).await?.0;
        self.resources.lock().insert(kind.clone(), found.clone());
        Ok(found)
    }

    async fn api(&self, key: &TargetKey, version: &str) -> Result<(Api<DynamicObject>, String), CallError> {
        let (group, kind) = (key.group.clone(), key.kind.clone());
        let resource = self.resource(&Kind { group, version: version.to_owned(), kind }).await?;
        let plural = resource.plural.clone();
        Ok((Api::namespaced_with(self.client.clone(), &key.namespace, &resource), plural))
    }
}

/// Workloads that need no discovery. The plural is not guessed: a guess panics on some words, and a policy may
/// name any.
fn well_known(gvk: &GroupVersionKind) -> Option<ApiResource> {
    let plural = match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("apps", "Deployment") => "deployments",
        ("apps", "StatefulSet") => "statefulsets",
        ("apps", "ReplicaSet") => "replicasets",
        _ => return None,
    };
    Some(ApiResource::from_gvk_with_plural(gvk, plural))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_kind_that_a_policy_names_panics() {
        for kind in ["Y", "y", "", "é", "Pony"] {
            assert_eq!(well_known(&GroupVersionKind::gvk("apps", "v1", kind)), None);
        }
        let known = well_known(&GroupVersionKind::gvk("apps", "v1", "Deployment")).unwrap();
        assert_eq!((known.plural.as_str(), known.api_version.as_str()), ("deployments", "apps/v1"));
    }
}
