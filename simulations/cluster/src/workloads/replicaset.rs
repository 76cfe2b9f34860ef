//! ReplicaSet: as many pods after one template as are wanted.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::Pod;
use kube::core::{Selector, SelectorExt as _};
use kube::{Resource, ResourceExt as _};
use serde_json::json;

use super::objects::Objects;
use super::{Context, Key, Next, conditions, pods, said_by};

/// Pods made or removed in one reconciliation; more follow in the next.
const BURST: usize = 500;
/// Requests under way at once.
const PARALLEL: usize = 8;

/// What could not be done: reason and message.
type Failure = (&'static str, String);

pub(super) async fn reconcile(seen: Key, context: Arc<Context>) -> kube::Result<Next> {
    let namespace = seen.namespace;
    let api: Objects<ReplicaSet> = context.api(&namespace);
    let Some(set) = api.get_opt(&seen.name).await? else {
        context.forget(&seen.uid);
        return Ok(Next::Never);
    };
    let Some(spec) = set.spec.clone() else { return Ok(Next::Never) };
    let uid = set.uid().unwrap_or_default();
    let owned: Vec<Pod> = pods::owned(&context, &namespace, &uid).await?;
    let deleting = set.metadata.deletion_timestamp.is_some();
    let unmatched = unmatched(&spec).or_else(|| context.brake(&uid));
    // What somebody relabelled is let go; what is made unlike its selector counts, or there would be no end of it.
    let strays = if deleting || unmatched.is_some() { Vec::new() } else { strays(&spec, &owned) };
    for pod in owned.iter().filter(|p| strays.contains(&p.name_any())) {
        release(&context, pod, &uid, &namespace).await?;
    }
    let mine = owned.into_iter().filter(|p| !strays.contains(&p.name_any()));
    let mut active: Vec<Pod> = mine.filter(pods::is_active).collect();
    let wanted = usize::try_from(spec.replicas.unwrap_or(1)).unwrap_or(0);
    let now = context.clock.now();
    let failure = match unmatched {
        _ if deleting => None,
        Some(why) if active.len() < wanted => {
            context.warn(&set, "FailedCreate", format!("Error creating: {why}")).await;
            Some(("FailedCreate", why))
        }
        _ if active.len() < wanted => {
            create(&context, &set, &spec, wanted - active.len(), &namespace).await?
        }
        _ => {
            pods::sort_for_removal(&mut active);
            let surplus: Vec<&Pod> = active.iter().take(active.len().saturating_sub(wanted)).collect();
            remove(&context, &set, &surplus, &namespace).await
        }
    };
    write_status(&context, &set, &active, failure.as_ref(), now).await?;
    if failure.is_some() {
        return Ok(Next::After(context.back_off(&uid)));
    }
    context.succeeded(&uid);
    // Readiness must last a while: nothing but time makes it count.
    match spec.min_ready_seconds {
        Some(seconds)
            if seconds > 0
                && active.iter().any(|p| pods::is_ready(p) && !pods::is_available(p, seconds, now)) =>
        {
            Ok(Next::After(Duration::from_secs(1)))
        }
        _ => Ok(Next::Never),
    }
}

/// Why pods after this template would not be the set's own.
fn unmatched(spec: &ReplicaSetSpec) -> Option<String> {
    let labels = spec.template.as_ref().and_then(|t| t.metadata.as_ref()?.labels.clone()).unwrap_or_default();
    pods::unmatched(&spec.selector, &labels)
}

/// Names of pods that the selector no longer selects.
fn strays(spec: &ReplicaSetSpec, owned: &[Pod]) -> Vec<String> {
    let Ok(selector) = Selector::try_from(spec.selector.clone()) else { return Vec::new() };
    let strays = owned.iter().filter(|p| !pods::is_deleting(p) && !selector.matches(p.labels()));
    strays.map(|p| p.name_any()).collect()
}

/// Somebody took the pod out, to look at it: it stays, as nobody's.
async fn release(context: &Context, pod: &Pod, uid: &str, namespace: &str) -> kube::Result<()> {
    let owners: Vec<_> = pod.owner_references().iter().filter(|o| o.uid != uid).collect();
    let patch = json!({"metadata": {"uid": pod.uid(), "resourceVersion": pod.resource_version(), "ownerReferences": owners}});
    let api: Objects<Pod> = context.api(namespace);
    api.merge(&pod.name_any(), &patch).await
}

/// Makes pods: one, then two, then four, so that what is refused is refused once and not five hundred times.
async fn create(
    context: &Context,
    set: &ReplicaSet,
    spec: &ReplicaSetSpec,
    missing: usize,
    namespace: &str,
) -> kube::Result<Option<Failure>> {
    let Some(owner) = set.controller_owner_ref(&()) else { return Ok(None) };
    let template = spec.template.clone().unwrap_or_default();
    let mut pod = pods::from_template(&template, namespace, owner);
    pod.metadata.generate_name = Some(format!("{}-", set.name_any()));
    let api: Objects<Pod> = context.api(namespace);
    let (mut left, mut batch) = (missing.min(BURST), 1);
    while left > 0 {
        let size = left.min(batch);
        let made: Vec<kube::Result<Pod>> = futures::stream::iter((0..size).map(|_| {
            let (api, pod) = (api.clone(), pod.clone());
            async move { api.create(&pod).await }
        }))
        .buffer_unordered(PARALLEL)
        .collect()
        .await;
        let mut failure = None;
        for pod in made {
            match pod {
                Ok(pod) => {
                    let note = format!("Created pod: {}", pod.name_any());
                    context.note(set, "SuccessfulCreate", note).await;
                    if let Some(why) = pods::unmatched(&spec.selector, pod.labels()) {
                        context.pull_brake(&set.uid().unwrap_or_default(), &why);
                        failure = failure.or(Some(why));
                    }
                }
                Err(kube::Error::Api(status)) => failure = failure.or(Some(said_by(&status))),
                // Not refused, but not answered: the next look sees what became of it.
                Err(error) => return Err(error),
            }
        }
        if let Some(why) = failure {
            context.warn(set, "FailedCreate", format!("Error creating: {why}")).await;
            return Ok(Some(("FailedCreate", why)));
        }
        left -= size;
        batch *= 2;
    }
    Ok(None)
}

async fn remove(context: &Context, set: &ReplicaSet, surplus: &[&Pod], namespace: &str) -> Option<Failure> {
    let api: Objects<Pod> = context.api(namespace);
    let names: Vec<String> = surplus.iter().take(BURST).map(|pod| pod.name_any()).collect();
    let gone: Vec<(String, kube::Result<()>)> = futures::stream::iter(names.into_iter().map(|name| {
        let api = api.clone();
        async move {
            let deleted = api.delete(&name).await;
            (name, deleted)
        }
    }))
    .buffer_unordered(PARALLEL)
    .collect()
    .await;
    let mut failure = None;
    for (name, deleted) in gone {
        match deleted {
            Ok(()) => context.note(set, "SuccessfulDelete", format!("Deleted pod: {name}")).await,
            // Somebody was faster.
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => {
                let why = match error {
                    kube::Error::Api(status) => said_by(&status),
                    other => other.to_string(),
                };
                context.warn(set, "FailedDelete", format!("Error deleting: {why}")).await;
                failure = Some(("FailedDelete", why));
            }
        }
    }
    failure
}

async fn write_status(
    context: &Context,
    set: &ReplicaSet,
    active: &[Pod],
    failure: Option<&Failure>,
    now: Timestamp,
) -> kube::Result<()> {
    let min_ready = set.spec.as_ref().and_then(|s| s.min_ready_seconds).unwrap_or(0);
    let template_labels = set
        .spec
        .as_ref()
        .and_then(|s| s.template.as_ref()?.metadata.as_ref()?.labels.clone())
        .unwrap_or_default();
    let labelled = |pod: &&Pod| template_labels.iter().all(|(k, v)| pod.labels().get(k) == Some(v));
    let status = json!({
        "replicas": active.len(),
        "fullyLabeledReplicas": active.iter().filter(labelled).count(),
        "readyReplicas": active.iter().filter(|p| pods::is_ready(p)).count(),
        "availableReplicas": active.iter().filter(|p| pods::is_available(p, min_ready, now)).count(),
        "observedGeneration": set.metadata.generation,
        "conditions": conditions::of_set(set, failure.map(|(reason, why)| (*reason, &**why)), now),
    });
    context.write_status(set, &set.status, status).await
}

#[cfg(test)]
mod tests;
