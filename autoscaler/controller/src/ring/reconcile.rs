//! Brings the ring's ConfigMap to what [`super::plan`] says.

use std::collections::BTreeMap;

use autoscaler_api::RingStatus;
use autoscaler_api::conditions::{reasons, types};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{ListParams, PostParams};
use tokio::time::Instant;

use super::{Member, Next, Pod, View, file, plan};
use crate::cluster::{Cluster, is_conflict};
use crate::plan::RingPlan;
use crate::pods::Pod as KubePod;
use crate::status::Said;

/// Most pods of one StatefulSet that are read.
const MAX_PODS: u32 = 2_000;

/// What is remembered from one evaluation to the next; a restart forgets it and waits anew.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    unready_since_ms: BTreeMap<String, i64>,
    /// The ring last seen, and since when.
    seen: Option<(Vec<Member>, Instant)>,
    /// See [`View::leaving_for`].
    leaving_for: Option<i32>,
}

impl Memory {
    /// What a decision's wish makes of the one before: held neither takes it back nor carries it out.
    fn follow(&mut self, wanted: Option<i32>, is_held: bool, replicas: i32) {
        self.leaving_for = match wanted {
            Some(wanted) => Some(wanted).filter(|wanted| *wanted < replicas),
            None => self.leaving_for.filter(|before| is_held && *before < replicas),
        };
    }
}

/// What the ring is asked for.
pub(crate) struct Request<'a> {
    /// The target's namespace and name.
    pub namespace: &'a str,
    /// See `namespace`.
    pub target: &'a str,
    /// Finds the target's pods.
    pub selector: &'a str,
    /// See [`View::ordered_start`].
    pub ordered_start: bool,
    /// The policy's settings.
    pub ring: &'a RingPlan,
    /// Replicas there are.
    pub replicas: i32,
    /// Replicas to write, if any.
    pub wanted: Option<i32>,
    /// Nothing is wanted because nothing can be said.
    pub is_held: bool,
    /// Whether the ring may be written.
    pub may_write: bool,
}

/// What became of it.
pub(crate) struct Outcome {
    /// Replicas that may be written now.
    pub write: Option<i32>,
    /// For the policy's status; `None` if the ring is not known.
    pub status: Option<RingStatus>,
    /// The RingSettled condition.
    pub said: Said,
    /// A change that was written, for an event.
    pub changed: Option<String>,
}

/// Reads, plans, writes. Never fails: a ring that is not known lets replicas rise, not fall.
pub(crate) async fn reconcile(
    cluster: &Cluster,
    request: &Request<'_>,
    memory: &mut Memory,
    steady_ms: i64,
) -> Outcome {
    match attempt(cluster, request, memory, steady_ms).await {
        Ok(outcome) => outcome,
        Err(message) => Outcome {
            write: request.wanted.filter(|w| *w > request.replicas),
            status: None,
            said: Said::new(types::RING_SETTLED, false, reasons::RING_UNAVAILABLE, message),
            changed: None,
        },
    }
}

async fn attempt(
    cluster: &Cluster,
    request: &Request<'_>,
    memory: &mut Memory,
    steady_ms: i64,
) -> Result<Outcome, String> {
    let ring = &request.ring.spec;
    let name = &ring.config_map;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), request.namespace);
    let pods: Api<KubePod> = Api::namespaced(cluster.client.clone(), request.namespace);
    let listing = ListParams::default().labels(request.selector).limit(MAX_PODS);
    let (map, pods) = cluster
        .call(async { tokio::try_join!(maps.get_opt(name), pods.list(&listing)) })
        .await
        .map_err(|e| format!("cannot read ConfigMap {name} and the pods: {e}"))?;
    let pods: Vec<Pod> = pods.items.iter().filter_map(|p| pod(p, request.target, ring.port)).collect();
    let current = match &map {
        Some(map) => {
            file::read(map, ring, &pods, request.target).map_err(|e| format!("ConfigMap {name}: {e}"))?
        }
        None => file::Current::default(),
    };
    let now = Instant::now();
    let since = match &memory.seen {
        Some((members, since)) if *members == current.members => *since,
        _ => now,
    };
    memory.seen = Some((current.members.clone(), since));
    memory.follow(request.wanted, request.is_held, request.replicas);
    let next = plan(&View {
        now_ms: steady_ms,
        replication_factor: ring.replication_factor.max(1).unsigned_abs(),
        settle_ms: request.ring.settle_ms,
        ordered_start: request.ordered_start,
        pods: &pods,
        members: &current.members,
        unchanged_ms: i64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(i64::MAX),
        unready_since_ms: &memory.unready_since_ms,
        replicas: request.replicas,
        wanted: request.wanted,
        leaving_for: memory.leaving_for,
    });
    memory.unready_since_ms.clone_from(&next.unready_since_ms);
    let mut version = current.version;
    let mut changed = None;
    if addresses(&next.members) != addresses(&current.members) && request.may_write {
        version = version.saturating_add(1);
        write(cluster, &maps, map, request, version, &next).await?;
        memory.seen = Some((next.members.clone(), Instant::now()));
        changed = Some(format!(
            "Ring version {version}: {} members, was {}: {}",
            next.members.len(),
            current.members.len(),
            addresses(&next.members).join(" ")
        ));
    }
    let members = next.members.iter().map(|m| m.address.clone()).collect();
    Ok(Outcome {
        write: next.write,
        status: Some(RingStatus { version, members }),
        said: Said::new(types::RING_SETTLED, next.settled, next.reason, next.message),
        changed,
    })
}

async fn write(
    cluster: &Cluster,
    maps: &Api<ConfigMap>,
    map: Option<ConfigMap>,
    request: &Request<'_>,
    version: i64,
    next: &Next,
) -> Result<(), String> {
    let ring = &request.ring.spec;
    let exists = map.is_some();
    let mut map = map.unwrap_or_else(|| ConfigMap {
        metadata: ObjectMeta {
            name: Some(ring.config_map.clone()),
            namespace: Some(request.namespace.to_owned()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    });
    file::write(&mut map, ring, version, &next.members)?;
    let params = PostParams { field_manager: Some(crate::FIELD_MANAGER.into()), ..PostParams::default() };
    let written = cluster
        .fenced(async {
            if exists {
                maps.replace(&ring.config_map, &params, &map).await.map(drop)
            } else {
                maps.create(&params, &map).await.map(drop)
            }
        })
        .await;
    written.map_err(|e| match e {
        e if is_conflict(&e) => {
            "the ring was changed by somebody else; the next evaluation looks again".to_owned()
        }
        e => format!("cannot write ConfigMap {}: {e}", ring.config_map),
    })
}

fn pod(pod: &KubePod, target: &str, port: u16) -> Option<Pod> {
    let ordinal = pod.metadata.name.as_deref()?.strip_prefix(target)?.strip_prefix('-')?.parse().ok()?;
    let bracketed =
        |ip: &str| if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
    Some(Pod {
        ordinal,
        address: pod.ip().map(bracketed),
        ready: pod.is_ready() && pod.metadata.deletion_timestamp.is_none(),
    })
}

fn addresses(members: &[Member]) -> Vec<&str> {
    members.iter().map(|m| m.address.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_kept_while_decisions_are_held_and_dropped_by_the_next_one() {
        let mut memory = Memory::default();
        for (wanted, is_held, expected) in [
            (None, true, None),
            (Some(2), false, Some(2)),
            (None, true, Some(2)),
            (None, true, Some(2)),
            (None, false, None),
            (None, true, None),
            (Some(2), false, Some(2)),
            (Some(4), false, None),
        ] {
            memory.follow(wanted, is_held, 3);
            assert_eq!(memory.leaving_for, expected, "{wanted:?} {is_held}");
        }
        // Somebody else lowered the replicas.
        memory.follow(Some(2), false, 3);
        memory.follow(None, true, 2);
        assert_eq!(memory.leaving_for, None);
    }
}
