//! The API server's verbs over the store, without HTTP.
//!
//! ```text
//!  http ─► Api (lock, tell watches) ─► State: create · update · patch · delete · scale · list
//!                                        │ incoming form → checks → ownership → store
//!                                        └ after a removal: dependents, finalizers, namespaces, definitions
//! ```
//!
//! [`State`] is pure: the time is an argument, identifiers come from a seed.

mod checks;
mod delete;
pub(crate) mod events;
mod ids;
mod scale;
mod write;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};

pub(crate) use delete::DeleteOptions;
pub(crate) use ids::letters;
pub(crate) use write::PatchKind;

use crate::bell::{Bell, Ear};
use crate::error::{ApiError, Result};
use crate::object;
use crate::resources::{Registry, Resource};
use crate::selector::Selector;
use crate::store::{Id, Store};

/// Changes remembered a collection; a watch that falls further behind must list again.
const HISTORY_LEN: usize = 4096;
/// Events kept; the oldest go first.
const EVENTS_MAX: usize = 3000;

/// What a write addresses, and how it wants to be treated.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) resource: Arc<Resource>,
    /// "" for cluster-scoped resources.
    pub(crate) namespace: String,
    /// "" for a create.
    pub(crate) name: String,
    pub(crate) subresource: Subresource,
    pub(crate) manager: String,
    pub(crate) dry_run: bool,
    pub(crate) force: bool,
    pub(crate) validation: FieldValidation,
    /// Text for `Warning` headers.
    pub(crate) warnings: Vec<String>,
    /// Paths of keys that an object of the body had twice.
    pub(crate) duplicates: Vec<String>,
}

/// Which part of an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subresource {
    None,
    Status,
    Scale,
}

/// What to do about unknown fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

impl Call {
    /// A plain call of our own.
    pub(crate) fn by(
        manager: &str,
        resource: Arc<Resource>,
        namespace: &str,
        name: &str,
        subresource: Subresource,
    ) -> Self {
        Self {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource,
            manager: manager.to_owned(),
            dry_run: false,
            force: false,
            validation: FieldValidation::Ignore,
            warnings: Vec::new(),
            duplicates: Vec::new(),
        }
    }

    pub(crate) fn not_found(&self) -> ApiError {
        ApiError::not_found(&self.resource.group, &self.resource.plural, &self.name)
    }

    fn conflict(&self, why: &str) -> ApiError {
        ApiError::conflict(&self.resource.group, &self.resource.plural, &self.name, why)
    }
}

/// One page of a list.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) items: Vec<Arc<Value>>,
    pub(crate) revision: u64,
    /// "" on the last page.
    pub(crate) next: String,
    pub(crate) remaining: Option<usize>,
}

/// Everything the cluster is.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    ids: ids::Ids,
    /// What is still to follow from a removal, the next last; and whether somebody sees to it.
    following: Vec<delete::Step>,
    is_following: bool,
}

impl State {
    /// An empty cluster with its standing namespaces; `seed` makes identifiers, revisions start at `revision`.
    pub(crate) fn new(seed: u64, revision: u64, now: Timestamp) -> Self {
        let mut this = Self {
            store: Store::new(revision, HISTORY_LEN),
            registry: Registry::new(),
            ids: ids::Ids::new(seed),
            following: Vec::new(),
            is_following: false,
        };
        if let Some(namespaces) = this.registry.get("", "v1", "namespaces").cloned() {
            for name in ["default", "kube-system", "kube-public"] {
                let mut call = Call::by("kube-apiserver", namespaces.clone(), "", "", Subresource::None);
                if let Err(error) = this.create(&mut call, json!({"metadata": {"name": name}}), now) {
                    tracing::error!(%error, name, "standing namespace was refused");
                }
            }
        }
        this
    }

    /// The stored object, or 404.
    pub(crate) fn get(&self, call: &Call) -> Result<&Arc<Value>> {
        self.store.get(&call.resource.collection, &call.namespace, &call.name).ok_or_else(|| call.not_found())
    }

    /// One page of matching objects, as they are or as they were `at` a revision.
    ///
    /// All pages show the state at the first page's revision.
    pub(crate) fn list(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        selector: &Selector,
        limit: usize,
        token: &str,
        at: Option<u64>,
    ) -> Result<Page> {
        let (revision, after) = if token.is_empty() {
            (at.unwrap_or(self.store.revision()), None)
        } else {
            let (revision, id) =
                parse_token(token).ok_or_else(|| ApiError::bad_request("continue key is not valid"))?;
            (revision, Some(id))
        };
        let Ok(past) = self.store.as_of(&resource.collection, revision) else {
            if token.is_empty() {
                return Err(ApiError::expired("The resourceVersion for the provided list is too old."));
            }
            return Err(ApiError::expired(
                "The provided continue parameter is too old to display a consistent list result. \
                 You must start a new list without the continue parameter.",
            ));
        };
        let mut items = Vec::new();
        let mut last: Option<&Id> = None;
        let mut remaining = 0usize;
        let found: Box<dyn Iterator<Item = (&Id, &Arc<Value>)>> = match &past {
            None => Box::new(self.store.list(&resource.collection, namespace, after.as_ref())),
            Some(past) => Box::new(
                past.iter()
                    .filter(|((ns, _), _)| namespace.is_none_or(|n| n == ns))
                    .filter(|(id, _)| after.as_ref().is_none_or(|after| *id > after)),
            ),
        };
        for (id, object) in found.filter(|(_, o)| selector.matches(o)) {
            if limit == 0 || items.len() < limit {
                items.push(object.clone());
                last = Some(id);
            } else {
                remaining += 1;
            }
        }
        let next = match last {
            Some((ns, name)) if remaining > 0 => format!("{revision}:{ns}/{name}"),
            _ => String::new(),
        };
        // With a selector nobody counts what is left.
        let remaining = (remaining > 0 && selector.is_empty()).then_some(remaining);
        Ok(Page { items, revision, remaining, next })
    }
}

fn parse_token(token: &str) -> Option<(u64, Id)> {
    let (revision, id) = token.split_once(':')?;
    let (namespace, name) = id.split_once('/')?;
    Some((revision.parse().ok()?, (namespace.to_owned(), name.to_owned())))
}

/// The object in the version that was asked for.
pub(crate) fn in_version<'a>(resource: &Resource, object: &'a Value) -> Cow<'a, Value> {
    if resource.group == "events.k8s.io" {
        return Cow::Owned(events::from_core(object));
    }
    let wanted = resource.api_version();
    if object::text(object, &["apiVersion"]) == wanted {
        return Cow::Borrowed(object);
    }
    let mut converted = object.clone();
    object::map_mut(&mut converted).insert("apiVersion".into(), Value::String(wanted));
    Cow::Owned(converted)
}

/// The state behind its lock, and the bell that watches hear.
#[derive(Debug)]
pub(crate) struct Api {
    state: Mutex<State>,
    bell: Arc<Bell>,
    /// Where the node keeps container logs (`NAMESPACE_POD_UID/CONTAINER/N.log`).
    pub(crate) logs_dir: PathBuf,
}

impl Api {
    pub(crate) fn new(state: State, logs_dir: PathBuf) -> Self {
        let bell = Bell::new(state.store.revision());
        Self { state: Mutex::new(state), bell, logs_dir }
    }

    /// Runs with the state locked; wakes the watches if it changed.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let (result, now_at) = {
            let mut state = self.state.lock();
            let result = f(&mut state);
            (result, state.store.revision())
        };
        self.bell.ring(now_at);
        result
    }

    /// Hears of newer revisions.
    pub(crate) fn ear(&self) -> Ear {
        self.bell.ear()
    }
}
