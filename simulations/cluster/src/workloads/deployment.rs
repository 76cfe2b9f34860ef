//! Deployment: one ReplicaSet a template, and the way from the old ones to the new.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt as _};
use serde_json::{Value, json};

use super::rollout::{Limits, SetSize, step};
use super::{Context, pods};

const HASH_LABEL: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

pub(super) async fn reconcile(seen: Arc<Deployment>, context: Arc<Context>) -> kube::Result<Action> {
    let namespace = seen.namespace().unwrap_or_default();
    let api: Api<Deployment> = context.api(&namespace);
    let Some(deployment) = api.get_opt(&seen.name_any()).await? else { return Ok(Action::await_change()) };
    let Some(spec) = deployment.spec.clone() else { return Ok(Action::await_change()) };
    let uid = deployment.uid().unwrap_or_default();
    let mut sets: Vec<ReplicaSet> = pods::owned(&context, &namespace, &spec.selector, &uid).await?;
    sets.sort_by_key(|s| (s.metadata.creation_timestamp.clone().map(|t| t.0), s.name_any()));
    let hash = template_hash(&spec.template);
    let is_new = |s: &ReplicaSet| s.labels().get(HASH_LABEL) == Some(&hash);
    if deployment.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let replicas = spec.replicas.unwrap_or(1);
    let limits = limits(&spec, replicas);
    let new = match sets.iter().find(|s| is_new(s)) {
        Some(new) => new.clone(),
        None if spec.paused == Some(true) => {
            return write_status(&context, &deployment, &spec, None, &sets, limits).await;
        }
        None => {
            let made = create_set(&context, &deployment, &spec, &hash, &sets, &namespace).await?;
            sets.push(made.clone());
            made
        }
    };
    let olds: Vec<&ReplicaSet> = sets.iter().filter(|s| !is_new(s)).collect();
    keep_revision(&context, &deployment, &new, &olds, &namespace).await?;
    let new_size = size(&new);
    let old_sizes: Vec<SetSize> = olds.iter().map(|s| size(s)).collect();
    let recreate = spec.strategy.as_ref().and_then(|s| s.type_.as_deref()) == Some("Recreate");
    let (new_wanted, old_wanted) = if spec.paused == Some(true) {
        (new_size.wanted, old_sizes.iter().map(|o| o.wanted).collect())
    } else if recreate {
        let gone = olds.iter().all(|s| s.status.as_ref().is_none_or(|st| st.replicas == 0));
        (if gone { replicas } else { new_size.wanted }, vec![0; olds.len()])
    } else {
        step(replicas, limits, new_size, &old_sizes)
    };
    scale(&context, &deployment, &new, new_wanted, &namespace).await?;
    for (set, wanted) in olds.iter().zip(old_wanted) {
        scale(&context, &deployment, set, wanted, &namespace).await?;
    }
    forget_old_sets(&context, &spec, &olds, &namespace).await?;
    write_status(&context, &deployment, &spec, Some(&new), &sets, limits).await
}

fn limits(spec: &DeploymentSpec, replicas: i32) -> Limits {
    let rolling = spec.strategy.as_ref().and_then(|s| s.rolling_update.as_ref());
    Limits::resolve(
        rolling.and_then(|r| r.max_surge.as_ref()),
        rolling.and_then(|r| r.max_unavailable.as_ref()),
        replicas,
    )
}

fn template_hash(template: &PodTemplateSpec) -> String {
    pods::hash(template)
}

fn size(set: &ReplicaSet) -> SetSize {
    SetSize {
        wanted: set.spec.as_ref().and_then(|s| s.replicas).unwrap_or(0),
        available: set.status.as_ref().and_then(|s| s.available_replicas).unwrap_or(0),
    }
}

fn revision(set: &ReplicaSet) -> u64 {
    set.annotations().get(REVISION).and_then(|r| r.parse().ok()).unwrap_or(0)
}

async fn create_set(
    context: &Context,
    deployment: &Deployment,
    spec: &DeploymentSpec,
    hash: &str,
    sets: &[ReplicaSet],
    namespace: &str,
) -> kube::Result<ReplicaSet> {
    let with_hash = |labels: Option<BTreeMap<String, String>>| {
        let mut labels = labels.unwrap_or_default();
        labels.insert(HASH_LABEL.into(), hash.to_owned());
        Some(labels)
    };
    let mut template = spec.template.clone();
    let meta = template.metadata.get_or_insert_default();
    meta.labels = with_hash(meta.labels.take());
    let labels = meta.labels.clone();
    let next = sets.iter().map(revision).max().unwrap_or(0) + 1;
    let set = ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", deployment.name_any())),
            namespace: Some(namespace.to_owned()),
            labels,
            annotations: Some(BTreeMap::from([(REVISION.to_owned(), next.to_string())])),
            owner_references: deployment.controller_owner_ref(&()).map(|o| vec![o]),
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            replicas: Some(0),
            min_ready_seconds: spec.min_ready_seconds,
            selector: LabelSelector {
                match_labels: with_hash(spec.selector.match_labels.clone()),
                match_expressions: spec.selector.match_expressions.clone(),
            },
            template: Some(template),
        }),
        status: None,
    };
    let api: Api<ReplicaSet> = context.api(namespace);
    api.create(&PostParams::default(), &set).await
}

/// The set of the present template has the highest revision, also when a template comes back; the deployment
/// shows it.
async fn keep_revision(
    context: &Context,
    deployment: &Deployment,
    new: &ReplicaSet,
    olds: &[&ReplicaSet],
    namespace: &str,
) -> kube::Result<()> {
    let highest = olds.iter().map(|s| revision(s)).max().unwrap_or(0);
    let wanted = if revision(new) > highest { revision(new) } else { highest + 1 };
    let patch = json!({"metadata": {"annotations": {REVISION: wanted.to_string()}}});
    let params = PatchParams { field_manager: Some("workloads".into()), ..PatchParams::default() };
    if revision(new) != wanted {
        let api: Api<ReplicaSet> = context.api(namespace);
        api.patch(&new.name_any(), &params, &Patch::Merge(&patch)).await?;
    }
    if deployment.annotations().get(REVISION) != Some(&wanted.to_string()) {
        let api: Api<Deployment> = context.api(namespace);
        api.patch(&deployment.name_any(), &params, &Patch::Merge(&patch)).await?;
    }
    Ok(())
}

async fn scale(
    context: &Context,
    deployment: &Deployment,
    set: &ReplicaSet,
    wanted: i32,
    namespace: &str,
) -> kube::Result<()> {
    let now = size(set).wanted;
    if now == wanted {
        return Ok(());
    }
    let api: Api<ReplicaSet> = context.api(namespace);
    let params = PatchParams { field_manager: Some("workloads".into()), ..PatchParams::default() };
    let patch = json!({"spec": {"replicas": wanted}});
    api.patch(&set.name_any(), &params, &Patch::Merge(&patch)).await?;
    let direction = if wanted > now { "up" } else { "down" };
    let note = format!("Scaled {direction} replica set {} from {now} to {wanted}", set.name_any());
    context.note(deployment, "ScalingReplicaSet", note).await;
    Ok(())
}

async fn forget_old_sets(
    context: &Context,
    spec: &DeploymentSpec,
    olds: &[&ReplicaSet],
    namespace: &str,
) -> kube::Result<()> {
    let keep = usize::try_from(spec.revision_history_limit.unwrap_or(10)).unwrap_or(0);
    let mut idle: Vec<&&ReplicaSet> = olds
        .iter()
        .filter(|s| size(s).wanted == 0 && s.status.as_ref().is_none_or(|st| st.replicas == 0))
        .collect();
    idle.sort_by_key(|s| revision(s));
    let api: Api<ReplicaSet> = context.api(namespace);
    for set in idle.iter().take(idle.len().saturating_sub(keep)) {
        api.delete(&set.name_any(), &DeleteParams::default()).await?;
    }
    Ok(())
}

async fn write_status(
    context: &Context,
    deployment: &Deployment,
    spec: &DeploymentSpec,
    new: Option<&ReplicaSet>,
    sets: &[ReplicaSet],
    limits: Limits,
) -> kube::Result<Action> {
    let sum = |of: fn(&k8s_openapi::api::apps::v1::ReplicaSetStatus) -> i32| -> i32 {
        sets.iter().filter_map(|s| s.status.as_ref()).map(of).sum()
    };
    let total = sum(|s| s.replicas);
    let available = sum(|s| s.available_replicas.unwrap_or(0));
    let updated = new.and_then(|s| s.status.as_ref()).map_or(0, |s| s.replicas);
    let replicas = spec.replicas.unwrap_or(1);
    let enough = available >= replicas.saturating_sub(limits.unavailable);
    let complete = updated == replicas && total == replicas && available == replicas;
    let name = new.map(|s| s.name_any()).unwrap_or_default();
    let (reason, message) = if complete {
        ("NewReplicaSetAvailable", format!("ReplicaSet \"{name}\" has successfully progressed."))
    } else {
        ("ReplicaSetUpdated", format!("ReplicaSet \"{name}\" is progressing."))
    };
    let available_now = if enough {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    let conditions = json!([
        condition(deployment, "Available", available_now.0, available_now.1, available_now.2),
        condition(deployment, "Progressing", "True", reason, &message),
    ]);
    let status = json!({
        "observedGeneration": deployment.metadata.generation,
        "replicas": total,
        "updatedReplicas": updated,
        "readyReplicas": sum(|s| s.ready_replicas.unwrap_or(0)),
        "availableReplicas": available,
        "unavailableReplicas": total.max(replicas).saturating_sub(available).max(0),
        "conditions": conditions,
    });
    context.write_status(deployment, &deployment.status, status).await?;
    Ok(Action::await_change())
}

/// A condition, with the times of the former one where it says the same.
fn condition(deployment: &Deployment, kind: &str, status: &str, reason: &str, message: &str) -> Value {
    let former =
        deployment.status.iter().flat_map(|s| s.conditions.iter().flatten()).find(|c| c.type_ == kind);
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let time = |t: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| {
        t.and_then(|t| serde_json::to_value(t).ok()).unwrap_or_else(|| json!(now))
    };
    let same_status = former.filter(|c| c.status == status);
    let same = same_status.filter(|c| c.reason.as_deref() == Some(reason));
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": time(same_status.and_then(|c| c.last_transition_time.as_ref())),
        "lastUpdateTime": time(same.and_then(|c| c.last_update_time.as_ref())),
    })
}
