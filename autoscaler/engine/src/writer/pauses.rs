//! Who had no time, and for how long it is left alone: an object by itself, the server when several say so.
//!
//! One object that is refused says nothing of the others: a quota, an admission webhook or a conversion may be behind
//! it, and the next write goes to another. So each has a pause of its own, as long as the server asks for or twice as
//! long each time. The server as a whole is suspected when different objects were refused and nothing was served in
//! between: then one write at a time tries whether it has time again.

use std::collections::{BTreeMap, BTreeSet};

use super::Class;

/// Shortest pause where the server does not say how long, and the longest one of writes.
const FIRST_MS: u64 = 200;
const WRITE_MAX_MS: u64 = 5_000;
/// Longest pause of a read, of which nothing but its own object hangs.
const READ_MAX_MS: u64 = 30_000;
/// Longest pause that a server may ask for.
const ASKED_MAX_MS: u64 = 30_000;
/// So many different objects refused, with nothing served in between, are not the objects' own doing.
const SUSPECT: usize = 3;
/// How long after its end a pause is remembered, for the next one to be longer.
const REMEMBERED_MS: u64 = 30_000;

/// What pauses together: an object, or all events, each of which is an object of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane<K> {
    Events,
    Object(K),
}

impl<K> Lane<K> {
    fn of(class: Class, key: K) -> Self {
        if class == Class::Event { Self::Events } else { Self::Object(key) }
    }
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    until_ms: u64,
    next_ms: u64,
}

impl Default for Pause {
    fn default() -> Self {
        Self { until_ms: 0, next_ms: FIRST_MS }
    }
}

impl Pause {
    fn lengthen(&mut self, now_ms: u64, asked_ms: Option<u64>, most_ms: u64) {
        let pause_ms = asked_ms.map_or(self.next_ms, |ms| ms.min(ASKED_MAX_MS));
        self.until_ms = self.until_ms.max(now_ms.saturating_add(pause_ms));
        self.next_ms = self.next_ms.saturating_mul(2).min(most_ms);
    }
}

/// The pauses of one server. `K` names objects.
#[derive(Debug)]
pub(super) struct Pauses<K> {
    lanes: BTreeMap<Lane<K>, Pause>,
    server: Pause,
    /// Refused since a write was served, as far as they have to be counted.
    refused: BTreeSet<Lane<K>>,
}

impl<K> Default for Pauses<K> {
    fn default() -> Self {
        Self { lanes: BTreeMap::new(), server: Pause::default(), refused: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Pauses<K> {
    /// The server had time.
    pub(super) fn served(&mut self, class: Class, key: &K) {
        if !self.lanes.is_empty() {
            self.lanes.remove(&Lane::of(class, key.clone()));
        }
        if class != Class::Read {
            self.refused.clear();
            self.server = Pause::default();
        }
    }

    /// It had none, or did not answer; it may have said for how long.
    pub(super) fn refused(&mut self, now_ms: u64, class: Class, key: &K, asked_ms: Option<u64>) {
        self.lanes.retain(|_, pause| pause.until_ms.saturating_add(REMEMBERED_MS) > now_ms);
        let lane = Lane::of(class, key.clone());
        let most_ms = if class == Class::Read { READ_MAX_MS } else { WRITE_MAX_MS };
        self.lanes.entry(lane.clone()).or_default().lengthen(now_ms, asked_ms, most_ms);
        // Reads fail for what they read: a kind's conversion stops no write.
        if class != Class::Read {
            if !self.is_suspect() {
                self.refused.insert(lane);
            }
            if self.is_suspect() {
                self.server.lengthen(now_ms, None, WRITE_MAX_MS);
            }
        }
    }

    /// Whether the server is tried by one write at a time.
    pub(super) fn is_suspect(&self) -> bool {
        self.refused.len() >= SUSPECT
    }

    /// Until when nothing is sent.
    pub(super) fn server_ms(&self) -> u64 {
        self.server.until_ms
    }

    /// Until when this object is left alone.
    pub(super) fn object_ms(&self, class: Class, key: &K) -> u64 {
        if self.lanes.is_empty() {
            return 0;
        }
        self.lanes.get(&Lane::of(class, key.clone())).map_or(0, |pause| pause.until_ms)
    }
}
