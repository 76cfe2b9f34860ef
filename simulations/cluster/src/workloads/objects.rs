//! How the controllers reach objects: through a client, as on any API server, or without one, in a world where the
//! server is in the same process and its cost counts.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api as KubeApi, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::Status;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use simulations_kernel::Clock;

use crate::api::{Api, Call, DeleteOptions, State, Subresource};
use crate::error::{ApiError, Result};
use crate::object;

/// Who the controllers are to the API server.
pub(super) const MANAGER: &str = "workloads";

/// What a controller manages: a built-in kind with a namespace.
pub(super) trait Managed:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
}

impl<K> Managed for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
{
}

/// A way to the API server.
#[derive(Clone)]
pub(super) enum Access {
    Client(Client),
    Direct(Direct),
}

/// The state itself.
#[derive(Clone)]
pub(super) struct Direct {
    pub(super) api: Arc<Api>,
    pub(super) clock: Clock,
}

/// Objects of one kind in one namespace.
#[derive(Clone)]
pub(super) struct Objects<K> {
    access: Access,
    namespace: String,
    kind: PhantomData<fn() -> K>,
}

impl<K: Managed> Objects<K> {
    pub(super) fn new(access: Access, namespace: &str) -> Self {
        Self { access, namespace: namespace.to_owned(), kind: PhantomData }
    }

    pub(super) async fn get_opt(&self, name: &str) -> kube::Result<Option<K>> {
        match &self.access {
            Access::Client(client) => self.through(client).get_opt(name).await,
            Access::Direct(direct) => {
                let found = direct.api.with(|state| {
                    let call = self.call(state, name, Subresource::None)?;
                    state.get(&call).cloned()
                });
                match found {
                    Ok(object) => read(&object).map(Some),
                    Err(error) if error.code == 404 => Ok(None),
                    Err(error) => Err(told(&error)),
                }
            }
        }
    }

    /// Those that an object controls, whatever their labels, in order of their names.
    pub(super) async fn controlled_by(&self, uid: &str) -> kube::Result<Vec<K>> {
        match &self.access {
            Access::Client(client) => {
                let found = self.through(client).list(&ListParams::default()).await?;
                let is_owner = |o: &K| {
                    let owners = o.meta().owner_references.as_deref().unwrap_or_default();
                    owners.iter().any(|r| r.controller == Some(true) && r.uid == uid)
                };
                Ok(found.items.into_iter().filter(is_owner).collect())
            }
            Access::Direct(direct) => {
                let found: Result<Vec<Arc<Value>>> = direct.api.with(|state| {
                    let call = self.call(state, "", Subresource::None)?;
                    let mine = state.store.owned_by(uid).filter(|(collection, o)| {
                        ***collection == call.resource.collection
                            && object::namespace(o) == self.namespace
                            && controls(o, uid)
                    });
                    Ok(mine.map(|(_, o)| o.clone()).collect())
                });
                found.map_err(|error| told(&error))?.iter().map(|o| read(o)).collect()
            }
        }
    }

    pub(super) async fn create(&self, object: &K) -> kube::Result<K> {
        match &self.access {
            Access::Client(client) => self.through(client).create(&PostParams::default(), object).await,
            Access::Direct(direct) => {
                let body = serde_json::to_value(object).map_err(kube::Error::SerdeError)?;
                direct
                    .write(|state, now| {
                        state.create(&mut self.call(state, "", Subresource::None)?, body, now)
                    })
                    .and_then(|made| read(&made))
            }
        }
    }

    /// Merges a patch into an object.
    pub(super) async fn merge(&self, name: &str, patch: &Value) -> kube::Result<()> {
        match &self.access {
            Access::Client(client) => {
                self.through(client).patch(name, &ours(), &Patch::Merge(patch)).await.map(drop)
            }
            Access::Direct(direct) => self.patch(direct, name, patch, Subresource::None),
        }
    }

    /// Merges a patch into an object's status.
    pub(super) async fn merge_status(&self, name: &str, patch: &Value) -> kube::Result<()> {
        match &self.access {
            Access::Client(client) => {
                self.through(client).patch_status(name, &ours(), &Patch::Merge(patch)).await.map(drop)
            }
            Access::Direct(direct) => self.patch(direct, name, patch, Subresource::Status),
        }
    }

    pub(super) async fn delete(&self, name: &str) -> kube::Result<()> {
        match &self.access {
            Access::Client(client) => {
                self.through(client).delete(name, &DeleteParams::default()).await.map(drop)
            }
            Access::Direct(direct) => direct
                .write(|state, now| {
                    let call = self.call(state, name, Subresource::None)?;
                    let options =
                        DeleteOptions { propagation: "Background".into(), ..DeleteOptions::default() };
                    state.delete(&call, &options, now)
                })
                .map(drop),
        }
    }

    fn through(&self, client: &Client) -> KubeApi<K> {
        KubeApi::namespaced(client.clone(), &self.namespace)
    }

    fn patch(
        &self,
        direct: &Direct,
        name: &str,
        patch: &Value,
        subresource: Subresource,
    ) -> kube::Result<()> {
        let patched = direct.write(|state, now| {
            let call = self.call(state, name, subresource)?;
            state.merge(&call, patch, now)
        });
        patched.map(drop)
    }

    fn call(&self, state: &State, name: &str, subresource: Subresource) -> Result<Call> {
        let resource = state.registry.get(&K::group(&()), &K::version(&()), &K::plural(&()));
        let resource = resource.cloned().ok_or_else(ApiError::no_such_path)?;
        Ok(Call::by(MANAGER, resource, &self.namespace, name, subresource))
    }
}

impl Direct {
    fn write<R>(&self, write: impl FnOnce(&mut State, jiff::Timestamp) -> Result<R>) -> kube::Result<R> {
        let now = self.clock.now();
        self.api.with(|state| write(state, now)).map_err(|error| told(&error))
    }
}

fn ours() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() }
}

fn controls(object: &Value, uid: &str) -> bool {
    object::list(object, &["metadata", "ownerReferences"])
        .iter()
        .any(|r| object::text(r, &["uid"]) == uid && r.get("controller") == Some(&Value::Bool(true)))
}

fn read<K: DeserializeOwned>(object: &Value) -> kube::Result<K> {
    K::deserialize(object).map_err(kube::Error::SerdeError)
}

/// A refusal, as a client would hear of it.
fn told(error: &ApiError) -> kube::Error {
    match serde_json::from_value::<Status>(error.to_status()) {
        Ok(status) => kube::Error::Api(Box::new(status)),
        Err(error) => kube::Error::SerdeError(error),
    }
}
