//! The state of the cluster: objects, one revision counter, and a bounded history for watches.
//!
//! Pure: no clock, no I/O, no randomness. A change is what a watch can tell of: the object after it (before it,
//! for a deletion) and the object before it, since a selector may start or stop matching.

mod index;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use crate::object;
use index::Index;

pub(crate) use index::owner_uids;

/// What the history of a collection holds on to; a thousand changes of the largest objects would be more than a
/// gigabyte.
const HISTORY_MAX_BYTES: usize = 64 << 20;

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
    /// About what the object takes; the one before is another change's, or as long as it was.
    bytes: usize,
}

/// The history does not reach back to the asked revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expired;

#[derive(Debug, Default)]
struct Collection {
    objects: BTreeMap<Id, Arc<Value>>,
    /// Which object was written at which revision, the last time.
    written: BTreeMap<u64, Id>,
    history: VecDeque<Change>,
    /// What the history holds on to, in bytes.
    history_bytes: usize,
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
    index: Index,
}

impl Store {
    /// A store whose revisions start after `first_revision` and that remembers `history_len` changes a collection.
    pub(crate) fn new(first_revision: u64, history_len: usize) -> Self {
        Self {
            revision: first_revision,
            first_revision,
            history_len,
            collections: BTreeMap::new(),
            index: Index::default(),
        }
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

    /// The object of a uid, and the collection it is in.
    pub(crate) fn by_uid(&self, uid: &str) -> Option<(&Arc<str>, &Arc<Value>)> {
        let (collection, id) = self.index.at(uid)?;
        Some((collection, self.collections.get(collection)?.objects.get(id)?))
    }

    /// What an owner owns, each with the collection it is in.
    pub(crate) fn owned_by(&self, uid: &str) -> impl Iterator<Item = (&Arc<str>, &Arc<Value>)> {
        self.index.owned(uid).filter_map(|(collection, id)| {
            Some((collection, self.collections.get(collection)?.objects.get(id)?))
        })
    }

    /// Every object of a namespace with the collection it is in.
    pub(crate) fn within<'a>(
        &'a self,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a Arc<Value>)> {
        self.collections
            .keys()
            .flat_map(move |name| self.list(name, Some(namespace), None).map(move |(_, o)| (name, o)))
    }

    /// The object of a collection that was written longest ago.
    pub(crate) fn oldest(&self, collection: &str) -> Option<&Id> {
        self.collections.get(collection)?.written.values().next()
    }

    /// How many objects each collection has.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&str, usize)> {
        self.collections.iter().map(|(name, c)| (&**name, c.objects.len()))
    }

    pub(crate) fn len(&self, collection: &str) -> usize {
        self.collections.get(collection).map_or(0, |c| c.objects.len())
    }

    /// Adds or replaces the object under its own namespace and name, with the next revision written into it.
    pub(crate) fn put(&mut self, collection: &str, mut value: Value) -> Arc<Value> {
        let revision = self.next_revision(&mut value);
        let id = (object::namespace(&value).to_owned(), object::name(&value).to_owned());
        let object = Arc::new(value);
        let collected = self.collection(collection);
        let previous = collected.objects.insert(id.clone(), object.clone());
        collected.written.insert(revision, id.clone());
        if let Some(last) = previous.as_deref().and_then(written_at) {
            collected.written.remove(&last);
        }
        let place = (self.name_of(collection), id);
        if let Some(previous) = &previous {
            self.index.remove(&place, previous);
        }
        self.index.add(&place, &object);
        let kind = if previous.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        let bytes = object::json_bytes(&object);
        self.remember(collection, Change { revision, kind, object: object.clone(), previous, bytes });
        object
    }

    /// Removes an object; what is returned (and told to watches) carries the revision of its removal.
    pub(crate) fn remove(&mut self, collection: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let id = (namespace.to_owned(), name.to_owned());
        let collected = self.collections.get_mut(collection)?;
        let previous = collected.objects.remove(&id)?;
        if let Some(last) = written_at(&previous) {
            collected.written.remove(&last);
        }
        let place = (self.name_of(collection), id);
        self.index.remove(&place, &previous);
        let mut last = Value::clone(&previous);
        let revision = self.next_revision(&mut last);
        let object = Arc::new(last);
        let (kind, previous, bytes) = (ChangeKind::Deleted, Some(previous), object::json_bytes(&object));
        let change = Change { revision, kind, object: object.clone(), previous, bytes };
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
        collection.history_bytes = 0;
        collection.forgotten = revision;
    }

    fn collection(&mut self, name: &str) -> &mut Collection {
        if !self.collections.contains_key(name) {
            self.collections.insert(Arc::from(name), Collection::default());
        }
        self.collections.entry(Arc::from(name)).or_default()
    }

    /// The name as all that is in the collection share it.
    fn name_of(&self, collection: &str) -> Arc<str> {
        let known = self.collections.get_key_value(collection);
        known.map_or_else(|| Arc::from(collection), |(name, _)| name.clone())
    }

    fn next_revision(&mut self, value: &mut Value) -> u64 {
        self.revision += 1;
        object::meta_mut(value).insert("resourceVersion".into(), Value::String(self.revision.to_string()));
        self.revision
    }

    fn remember(&mut self, collection: &str, change: Change) {
        let limit = self.history_len;
        let collection = self.collection(collection);
        collection.history_bytes += change.bytes;
        collection.history.push_back(change);
        // The newest is always told of.
        while collection.history.len() > limit.max(1)
            || collection.history_bytes > HISTORY_MAX_BYTES && collection.history.len() > 1
        {
            let Some(old) = collection.history.pop_front() else { break };
            collection.history_bytes = collection.history_bytes.saturating_sub(old.bytes);
            collection.forgotten = old.revision;
        }
    }
}

/// The revision that was written into an object.
fn written_at(object: &Value) -> Option<u64> {
    object::resource_version(object).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn owners_and_ages_follow_every_change() {
        let mut store = Store::new(0, 10);
        let owned = |name: &str, owners: &[&str]| {
            let owners: Vec<Value> = owners.iter().map(|uid| json!({"uid": uid})).collect();
            json!({"metadata": {"namespace": "n", "name": name, "uid": name, "ownerReferences": owners}})
        };
        let names = |store: &Store, uid: &str| -> Vec<String> {
            store.owned_by(uid).map(|(c, o)| format!("{c}/{}", object::name(o))).collect()
        };
        store.put("pods", owned("a", &["x", "y"]));
        store.put("maps", owned("b", &["x", ""]));
        assert_eq!(names(&store, "x"), ["maps/b", "pods/a"]);
        assert_eq!(names(&store, ""), Vec::<String>::new());
        store.put("pods", owned("a", &["y"]));
        store.put("pods", owned("c", &[]));
        assert_eq!((names(&store, "x"), names(&store, "y")), (vec!["maps/b".into()], vec!["pods/a".into()]));
        assert_eq!(store.by_uid("a").map(|(c, _)| &**c), Some("pods"));
        assert_eq!(store.oldest("pods").map(|(_, n)| n.as_str()), Some("a"));
        store.put("pods", owned("a", &["y"]));
        assert_eq!(
            store.oldest("pods").map(|(_, n)| n.as_str()),
            Some("c"),
            "what is written again is young again"
        );
        store.remove("pods", "n", "c");
        store.remove("maps", "n", "b");
        assert_eq!(store.oldest("pods").map(|(_, n)| n.as_str()), Some("a"));
        assert_eq!((names(&store, "x").len(), store.by_uid("b").is_some()), (0, false));
        assert_eq!(store.within("n").count(), 1);
    }

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
    fn history_is_bounded_by_what_it_holds_on_to() {
        let mut store = Store::new(0, 1_000_000);
        let large = |n: u64| {
            let mut object = object("a", "x");
            object["data"] = json!({"n": n, "text": "x".repeat(HISTORY_MAX_BYTES / 4)});
            object
        };
        (0..20).for_each(|n| drop(store.put("maps", large(n))));
        assert_eq!(store.changes_after("maps", 10).err(), Some(Expired));
        assert_eq!(store.changes_after("maps", 17).unwrap().count(), 3);
        (0..1000).for_each(|_| drop(store.put("pods", object("a", "x"))));
        assert_eq!(store.changes_after("pods", 20).unwrap().count(), 1000, "small ones are all kept");
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
