//! One copy of what many objects have alike: the labels of a ReplicaSet's pods, their owner, their ports.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use crate::ports::Ports;

/// Below this size nothing is worth looking for what is no longer used.
const SWEEP_MIN: usize = 1024;

/// Labels in the order of their names, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels(Box<[(Arc<str>, Arc<str>)]>);

impl Labels {
    /// The value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(n, _)| (**n).cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `other` has all of these.
    pub fn within(&self, other: &Self) -> bool {
        self.iter().all(|(name, value)| other.get(name) == Some(value))
    }
}

/// Values that are held once. What only the pool holds is let go when the pool has doubled.
#[derive(Debug)]
struct Pool<T: ?Sized> {
    held: HashSet<Arc<T>>,
    sweep_at: usize,
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self { held: HashSet::new(), sweep_at: SWEEP_MIN }
    }
}

impl<T: Eq + Hash + ?Sized> Pool<T> {
    fn share<V: Borrow<T> + Into<Arc<T>>>(&mut self, value: V) -> Arc<T> {
        if let Some(held) = self.held.get(value.borrow()) {
            return held.clone();
        }
        if self.held.len() >= self.sweep_at {
            self.held.retain(|held| Arc::strong_count(held) > 1);
            self.sweep_at = SWEEP_MIN.max(self.held.len() * 2);
        }
        let held: Arc<T> = value.into();
        self.held.insert(held.clone());
        held
    }
}

/// The pools.
#[derive(Debug, Default)]
pub struct Interner {
    texts: Pool<str>,
    labels: Pool<Labels>,
    ports: Pool<Ports>,
}

impl Interner {
    /// A name that many have alike.
    pub fn text(&mut self, text: &str) -> Arc<str> {
        self.texts.share(text)
    }

    /// Labels.
    pub fn labels(&mut self, labels: &BTreeMap<String, String>) -> Arc<Labels> {
        let each = labels.iter().map(|(name, value)| (self.texts.share(&**name), self.texts.share(&**value)));
        let labels = Labels(each.collect());
        self.labels.share(labels)
    }

    /// Ports.
    pub fn ports(&mut self, ports: Ports) -> Arc<Ports> {
        self.ports.share(ports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn what_is_alike_is_held_once_and_let_go_when_unused() {
        let mut interner = Interner::default();
        let first = interner.labels(&map(&[("b", "2"), ("a", "1")]));
        assert!(Arc::ptr_eq(&first, &interner.labels(&map(&[("a", "1"), ("b", "2")]))));
        assert_eq!((first.get("a"), first.get("c")), (Some("1"), None));
        assert!(
            first.within(&first) && Labels::default().within(&first) && !first.within(&Labels::default())
        );
        for n in 0..10 * SWEEP_MIN {
            interner.labels(&map(&[("n", &n.to_string())]));
        }
        assert!(interner.labels.held.len() <= 2 * SWEEP_MIN);
        assert!(Arc::ptr_eq(&first, &interner.labels(&map(&[("a", "1"), ("b", "2")]))));
    }
}
