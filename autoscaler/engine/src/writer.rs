//! The one writer of a cluster: what may be sent to its API server now, and in which order. Targets that no watch tells
//! of are read through it too, so that what fails and is repeated takes nothing from what is written.
//!
//! ```text
//!   raise  ▐ web 4→9                  ┐
//!   lower  ▐ queue 9→7, ring          │ newer replaces older of the same object       tokens ○○○●●  in flight ≤ n
//!   read   ▐ cache                    │ one that was refused rests by itself
//!   status ▐ web, api                 ├──────────────────────────────────────────────►──────────────► send
//!   event  ▐ …                        │ one in flight an object
//!   refresh▐ …                        ┘
//! ```
//!
//! Invariants:
//! - a raise never waits for anything else, a lowering only for raises; reads, statuses, events and refreshed statuses
//!   together have at most half of what may be in flight, so that a slow API server keeps no replicas from rising; reads
//!   have a quarter, so that those that hang keep no status from being written;
//! - one write in flight an object; one that waits is the newest;
//! - not more than the bucket allows, on average;
//! - an object that the server has no time for is left alone for as long as it says, or for a pause that doubles; all
//!   of them only once several were refused in a row ([`pauses`]).

mod pauses;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pauses::Pauses;

/// What the writer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Writes a second, in the long run.
    pub per_second: u32,
    /// Writes at once after a quiet time.
    pub burst: u32,
    /// Writes in flight.
    pub in_flight: u32,
    /// Events that may wait; more are dropped.
    pub events_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_second: 100, burst: 200, in_flight: 32, events_max: 1_000 }
    }
}

/// How urgent a write is; the first is the most urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// More replicas.
    Raise,
    /// Fewer replicas, or a hashring.
    Lower,
    /// A target as it is now.
    Read,
    /// A status that says something new.
    Status,
    /// An event.
    Event,
    /// A status whose numbers drifted.
    Refresh,
}

const CLASSES: [Class; 6] =
    [Class::Raise, Class::Lower, Class::Read, Class::Status, Class::Event, Class::Refresh];

impl Class {
    fn is_urgent(self) -> bool {
        self <= Self::Lower
    }
}

/// A write that may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start<K, W> {
    /// Its number.
    pub id: u64,
    /// The object.
    pub key: K,
    /// What to write.
    pub write: W,
}

/// How a write ended, as far as the next ones are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The server had time for it.
    Served,
    /// It had none, or did not answer; it may have said when to come back.
    Busy {
        /// In milliseconds.
        retry_after_ms: Option<u64>,
    },
}

/// Decides what may be sent. `K` names objects, `W` is what is written.
#[derive(Debug)]
pub struct Writer<K, W> {
    limits: Limits,
    /// Thousandths of a write that may be sent.
    tokens_milli: u64,
    filled_ms: u64,
    waiting: BTreeMap<K, (Class, W)>,
    /// By class, in the order in which they came; entries whose write moved on are skipped.
    order: [VecDeque<K>; CLASSES.len()],
    /// What has an entry in the order, which so has at most one.
    queued: BTreeSet<(Class, K)>,
    /// What is out of the order until then, since its object rests.
    resting: BTreeSet<(u64, Class, K)>,
    pauses: Pauses<K>,
    in_flight: BTreeMap<u64, (K, Class)>,
    busy: BTreeSet<K>,
    events: usize,
}

impl<K: Ord + Clone, W> Writer<K, W> {
    /// A writer with nothing to do and a full bucket.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            tokens_milli: u64::from(limits.burst.max(1)).saturating_mul(1_000),
            limits,
            filled_ms: 0,
            waiting: BTreeMap::new(),
            order: Default::default(),
            queued: BTreeSet::new(),
            resting: BTreeSet::new(),
            pauses: Pauses::default(),
            in_flight: BTreeMap::new(),
            busy: BTreeSet::new(),
            events: 0,
        }
    }

    /// Wants something written; what waited for the same object is replaced. `false`: an event too many.
    pub fn push(&mut self, class: Class, key: K, write: W) -> bool {
        if class == Class::Event {
            if self.events >= self.limits.events_max {
                return false;
            }
            self.events += 1;
        }
        let before = self.waiting.insert(key.clone(), (class, write));
        // What keeps its class keeps its place.
        if before.is_none_or(|(c, _)| c != class) {
            self.queue(class, key);
        }
        true
    }

    /// Takes back what waits for an object.
    pub fn cancel(&mut self, key: &K) -> Option<W> {
        let (class, write) = self.waiting.remove(key)?;
        if class == Class::Event {
            self.events = self.events.saturating_sub(1);
        }
        Some(write)
    }

    /// Takes back whatever is no longer wanted.
    pub fn retain(&mut self, wanted: impl Fn(&K, &W) -> bool) {
        let gone: Vec<K> =
            self.waiting.iter().filter(|(k, (_, w))| !wanted(k, w)).map(|(k, _)| k.clone()).collect();
        for key in gone {
            self.cancel(&key);
        }
    }

    /// Whether a write to this object is in flight.
    #[must_use]
    pub fn is_busy(&self, key: &K) -> bool {
        self.busy.contains(key)
    }

    /// What waits for this object.
    #[must_use]
    pub fn peek(&self, key: &K) -> Option<&W> {
        self.waiting.get(key).map(|(_, write)| write)
    }

    /// The class in which something waits for this object.
    #[must_use]
    pub fn waits(&self, key: &K) -> Option<Class> {
        self.waiting.get(key).map(|(class, _)| *class)
    }

    /// The next write, as number `id`; it counts as sent.
    pub fn next(&mut self, now_ms: u64, id: u64) -> Option<Start<K, W>> {
        self.fill(now_ms);
        self.wake(now_ms);
        if now_ms < self.pauses.server_ms() || self.tokens_milli < 1_000 {
            return None;
        }
        let (class, key) = CLASSES.into_iter().find_map(|class| Some((class, self.first(now_ms, class)?)))?;
        let (_, write) = self.waiting.remove(&key)?;
        if class == Class::Event {
            self.events = self.events.saturating_sub(1);
        }
        self.tokens_milli = self.tokens_milli.saturating_sub(1_000);
        self.busy.insert(key.clone());
        self.in_flight.insert(id, (key.clone(), class));
        Some(Start { id, key, write })
    }

    /// A write ended; gives its object, unless it was not in flight.
    pub fn done(&mut self, now_ms: u64, id: u64, ended: Ended) -> Option<K> {
        let (key, class) = self.in_flight.remove(&id)?;
        self.busy.remove(&key);
        match ended {
            Ended::Served => self.pauses.served(class, &key),
            Ended::Busy { retry_after_ms } => self.pauses.refused(now_ms, class, &key, retry_after_ms),
        }
        if let Some((class, _)) = self.waiting.get(&key) {
            let class = *class;
            self.queue(class, key.clone());
        }
        Some(key)
    }

    /// When something that waits may be sent, should nothing end before; `None`: nothing can.
    #[must_use]
    pub fn next_ms(&self, now_ms: u64) -> Option<u64> {
        let due = |class: &Class, key: &K| self.has_room(*class) && self.is_due(*class, key);
        // Events pause together: one that was refused later may have lengthened the pause of those that rest.
        let mut rested: Option<u64> = None;
        for (until_ms, class, key) in &self.resting {
            if rested.is_some_and(|ms| ms <= *until_ms) {
                break;
            }
            if due(class, key) {
                let ms = self.pauses.object_ms(*class, key).max(*until_ms);
                rested = Some(rested.map_or(ms, |before| before.min(ms)));
            }
        }
        let ordered =
            || CLASSES.iter().flat_map(|class| self.order_ref(*class).iter().map(move |key| (class, key)));
        let mut ordered = ordered().filter(|(class, key)| due(class, key));
        let ordered_ms = ordered.next().map(|(class, key)| {
            // Most often the first may go now, and the rest need not be looked at.
            let rests_ms = |class: &Class, key: &K| self.pauses.object_ms(*class, key);
            let first_ms = rests_ms(class, key);
            let earlier =
                ordered.take_while(|_| first_ms > now_ms).map(|(class, key)| rests_ms(class, key)).min();
            earlier.map_or(first_ms, |ms| ms.min(first_ms))
        });
        let ready_ms = [rested, ordered_ms].into_iter().flatten().min()?;
        let missing_milli = 1_000_u64.saturating_sub(self.tokens_milli);
        let rate = u64::from(self.limits.per_second.max(1));
        let filled_ms = self.filled_ms.saturating_add(missing_milli.div_ceil(rate));
        Some(filled_ms.max(self.pauses.server_ms()).max(ready_ms).max(now_ms))
    }

    /// Until when this object, or the whole server, is left alone.
    #[must_use]
    pub fn paused_until_ms(&self, class: Class, key: &K) -> u64 {
        self.pauses.server_ms().max(self.pauses.object_ms(class, key))
    }

    /// Writes waiting and in flight.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        (self.waiting.len(), self.in_flight.len())
    }

    fn fill(&mut self, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.filled_ms);
        self.filled_ms = self.filled_ms.max(now_ms);
        let most = u64::from(self.limits.burst.max(1)).saturating_mul(1_000);
        let more = passed_ms.saturating_mul(u64::from(self.limits.per_second.max(1)));
        self.tokens_milli = self.tokens_milli.saturating_add(more).min(most);
    }

    /// Whether this key's entry in this class's order still stands for something that can be sent.
    fn is_due(&self, class: Class, key: &K) -> bool {
        self.waiting.get(key).is_some_and(|(c, _)| *c == class) && !self.busy.contains(key)
    }

    fn has_room(&self, class: Class) -> bool {
        let most = self.limits.in_flight.max(1) as usize;
        if self.in_flight.len() >= most {
            return false;
        }
        let under_way =
            |counts: fn(Class) -> bool| self.in_flight.values().filter(|(_, c)| counts(*c)).count();
        let reads = under_way(|c| c == Class::Read);
        if class == Class::Read && reads >= most.div_ceil(4) {
            return false;
        }
        if class != Class::Read && self.pauses.is_suspect() && self.in_flight.len() > reads {
            return false;
        }
        class.is_urgent() || under_way(|c| !c.is_urgent()) < most.div_ceil(2)
    }

    /// Takes the first that can be sent out of a class's order.
    fn first(&mut self, now_ms: u64, class: Class) -> Option<K> {
        if !self.has_room(class) {
            return None;
        }
        loop {
            let key = self.order_of(class).pop_front()?;
            self.queued.remove(&(class, key.clone()));
            // Of one that is in flight, the end puts the next in order again.
            if !self.is_due(class, &key) {
                continue;
            }
            let until_ms = self.pauses.object_ms(class, &key);
            if until_ms <= now_ms {
                return Some(key);
            }
            self.resting.insert((until_ms, class, key));
        }
    }

    /// Puts what has rested in order again.
    fn wake(&mut self, now_ms: u64) {
        while self.resting.first().is_some_and(|(until_ms, _, _)| *until_ms <= now_ms) {
            let Some((_, class, key)) = self.resting.pop_first() else { return };
            self.queue(class, key);
        }
    }

    fn queue(&mut self, class: Class, key: K) {
        if self.queued.insert((class, key.clone())) {
            self.order_of(class).push_back(key);
        }
    }

    fn order_of(&mut self, class: Class) -> &mut VecDeque<K> {
        let [raise, lower, read, status, event, refresh] = &mut self.order;
        match class {
            Class::Raise => raise,
            Class::Lower => lower,
            Class::Read => read,
            Class::Status => status,
            Class::Event => event,
            Class::Refresh => refresh,
        }
    }

    fn order_ref(&self, class: Class) -> &VecDeque<K> {
        let [raise, lower, read, status, event, refresh] = &self.order;
        match class {
            Class::Raise => raise,
            Class::Lower => lower,
            Class::Read => read,
            Class::Status => status,
            Class::Event => event,
            Class::Refresh => refresh,
        }
    }
}

#[cfg(test)]
mod tests;
