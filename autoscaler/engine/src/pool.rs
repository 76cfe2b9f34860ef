//! Which query may start now: slots per querier and per policy, and turns.
//!
//! ```text
//!            ┌ querier "" ──────────────────────────────────────┐
//!  web   ■■  │ well      web → queue → api → …   at least half  │
//!  queue ■   │ suspect   slow → …                at most half   │──► the next query, if there is a slot for it
//!  slow  ■■■■│ slots     ●●●●●●○○                               │
//!            └──────────────────────────────────────────────────┘
//! ```
//!
//! Invariants:
//! - queriers share nothing: one that hangs takes no slot of another;
//! - a policy has at most its own slots, and only one while its queries end by their deadlines; such policies
//!   together have at most half of a querier's slots, and always one if it has several;
//! - within a class policies take turns, one query each; what a policy asks first starts first;
//! - what waits is bounded. A deadline runs from the start, so waiting costs a query nothing of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What the pool may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Queries under way at one querier.
    pub slots: u32,
    /// Of these, for one policy; at all queriers together it may use twice as many.
    pub slots_per_policy: u32,
    /// Queries that may wait for one querier.
    pub waiting_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { slots: 64, slots_per_policy: 4, waiting_max: 100_000 }
    }
}

/// How a query ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was answered, if only by an error.
    Answered,
    /// Its deadline passed.
    TimedOut,
}

/// What a waiting query waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Its policy's own slots are taken.
    Own,
    /// The querier's slots are taken.
    Querier,
}

/// Whoever asks.
type Owner = u32;

/// Decides which query may start.
#[derive(Debug)]
pub struct Pool {
    limits: Limits,
    queriers: BTreeMap<Arc<str>, Querier>,
    /// Everything waiting or under way.
    asked: BTreeMap<u64, Asked>,
    /// What policies use at all queriers together: every source of a policy's own is another querier.
    in_all: BTreeMap<Owner, InAll>,
}

#[derive(Debug, Default)]
struct InAll {
    used: u32,
    /// Where it has something waiting or under way, or had lately.
    at: Vec<Arc<str>>,
}

#[derive(Debug)]
struct Asked {
    querier: Arc<str>,
    owner: Owner,
    weight: u32,
    under_way: bool,
}

#[derive(Debug, Default)]
struct Querier {
    used: u32,
    used_by_suspects: u32,
    waiting: usize,
    owners: BTreeMap<Owner, Asker>,
    /// Whose turn it is: among the well ones, among the suspects.
    well: VecDeque<Owner>,
    suspects: VecDeque<Owner>,
}

#[derive(Debug, Default)]
struct Asker {
    waiting: VecDeque<(u64, u32)>,
    under_way: Vec<u64>,
    used: u32,
    /// Its last query that ended did so by its deadline.
    suspect: bool,
    /// How many of its slots count as suspects'.
    used_as_suspect: u32,
    /// In one of the turns.
    in_turn: bool,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, queriers: BTreeMap::new(), asked: BTreeMap::new(), in_all: BTreeMap::new() }
    }

    /// Takes a query in; `false`: too many wait already. A query weighs at most what its policy may use.
    #[must_use]
    pub fn push(&mut self, querier: &str, owner: Owner, id: u64, weight: u32) -> bool {
        let most = self.limits.slots_per_policy.min(self.limits.slots).max(1);
        let weight = weight.clamp(1, most);
        let querier = match self.queriers.get_key_value(querier) {
            Some((known, _)) => known.clone(),
            None => Arc::from(querier),
        };
        let at = self.queriers.entry(querier.clone()).or_default();
        if at.waiting >= self.limits.waiting_max {
            return false;
        }
        at.waiting += 1;
        at.owners.entry(owner).or_default().waiting.push_back((id, weight));
        at.queue(owner);
        let in_all = self.in_all.entry(owner).or_default();
        if !in_all.at.contains(&querier) {
            in_all.at.push(querier.clone());
        }
        self.asked.insert(id, Asked { querier, owner, weight, under_way: false });
        true
    }

    /// The next query that may start; it counts as started.
    pub fn start(&mut self) -> Option<u64> {
        let limits = self.limits;
        let most = limits.slots_per_policy.saturating_mul(2);
        let in_all = &self.in_all;
        let has_room = |owner: Owner, weight: u32| {
            let used = in_all.get(&owner).map_or(0, |a| a.used);
            used == 0 || used.saturating_add(weight) <= most
        };
        let id = self.queriers.values_mut().find_map(|q| q.next(limits, &has_room))?;
        if let Some(asked) = self.asked.get_mut(&id) {
            asked.under_way = true;
            let in_all = self.in_all.entry(asked.owner).or_default();
            in_all.used = in_all.used.saturating_add(asked.weight);
        }
        Some(id)
    }

    /// A query ended; `false` if it was not under way.
    pub fn done(&mut self, id: u64, ended: Ended) -> bool {
        if !self.asked.get(&id).is_some_and(|a| a.under_way) {
            return false;
        }
        let Some(asked) = self.asked.remove(&id) else { return false };
        if let Some(querier) = self.queriers.get_mut(&asked.querier) {
            querier.release(asked.owner, asked.weight);
            if let Some(asker) = querier.owners.get_mut(&asked.owner) {
                asker.under_way.retain(|other| *other != id);
                asker.suspect = ended == Ended::TimedOut;
            }
            querier.queue(asked.owner);
            querier.tidy(asked.owner);
        }
        self.give_back(&asked);
        true
    }

    /// What a query used is there for others of its policy, at whichever querier.
    fn give_back(&mut self, asked: &Asked) {
        let Some(in_all) = self.in_all.get_mut(&asked.owner) else { return };
        in_all.used = in_all.used.saturating_sub(asked.weight);
        in_all.at.retain(|at| self.queriers.get(at).is_some_and(|q| q.owners.contains_key(&asked.owner)));
        for at in &in_all.at {
            if let Some(querier) = self.queriers.get_mut(at).filter(|_| *at != asked.querier) {
                querier.queue(asked.owner);
            }
        }
        if in_all.at.is_empty() && in_all.used == 0 {
            self.in_all.remove(&asked.owner);
        }
    }

    /// Takes back what a policy still has waiting.
    pub fn drop_waiting(&mut self, owner: Owner) -> Vec<(u64, Hold)> {
        let limits = self.limits;
        let mut dropped = Vec::new();
        for querier in self.queriers.values_mut() {
            let full = querier.used >= limits.slots;
            let Some(asker) = querier.owners.get_mut(&owner) else { continue };
            let hold = if asker.used > 0 && !full { Hold::Own } else { Hold::Querier };
            querier.waiting = querier.waiting.saturating_sub(asker.waiting.len());
            dropped.extend(asker.waiting.drain(..).map(|(id, _)| (id, hold)));
            querier.tidy(owner);
        }
        for (id, _) in &dropped {
            self.asked.remove(id);
        }
        dropped
    }

    /// Forgets a policy; gives its queries, those under way first. Nobody waits for them any more.
    pub fn remove(&mut self, owner: Owner) -> (Vec<u64>, Vec<u64>) {
        let waiting = self.drop_waiting(owner).into_iter().map(|(id, _)| id).collect();
        let askers = self.queriers.values_mut().filter_map(|q| q.owners.get_mut(&owner));
        let under_way: Vec<u64> = askers.flat_map(|a| std::mem::take(&mut a.under_way)).collect();
        for id in &under_way {
            self.done(*id, Ended::Answered);
        }
        for querier in self.queriers.values_mut() {
            querier.owners.remove(&owner);
        }
        self.in_all.remove(&owner);
        self.queriers.retain(|_, q| !q.owners.is_empty());
        (under_way, waiting)
    }

    /// Queries waiting and under way.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        let waiting = self.queriers.values().map(|q| q.waiting).sum();
        (waiting, self.asked.len().saturating_sub(waiting))
    }
}

impl Querier {
    /// Puts whoever has something waiting in its turn.
    fn queue(&mut self, owner: Owner) {
        let Some(asker) = self.owners.get_mut(&owner) else { return };
        if asker.in_turn || asker.waiting.is_empty() {
            return;
        }
        asker.in_turn = true;
        if asker.suspect { self.suspects.push_back(owner) } else { self.well.push_back(owner) }
    }

    fn next(&mut self, limits: Limits, has_room: &dyn Fn(Owner, u32) -> bool) -> Option<u64> {
        let most = limits.slots / 2;
        let sure = (limits.slots / 8).max(1).min(most);
        let suspects_first = self.used_by_suspects < sure;
        if suspects_first && let Some(id) = self.turn(true, limits, has_room) {
            return Some(id);
        }
        self.turn(false, limits, has_room).or_else(|| self.turn(true, limits, has_room))
    }

    /// Starts the query of whoever's turn it is in a class.
    fn turn(&mut self, suspects: bool, limits: Limits, has_room: &dyn Fn(Owner, u32) -> bool) -> Option<u64> {
        // Without room for a suspect beside others, it has the only slot like anybody else.
        let room = if suspects { (limits.slots / 2).max(1) } else { limits.slots };
        loop {
            let list = if suspects { &mut self.suspects } else { &mut self.well };
            let owner = *list.front()?;
            let Some(asker) = self.owners.get_mut(&owner) else {
                list.pop_front();
                continue;
            };
            let Some((id, weight)) = asker.waiting.front().copied() else {
                asker.in_turn = false;
                list.pop_front();
                continue;
            };
            if asker.suspect != suspects {
                // It changed class since it was queued.
                list.pop_front();
                let other = if suspects { &mut self.well } else { &mut self.suspects };
                other.push_back(owner);
                continue;
            }
            let own = if suspects { weight } else { limits.slots_per_policy.max(weight) };
            if asker.used.saturating_add(weight) > own || !has_room(owner, weight) {
                // Queued again when one of its own ends.
                asker.in_turn = false;
                list.pop_front();
                continue;
            }
            let used_by_class = if suspects { self.used_by_suspects } else { 0 };
            let fits = self.used.saturating_add(weight) <= limits.slots.max(weight)
                && used_by_class.saturating_add(weight) <= room.max(weight);
            if !fits {
                return None;
            }
            list.pop_front();
            asker.waiting.pop_front();
            asker.under_way.push(id);
            self.waiting = self.waiting.saturating_sub(1);
            asker.used = asker.used.saturating_add(weight);
            self.used = self.used.saturating_add(weight);
            if suspects {
                asker.used_as_suspect = asker.used_as_suspect.saturating_add(weight);
                self.used_by_suspects = self.used_by_suspects.saturating_add(weight);
            }
            asker.in_turn = false;
            self.queue(owner);
            return Some(id);
        }
    }

    fn release(&mut self, owner: Owner, weight: u32) {
        self.used = self.used.saturating_sub(weight);
        let Some(asker) = self.owners.get_mut(&owner) else { return };
        asker.used = asker.used.saturating_sub(weight);
        let as_suspect = asker.used_as_suspect.min(weight);
        asker.used_as_suspect = asker.used_as_suspect.saturating_sub(as_suspect);
        self.used_by_suspects = self.used_by_suspects.saturating_sub(as_suspect);
    }

    /// Forgets who has nothing here, but for what is held against it.
    fn tidy(&mut self, owner: Owner) {
        let idle = |a: &Asker| a.waiting.is_empty() && a.used == 0 && !a.suspect && !a.in_turn;
        if self.owners.get(&owner).is_some_and(idle) {
            self.owners.remove(&owner);
        }
    }
}

#[cfg(test)]
mod tests;
