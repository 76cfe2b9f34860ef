//! The Secrets and ConfigMaps that policies' sources name: one watch each, by name, while some policy names it.
//!
//! Where the controller may read none of a namespace, all of them are forbidden: they ask in turns, until one is not.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::task::{AbortHandle, JoinSet};

use crate::follow::{Chosen, Turns, Word};
use crate::shared::Shared;
use crate::sources::{Kind, Object, Seen};

/// Watches whatever sources need, and nothing else.
pub(crate) async fn objects(shared: Arc<Shared>) {
    let mut wanted = shared.sources.wanted();
    let mut tasks: JoinSet<()> = JoinSet::new();
    let mut running: BTreeMap<Object, AbortHandle> = BTreeMap::new();
    let mut turns: BTreeMap<(Kind, u16, String), Arc<Turns>> = BTreeMap::new();
    loop {
        let objects = wanted.borrow_and_update().clone();
        running.retain(|object, task| {
            let stays = objects.contains(object);
            if !stays {
                task.abort();
            }
            stays
        });
        turns.retain(|_, turns| Arc::strong_count(turns) > 1);
        for object in objects {
            let place = (object.kind, object.name.cluster, object.name.namespace.clone());
            running.entry(object).or_insert_with_key(|object| {
                let turns = turns.entry(place).or_default().clone();
                tasks.spawn(follow_object(shared.clone(), object.clone(), turns))
            });
        }
        while tasks.try_join_next().is_some() {}
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

async fn follow_object(shared: Arc<Shared>, object: Object, turns: Arc<Turns>) {
    match object.kind {
        Kind::Secret => {
            let data = |secret: v1::Secret| -> BTreeMap<String, Vec<u8>> {
                secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect()
            };
            follow_data::<v1::Secret>(&shared, &object, turns, data).await;
        }
        Kind::ConfigMap => {
            let data = |map: v1::ConfigMap| -> BTreeMap<String, Vec<u8>> {
                let text =
                    map.data.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into_bytes()));
                text.chain(map.binary_data.unwrap_or_default().into_iter().map(|(k, v)| (k, v.0))).collect()
            };
            follow_data::<v1::ConfigMap>(&shared, &object, turns, data).await;
        }
    }
}

async fn follow_data<K>(
    shared: &Shared,
    object: &Object,
    turns: Arc<Turns>,
    data: impl Fn(K) -> BTreeMap<String, Vec<u8>>,
) where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let Some(cluster) = shared.cluster(object.name.cluster) else { return };
    let api: Api<K> = Api::namespaced(cluster.client.clone(), &object.name.namespace);
    let words = cluster.follow(api, Chosen::named(&object.name.name), "what a source needs");
    let mut words = words.in_turns(turns);
    let mut found = false;
    loop {
        let seen = match words.next().await {
            Word::Listing => {
                found = false;
                continue;
            }
            Word::Applied(object) => {
                found = true;
                Seen::Held(data(object))
            }
            Word::Gone(_) => Seen::Absent,
            Word::Listed if found => continue,
            Word::Listed => Seen::Absent,
            Word::Failed(message) => Seen::Unreadable(message),
        };
        shared.sources.see(object, seen);
    }
}
