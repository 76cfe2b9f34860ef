//! StatefulSet: pods with ordinals, names and claims that stay.
//!
//! Not kept: controller revisions. A pod below `partition` that has to be made anew gets the newest template.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, Pod, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt as _};
use serde_json::json;

use super::objects::Objects;
use super::{Context, Key, Next, pods, said_by, template};

/// Pods that are made at most before what there is is looked at again.
const BURST: usize = 500;

const REVISION_LABEL: &str = "controller-revision-hash";

/// What is to be done next. Pure in, pure out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// Ordinals.
    create: Vec<i32>,
    /// Names of pods.
    delete: Vec<String>,
}

/// A pod as the plan sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    ordinal: i32,
    name: String,
    deleting: bool,
    ended: bool,
    ready: bool,
    updated: bool,
}

struct Shape {
    start: i32,
    replicas: i32,
    parallel: bool,
    /// Pods below this ordinal are not updated; `None`: no pod is (OnDelete).
    partition: Option<i32>,
}

pub(super) async fn reconcile(seen: Key, context: Arc<Context>) -> kube::Result<Next> {
    let namespace = seen.namespace;
    let api: Objects<StatefulSet> = context.api(&namespace);
    let Some(set) = api.get_opt(&seen.name).await? else {
        context.forget(&seen.uid);
        return Ok(Next::Never);
    };
    let Some(spec) = set.spec.clone() else { return Ok(Next::Never) };
    if set.metadata.deletion_timestamp.is_some() {
        return Ok(Next::Never);
    }
    let uid = set.uid().unwrap_or_default();
    let revision = format!("{}-{}", set.name_any(), template::hash(&spec.template, 0));
    let all: Vec<Pod> = pods::owned(&context, &namespace, &uid).await?;
    let members: Vec<Member> = all.iter().filter_map(|p| member(&set.name_any(), p, &revision)).collect();
    let now = context.clock.now();
    write_status(&context, &set, &spec, &all, &members, &revision, now).await?;
    let plan = plan(&shape(&spec), &members);
    let pod_api: Objects<Pod> = context.api(&namespace);
    for ordinal in plan.create {
        let pod = make_pod(&context, &set, &spec, ordinal, &revision, &namespace).await?;
        let what = format!("create Pod {} in StatefulSet {}", pod.name_any(), set.name_any());
        let made = match pods::unmatched(&spec.selector, pod.labels()) {
            Some(why) => Err(why),
            None => match pod_api.create(&pod).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) => Err(said_by(&status)),
                Err(error) => return Err(error),
            },
        };
        match made {
            Ok(()) => context.note(&set, "SuccessfulCreate", format!("{what} successful")).await,
            Err(why) => {
                context.warn(&set, "FailedCreate", format!("{what} failed error: {why}")).await;
                return Ok(Next::After(context.back_off(&uid)));
            }
        }
    }
    context.succeeded(&uid);
    for name in plan.delete {
        pod_api.delete(&name).await?;
        let note = format!("delete Pod {name} in StatefulSet {} successful", set.name_any());
        context.note(&set, "SuccessfulDelete", note).await;
    }
    let min_ready = spec.min_ready_seconds.unwrap_or(0);
    if all.iter().any(|p| pods::is_ready(p) && !pods::is_available(p, min_ready, now)) {
        return Ok(Next::After(Duration::from_secs(1)));
    }
    Ok(Next::Never)
}

fn shape(spec: &StatefulSetSpec) -> Shape {
    let update = spec.update_strategy.as_ref();
    let on_delete = update.and_then(|u| u.type_.as_deref()) == Some("OnDelete");
    let partition = update.and_then(|u| u.rolling_update.as_ref()).and_then(|r| r.partition).unwrap_or(0);
    Shape {
        start: spec.ordinals.as_ref().and_then(|o| o.start).unwrap_or(0),
        replicas: spec.replicas.unwrap_or(1),
        parallel: spec.pod_management_policy.as_deref() == Some("Parallel"),
        partition: (!on_delete).then_some(partition),
    }
}

fn member(set: &str, pod: &Pod, revision: &str) -> Option<Member> {
    let name = pod.name_any();
    let ordinal = name.strip_prefix(set)?.strip_prefix('-')?.parse().ok()?;
    Some(Member {
        ordinal,
        deleting: pods::is_deleting(pod),
        ended: !pods::is_deleting(pod) && !pods::is_active(pod),
        ready: pods::is_ready(pod),
        updated: pod.labels().get(REVISION_LABEL).is_some_and(|r| r == revision),
        name,
    })
}

/// Source: kubernetes `pkg/controller/statefulset/stateful_set_control.go` (order of steps).
fn plan(shape: &Shape, members: &[Member]) -> Plan {
    let mut plan = Plan::default();
    let end = shape.start.saturating_add(shape.replicas);
    let wanted = |m: &&Member| m.ordinal >= shape.start && m.ordinal < end;
    // Ended pods make room for new ones of their name.
    plan.delete.extend(members.iter().filter(|m| m.ended).map(|m| m.name.clone()));
    let mut settled = true;
    let mut there: HashMap<i32, &Member> = HashMap::new();
    for member in members {
        there.entry(member.ordinal).or_insert(member);
    }
    for ordinal in shape.start..end {
        match there.get(&ordinal) {
            None => {
                plan.create.push(ordinal);
                settled = false;
            }
            Some(m) => settled &= m.ready && !m.deleting && !m.ended,
        }
        if !shape.parallel && !settled {
            return plan;
        }
        if plan.create.len() >= BURST {
            break;
        }
    }
    let mut surplus: Vec<&Member> = members.iter().filter(|m| !wanted(m)).collect();
    surplus.sort_by_key(|m| std::cmp::Reverse(m.ordinal));
    if shape.parallel {
        plan.delete.extend(surplus.iter().filter(|m| !m.deleting && !m.ended).map(|m| m.name.clone()));
    } else if let Some(last) = surplus.first() {
        // The highest goes first, and the next when it has gone.
        if !last.deleting && !last.ended {
            plan.delete.push(last.name.clone());
        }
        return plan;
    }
    let Some(partition) = shape.partition.filter(|_| settled) else { return plan };
    let mut outdated: Vec<&Member> =
        members.iter().filter(wanted).filter(|m| m.ordinal >= partition && !m.updated).collect();
    outdated.sort_by_key(|m| std::cmp::Reverse(m.ordinal));
    if let Some(next) = outdated.first() {
        plan.delete.push(next.name.clone());
    }
    plan
}

async fn make_pod(
    context: &Context,
    set: &StatefulSet,
    spec: &StatefulSetSpec,
    ordinal: i32,
    revision: &str,
    namespace: &str,
) -> kube::Result<Pod> {
    let owner = set.controller_owner_ref(&()).unwrap_or_default();
    let mut pod = pods::from_template(&spec.template, namespace, owner);
    let name = format!("{}-{ordinal}", set.name_any());
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert("statefulset.kubernetes.io/pod-name".into(), name.clone());
    labels.insert("apps.kubernetes.io/pod-index".into(), ordinal.to_string());
    labels.insert(REVISION_LABEL.into(), revision.to_owned());
    let pod_spec = pod.spec.get_or_insert_default();
    pod_spec.hostname = Some(name.clone());
    pod_spec.subdomain = spec.service_name.clone();
    let volumes = pod_spec.volumes.get_or_insert_default();
    for template in spec.volume_claim_templates.iter().flatten() {
        let volume = template.name_any();
        let claim_name = format!("{volume}-{name}");
        ensure_claim(context, spec, template, &claim_name, namespace).await?;
        volumes.retain(|v| v.name != volume);
        volumes.push(Volume {
            name: volume,
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource { claim_name, read_only: None }),
            ..Volume::default()
        });
    }
    pod.metadata.name = Some(name);
    Ok(pod)
}

/// A claim outlives its pod and its set: nobody owns it.
async fn ensure_claim(
    context: &Context,
    spec: &StatefulSetSpec,
    template: &PersistentVolumeClaim,
    name: &str,
    namespace: &str,
) -> kube::Result<()> {
    let api: Objects<PersistentVolumeClaim> = context.api(namespace);
    if api.get_opt(name).await?.is_some() {
        return Ok(());
    }
    let mut labels: BTreeMap<String, String> = template.metadata.labels.clone().unwrap_or_default();
    labels.extend(spec.selector.match_labels.clone().unwrap_or_default());
    let claim = PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(labels),
            annotations: template.metadata.annotations.clone(),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    };
    api.create(&claim).await.map(drop)
}

async fn write_status(
    context: &Context,
    set: &StatefulSet,
    spec: &StatefulSetSpec,
    all: &[Pod],
    members: &[Member],
    revision: &str,
    now: Timestamp,
) -> kube::Result<()> {
    let min_ready = spec.min_ready_seconds.unwrap_or(0);
    let updated = members.iter().filter(|m| m.updated && !m.deleting).count();
    let former = set.status.as_ref().and_then(|s| s.current_revision.clone());
    let all_updated = members.iter().all(|m| m.updated);
    let current = former.filter(|_| !all_updated).unwrap_or_else(|| revision.to_owned());
    let of_current =
        if current == revision { updated } else { members.iter().filter(|m| !m.updated).count() };
    let status = json!({
        "observedGeneration": set.metadata.generation,
        "replicas": members.len(),
        "readyReplicas": members.iter().filter(|m| m.ready).count(),
        "availableReplicas": all.iter().filter(|p| pods::is_available(p, min_ready, now)).count(),
        "currentReplicas": of_current,
        "updatedReplicas": updated,
        "currentRevision": current,
        "updateRevision": revision,
        "collisionCount": 0,
    });
    context.write_status(set, &set.status, status).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn m(ordinal: i32, flags: &str) -> Member {
        Member {
            ordinal,
            name: format!("s-{ordinal}"),
            ready: flags.contains('r'),
            updated: !flags.contains('o'),
            deleting: flags.contains('d'),
            ended: flags.contains('e'),
        }
    }

    #[test]
    fn members_come_and_go_in_order() {
        for (replicas, parallel, members, create, delete) in [
            (3, false, vec![], vec![0], vec![]),
            (3, false, vec![m(0, "")], vec![], vec![]),
            (3, false, vec![m(0, "r")], vec![1], vec![]),
            (3, true, vec![m(1, "")], vec![0, 2], vec![]),
            (1, false, vec![m(0, "r"), m(1, "r"), m(2, "r")], vec![], vec!["s-2"]),
            (1, false, vec![m(0, "r"), m(1, "r"), m(2, "rd")], vec![], vec![]),
            (1, false, vec![m(0, ""), m(1, "r")], vec![], vec![]),
            (1, true, vec![m(0, ""), m(1, "r"), m(2, "r")], vec![], vec!["s-2", "s-1"]),
            (0, false, vec![m(0, "")], vec![], vec!["s-0"]),
            (2, false, vec![m(0, "e")], vec![], vec!["s-0"]),
            // An update goes from the highest down, one at a time, and waits for it to be ready.
            (2, false, vec![m(0, "ro"), m(1, "ro")], vec![], vec!["s-1"]),
            (2, false, vec![m(0, "ro"), m(1, "")], vec![], vec![]),
            (2, true, vec![m(0, "ro"), m(1, "r")], vec![], vec!["s-0"]),
        ] {
            let shape = Shape { start: 0, replicas, parallel, partition: Some(0) };
            let delete: Vec<String> = delete.into_iter().map(str::to_owned).collect();
            assert_eq!(plan(&shape, &members), Plan { create, delete }, "{replicas} {parallel} {members:?}");
        }
        for (start, replicas) in [(0, i32::MAX), (i32::MAX - 1000, i32::MAX)] {
            let endless = Shape { start, replicas, parallel: true, partition: Some(0) };
            let first: Vec<i32> = (start..).take(BURST).collect();
            assert_eq!(plan(&endless, &[]).create, first, "so many at once, and no more");
            let there: Vec<Member> = first.iter().map(|i| m(*i, "r")).collect();
            assert_eq!(plan(&endless, &there).create.first(), first.last().map(|i| i + 1).as_ref());
        }
        let kept = Shape { start: 0, replicas: 2, parallel: false, partition: Some(1) };
        assert_eq!(plan(&kept, &[m(0, "ro"), m(1, "r")]), Plan::default(), "below the partition");
    }
}
