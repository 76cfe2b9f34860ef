//! A target's key that is quick to compare and to copy: it is looked up several times in each evaluation.

use std::cmp::Ordering;
use std::ops::Deref;
use std::sync::Arc;

use crate::hash::Digest;
use crate::objects::TargetKey;

/// A target's key. In an order of its own, the same in every process.
#[derive(Clone, Debug)]
pub struct Place {
    hash: u64,
    key: Arc<TargetKey>,
}

impl From<TargetKey> for Place {
    fn from(key: TargetKey) -> Self {
        let mut digest = Digest::default();
        digest.number(key.cluster.into());
        for part in [&key.namespace, &key.group, &key.kind, &key.name] {
            digest.part(part.as_bytes());
        }
        Self { hash: digest.end(), key: Arc::new(key) }
    }
}

impl From<&TargetKey> for Place {
    fn from(key: &TargetKey) -> Self {
        key.clone().into()
    }
}

impl Deref for Place {
    type Target = TargetKey;

    fn deref(&self) -> &TargetKey {
        &self.key
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        self.hash.cmp(&other.hash).then_with(|| {
            if Arc::ptr_eq(&self.key, &other.key) { Ordering::Equal } else { self.key.cmp(&other.key) }
        })
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Place {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_equal_by_their_keys() {
        let key = |name: &str| TargetKey { name: name.into(), ..TargetKey::default() };
        assert_eq!(Place::from(key("a")), Place::from(&key("a")));
        assert_ne!(Place::from(key("a")), Place::from(key("b")));
        assert_eq!(Place::from(key("a")).name, "a");
    }
}
