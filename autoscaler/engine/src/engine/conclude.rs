//! From a policy's answers to a decision: what is recorded, ordered and said.

use autoscaler_api::OriginalReplicas;
use autoscaler_api::conditions::{reasons, types};
use autoscaler_core::{Mode, Pods};

use super::ticks::limit_of;
use super::writes::{Key, Payload, Sending};
use super::{Engine, Id};
use crate::board;
use crate::effect::{self, Became, Decided, Effect, Evaluated};
use crate::followed::{Followed, Live, Ordered};
use crate::judge::{self, Judged};
use crate::memory;
use crate::objects::{Name, RingTerms, Target, TargetKey, Watch};
use crate::place::Place;
use crate::ring::{self, arrange::Wanted};
use crate::said::{Said, say};
use crate::targets::Known;
use crate::writer::Class;

impl Engine {
    /// Every metric has an answer, or what stands for one.
    pub(super) fn conclude(&mut self, id: Id) {
        let Some(mut followed) = self.policies.remove(&id) else { return };
        let changed = match followed.live.take() {
            Some(mut live) => {
                let changed = self.decide(id, &followed, &mut live);
                followed.live = Some(live);
                changed
            }
            None => None,
        };
        self.policies.insert(id, followed);
        let Some(changed) = changed else {
            // The target went away while the queries were under way.
            if self
                .live_mut(id)
                .is_some_and(|live| std::mem::take(&mut live.again) | live.tick.take().is_some())
            {
                self.hurry(id);
            }
            return;
        };
        self.tell(id, &changed);
        self.consider_status(id);
        if self.live_mut(id).is_some_and(|live| std::mem::take(&mut live.again)) {
            self.hurry(id);
        }
    }

    /// Decides, and orders what follows; gives the conditions that changed.
    fn decide(&mut self, id: Id, followed: &Followed, live: &mut Live) -> Option<Vec<Said>> {
        let now = self.now;
        let terms = followed.terms.as_ref().ok()?;
        let (key, _) = followed.target.as_ref()?;
        let Known::There(target) = self.targets.get(key) else { return None };
        let target = target.as_ref().clone();
        let tick = live.tick.take()?;

        let current = target.spec_replicas;
        live.input.now_ms = tick.started.wall_ms;
        live.input.scale.spec_replicas = current;
        live.input.scale.status_replicas = target.status_replicas;
        live.input.scale.ready_replicas = self.ready(followed, &target);
        live.input.schedules = terms.in_force(live.input.now_ms);
        live.input.pods = terms.policy.needs_pods().then(|| self.seen_of(followed, &target));
        live.input.observations = tick.observations.into_iter().flatten().collect();
        if let Some(remembered) = live.remembered.take() {
            let (history, policy) = (&mut live.input.history, &live.input.policy);
            memory::catch_up(history, policy, remembered, current, now.wall_ms);
        }
        self.resolve(live, current);

        let judged = Judged::new(&live.input);
        // Zero replicas that switch scaling off are nothing to go back to once somebody switched it on.
        if terms.policy.mode == Mode::Active && !judged.is_switched_off() {
            live.board.take_over(original(key, &target));
        }
        let mut said = judged.said(&live.input);
        said.extend(limit_of(&self.config, followed));
        let attempt = Attempt { id, followed, key, target: &target };
        let (write, ring) = self.arrange(&attempt, live, terms.ring.as_ref(), &judged, &mut said);
        let mut became = judged.became(terms.policy.mode, current);
        if self.order(&attempt, live, &judged, write, &mut said) {
            became = Became::Ordered;
        }
        live.board.observed_generation = followed.generation;
        live.board.current = Some(current);
        live.board.desired = Some(judged.desired());
        if terms.ring.is_none() {
            live.board.ring = None;
            live.board.conditions.retain(|c| c.type_ != types::RING_SETTLED);
        }
        if limit_of(&self.config, followed).is_none() {
            live.board.conditions.retain(|c| c.type_ != types::WITHIN_LIMITS);
        }
        let mut changed = say(&mut live.board.conditions, said, followed.generation, now.wall_ms);
        changed.extend(live.told.computed(judged.uncomputed(&live.input)));
        if let Some((slot, sending)) = ring {
            self.push(followed.name.cluster, Class::Lower, slot, sending);
        }

        let (cause, limited_by) = judged.codes(&live.input);
        let at_ms = live.input.now_ms;
        let age = |o: &autoscaler_core::Observation| (o.name.to_string(), judge::oldest_ms(o, at_ms));
        let decided = Decided {
            kind: terms.kind.clone(),
            target: terms.target.clone(),
            current,
            desired: judged.desired(),
            cause,
            limited_by,
            evidence: judged.evidence_code(),
            sufficient: judged.is_sufficient(),
            ages_ms: live.input.observations.iter().map(age).collect(),
            ring_version: live.board.ring.as_ref().map(|r| r.version),
        };
        let evaluated = Evaluated {
            policy: followed.name.clone(),
            became,
            took_ms: now.mono_ms.saturating_sub(tick.started.mono_ms),
            decided: Some(decided),
        };
        self.out.push(Effect::Evaluated(Box::new(evaluated)));
        self.counters.evaluations = self.counters.evaluations.saturating_add(1);
        (live.input.history, live.verdicts) = judged.end();
        Some(changed)
    }

    /// Ready replicas, by the target's own word or by its pods.
    fn ready(&self, followed: &Followed, target: &Target) -> i32 {
        let counted = || {
            let pods = self.pods_of(followed)?;
            i32::try_from(pods.iter().filter(|p| p.ready).count()).ok()
        };
        target.ready_replicas.or_else(counted).unwrap_or(0)
    }

    /// The target's pods, for metrics of pods.
    fn seen_of(&self, followed: &Followed, target: &Target) -> Pods {
        if target.selector.is_empty() {
            return Pods::SelectorMissing;
        }
        let watch = followed.watches.iter().find(|w| matches!(w, Watch::Pods { .. }));
        let seen = watch.and_then(|watch| self.seen.get(watch)).cloned();
        seen.unwrap_or_else(|| Pods::Unknown("the target's pods have not been listed yet".to_owned()))
    }

    fn pods_of(&self, followed: &Followed) -> Option<&[crate::objects::Pod]> {
        let watch = followed.watches.iter().find(|w| matches!(w, Watch::Pods { .. }))?;
        self.pods.get(watch).map(Vec::as_slice)
    }

    /// A write without an answer: what is there now tells whether it happened.
    fn resolve(&mut self, live: &mut Live, current: i32) {
        let Some(unanswered) = live.unanswered.take() else { return };
        let (from, to) = (unanswered.summary.from, unanswered.summary.to);
        if to == current {
            // It did, and used up rate.
            live.input.history.record_written(&live.input.policy, self.now.wall_ms, from, to);
            live.board.scaled(unanswered.summary);
        } else if from == current {
            // It may still be on its way, and meets another version once anything else was written.
            live.unanswered = Some(unanswered);
        }
    }

    /// What may be written after the ring had its say, and the write of the ring.
    fn arrange(
        &self,
        attempt: &Attempt<'_>,
        live: &mut Live,
        ring: Option<&RingTerms>,
        judged: &Judged,
        said: &mut Vec<Said>,
    ) -> (Option<i32>, Option<(Key, Sending)>) {
        let Attempt { id, followed, key, target } = attempt;
        let Some(terms) = ring else { return (judged.write(), None) };
        let map = Name { name: terms.spec.config_map.clone(), ..followed.name.clone() };
        let sight = ring::Sight {
            map: self.maps.get(&map).map(Option::as_ref),
            pods: self.pods_of(followed),
            target,
            name: &key.name,
        };
        let may_write = live.input.policy.mode != Mode::Shadow;
        let wanted = if live.input.policy.mode == Mode::Paused { Wanted::Present } else { judged.wanted };
        let next = live.ring.consider(terms, sight, wanted, self.now.mono_ms, may_write);
        said.push(Said::new(types::RING_SETTLED, next.settled, next.reason, next.message));
        if next.status.is_some() {
            live.board.ring = next.status;
        }
        let order = next.order.map(|order| {
            let ring = effect::Ring {
                map: map.clone(),
                resource_version: order.resource_version,
                key: terms.spec.key.clone(),
                text: order.text,
                notes: order.notes,
            };
            let payload = Payload::Ring { ring, told: order.told };
            (Key::Ring(map), Sending { policy: *id, shard: followed.shard, payload })
        });
        // Only an active policy's decision asks for a write in the first place.
        (next.write.filter(|_| judged.write().is_some()), order)
    }

    /// Records what is news, and orders the write of replicas; says whether one is ordered.
    fn order(
        &mut self,
        attempt: &Attempt<'_>,
        live: &mut Live,
        judged: &Judged,
        write: Option<i32>,
        said: &mut Vec<Said>,
    ) -> bool {
        let Attempt { id, followed, key, target } = attempt;
        let now = self.now;
        let (from, to) = (target.spec_replicas, write.unwrap_or(judged.desired()));
        let cluster = followed.name.cluster;
        let slot = Key::Scale((*key).clone());
        let writer = self.writer(cluster);
        let (busy, waits) = (writer.is_busy(&slot), writer.waits(&slot).is_some());
        let ready = !busy && !self.targets.is_outdated(key);
        let versioned = !target.resource_version.is_empty();
        let same = |o: &Ordered| o.summary.from == from && o.summary.to == to;
        if waits {
            if write.is_some() && ready && live.ordered.as_ref().is_some_and(same) {
                // It waits for its turn.
                said.retain(|s| s.kind != types::ABLE_TO_SCALE);
                return true;
            }
            self.writer(cluster).cancel(&slot);
            self.discard(&followed.name, live);
        }
        let wants = write.is_some() && ready && versioned;
        let news = live.board.is_news(to, &judged.limits, now.wall_ms);
        if !wants && !news {
            if write.is_some() {
                why_not(live, key, versioned, busy, said);
            }
            return false;
        }
        // Recorded before it is acted on: what was done can always be explained.
        let record = judged.record(&followed.name, &live.input);
        let digest = record.as_ref().map(|r| r.digest.clone()).unwrap_or_default();
        self.out.extend(record.map(|r| Effect::Record(Box::new(r))));
        let summary =
            board::summary((from, to), judged.cause(&live.input), &judged.limits, digest, now.wall_ms);
        if news {
            live.board.decided(summary.clone());
        }
        if !wants {
            if write.is_some() {
                why_not(live, key, versioned, busy, said);
            }
            return false;
        }
        let (cause, limited_by) = judged.codes(&live.input);
        live.ordered = Some(Ordered { summary, news, cause, limited_by });
        let Some(scale) = followed.scale(target, to) else { return false };
        let class = if to > from { Class::Raise } else { Class::Lower };
        let sending = Sending { policy: *id, shard: followed.shard, payload: Payload::Scale(scale) };
        self.push(cluster, class, slot, sending);
        // The write's end says whether it is able to.
        said.retain(|s| s.kind != types::ABLE_TO_SCALE);
        true
    }
}

/// What a target has now, to be remembered.
fn original(key: &TargetKey, target: &Target) -> OriginalReplicas {
    OriginalReplicas {
        kind: key.kind.clone(),
        name: key.name.clone(),
        uid: target.uid.clone(),
        replicas: target.spec_replicas,
    }
}

/// Says why what is wanted is not written now.
fn why_not(live: &mut Live, key: &TargetKey, versioned: bool, busy: bool, said: &mut Vec<Said>) {
    // What the write before came to is what there is to say.
    said.retain(|s| s.kind != types::ABLE_TO_SCALE);
    live.after_write |= busy;
    if !versioned {
        let message = format!(
            "the scale of {} {} could not be written: the API server gave it no resourceVersion, so a write could \
             undo somebody else's; check the API server",
            key.kind, key.name
        );
        said.push(Said::new(types::ABLE_TO_SCALE, false, reasons::FAILED_UPDATE_SCALE, message));
    }
}

/// One decision about to be acted on.
struct Attempt<'a> {
    id: Id,
    followed: &'a Followed,
    key: &'a Place,
    target: &'a Target,
}
