//! What a policy that is deleted leaves behind: with `onDelete: Restore` the replicas that its target had before it.
//!
//! ```text
//!  Restore ─► finalizer on                          deleted ─► replicas as they were ─► finalizer off ─► gone
//!  Keep    ─► finalizer off                                 └─ nothing to restore, or no way to ─┘
//! ```
//!
//! The finalizer is there so that the policy, with what its status remembers, is still there when it is deleted while
//! nobody leads. It keeps nobody waiting for what will not be: a target that is gone or another's, a write that is
//! refused, a policy that does not act, and [`LEAVE_MS`] each end it. Only the leader does any of it, through the one
//! writer.

use autoscaler_api::FINALIZER;
use autoscaler_api::conditions::{events, reasons};
use autoscaler_core::restore;

use super::writes::{Key, Payload, Sending};
use super::{Engine, Id, Timer};
use crate::board;
use crate::effect;
use crate::event::Outcome;
use crate::followed::{Followed, Leaving, Ordered};
use crate::objects::is_newer;
use crate::place::Place;
use crate::targets::Known;
use crate::told::Telling;
use crate::writer::Class;

/// How long a policy waits for its replicas to be as they were, from when a leader first sees that it is deleted.
const LEAVE_MS: u64 = 30_000;
/// How soon it is looked again.
const AGAIN_MS: u64 = 250;
/// The same where permission is missing, which does not come by itself.
const REFUSED_AGAIN_MS: u64 = 60_000;

/// What is left to do for the replicas.
enum Rest {
    /// Nothing.
    Nothing,
    /// It is not known yet.
    Wait,
    /// This.
    Write(Place, Box<effect::Scale>),
}

impl Engine {
    /// Puts the finalizer on or takes it off, if it is not as the policy asks; a policy that is deleted gets what it
    /// leaves behind.
    pub(super) fn consider_finalizer(&mut self, id: Id) {
        let Some(followed) = self.policies.get(&id) else { return };
        if followed.live.is_none() {
            return;
        }
        let is_there = followed.held.is_ours();
        if followed.held.deleting {
            if is_there {
                self.leave(id);
            }
            return;
        }
        // What cannot be understood asks for nothing new.
        let wanted = followed.terms.as_ref().map_or(is_there, |terms| terms.restores);
        if wanted != is_there {
            self.write_finalizer(id, wanted);
        }
    }

    pub(super) fn keeping_due(&mut self, id: Id) {
        if let Some(live) = self.live_mut(id) {
            live.keeping.timer = false;
            self.consider_finalizer(id);
        }
    }

    /// A policy is deleted, and this controller keeps it.
    fn leave(&mut self, id: Id) {
        let now_ms = self.now.mono_ms;
        if self.live(id).is_some_and(|live| live.keeping.leaving.is_none()) {
            self.end_evaluations(id);
            if let Some(live) = self.live_mut(id) {
                let until_ms = now_ms.saturating_add(LEAVE_MS);
                live.keeping.leaving = Some(Leaving { until_ms, sent: false, done: false });
            }
        }
        let Some(followed) = self.policies.get(&id) else { return };
        let Some(leaving) = followed.live.as_ref().and_then(|live| live.keeping.leaving.as_ref()) else {
            return;
        };
        if leaving.done {
            self.write_finalizer(id, false);
            return;
        }
        let late = now_ms >= leaving.until_ms;
        if leaving.sent && !late {
            self.look_again(id, AGAIN_MS);
            return;
        }
        match if late { Rest::Nothing } else { self.rest(followed) } {
            Rest::Wait => self.look_again(id, AGAIN_MS),
            Rest::Write(slot, scale) => self.restore(id, slot, *scale),
            Rest::Nothing => self.finish(id),
        }
    }

    /// Takes back what was to be evaluated and written.
    fn end_evaluations(&mut self, id: Id) {
        let Some(mut followed) = self.policies.remove(&id) else { return };
        let waits =
            followed.target.as_ref().map(|(place, _)| Key::Scale(place.clone())).is_some_and(|slot| {
                self.writer(followed.name.cluster).peek(&slot).is_some_and(|sending| sending.policy == id)
            });
        if let (true, Some(live)) = (waits, &mut followed.live) {
            self.discard(&followed.name, live);
        }
        self.policies.insert(id, followed);
        self.stop(id);
    }

    /// What is left to do for the replicas of a policy that is deleted.
    fn rest(&self, followed: &Followed) -> Rest {
        let (Ok(terms), Some((key, _)), Some(live)) = (&followed.terms, &followed.target, &followed.live)
        else {
            return Rest::Nothing;
        };
        let is_of = |original: &&autoscaler_api::OriginalReplicas| {
            original.kind == key.kind && original.name == key.name
        };
        let Some(original) = live.board.original.as_ref().filter(is_of).filter(|_| terms.restores) else {
            return Rest::Nothing;
        };
        if !self.is_listed(followed.name.cluster) {
            return Rest::Wait;
        }
        let (policies, autoscalers) = self.rivals.of(&followed.name, key);
        if !policies.is_empty() || !autoscalers.is_empty() {
            // Whoever scales it now knows better.
            return Rest::Nothing;
        }
        let target = match self.targets.get(key) {
            Known::Absent => return Rest::Nothing,
            Known::NotListed | Known::Unreadable(_) => return Rest::Wait,
            Known::There(target) if target.uid != original.uid => return Rest::Nothing,
            Known::There(target) => target,
        };
        let Some(to) = restore(&terms.policy, Some(original.replicas), target.spec_replicas) else {
            return Rest::Nothing;
        };
        let writer = self.writers.get(&followed.name.cluster);
        let busy = writer.is_some_and(|writer| writer.is_busy(&Key::Scale(key.clone())));
        if busy || self.targets.is_outdated(key) {
            return Rest::Wait;
        }
        match followed.scale(target, to).filter(|_| !target.resource_version.is_empty()) {
            Some(scale) => Rest::Write(key.clone(), Box::new(scale)),
            None => Rest::Nothing,
        }
    }

    /// Orders the last write.
    fn restore(&mut self, id: Id, slot: Place, scale: effect::Scale) {
        let now = self.now;
        let Some(followed) = self.policies.get_mut(&id) else { return };
        let (cluster, shard) = (followed.name.cluster, followed.shard);
        let Some(live) = &mut followed.live else { return };
        let cause = "the policy is deleted, and leaves the replicas that there were before it".to_owned();
        // No decision, so no record: what it came from is the status.
        let summary = board::summary((scale.from, scale.to), cause, &[], String::new(), now.wall_ms);
        let (cause, limited_by) = (reasons::RESTORED.to_owned(), String::new());
        live.ordered = Some(Ordered { summary, news: true, cause, limited_by });
        if let Some(leaving) = &mut live.keeping.leaving {
            leaving.sent = true;
        }
        let class = if scale.to > scale.from { Class::Raise } else { Class::Lower };
        self.push(
            cluster,
            class,
            Key::Scale(slot),
            Sending { policy: id, shard, payload: Payload::Scale(scale) },
        );
        self.look_again(id, AGAIN_MS);
    }

    /// A write of replicas ended; if it was the last one, goes on from there.
    pub(super) fn left(&mut self, id: Id, outcome: &Outcome) {
        let Some(live) = self.live_mut(id) else { return };
        // One that was busy may have been sent again.
        let again = live.ordered.is_some();
        let Some(leaving) = &mut live.keeping.leaving else { return };
        if std::mem::replace(&mut leaving.sent, again) && !again {
            match outcome {
                // Refused for good: what cannot be restored keeps nobody waiting.
                Outcome::Done { .. } | Outcome::Missing | Outcome::Refused { .. } => leaving.done = true,
                Outcome::Conflict
                | Outcome::Busy { .. }
                | Outcome::Unanswered { .. }
                | Outcome::NotLeader => {}
            }
        }
        self.consider_finalizer(id);
    }

    /// Nothing is left to do for the replicas.
    fn finish(&mut self, id: Id) {
        let Some(followed) = self.policies.get_mut(&id) else { return };
        let (cluster, target) = (followed.name.cluster, followed.target.clone());
        let leaving = followed.live.as_mut().and_then(|live| live.keeping.leaving.as_mut());
        let Some(leaving) = leaving else { return };
        let waits = std::mem::take(&mut leaving.sent);
        leaving.done = true;
        if let (true, Some((place, _))) = (waits, target) {
            // It never had its turn.
            self.writer(cluster).cancel(&Key::Scale(place));
        }
        self.write_finalizer(id, false);
    }

    fn write_finalizer(&mut self, id: Id, put: bool) {
        let now_ms = self.now.mono_ms;
        let Some(followed) = self.policies.get(&id) else { return };
        let Some(live) = &followed.live else { return };
        let (cluster, shard, key) = (followed.name.cluster, followed.shard, Key::Finalizers(id));
        if now_ms < live.keeping.wait_until_ms {
            self.look_again(id, live.keeping.wait_until_ms.saturating_sub(now_ms));
            return;
        }
        let others = followed.held.finalizers.iter().filter(|finalizer| *finalizer != FINALIZER).cloned();
        let finalizers = effect::Finalizers {
            policy: followed.name.clone(),
            uid: followed.uid.clone(),
            resource_version: followed.held.resource_version.clone(),
            finalizers: others.chain(put.then(|| FINALIZER.to_owned())).collect(),
        };
        // One in flight looks again when it ends; one that waits is replaced.
        if !self.writer(cluster).is_busy(&key) {
            let payload = Payload::Finalizers(finalizers);
            self.push(cluster, Class::Status, key, Sending { policy: id, shard, payload });
        }
    }

    pub(super) fn finalizers_done(&mut self, id: Id, written: effect::Finalizers, outcome: Outcome) {
        let now_ms = self.now.mono_ms;
        let Some(followed) = self.policies.get_mut(&id) else { return };
        let mut refused = None;
        let wait_ms = match outcome {
            Outcome::Done { resource_version } => {
                if let Some(version) = resource_version
                    && is_newer(&version, &followed.held.resource_version)
                {
                    followed.held.resource_version = version;
                    followed.held.finalizers = written.finalizers;
                }
                0
            }
            Outcome::Missing | Outcome::NotLeader => return,
            Outcome::Conflict => AGAIN_MS,
            Outcome::Busy { retry_after_ms, .. } | Outcome::Unanswered { retry_after_ms, .. } => {
                retry_after_ms.unwrap_or(AGAIN_MS).clamp(AGAIN_MS, LEAVE_MS)
            }
            Outcome::Refused { message, .. } => {
                refused = Some(message);
                REFUSED_AGAIN_MS
            }
        };
        let Some(live) = &mut followed.live else { return };
        live.keeping.wait_until_ms = now_ms.saturating_add(wait_ms);
        let first = refused.is_some() && !std::mem::replace(&mut live.keeping.refused, refused.is_some());
        if let Some(message) = refused.filter(|_| first) {
            let note = format!(
                "the finalizer that onDelete: Restore needs could not be changed: {message}; permit the controller to \
                 patch scalingpolicies"
            );
            let reason = events::FAILED_UPDATE_FINALIZER.to_owned();
            self.publish(
                id,
                Telling { warning: true, reason, note: crate::text::clip(&note, crate::text::NOTE_MAX) },
            );
        }
        self.consider_finalizer(id);
    }

    fn look_again(&mut self, id: Id, after_ms: u64) {
        let at_ms = self.now.mono_ms.saturating_add(after_ms);
        let Some(live) = self.live_mut(id) else { return };
        if !std::mem::replace(&mut live.keeping.timer, true) {
            self.timers.set(at_ms, Timer::Keeping(id));
        }
    }
}
