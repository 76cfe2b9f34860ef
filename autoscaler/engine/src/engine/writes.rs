//! Writes: what is sent, and what became of it.

use autoscaler_api::conditions::{events, reasons, types};

use super::{Engine, Id, Timer};
use crate::effect::{self, Effect, Note, Scaled, What, Write};
use crate::event::Outcome;
use crate::followed::{Live, Ordered};
use crate::objects::{ClusterId, Name, TargetKey};
use crate::place::Place;
use crate::said::{Said, say};
use crate::writer::{Class, Ended, Writer};

/// How much longer than its deadline a write may stay without a word.
const SILENCE_MS: u64 = 1_000;

/// An object that is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Scale(Place),
    /// Not written but read.
    Read(Place),
    Ring(Name),
    Status(Id),
    Event(u64),
    Finalizers(Id),
}

/// A write that waits.
#[derive(Debug)]
pub(super) struct Sending {
    pub policy: Id,
    pub shard: u16,
    pub payload: Payload,
}

/// What is written; a status is made when it is sent.
#[derive(Debug)]
pub(super) enum Payload {
    Scale(effect::Scale),
    Ring {
        ring: effect::Ring,
        told: String,
    },
    /// Nothing: it is read.
    Read(Place),
    Status,
    Event(Note),
    Finalizers(effect::Finalizers),
}

/// A write in flight.
#[derive(Debug)]
pub(super) struct Sent {
    pub cluster: ClusterId,
    pub shard: u16,
    pub policy: Id,
    pub payload: Payload,
}

impl Engine {
    pub(super) fn writer(&mut self, cluster: ClusterId) -> &mut Writer<Key, Sending> {
        let limits = self.config.writer;
        self.writers.entry(cluster).or_insert_with(|| Writer::new(limits))
    }

    pub(super) fn push(&mut self, cluster: ClusterId, class: Class, key: Key, sending: Sending) {
        if !self.writer(cluster).push(class, key, sending) {
            self.counters.events_dropped = self.counters.events_dropped.saturating_add(1);
        }
    }

    /// A decision that was recorded for nothing new comes to nothing.
    pub(super) fn discard(&mut self, policy: &Name, live: &mut Live) {
        if let Some(ordered) = live.ordered.take() {
            self.discard_order(policy, &ordered);
        }
    }

    fn discard_order(&mut self, policy: &Name, ordered: &Ordered) {
        if !ordered.news && !ordered.summary.digest.is_empty() {
            let (policy, digest) = (policy.clone(), ordered.summary.digest.clone());
            self.out.push(Effect::Discard { policy, digest });
        }
    }

    /// Sends whatever budgets and fences allow.
    pub(super) fn send_writes(&mut self) {
        let clusters: Vec<ClusterId> = self.writers.keys().copied().collect();
        for cluster in clusters {
            loop {
                let id = self.next_number();
                let now_ms = self.now.mono_ms;
                let Some(start) = self.writer(cluster).next(now_ms, id) else { break };
                let Sending { policy, shard, payload } = start.write;
                if let Payload::Read(key) = payload {
                    self.send_read(id, key);
                    continue;
                }
                let until = self.shards.until((cluster, shard), now_ms);
                let what = until.and_then(|_| self.what(policy, &payload));
                let (Some(valid_until_ms), Some(what)) = (until, what) else {
                    self.writer(cluster).done(now_ms, id, Ended::Served);
                    continue;
                };
                self.counters.writes = self.counters.writes.saturating_add(1);
                let most_ms = self.config.write_timeout_ms.saturating_add(SILENCE_MS);
                self.timers.set(now_ms.saturating_add(most_ms), Timer::Write(id));
                self.sent.insert(id, Sent { cluster, shard, policy, payload });
                self.out.push(Effect::Write(Box::new(Write { id, shard, valid_until_ms, what })));
            }
        }
    }

    fn what(&mut self, policy: Id, payload: &Payload) -> Option<What> {
        Some(match payload {
            Payload::Scale(scale) => What::Scale(scale.clone()),
            Payload::Ring { ring, .. } => What::Ring(ring.clone()),
            Payload::Event(note) => What::Event(note.clone()),
            Payload::Finalizers(finalizers) => What::Finalizers(finalizers.clone()),
            Payload::Read(_) => return None,
            Payload::Status => What::Status(self.render(policy)?),
        })
    }

    /// Whoever sends a write owes a word; without one it counts as unanswered.
    pub(super) fn write_overdue(&mut self, write: u64) {
        if self.sent.contains_key(&write) {
            let message = "the executor gave no answer".to_owned();
            self.done(write, Outcome::Unanswered { retry_after_ms: None, message });
        }
    }

    pub(super) fn done(&mut self, write: u64, outcome: Outcome) {
        let Some(sent) = self.sent.remove(&write) else {
            self.counters.late = self.counters.late.saturating_add(1);
            return;
        };
        let ended = match &outcome {
            Outcome::Busy { retry_after_ms, .. } | Outcome::Unanswered { retry_after_ms, .. } => {
                Ended::Busy { retry_after_ms: *retry_after_ms }
            }
            _ => Ended::Served,
        };
        let now_ms = self.now.mono_ms;
        self.writer(sent.cluster).done(now_ms, write, ended);
        match sent.payload {
            Payload::Scale(scale) => self.scale_done(sent.policy, sent.shard, scale, outcome),
            Payload::Ring { told, .. } => self.ring_done(sent.policy, told, &outcome),
            Payload::Read(_) => {}
            Payload::Status => {
                if let Some(live) = self.live_mut(sent.policy) {
                    live.board.ended(matches!(outcome, Outcome::Done { .. }));
                }
                self.consider_status(sent.policy);
            }
            Payload::Finalizers(finalizers) => self.finalizers_done(sent.policy, finalizers, outcome),
            // The API server had no time for it: it is told later, when events are let through again. Else it is lost:
            // events are not worth more.
            Payload::Event(note) => {
                if matches!(outcome, Outcome::Busy { .. }) && self.policies.contains_key(&sent.policy) {
                    let (policy, shard) = (sent.policy, sent.shard);
                    let key = Key::Event(self.next_number());
                    let payload = Payload::Event(note);
                    self.push(sent.cluster, Class::Event, key, Sending { policy, shard, payload });
                }
            }
        }
    }

    fn scale_done(&mut self, id: Id, shard: u16, scale: effect::Scale, outcome: Outcome) {
        let now = self.now;
        let key = Place::from(&scale.target);
        match &outcome {
            Outcome::Done { resource_version } => {
                self.targets.written(&key, scale.to, resource_version.clone());
            }
            Outcome::Conflict | Outcome::Missing | Outcome::Unanswered { .. } => self.targets.outdated(&key),
            Outcome::Refused { .. } | Outcome::Busy { .. } | Outcome::NotLeader => {}
        }
        if self.targets.is_outdated(&key) {
            let at_ms = now.mono_ms.saturating_add(self.config.reread_after_ms);
            self.timers.set(at_ms, Timer::Target(key.clone()));
        }
        let Some(mut followed) = self.policies.remove(&id) else { return };
        let (generation, name) = (followed.generation, followed.name.clone());
        let Some(live) = &mut followed.live else {
            self.policies.insert(id, followed);
            return;
        };
        let ordered = live.ordered.take();
        let ended = effect_of(&outcome);
        let mut telling = None;
        if let Some(ordered) = &ordered {
            self.out.push(Effect::Scaled(Box::new(Scaled {
                policy: name.clone(),
                from: scale.from,
                to: scale.to,
                ended,
                cause: ordered.cause.clone(),
                limited_by: ordered.limited_by.clone(),
            })));
        }
        let said = match &outcome {
            Outcome::Done { .. } => {
                live.unanswered = None;
                let history = &mut live.input.history;
                history.record_written(&live.input.policy, now.wall_ms, scale.from, scale.to);
                if let Some(ordered) = &ordered {
                    let cause = ordered.summary.cause.clone();
                    live.board.scaled(ordered.summary.clone());
                    telling = live.told.scaled(scale.from, scale.to, &cause, now.mono_ms);
                }
                let message = format!("the controller was able to update the target scale to {}", scale.to);
                Some(Said::new(types::ABLE_TO_SCALE, true, reasons::SUCCEEDED_RESCALE, message))
            }
            Outcome::Conflict => {
                let message = "the target changed while it was decided on; it is decided anew as soon as the change \
                               is seen";
                Some(Said::new(types::ABLE_TO_SCALE, true, reasons::SCALE_CONFLICT, message))
            }
            Outcome::Busy { message, .. } => {
                let message = format!("the API server has no time for a write: {message}; it is tried again");
                Some(Said::new(types::ABLE_TO_SCALE, true, reasons::SCALE_DELAYED, message))
            }
            Outcome::NotLeader => None,
            Outcome::Missing => Some(failed(&key, "it is not there any more")),
            Outcome::Refused { message, .. } => Some(failed(&key, message)),
            Outcome::Unanswered { message, .. } => {
                live.unanswered.clone_from(&ordered);
                Some(failed(&key, message))
            }
        };
        let changed = say(&mut live.board.conditions, said.into_iter().collect(), generation, now.wall_ms);
        let again = std::mem::take(&mut live.after_write) && matches!(outcome, Outcome::Done { .. });
        let came_to_nothing = !matches!(outcome, Outcome::Done { .. } | Outcome::Unanswered { .. });
        // A raise was right and is sent again unless something newer waits; a lowering is decided anew. Of a policy that
        // is deleted only its last write is wanted.
        let overtaken = live.keeping.leaving.as_ref().is_some_and(|leaving| !leaving.sent);
        let raise = matches!(outcome, Outcome::Busy { .. }) && scale.to > scale.from && !overtaken;
        let slot = Key::Scale(key);
        let raise = raise && ordered.is_some() && self.writer(name.cluster).waits(&slot).is_none();
        if raise && let Some(live) = &mut followed.live {
            live.ordered = ordered;
            let sending = Sending { policy: id, shard, payload: Payload::Scale(scale) };
            self.push(name.cluster, Class::Raise, slot.clone(), sending);
        } else if came_to_nothing && let Some(ordered) = &ordered {
            self.discard_order(&name, ordered);
        }
        let lowering = matches!(outcome, Outcome::Busy { .. }) && !raise;
        self.policies.insert(id, followed);
        if let Some(telling) = telling {
            self.publish(id, telling);
        }
        self.tell(id, &changed);
        self.consider_status(id);
        if again {
            self.hurry(id);
        }
        if lowering {
            self.evaluate_after_pause(id, name.cluster, &slot);
        }
        self.left(id, &outcome);
    }

    /// Decides anew when the API server may be asked again, if that is before the policy is due.
    fn evaluate_after_pause(&mut self, id: Id, cluster: ClusterId, slot: &Key) {
        let paused_ms = self.writer(cluster).paused_until_ms(Class::Lower, slot);
        let at_ms = paused_ms.max(self.now.mono_ms.saturating_add(1));
        let Some(live) = self.live_mut(id) else { return };
        if at_ms < live.due_ms {
            live.due_ms = at_ms;
            self.timers.set(at_ms, Timer::Policy(id));
        }
    }

    fn ring_done(&mut self, id: Id, told: String, outcome: &Outcome) {
        let now = self.now;
        let Some(followed) = self.policies.get_mut(&id) else { return };
        let generation = followed.generation;
        let Some(live) = &mut followed.live else { return };
        live.ring.ended(matches!(outcome, Outcome::Done { .. }));
        let message = match outcome {
            Outcome::Done { .. } => {
                let reason = events::RING_CHANGED.to_owned();
                self.publish(id, crate::told::Telling { warning: false, reason, note: told });
                return;
            }
            Outcome::NotLeader => return,
            Outcome::Conflict => {
                "the ring was changed by somebody else; the next evaluation looks again".to_owned()
            }
            Outcome::Missing => "the ring's ConfigMap is not there any more".to_owned(),
            Outcome::Refused { message, .. }
            | Outcome::Busy { message, .. }
            | Outcome::Unanswered { message, .. } => format!("cannot write the ring's ConfigMap: {message}"),
        };
        let said = vec![Said::new(types::RING_SETTLED, false, reasons::RING_UNAVAILABLE, message)];
        let changed = say(&mut live.board.conditions, said, generation, now.wall_ms);
        self.tell(id, &changed);
        self.consider_status(id);
    }
}

fn failed(key: &TargetKey, message: &str) -> Said {
    let message = format!(
        "the scale of {} {} could not be written: {message}; the next evaluation looks again and decides anew",
        key.kind, key.name
    );
    Said::new(types::ABLE_TO_SCALE, false, reasons::FAILED_UPDATE_SCALE, message)
}

fn effect_of(outcome: &Outcome) -> effect::Ended {
    match outcome {
        Outcome::Done { .. } => effect::Ended::Written,
        Outcome::Conflict => effect::Ended::Conflict,
        Outcome::Missing | Outcome::Refused { .. } => effect::Ended::Failed,
        Outcome::Busy { .. } => effect::Ended::Busy,
        Outcome::Unanswered { .. } => effect::Ended::Unanswered,
        Outcome::NotLeader => effect::Ended::NotLeader,
    }
}
