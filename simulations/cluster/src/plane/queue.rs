//! Which object is looked at next: each once, however often it was told of, in the order in which it was told of first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tokio::time::Instant;

use crate::workloads::{Key, Kind};

/// Objects that wait to be looked at, now or at a time.
#[derive(Debug, Default)]
pub(super) struct Queue {
    now: VecDeque<(Kind, Key)>,
    waiting: BTreeSet<(Kind, Key)>,
    /// By time, and by the order in which they were put off.
    later: BTreeMap<(Instant, u64), (Kind, Key)>,
    put_off: BTreeMap<(Kind, Key), (Instant, u64)>,
    count: u64,
}

impl Queue {
    /// Something happened to it.
    pub(super) fn push(&mut self, kind: Kind, key: Key) {
        if self.waiting.insert((kind, key.clone())) {
            self.now.push_back((kind, key));
        }
    }

    /// It is to be looked at at a time, or earlier if it was put off to an earlier one.
    pub(super) fn push_at(&mut self, kind: Kind, key: Key, at: Instant) {
        let what = (kind, key);
        if let Some(there) = self.put_off.get(&what).copied() {
            if there.0 <= at {
                return;
            }
            self.later.remove(&there);
        }
        self.count += 1;
        self.put_off.insert(what.clone(), (at, self.count));
        self.later.insert((at, self.count), what);
    }

    /// The next one whose turn it is.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Kind, Key)> {
        while let Some(entry) = self.later.first_entry().filter(|e| e.key().0 <= now) {
            let what = entry.remove();
            self.put_off.remove(&what);
            self.push(what.0, what.1);
        }
        let next = self.now.pop_front()?;
        self.waiting.remove(&next);
        Some(next)
    }

    /// When the next one that was put off is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.later.keys().next().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(name: &str) -> Key {
        Key { namespace: "n".into(), name: name.into(), uid: name.into() }
    }

    #[test]
    fn each_comes_once_in_its_turn_and_when_it_is_due() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let later = |s| now + Duration::from_secs(s);
        for name in ["b", "a", "b"] {
            queue.push(Kind::Deployment, key(name));
        }
        queue.push_at(Kind::ReplicaSet, key("late"), later(5));
        queue.push_at(Kind::ReplicaSet, key("late"), later(3));
        queue.push_at(Kind::ReplicaSet, key("late"), later(9));
        let pop = |queue: &mut Queue, at| queue.pop(at).map(|(_, key)| key.name);
        assert_eq!(pop(&mut queue, now).as_deref(), Some("b"));
        queue.push(Kind::Deployment, key("b"));
        assert_eq!(pop(&mut queue, now).as_deref(), Some("a"));
        assert_eq!(pop(&mut queue, now).as_deref(), Some("b"), "it happened again after it was taken");
        assert_eq!(pop(&mut queue, now), None);
        assert_eq!(queue.due(), Some(later(3)));
        assert_eq!(pop(&mut queue, later(3)).as_deref(), Some("late"));
        assert_eq!((pop(&mut queue, later(99)), queue.due()), (None, None));
    }
}
