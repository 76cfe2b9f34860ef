//! Statuses and events: when they are due, and what they say.

use super::writes::{Key, Payload, Sending};
use super::{Engine, Id, Timer};
use crate::board::Due;
use crate::effect::{Note, Status};
use crate::followed::Live;
use crate::said::Said;
use crate::told::Telling;
use crate::writer::Class;

/// How long after a change that waited events are looked at again.
const AGAIN_MS: u64 = 10_000;

impl Engine {
    /// Events for conditions that changed, and whatever waited before.
    pub(super) fn tell(&mut self, id: Id, changed: &[Said]) {
        let now_ms = self.now.mono_ms;
        let Some(live) = self.live_mut(id) else { return };
        let mut tellings = live.told.due(changed, now_ms);
        tellings.extend(live.told.scales_due(now_ms));
        if live.told.waits() && !live.told_timer {
            live.told_timer = true;
            self.timers.set(now_ms.saturating_add(AGAIN_MS), Timer::Told(id));
        }
        for telling in tellings {
            self.publish(id, telling);
        }
    }

    pub(super) fn told_due(&mut self, id: Id) {
        if let Some(live) = self.live_mut(id) {
            live.told_timer = false;
            self.tell(id, &[]);
        }
    }

    pub(super) fn publish(&mut self, id: Id, telling: Telling) {
        let at_ms = self.now.wall_ms;
        let number = self.next_number();
        let Some(followed) = self.policies.get(&id) else { return };
        let note = Note {
            policy: followed.name.clone(),
            uid: followed.uid.clone(),
            warning: telling.warning,
            reason: telling.reason,
            note: telling.note,
            at_ms,
        };
        let cluster = followed.name.cluster;
        let sending = Sending { policy: id, shard: followed.shard, payload: Payload::Event(note) };
        self.push(cluster, Class::Event, Key::Event(number), sending);
    }

    /// Looks whether a policy's status is worth a write, now or later.
    pub(super) fn consider_status(&mut self, id: Id) {
        let (now_ms, refresh_ms) = (self.now.mono_ms, self.config.status_refresh_ms);
        let Some(followed) = self.policies.get_mut(&id) else { return };
        let (cluster, shard) = (followed.name.cluster, followed.shard);
        let Some(live) = &mut followed.live else { return };
        let due = live.board.due(refresh_ms, Live::matters(&live.verdicts, &live.input.history));
        let class = match due {
            Due::Matters(at_ms) if at_ms <= now_ms => Class::Status,
            Due::Drifts(at_ms) if at_ms <= now_ms => Class::Refresh,
            Due::Matters(at_ms) => {
                if live.status_timer_ms.is_none_or(|set| set > at_ms) {
                    live.status_timer_ms = Some(at_ms);
                    self.timers.set(at_ms, Timer::Status(id));
                }
                return;
            }
            Due::Drifts(_) => return,
        };
        let key = Key::Status(id);
        let writer = self.writer(cluster);
        // Of one in flight, the end looks again; one that waits already as urgently says the latest anyway.
        if writer.is_busy(&key) || writer.waits(&key).is_some_and(|waits| waits <= class) {
            return;
        }
        self.push(cluster, class, key, Sending { policy: id, shard, payload: Payload::Status });
    }

    pub(super) fn status_due(&mut self, id: Id) {
        if let Some(live) = self.live_mut(id) {
            live.status_timer_ms = None;
            self.consider_status(id);
        }
    }

    /// A policy's status as it is now, to be written.
    pub(super) fn render(&mut self, id: Id) -> Option<Status> {
        let now = self.now;
        let followed = self.policies.get_mut(&id)?;
        let (policy, uid) = (followed.name.clone(), followed.uid.clone());
        let live = followed.live.as_mut()?;
        let status = live.board.render(now.mono_ms, Live::matters(&live.verdicts, &live.input.history));
        let status = live.status(status, now);
        Some(Status { policy, uid, status })
    }
}
