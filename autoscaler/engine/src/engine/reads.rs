//! Targets that are read, since no watch tells them: kinds whose scale the API server alone knows, and what a write met.
//!
//! A read goes through the writer of its cluster: within the same budget, one at a time for each target, and after one
//! that failed later and later. So a target that cannot be read costs no other, and is read again once it can.

use super::writes::{Key, Payload, Sending, Sent};
use super::{Engine, Timer};
use crate::effect::Effect;
use crate::objects::{Name, Target, TargetKey};
use crate::place::Place;
use crate::writer::{Class, Ended};

/// A read is up to four calls (which kind, where its scale is, the object, its scale), each with the deadline of a write.
const CALLS: u64 = 4;
/// How much longer a read may stay without a word.
const SILENCE_MS: u64 = 1_000;

impl Engine {
    /// Wants a target read, unless nobody follows it. One that is being read is read once more after that.
    pub(super) fn read_target(&mut self, key: &Place) {
        if self.targets.followers(key).next().is_some() {
            let sending = Sending { policy: 0, shard: 0, payload: Payload::Read(key.clone()) };
            self.push(key.cluster, Class::Read, Key::Read(key.clone()), sending);
        }
    }

    /// Takes that back if nobody follows it any more.
    pub(super) fn drop_read(&mut self, key: &Place) {
        if self.targets.followers(key).next().is_none() {
            self.writer(key.cluster).cancel(&Key::Read(key.clone()));
        }
    }

    pub(super) fn target_changed(&mut self, key: &Place, uid: &str, version: &str) {
        if self.targets.changed(key, uid, version) {
            self.read_target(key);
        }
    }

    /// No watch has told of a target since a write met another version of it.
    pub(super) fn target_overdue(&mut self, key: &Place) {
        if self.targets.is_outdated(key) {
            self.read_target(key);
        }
    }

    /// It is a read's turn.
    pub(super) fn send_read(&mut self, read: u64, key: Place) {
        let of = |name: &Name| self.policies.get(self.ids.get(name)?)?.terms.as_ref().ok();
        let version = self.targets.followers(&key).find_map(of).map(|terms| terms.kind.version.clone());
        let now_ms = self.now.mono_ms;
        let Some(version) = version else {
            self.writer(key.cluster).done(now_ms, read, Ended::Served);
            return;
        };
        let most_ms = self.config.write_timeout_ms.saturating_mul(CALLS).saturating_add(SILENCE_MS);
        self.timers.set(now_ms.saturating_add(most_ms), Timer::Read(read));
        self.out.push(Effect::ReadTarget { read, key: TargetKey::clone(&key), version });
        let cluster = key.cluster;
        self.sent.insert(read, Sent { cluster, shard: 0, policy: 0, payload: Payload::Read(key) });
    }

    /// Whoever reads owes a word.
    pub(super) fn read_overdue(&mut self, read: u64) {
        if self.sent.contains_key(&read) {
            self.read_done(read, Err("the executor gave no answer".to_owned()));
        }
    }

    pub(super) fn read_done(&mut self, read: u64, target: Result<Option<Target>, String>) {
        let Some(Sent { payload: Payload::Read(key), .. }) = self.sent.remove(&read) else {
            self.counters.late = self.counters.late.saturating_add(1);
            return;
        };
        let now_ms = self.now.mono_ms;
        let ended = match &target {
            Ok(_) => Ended::Served,
            Err(_) => Ended::Busy { retry_after_ms: None },
        };
        self.writer(key.cluster).done(now_ms, read, ended);
        match target {
            Ok(target) => {
                let mut changed = self.targets.see(&key, target);
                let again = self.writer(key.cluster).waits(&Key::Read(key.clone())).is_some();
                if !again && !changed.caught_up && self.targets.is_outdated(&key) {
                    changed.caught_up = self.targets.confirm(&key);
                }
                self.seen_target(&key, changed);
            }
            Err(message) => {
                if self.targets.unreadable(&key, &message) {
                    let followers: Vec<Name> = self.targets.followers(&key).cloned().collect();
                    self.hurry_all(&followers);
                }
                self.read_target(&key);
            }
        }
    }
}
