//! The state of the cluster: objects, one revision counter, and a bounded history for watches.
//!
//! Pure: no clock, no I/O, no randomness. A change is what a watch can tell of: the object after it (before it,
//! for a deletion) and the object before it, since a selector may start or stop matching.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use crate::object;

/// Namespace ("" for cluster-scoped) and name.
pub(crate) type Id = (String, String);

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

/// One step of a collection's history.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) kind: ChangeKind,
    pub(crate) object: Arc<Value>,
    pub(crate) previous: Option<Arc<Value>>,
}

/// The history does not reach back to the asked revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expired;

#[derive(Debug, Default)]
struct Collection {
    objects: BTreeMap<Id, Arc<Value>>,
    history: VecDeque<Change>,
    /// Revision of the newest change that fell out of the history.
    forgotten: u64,
}

/// All collections under one revision counter.
#[derive(Debug)]
pub(crate) struct Store {
    revision: u64,
    first_revision: u64,
    history_len: usize,
    collections: BTreeMap<Arc<str>, Collection>,
}

impl Store {
    /// A store whose revisions start after `first_revision` and that remembers `history_len` changes a collection.
    pub(crate) fn new(first_revision: u64, history_len: usize) -> Self {
        Self { revision: first_revision, first_revision, history_len, collections: BTreeMap::new() }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn get(&self, collection: &str, namespace: &str, name: &str) -> Option<&Arc<Value>> {
        self.collections.get(collection)?.objects.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// Objects in order of namespace and name, after `after` if given.
    pub(crate) fn list<'a>(
        &'a self,
        collection: &str,
        namespace: Option<&'a str>,
        after: Option<&Id>,
    ) -> impl Iterator<Item = (&'a Id, &'a Arc<Value>)> {
        use std::ops::Bound;
        let from = match (after, namespace) {
            (Some(id), _) => Bound::Excluded(id.clone()),
            (None, Some(ns)) => Bound::Included((ns.to_owned(), String::new())),
            (None, None) => Bound::Unbounded,
        };
        self.collections
            .get(collection)
            .into_iter()
            .flat_map(move |c| c.objects.range((from.clone(), Bound::Unbounded)))
            .take_while(move |((ns, _), _)| namespace.is_none_or(|n| n == ns))
            .filter(move |((ns, _), _)| namespace.is_none_or(|n| n == ns))
    }

    /// A collection as it was at a revision; `None`: it has not changed since.
    pub(crate) fn as_of(
        &self,
        collection: &str,
        revision: u64,
    ) -> Result<Option<BTreeMap<Id, Arc<Value>>>, Expired> {
        if revision == self.revision {
            return Ok(None);
        }
        let mut changes = self.changes_after(collection, revision)?.peekable();
        if changes.peek().is_none() {
            return Ok(None);
        }
        let mut then = self.collections.get(collection).map(|c| c.objects.clone()).unwrap_or_default();
        let mut seen = std::collections::BTreeSet::new();
        for change in changes {
            let id = (object::namespace(&change.object).to_owned(), object::name(&change.object).to_owned());
            // The first change tells what was before all of them.
            if seen.insert(id.clone()) {
                match &change.previous {
                    Some(previous) => then.insert(id, previous.clone()),
                    None => then.remove(&id),
                };
            }
        }
        Ok(Some(then))
    }

    /// Every object with the collection it is in.
    pub(crate) fn everything(&self) -> impl Iterator<Item = (&Arc<str>, &Id, &Arc<Value>)> {
        self.collections.iter().flat_map(|(name, c)| c.objects.iter().map(move |(id, o)| (name, id, o)))
    }

    pub(crate) fn len(&self, collection: &str) -> usize {
        self.collections.get(collection).map_or(0, |c| c.objects.len())
    }

    /// Adds or replaces the object under its own namespace and name, with the next revision written into it.
    pub(crate) fn put(&mut self, collection: &str, mut value: Value) -> Arc<Value> {
        let revision = self.next_revision(&mut value);
        let id = (object::namespace(&value).to_owned(), object::name(&value).to_owned());
        let object = Arc::new(value);
        let previous = self.collection(collection).objects.insert(id, object.clone());
        let kind = if previous.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        self.remember(collection, Change { revision, kind, object: object.clone(), previous });
        object
    }

    /// Removes an object; what is returned (and told to watches) carries the revision of its removal.
    pub(crate) fn remove(&mut self, collection: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let id = (namespace.to_owned(), name.to_owned());
        let previous = self.collections.get_mut(collection)?.objects.remove(&id)?;
        let mut last = Value::clone(&previous);
        let revision = self.next_revision(&mut last);
        let object = Arc::new(last);
        let change =
            Change { revision, kind: ChangeKind::Deleted, object: object.clone(), previous: Some(previous) };
        self.remember(collection, change);
        Some(object)
    }

    /// The changes of a collection after a revision, oldest first.
    ///
    /// # Errors
    /// [`Expired`]: the history begins later, or the revision is from another life of this store.
    pub(crate) fn changes_after(
        &self,
        collection: &str,
        revision: u64,
    ) -> Result<impl Iterator<Item = &Change>, Expired> {
        let forgotten = self.collections.get(collection).map_or(0, |c| c.forgotten);
        if revision < self.first_revision.max(forgotten) || revision > self.revision {
            return Err(Expired);
        }
        Ok(self.collections.get(collection).into_iter().flat_map(move |c| {
            let start = c.history.partition_point(|change| change.revision <= revision);
            c.history.range(start..)
        }))
    }

    /// Forgets a whole collection (its definition was deleted).
    pub(crate) fn forget_history(&mut self, collection: &str) {
        let revision = self.revision;
        let collection = self.collection(collection);
        collection.history.clear();
        collection.forgotten = revision;
    }

    fn collection(&mut self, name: &str) -> &mut Collection {
        if !self.collections.contains_key(name) {
            self.collections.insert(Arc::from(name), Collection::default());
        }
        self.collections.entry(Arc::from(name)).or_default()
    }

    fn next_revision(&mut self, value: &mut Value) -> u64 {
        self.revision += 1;
        object::meta_mut(value).insert("resourceVersion".into(), Value::String(self.revision.to_string()));
        self.revision
    }

    fn remember(&mut self, collection: &str, change: Change) {
        let limit = self.history_len;
        let collection = self.collection(collection);
        collection.history.push_back(change);
        while collection.history.len() > limit {
            if let Some(old) = collection.history.pop_front() {
                collection.forgotten = old.revision;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(ns: &str, name: &str) -> Value {
        json!({"metadata": {"namespace": ns, "name": name}})
    }

    #[test]
    fn history_is_bounded_and_says_so() {
        let mut store = Store::new(100, 2);
        store.put("pods", object("a", "x"));
        store.put("pods", object("a", "x"));
        assert_eq!(store.changes_after("pods", 100).unwrap().count(), 2);
        store.remove("pods", "a", "x");
        assert_eq!(store.revision(), 103);
        assert_eq!(store.changes_after("pods", 100).err(), Some(Expired));
        let kinds: Vec<_> = store.changes_after("pods", 101).unwrap().map(|c| (c.revision, c.kind)).collect();
        assert_eq!(kinds, [(102, ChangeKind::Modified), (103, ChangeKind::Deleted)]);
        assert_eq!(
            store.changes_after("pods", 99).err(),
            Some(Expired),
            "before this store's first revision"
        );
        assert_eq!(store.changes_after("pods", 104).err(), Some(Expired), "from a later life");
        assert_eq!(store.changes_after("others", 103).unwrap().count(), 0);
    }

    #[test]
    fn lists_are_ordered_and_can_be_continued() {
        let mut store = Store::new(0, 10);
        for (ns, name) in [("b", "1"), ("a", "2"), ("a", "1"), ("ab", "0")] {
            store.put("pods", object(ns, name));
        }
        let names = |ns: Option<&str>, after: Option<&Id>| -> Vec<String> {
            store.list("pods", ns, after).map(|((ns, n), _)| format!("{ns}/{n}")).collect()
        };
        assert_eq!(names(None, None), ["a/1", "a/2", "ab/0", "b/1"]);
        assert_eq!(names(Some("a"), None), ["a/1", "a/2"]);
        assert_eq!(names(Some("a"), Some(&("a".into(), "1".into()))), ["a/2"]);
        assert_eq!(names(None, Some(&("a".into(), "2".into()))), ["ab/0", "b/1"]);
    }
}
