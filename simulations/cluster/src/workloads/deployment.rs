//! Deployment: one ReplicaSet a template, and the way from the old ones to the new.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::{Resource, ResourceExt as _};
use serde_json::json;

use super::conditions::{self, Counts, Rollout, Said};
use super::objects::Objects;
use super::rollout::{Limits, SetSize, step};
use super::template::{self, HASH_LABEL};
use super::{Context, Key, Next, pods, said_by};

const REVISION: &str = "deployment.kubernetes.io/revision";
/// Annotations that are the Deployment's own. All others its newest set has too, so that a history shows why it
/// came. Source: kubernetes `util/deployment_util.go` `annotationsToSkip`.
const OWN_ANNOTATIONS: &[&str] = &[
    REVISION,
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
    "kubectl.kubernetes.io/last-applied-configuration",
];

pub(super) async fn reconcile(seen: Key, context: Arc<Context>) -> kube::Result<Next> {
    let namespace = seen.namespace;
    let api: Objects<Deployment> = context.api(&namespace);
    let Some(deployment) = api.get_opt(&seen.name).await? else {
        context.forget(&seen.uid);
        return Ok(Next::Never);
    };
    let Some(spec) = deployment.spec.clone() else { return Ok(Next::Never) };
    let uid = deployment.uid().unwrap_or_default();
    let mut sets: Vec<ReplicaSet> = pods::owned(&context, &namespace, &uid).await?;
    sets.sort_by_key(|s| (s.metadata.creation_timestamp.clone().map(|t| t.0), s.name_any()));
    if deployment.metadata.deletion_timestamp.is_some() {
        return Ok(Next::Never);
    }
    let replicas = spec.replicas.unwrap_or(1);
    let limits = limits(&spec, replicas);
    // By what it says, not by its hash: the oldest of that template is the one to go on with.
    let of_template = |s: &&ReplicaSet| {
        let there = s.spec.as_ref().and_then(|s| s.template.as_ref());
        there.is_some_and(|there| template::same(there, &spec.template))
    };
    let new = match sets.iter().find(of_template) {
        Some(new) => new.clone(),
        None if spec.paused == Some(true) => {
            return write_status(&context, &deployment, &spec, None, &sets, limits, None).await;
        }
        None => match create_set(&context, &deployment, &spec, &sets, &namespace).await? {
            Made::Set(made) => {
                sets.push(ReplicaSet::clone(&made));
                *made
            }
            Made::Collision => return collided(&context, &deployment).await,
            Made::Refused(why) => {
                let why = format!("Failed to create new replica set: {why}");
                context.warn(&deployment, "ReplicaSetCreateError", why.clone()).await;
                write_status(&context, &deployment, &spec, None, &sets, limits, Some(why)).await?;
                return Ok(Next::After(context.back_off(&uid)));
            }
        },
    };
    context.succeeded(&uid);
    let olds: Vec<&ReplicaSet> = sets.iter().filter(|s| s.uid() != new.uid()).collect();
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
    write_status(&context, &deployment, &spec, Some(&new), &sets, limits, None).await
}

fn limits(spec: &DeploymentSpec, replicas: i32) -> Limits {
    let rolling = spec.strategy.as_ref().and_then(|s| s.rolling_update.as_ref());
    Limits::resolve(
        rolling.and_then(|r| r.max_surge.as_ref()),
        rolling.and_then(|r| r.max_unavailable.as_ref()),
        replicas,
    )
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

/// What the sets of a deployment are told of it.
fn told_annotations(deployment: &Deployment) -> BTreeMap<String, String> {
    let told = deployment.annotations().iter().filter(|(key, _)| !OWN_ANNOTATIONS.contains(&key.as_str()));
    told.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn collisions(deployment: &Deployment) -> i32 {
    deployment.status.as_ref().and_then(|s| s.collision_count).unwrap_or(0)
}

/// What came of making a set.
enum Made {
    Set(Box<ReplicaSet>),
    /// Another one has its name.
    Collision,
    Refused(String),
}

async fn create_set(
    context: &Context,
    deployment: &Deployment,
    spec: &DeploymentSpec,
    sets: &[ReplicaSet],
    namespace: &str,
) -> kube::Result<Made> {
    let hash = &template::hash(&spec.template, collisions(deployment));
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
    let mut annotations = told_annotations(deployment);
    annotations.insert(REVISION.to_owned(), next.to_string());
    let set = ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", deployment.name_any())),
            namespace: Some(namespace.to_owned()),
            labels,
            annotations: Some(annotations),
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
    let api: Objects<ReplicaSet> = context.api(namespace);
    match api.create(&set).await {
        Ok(set) => Ok(Made::Set(Box::new(set))),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(Made::Collision),
        Err(kube::Error::Api(status)) => Ok(Made::Refused(said_by(&status))),
        Err(error) => Err(error),
    }
}

/// The next try is under another name.
async fn collided(context: &Context, deployment: &Deployment) -> kube::Result<Next> {
    let status = json!({"collisionCount": collisions(deployment).saturating_add(1)});
    context.write_status(deployment, &deployment.status, status).await?;
    Ok(Next::After(context.back_off(&deployment.uid().unwrap_or_default())))
}

/// The set of the present template has the highest revision, also when a template comes back, and the deployment's
/// annotations; the deployment shows the revision.
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
    let mut told = told_annotations(deployment);
    told.insert(REVISION.to_owned(), wanted.to_string());
    if told.iter().any(|(key, value)| new.annotations().get(key) != Some(value)) {
        let api: Objects<ReplicaSet> = context.api(namespace);
        let told = json!({"metadata": {"annotations": told}});
        api.merge(&new.name_any(), &told).await?;
    }
    if deployment.annotations().get(REVISION) != Some(&wanted.to_string()) {
        let api: Objects<Deployment> = context.api(namespace);
        api.merge(&deployment.name_any(), &patch).await?;
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
    let api: Objects<ReplicaSet> = context.api(namespace);
    let patch = json!({"spec": {"replicas": wanted}});
    api.merge(&set.name_any(), &patch).await?;
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
    let api: Objects<ReplicaSet> = context.api(namespace);
    for set in idle.iter().take(idle.len().saturating_sub(keep)) {
        api.delete(&set.name_any()).await?;
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
    refused: Option<String>,
) -> kube::Result<Next> {
    let sum = |of: fn(&k8s_openapi::api::apps::v1::ReplicaSetStatus) -> i32| -> i32 {
        sets.iter().filter_map(|s| s.status.as_ref()).map(of).sum()
    };
    let now = context.clock.now();
    let counts = Counts {
        total: sum(|s| s.replicas),
        updated: new.and_then(|s| s.status.as_ref()).map_or(0, |s| s.replicas),
        ready: sum(|s| s.ready_replicas.unwrap_or(0)),
        available: sum(|s| s.available_replicas.unwrap_or(0)),
    };
    let replicas = spec.replicas.unwrap_or(1);
    let former = deployment.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    let rollout = Rollout {
        former: former.iter().find(|c| c.type_ == "Progressing"),
        before: Counts::of(deployment),
        after: counts,
        complete: counts.updated == replicas && counts.total == replicas && counts.available == replicas,
        set: &new.map(|s| s.name_any()).unwrap_or_default(),
        refused,
        deadline: SignedDuration::from_secs(i64::from(spec.progress_deadline_seconds.unwrap_or(600))),
    };
    let (progressing, went_on, late_at) = conditions::progressing(&rollout, now);
    let progressing = if spec.paused == Some(true) { paused() } else { progressing };
    let mut said = vec![(available(counts.available >= replicas.saturating_sub(limits.unavailable)), false)];
    said.push((progressing, went_on));
    said.extend(conditions::failure_of(new.into_iter().chain(sets)).map(|failure| (failure, false)));
    let conditions: Vec<_> =
        said.iter().map(|(said, renewed)| conditions::dated(said, former, *renewed, now)).collect();
    let status = json!({
        "observedGeneration": deployment.metadata.generation,
        "replicas": counts.total,
        "updatedReplicas": counts.updated,
        "readyReplicas": counts.ready,
        "availableReplicas": counts.available,
        "unavailableReplicas": counts.total.max(replicas).saturating_sub(counts.available).max(0),
        "conditions": conditions,
    });
    context.write_status(deployment, &deployment.status, status).await?;
    // That nothing happens is for nobody else to tell.
    Ok(match late_at.filter(|_| spec.paused != Some(true)) {
        Some(at) => {
            let left = at.duration_since(now).max(SignedDuration::from_secs(1));
            Next::After(left.unsigned_abs())
        }
        None => Next::Never,
    })
}

fn available(enough: bool) -> Said {
    let (status, reason, message) = if enough {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    Said { kind: "Available", status: status.into(), reason: reason.into(), message: message.into() }
}

fn paused() -> Said {
    let message = "Deployment is paused";
    Said {
        kind: "Progressing",
        status: "Unknown".into(),
        reason: "DeploymentPaused".into(),
        message: message.into(),
    }
}
