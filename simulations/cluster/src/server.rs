//! The API server of a cluster, without a socket.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use kube::Client;
use serde_json::Value;
use simulations_kernel::Clock;
use thanos_telemetry::Shutdown;

use crate::api::{Api, Call, PatchKind, State, Subresource};
use crate::http::{ApiService, Server};
use crate::object;
use crate::resources::Resource;
use crate::store::ChangeKind;

/// An API server that is called in this process. Its clones are one server.
///
/// ```text
///  kube::Client ─► (what may go wrong) ─► ApiService ─► state     judges and worlds ─► object, changes
/// ```
///
/// All that it answers follows from seed, clock and the order of calls: names, uids, times, revisions.
#[derive(Debug, Clone)]
pub struct ApiServer {
    server: Server,
}

/// A change of an object.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The revision that it made.
    pub revision: u64,
    /// The object after it; before it, if it is gone.
    pub object: Arc<Value>,
    /// The object before it, if there was one.
    pub previous: Option<Arc<Value>>,
    /// Whether it is gone.
    pub gone: bool,
}

impl ApiServer {
    /// An empty cluster with its standing namespaces. The first change has the revision after `revision`.
    pub fn new(seed: u64, revision: u64, clock: Clock) -> Self {
        Self::with_logs(seed, revision, clock, PathBuf::new(), Shutdown::new())
    }

    /// As [`ApiServer::new`], where a node writes logs.
    pub(crate) fn with_logs(
        seed: u64,
        revision: u64,
        clock: Clock,
        logs_dir: PathBuf,
        shutdown: Shutdown,
    ) -> Self {
        let state = State::new(seed, revision, clock.now());
        Self { server: Server { api: Arc::new(Api::new(state, logs_dir)), clock, shutdown } }
    }

    /// The server as a service, for a client or for a layer before it.
    pub fn service(&self) -> ApiService {
        ApiService { server: self.server.clone() }
    }

    /// A client with nothing in between.
    pub fn client(&self) -> Client {
        Client::new(self.service(), "default")
    }

    /// What objects are dated by.
    pub fn clock(&self) -> &Clock {
        &self.server.clock
    }

    /// Ends all watches.
    pub fn stop(&self) {
        self.server.shutdown.start();
    }

    pub(crate) fn api(&self) -> &Arc<Api> {
        &self.server.api
    }

    /// Revision of the newest change.
    pub fn revision(&self) -> u64 {
        self.server.api.with(|state| state.store.revision())
    }

    /// An object by its collection: the plural of its kind, with the group where there is one (`pods`,
    /// `deployments.apps`).
    pub fn object(&self, collection: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.server.api.with(|state| state.store.get(collection, namespace, name).cloned())
    }

    /// All objects of a collection, in order of namespace and name.
    pub fn objects(&self, collection: &str) -> Vec<Arc<Value>> {
        self.server
            .api
            .with(|state| state.store.list(collection, None, None).map(|(_, o)| o.clone()).collect())
    }

    /// The changes of a collection after a revision; `None`: they are no longer remembered.
    pub fn changes(&self, collection: &str, after: u64) -> Option<Vec<Changed>> {
        self.server.api.with(|state| {
            let changes = state.store.changes_after(collection, after).ok()?;
            let told = changes.map(|change| Changed {
                revision: change.revision,
                object: change.object.clone(),
                previous: change.previous.clone(),
                gone: change.kind == ChangeKind::Deleted,
            });
            Some(told.collect())
        })
    }

    /// Waits for a change of anything after a revision.
    pub async fn changed(&self, after: u64) {
        self.server.api.ear().after(after).await;
    }

    /// Applies a multi-document YAML, server-side, as field manager `gauntlet`; what it names without a namespace goes
    /// to `default`.
    ///
    /// # Errors
    /// A document that cannot be read or that the API refuses, by kind and name. Earlier documents stay applied.
    pub fn apply_yaml(&self, yaml: &str) -> anyhow::Result<()> {
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(yaml).context("the manifests are not valid YAML")?;
        documents.into_iter().filter(|d| !d.is_null()).try_for_each(|document| self.apply(document))
    }

    /// Applies one object, as [`ApiServer::apply_yaml`] does.
    ///
    /// # Errors
    /// It cannot be read, or the API refuses it.
    pub fn apply(&self, document: Value) -> anyhow::Result<()> {
        let (version, kind) = (object::text(&document, &["apiVersion"]), object::text(&document, &["kind"]));
        let title = format!("{kind} {}", object::name(&document));
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let now = self.server.clock.now();
        let applied = self.server.api.with(|state| {
            let is_meant = |r: &&Arc<Resource>| r.group == group && r.version == version && r.kind == kind;
            let resource = state.registry.iter().find(is_meant).cloned()?;
            let namespace = match object::namespace(&document) {
                _ if !resource.namespaced => "",
                "" => "default",
                given => given,
            };
            let mut call =
                Call::by("gauntlet", resource, namespace, object::name(&document), Subresource::None);
            call.force = true;
            Some(state.patch(&mut call, PatchKind::Apply, document.clone(), now).map(drop))
        });
        applied.with_context(|| format!("{title}: the cluster does not serve it"))?.context(title)
    }
}
