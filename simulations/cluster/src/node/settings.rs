//! ConfigMaps and Secrets, kept in memory by watches, with a bell for those who project them into files.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::Api;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource};
use thanos_telemetry::Shutdown;
use tokio::sync::watch;

use crate::pause::steady_pause;

/// Keys and contents.
pub(super) type Entries = BTreeMap<String, Vec<u8>>;

/// Which kind of object holds the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    ConfigMap,
    Secret,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
        }
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Settings {
    config_maps: Store<ConfigMap>,
    secrets: Store<Secret>,
    bell: watch::Receiver<u64>,
}

impl Settings {
    pub(super) fn start(client: &Client, shutdown: &Shutdown) -> Self {
        let (ring, bell) = watch::channel(0);
        let ring = Arc::new(ring);
        Self {
            config_maps: follow(Api::all(client.clone()), ring.clone(), shutdown.clone()),
            secrets: follow(Api::all(client.clone()), ring, shutdown.clone()),
            bell,
        }
    }

    /// Rings whenever any of them changed.
    pub(super) fn bell(&self) -> watch::Receiver<u64> {
        self.bell.clone()
    }

    /// The entries of one; `None` if there is none of that name (yet).
    pub(super) fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Entries> {
        match kind {
            Kind::ConfigMap => {
                let map = self.config_maps.get(&ObjectRef::new(name).within(namespace))?;
                let text = map.data.iter().flatten().map(|(k, v)| (k.clone(), v.clone().into_bytes()));
                let binary = map.binary_data.iter().flatten().map(|(k, v)| (k.clone(), v.0.clone()));
                Some(text.chain(binary).collect())
            }
            Kind::Secret => {
                let secret = self.secrets.get(&ObjectRef::new(name).within(namespace))?;
                let data = secret.data.iter().flatten().map(|(k, v)| (k.clone(), v.0.clone()));
                let text =
                    secret.string_data.iter().flatten().map(|(k, v)| (k.clone(), v.clone().into_bytes()));
                Some(data.chain(text).collect())
            }
        }
    }
}

fn follow<K>(api: Api<K>, ring: Arc<watch::Sender<u64>>, shutdown: Shutdown) -> Store<K>
where
    K: Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let (store, writer) = reflector::store();
    let stream =
        reflector::reflector(writer, watcher(api, watcher::Config::default()).backoff(steady_pause()));
    tokio::spawn(async move {
        let mut stream = stream.boxed();
        loop {
            tokio::select! {
                () = shutdown.started() => return,
                event = stream.next() => match event {
                    Some(Ok(_)) => ring.send_modify(|n| *n = n.wrapping_add(1)),
                    Some(Err(error)) => tracing::debug!(%error, "watching settings"),
                    None => return,
                },
            }
        }
    });
    store
}
