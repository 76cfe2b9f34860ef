//! Where an object is by its uid, and what an owner's uid owns: a removal looks at its dependents alone.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::Id;
use crate::object;

/// Collection and name within it.
pub(super) type Place = (Arc<str>, Id);

/// Both ways, kept with every change of the store.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_uid: HashMap<String, Place>,
    by_owner: HashMap<String, BTreeSet<Place>>,
}

impl Index {
    pub(super) fn add(&mut self, place: &Place, object: &Value) {
        let uid = object::uid(object);
        if !uid.is_empty() {
            self.by_uid.insert(uid.to_owned(), place.clone());
        }
        for owner in owner_uids(object) {
            self.by_owner.entry(owner.to_owned()).or_default().insert(place.clone());
        }
    }

    pub(super) fn remove(&mut self, place: &Place, object: &Value) {
        let uid = object::uid(object);
        if self.by_uid.get(uid) == Some(place) {
            self.by_uid.remove(uid);
        }
        for owner in owner_uids(object) {
            if let Some(places) = self.by_owner.get_mut(owner) {
                places.remove(place);
                if places.is_empty() {
                    self.by_owner.remove(owner);
                }
            }
        }
    }

    pub(super) fn at(&self, uid: &str) -> Option<&Place> {
        self.by_uid.get(uid)
    }

    /// In order of collection, namespace and name.
    pub(super) fn owned(&self, uid: &str) -> impl Iterator<Item = &Place> {
        self.by_owner.get(uid).into_iter().flatten()
    }
}

/// Uids of an object's owners.
pub(crate) fn owner_uids(object: &Value) -> impl Iterator<Item = &str> {
    object::list(object, &["metadata", "ownerReferences"])
        .iter()
        .map(|o| object::text(o, &["uid"]))
        .filter(|uid| !uid.is_empty())
}
