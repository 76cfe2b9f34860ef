//! ReplicaSet: as many pods after one template as are wanted.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, PostParams};
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt as _};
use serde_json::json;

use super::{Context, pods};

/// Pods made or removed in one reconciliation; more follow in the next.
const BURST: usize = 500;
/// Requests under way at once.
const PARALLEL: usize = 8;

pub(super) async fn reconcile(seen: Arc<ReplicaSet>, context: Arc<Context>) -> kube::Result<Action> {
    let namespace = seen.namespace().unwrap_or_default();
    let api: Api<ReplicaSet> = context.api(&namespace);
    let Some(set) = api.get_opt(&seen.name_any()).await? else { return Ok(Action::await_change()) };
    let Some(spec) = set.spec.clone() else { return Ok(Action::await_change()) };
    let Some(owner) = set.controller_owner_ref(&()) else { return Ok(Action::await_change()) };
    let all: Vec<Pod> = pods::owned(&context, &namespace, &spec.selector, &owner.uid).await?;
    let mut active: Vec<Pod> = all.into_iter().filter(pods::is_active).collect();
    let wanted = usize::try_from(spec.replicas.unwrap_or(1)).unwrap_or(0);
    let pod_api: Api<Pod> = context.api(&namespace);
    let deleting = set.metadata.deletion_timestamp.is_some();
    let now = Timestamp::now();
    write_status(&context, &set, &active, now).await?;

    if !deleting && active.len() < wanted {
        let template = spec.template.clone().unwrap_or_default();
        let mut pod = pods::from_template(&template, &namespace, owner.clone());
        pod.metadata.generate_name = Some(format!("{}-", set.name_any()));
        let missing = (wanted - active.len()).min(BURST);
        let made: Vec<kube::Result<Pod>> = futures::stream::iter((0..missing).map(|_| {
            let (api, pod) = (pod_api.clone(), pod.clone());
            async move { api.create(&PostParams::default(), &pod).await }
        }))
        .buffer_unordered(PARALLEL)
        .collect()
        .await;
        for pod in made {
            context.note(&set, "SuccessfulCreate", format!("Created pod: {}", pod?.name_any())).await;
        }
    } else if !deleting && active.len() > wanted {
        pods::sort_for_removal(&mut active);
        let surplus = (active.len() - wanted).min(BURST);
        let names: Vec<String> = active.iter().take(surplus).map(|pod| pod.name_any()).collect();
        let gone: Vec<kube::Result<String>> = futures::stream::iter(names.into_iter().map(|name| {
            let api = pod_api.clone();
            async move { api.delete(&name, &DeleteParams::default()).await.map(|_| name) }
        }))
        .buffer_unordered(PARALLEL)
        .collect()
        .await;
        for name in gone {
            context.note(&set, "SuccessfulDelete", format!("Deleted pod: {}", name?)).await;
        }
    }
    // Readiness must last a while: nothing but time makes it count.
    match spec.min_ready_seconds {
        Some(seconds)
            if seconds > 0
                && active.iter().any(|p| pods::is_ready(p) && !pods::is_available(p, seconds, now)) =>
        {
            Ok(Action::requeue(Duration::from_secs(1)))
        }
        _ => Ok(Action::await_change()),
    }
}

async fn write_status(
    context: &Context,
    set: &ReplicaSet,
    active: &[Pod],
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
    });
    context.write_status(set, &set.status, status).await
}
