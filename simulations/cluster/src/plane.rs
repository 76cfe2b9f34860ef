//! Workload controllers and a node without processes: what makes pods of a Deployment come and go in virtual time.
//!
//! ```text
//!   store ──changes since the last look──► Queue ─► the workload controllers ─┐
//!     ▲                             └────► Node: what a Kubelet says of a pod, step by step
//!     └───────────────────────────────────────────── writes ◄─────────────────┘
//! ```
//!
//! One task does all of it, in the order of revisions and of time: the same calls on the API server bring about the
//! same changes, whatever else runs beside it. Nothing here takes time but what a [`Kubelet`] says takes time.

mod kubelet;
mod node;
mod queue;

use std::sync::Arc;

use serde_json::Value;
use simulations_kernel::Clock;
use thanos_telemetry::Shutdown;
use tokio::time::Instant;

use crate::api::Api;
use crate::object;
use crate::server::ApiServer;
use crate::store::{Change, ChangeKind};
use crate::workloads::{self, Context, Key, Kind, Next};
pub use kubelet::{Fate, Happened, Kubelet, PodSeen, Step};
use node::Node;
use queue::Queue;

/// What is watched, and who manages it.
const WATCHED: [(&str, Option<Kind>); 4] = [
    ("deployments.apps", Some(Kind::Deployment)),
    ("replicasets.apps", Some(Kind::ReplicaSet)),
    ("statefulsets.apps", Some(Kind::StatefulSet)),
    ("pods", None),
];

/// The controllers and the node of a cluster in virtual time.
pub struct Plane {
    api: Arc<Api>,
    clock: Clock,
    context: Arc<Context>,
    queue: Queue,
    node: Node,
    /// Revision up to which everything was seen; `None`: nothing yet.
    seen: Option<u64>,
}

impl Plane {
    /// For the cluster of an API server. What becomes of its pods is the kubelet's to say.
    pub fn new(server: &ApiServer, kubelet: Box<dyn Kubelet>) -> Self {
        let (api, clock) = (server.api().clone(), server.clock().clone());
        let context = Arc::new(Context::direct(api.clone(), clock.clone()));
        let node = Node::new(api.clone(), clock.clone(), kubelet);
        Self { api, clock, context, queue: Queue::default(), node, seen: None }
    }

    /// Does what is to be done, until the end.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut bell = self.api.ear();
        loop {
            // What rings after this line is seen by `changed` below.
            bell.hear();
            self.look();
            self.node.act();
            if let Some((kind, key)) = self.queue.pop(Instant::now()) {
                let next = workloads::reconcile(kind, key.clone(), self.context.clone()).await;
                if let Next::After(pause) = next {
                    self.queue.push_at(kind, key, Instant::now() + pause);
                }
                continue;
            }
            let due = [self.queue.due(), self.node.due()].into_iter().flatten().min();
            tokio::select! {
                biased;
                () = shutdown.started() => return,
                () = bell.changed() => {}
                () = sleep_until(due) => {}
            }
        }
    }

    /// Takes note of all that changed since the last look.
    fn look(&mut self) {
        let revision = self.api.with(|state| state.store.revision());
        if self.seen == Some(revision) {
            return;
        }
        let changes = self.seen.and_then(|seen| self.changes(seen));
        self.seen = Some(revision);
        match changes {
            Some(changes) => {
                for (kind, change) in changes {
                    self.heed(kind, &change.object, change.kind == ChangeKind::Deleted);
                }
            }
            // At first, or after more than is remembered: all there is.
            None => {
                for (collection, kind) in WATCHED {
                    let all: Vec<Arc<Value>> = self.api.with(|state| {
                        state.store.list(collection, None, None).map(|(_, o)| o.clone()).collect()
                    });
                    if kind.is_none() {
                        self.node.listed(&all.iter().map(|o| object::uid(o)).collect());
                    }
                    all.iter().for_each(|object| self.heed(kind, object, false));
                }
            }
        }
    }

    /// What changed after a revision, in order; `None`: it is no longer remembered.
    fn changes(&self, after: u64) -> Option<Vec<(Option<Kind>, Change)>> {
        self.api.with(|state| {
            let mut all = Vec::new();
            for (collection, kind) in WATCHED {
                let changes = state.store.changes_after(collection, after).ok()?;
                all.extend(changes.map(|change| (kind, change.clone())));
            }
            all.sort_by_key(|(_, change)| change.revision);
            Some(all)
        })
    }

    fn heed(&mut self, kind: Option<Kind>, object: &Arc<Value>, gone: bool) {
        match kind {
            Some(kind) => self.queue.push(kind, key(object)),
            None => self.node.see(object, gone),
        }
        // An owner counts what it owns.
        for owner in object::list(object, &["metadata", "ownerReferences"]) {
            let kind = match object::text(owner, &["kind"]) {
                "Deployment" => Kind::Deployment,
                "ReplicaSet" => Kind::ReplicaSet,
                "StatefulSet" => Kind::StatefulSet,
                _ => continue,
            };
            self.queue.push(
                kind,
                Key {
                    namespace: object::namespace(object).to_owned(),
                    name: object::text(owner, &["name"]).to_owned(),
                    uid: object::text(owner, &["uid"]).to_owned(),
                },
            );
        }
    }
}

impl std::fmt::Debug for Plane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plane").field("clock", &self.clock).field("seen", &self.seen).finish_non_exhaustive()
    }
}

fn key(object: &Value) -> Key {
    Key {
        namespace: object::namespace(object).to_owned(),
        name: object::name(object).to_owned(),
        uid: object::uid(object).to_owned(),
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
