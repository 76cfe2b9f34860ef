//! What is particular to each kind of object that is kept.

use std::collections::hash_map::Entry;
use std::hash::Hash;

use super::{Arc, Change, Counts, HashMap, HashSet, Interner, Kept, Named, Namespace, State};
use crate::objects;
use crate::pod::Pod;
use crate::service::Service;
use crate::slice::Slice;

impl Kept for Pod {
    type Wire = objects::Pod;

    fn read(object: &objects::Pod, interner: &mut Interner) -> Option<Self> {
        Self::new(object, interner)
    }

    fn namespace(&self) -> &Arc<str> {
        &self.namespace
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn listed(state: &mut State) -> &mut Vec<Arc<Self>> {
        &mut state.listed.pods
    }

    fn named(namespace: &Namespace) -> &HashSet<Named<Self>> {
        &namespace.pods
    }

    fn named_mut(namespace: &mut Namespace) -> &mut HashSet<Named<Self>> {
        &mut namespace.pods
    }

    fn count(counts: &mut Counts) -> &mut usize {
        &mut counts.pods
    }

    fn index(state: &mut State, old: Option<&Arc<Self>>, new: Option<&Arc<Self>>) {
        if let Some(old) = old {
            for ip in old.ip.into_iter().chain(old.other_ip) {
                drop_from(&mut state.pods_at, &ip, old);
            }
            if let Some(namespace) = state.namespaces.get_mut(&old.namespace)
                && let Entry::Occupied(mut group) = namespace.groups.entry(old.labels.clone())
            {
                group.get_mut().remove(&*old.name);
                if group.get().is_empty() {
                    group.remove();
                }
            }
        }
        if let Some(new) = new {
            for ip in new.ip.into_iter().chain(new.other_ip) {
                add_to(&mut state.pods_at, ip, new);
            }
            let namespace = state.namespaces.entry(new.namespace.clone()).or_default();
            namespace.groups.entry(new.labels.clone()).or_default().insert(Named(new.clone()));
        }
    }

    fn change(old: Option<Arc<Self>>, new: Option<Arc<Self>>) -> Change {
        Change::Pod(old, new)
    }
}

impl Kept for Service {
    type Wire = objects::Service;

    fn read(object: &objects::Service, interner: &mut Interner) -> Option<Self> {
        Self::new(object, interner)
    }

    fn namespace(&self) -> &Arc<str> {
        &self.namespace
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn listed(state: &mut State) -> &mut Vec<Arc<Self>> {
        &mut state.listed.services
    }

    fn named(namespace: &Namespace) -> &HashSet<Named<Self>> {
        &namespace.services
    }

    fn named_mut(namespace: &mut Namespace) -> &mut HashSet<Named<Self>> {
        &mut namespace.services
    }

    fn count(counts: &mut Counts) -> &mut usize {
        &mut counts.services
    }

    fn index(state: &mut State, old: Option<&Arc<Self>>, new: Option<&Arc<Self>>) {
        for (old, ip) in old.iter().flat_map(|old| old.cluster_ips.iter().map(move |ip| (old, ip))) {
            drop_from(&mut state.services_at, ip, old);
        }
        for (new, ip) in new.iter().flat_map(|new| new.cluster_ips.iter().map(move |ip| (new, ip))) {
            add_to(&mut state.services_at, *ip, new);
        }
    }

    fn change(old: Option<Arc<Self>>, new: Option<Arc<Self>>) -> Change {
        Change::Service(old, new)
    }
}

impl Kept for Slice {
    type Wire = objects::EndpointSlice;

    fn read(object: &objects::EndpointSlice, interner: &mut Interner) -> Option<Self> {
        Self::new(object, interner)
    }

    fn namespace(&self) -> &Arc<str> {
        &self.namespace
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn listed(state: &mut State) -> &mut Vec<Arc<Self>> {
        &mut state.listed.slices
    }

    fn named(namespace: &Namespace) -> &HashSet<Named<Self>> {
        &namespace.slices
    }

    fn named_mut(namespace: &mut Namespace) -> &mut HashSet<Named<Self>> {
        &mut namespace.slices
    }

    fn count(counts: &mut Counts) -> &mut usize {
        &mut counts.slices
    }

    fn index(state: &mut State, old: Option<&Arc<Self>>, new: Option<&Arc<Self>>) {
        if let Some(old) = old
            && let Some(namespace) = state.namespaces.get_mut(&old.namespace)
        {
            drop_from(&mut namespace.slices_of, &old.service, old);
        }
        if let Some(new) = new {
            let namespace = state.namespaces.entry(new.namespace.clone()).or_default();
            add_to(&mut namespace.slices_of, new.service.clone(), new);
        }
    }

    fn change(old: Option<Arc<Self>>, new: Option<Arc<Self>>) -> Change {
        Change::Slice(old, new)
    }
}

fn add_to<K: Eq + Hash, T>(map: &mut HashMap<K, Vec<Arc<T>>>, key: K, value: &Arc<T>) {
    // Nearly all have one.
    map.entry(key).or_insert_with(|| Vec::with_capacity(1)).push(value.clone());
}

fn drop_from<K: Eq + Hash, T>(map: &mut HashMap<K, Vec<Arc<T>>>, key: &K, value: &Arc<T>) {
    if let Some(values) = map.get_mut(key) {
        values.retain(|v| !Arc::ptr_eq(v, value));
        if values.is_empty() {
            map.remove(key);
        }
    }
}
