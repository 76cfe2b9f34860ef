//! The cluster as far as it is kept: pods by namespace and labels, services, slices, and who has which address.
//! Pure: events go in, what they changed comes out, which most of the time is nothing.

mod kinds;

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use kube::Resource;
use kube::runtime::watcher::Event;

use crate::intern::{Interner, Labels};
use crate::pod::Pod;
use crate::service::Service;
use crate::slice::Slice;

/// What an event changed.
#[derive(Clone, Debug)]
pub enum Change {
    /// A pod, before and after.
    Pod(Option<Arc<Pod>>, Option<Arc<Pod>>),
    /// A service, before and after.
    Service(Option<Arc<Service>>, Option<Arc<Service>>),
    /// A slice, before and after.
    Slice(Option<Arc<Slice>>, Option<Arc<Slice>>),
}

/// See the module.
#[derive(Debug, Default)]
pub struct State {
    interner: Interner,
    namespaces: HashMap<Arc<str>, Namespace>,
    pods_at: HashMap<IpAddr, Vec<Arc<Pod>>>,
    services_at: HashMap<IpAddr, Vec<Arc<Service>>>,
    /// What a list that is not yet whole has brought. Pods that did not change are shared with the state.
    listed: Listed,
    counts: Counts,
}

/// How many of each there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pods.
    pub pods: usize,
    /// Services.
    pub services: usize,
    /// Slices that are kept.
    pub slices: usize,
}

#[derive(Debug, Default)]
struct Listed {
    pods: Vec<Arc<Pod>>,
    services: Vec<Arc<Service>>,
    slices: Vec<Arc<Slice>>,
}

#[derive(Debug, Default)]
struct Namespace {
    pods: HashSet<Named<Pod>>,
    /// By all of their labels, which the pods of a ReplicaSet have alike: a selector is compared with each set
    /// of labels once, not with each pod.
    groups: HashMap<Arc<Labels>, HashSet<Named<Pod>>>,
    services: HashSet<Named<Service>>,
    slices: HashSet<Named<Slice>>,
    slices_of: HashMap<Arc<str>, Vec<Arc<Slice>>>,
}

impl Namespace {
    fn is_empty(&self) -> bool {
        self.pods.is_empty() && self.services.is_empty() && self.slices.is_empty()
    }
}

/// One kind of object that is kept.
trait Kept: Sized + Eq {
    type Wire: Resource;

    fn read(object: &Self::Wire, interner: &mut Interner) -> Option<Self>;
    fn namespace(&self) -> &Arc<str>;
    fn name(&self) -> &str;
    fn listed(state: &mut State) -> &mut Vec<Arc<Self>>;
    fn named(namespace: &Namespace) -> &HashSet<Named<Self>>;
    fn named_mut(namespace: &mut Namespace) -> &mut HashSet<Named<Self>>;
    fn count(counts: &mut Counts) -> &mut usize;
    /// Keeps the other indexes in step.
    fn index(state: &mut State, old: Option<&Arc<Self>>, new: Option<&Arc<Self>>);
    fn change(old: Option<Arc<Self>>, new: Option<Arc<Self>>) -> Change;
}

/// An object that is found by its name in its namespace.
#[derive(Debug)]
struct Named<T>(Arc<T>);

impl<T: Kept> Borrow<str> for Named<T> {
    fn borrow(&self) -> &str {
        self.0.name()
    }
}

impl<T: Kept> PartialEq for Named<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl<T: Kept> Eq for Named<T> {}

impl<T: Kept> Hash for Named<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.name().hash(hasher);
    }
}

impl State {
    /// Takes an event of the pods' watch.
    pub fn pod(&mut self, event: Event<crate::objects::Pod>, changes: &mut Vec<Change>) {
        self.take::<Pod>(event, changes);
    }

    /// Takes an event of the services' watch.
    pub fn service(&mut self, event: Event<crate::objects::Service>, changes: &mut Vec<Change>) {
        self.take::<Service>(event, changes);
    }

    /// Takes an event of the slices' watch.
    pub fn slice(&mut self, event: Event<crate::objects::EndpointSlice>, changes: &mut Vec<Change>) {
        self.take::<Slice>(event, changes);
    }

    /// How many objects there are.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The service of that name.
    pub fn service_named(&self, namespace: &str, name: &str) -> Option<&Arc<Service>> {
        self.find(namespace, name)
    }

    /// The service with that virtual address.
    pub fn service_at(&self, ip: IpAddr) -> Option<&Arc<Service>> {
        // Two can have it only between two events; which of them counts must not depend on their order.
        self.services_at.get(&ip)?.iter().min_by_key(|s| (&s.namespace, &s.name))
    }

    /// The pods with that address: several where it is a node's, or has been given on.
    pub fn pods_at(&self, ip: IpAddr) -> &[Arc<Pod>] {
        self.pods_at.get(&ip).map_or(&[], |pods| pods)
    }

    /// The pods of a namespace with these labels.
    pub fn selected<'a>(
        &'a self,
        namespace: &str,
        selector: &'a Labels,
    ) -> impl Iterator<Item = &'a Arc<Pod>> {
        let groups = self.namespaces.get(namespace).into_iter().flat_map(|n| &n.groups);
        groups.filter(|(labels, _)| selector.within(labels)).flat_map(|(_, pods)| pods.iter().map(|p| &p.0))
    }

    /// The slices of a service.
    pub fn slices(&self, namespace: &str, service: &str) -> &[Arc<Slice>] {
        let namespace = self.namespaces.get(namespace);
        namespace.and_then(|n| n.slices_of.get(service)).map_or(&[], |slices| slices)
    }

    fn take<T: Kept>(&mut self, event: Event<T::Wire>, changes: &mut Vec<Change>) {
        match event {
            Event::Apply(object) => {
                if let Some(new) = T::read(&object, &mut self.interner) {
                    self.put(Arc::new(new), changes);
                }
            }
            Event::Delete(object) => {
                let meta = object.meta();
                let name = meta.name.as_deref().unwrap_or_default();
                let namespace = meta.namespace.as_deref().unwrap_or_default();
                if let Some(old) = self.find::<T>(namespace, name).cloned() {
                    self.remove(old, changes);
                }
            }
            // A list counts once it is whole, so that nothing is missing meanwhile.
            Event::Init => *T::listed(self) = Vec::new(),
            Event::InitApply(object) => {
                if let Some(new) = T::read(&object, &mut self.interner) {
                    let known =
                        self.find::<T>(new.namespace(), new.name()).filter(|old| ***old == new).cloned();
                    T::listed(self).push(known.unwrap_or_else(|| Arc::new(new)));
                }
            }
            Event::InitDone => {
                let listed = std::mem::take(T::listed(self));
                let names: HashSet<_> = listed.iter().map(|o| (&**o.namespace(), o.name())).collect();
                let all = self.namespaces.values().flat_map(|n| T::named(n).iter().map(|o| &o.0));
                let gone: Vec<_> =
                    all.filter(|o| !names.contains(&(&**o.namespace(), o.name()))).cloned().collect();
                drop(names);
                for old in gone {
                    self.remove(old, changes);
                }
                for new in listed {
                    self.put(new, changes);
                }
            }
        }
    }

    fn find<T: Kept>(&self, namespace: &str, name: &str) -> Option<&Arc<T>> {
        T::named(self.namespaces.get(namespace)?).get(name).map(|o| &o.0)
    }

    fn put<T: Kept>(&mut self, new: Arc<T>, changes: &mut Vec<Change>) {
        let old = self.find::<T>(new.namespace(), new.name()).cloned();
        // Most events change nothing that is kept.
        if old.as_ref() == Some(&new) {
            return;
        }
        *T::count(&mut self.counts) += usize::from(old.is_none());
        T::index(self, old.as_ref(), Some(&new));
        let namespace = self.namespaces.entry(new.namespace().clone()).or_default();
        T::named_mut(namespace).replace(Named(new.clone()));
        changes.push(T::change(old, Some(new)));
    }

    fn remove<T: Kept>(&mut self, old: Arc<T>, changes: &mut Vec<Change>) {
        *T::count(&mut self.counts) -= 1;
        T::index(self, Some(&old), None);
        if let Some(namespace) = self.namespaces.get_mut(old.namespace()) {
            T::named_mut(namespace).remove(old.name());
            if namespace.is_empty() {
                self.namespaces.remove(old.namespace());
            }
        }
        changes.push(T::change(Some(old), None));
    }
}
