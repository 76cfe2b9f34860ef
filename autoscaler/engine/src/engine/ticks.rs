//! Evaluations: when a policy is due, what stands in the way, its queries and their answers.

use std::borrow::Cow;

use autoscaler_api::conditions::{reasons, types};
use autoscaler_core::{FailureKind, MetricSpec, Mode, Observation, Reading};

use super::{Engine, Id, Timer, interval_of, is_followable};
use crate::effect::{Became, Effect, Evaluated, Query};
use crate::followed::{Followed, Tick};
use crate::judge;
use crate::objects::Question;
use crate::pool::{Ended, Hold};
use crate::said::Said;
use crate::targets::Known;

/// How much longer than its deadline a query may stay without a word, in milliseconds.
const GRACE_MS: u64 = 50;

/// What keeps a policy from being evaluated.
struct Obstacle {
    became: Became,
    said: Said,
}

impl Engine {
    /// A timer of a policy went off.
    pub(super) fn policy_due(&mut self, id: Id) {
        let now_ms = self.now.mono_ms;
        let Some(live) = self.policies.get_mut(&id).and_then(|p| p.live.as_mut()) else { return };
        if live.due_ms > now_ms {
            // Set for a time that no longer counts.
            return;
        }
        let (next_ms, missed) = live.grid.after(live.due_ms, now_ms);
        live.due_ms = next_ms;
        self.timers.set(next_ms, Timer::Policy(id));
        self.counters.missed = self.counters.missed.saturating_add(missed);
        if live.tick.is_some() {
            self.give_up_waiting(id);
        }
        let under_way = self.live(id).is_some_and(|l| l.tick.is_some());
        if under_way {
            self.counters.missed = self.counters.missed.saturating_add(1);
        } else {
            self.start(id);
        }
    }

    /// What waited for its turn past its policy's interval is not asked any more.
    fn give_up_waiting(&mut self, id: Id) {
        for (query, hold) in self.pool.drop_waiting(id) {
            self.counters.dropped = self.counters.dropped.saturating_add(1);
            let message = match hold {
                Hold::Own => {
                    "it was not its turn within the interval: the policy's own slow queries take up its slots; make \
                     them cheaper, or the interval longer"
                }
                Hold::Querier => {
                    "it was not its turn within the interval: all slots of the querier are taken; make queries \
                     cheaper, intervals longer, or give the controller more slots"
                }
            };
            self.fail(query, FailureKind::Timeout, message);
        }
    }

    fn start(&mut self, id: Id) {
        let Some(followed) = self.policies.get(&id) else { return };
        if followed.held.deleting {
            // What is left to do for it is no evaluation.
            return;
        }
        if !self.is_listed(followed.name.cluster) {
            // As soon as it is known who else there is.
            return;
        }
        if let Some((key, _)) = &followed.target
            && matches!(self.targets.get(key), Known::NotListed)
            && is_followable(&self.config, followed)
            && self.ambiguity(followed).is_none()
        {
            // As soon as it is known.
            return;
        }
        match self.obstacle(followed) {
            Some(obstacle) => self.stand_still(id, obstacle),
            None => self.ask(id),
        }
    }

    /// What keeps a policy from being evaluated, if anything.
    fn obstacle(&self, followed: &Followed) -> Option<Obstacle> {
        let terms = match &followed.terms {
            Ok(terms) => terms,
            Err(problems) => {
                let said = Said::new(types::SCALING_ACTIVE, false, reasons::INVALID_POLICY, problems.clone());
                return Some(Obstacle { became: Became::Invalid, said });
            }
        };
        let most = self.config.max_queries_per_policy;
        if terms.questions.len() > most {
            let message = format!(
                "the policy has {} queries, and this controller allows {most} a policy; leave some out, or raise \
                 --max-queries-per-policy",
                terms.questions.len()
            );
            let said = Said::new(types::SCALING_ACTIVE, false, reasons::TOO_MANY_QUERIES, message);
            return Some(Obstacle { became: Became::Invalid, said });
        }
        if let Some(message) = self.ambiguity(followed) {
            let said = Said::new(types::ABLE_TO_SCALE, false, reasons::AMBIGUOUS_TARGET, message);
            return Some(Obstacle { became: Became::Ambiguous, said });
        }
        let (key, _) = followed.target.as_ref()?;
        let (error, cure): (Cow<'_, str>, _) = match self.targets.get(key) {
            Known::There(_) => return None,
            Known::Absent => ("it is not there".into(), "create it, or correct spec.scaleTargetRef"),
            Known::NotListed => ("it was not listed yet".into(), "wait"),
            Known::Unreadable(message) => (
                message.into(),
                "correct spec.scaleTargetRef, or check the API server and the controller's permissions",
            ),
        };
        let message = format!("the scale of {} {} could not be read: {error}; {cure}", key.kind, key.name);
        let said = Said::new(types::ABLE_TO_SCALE, false, reasons::FAILED_GET_SCALE, message);
        Some(Obstacle { became: Became::Unreadable, said })
    }

    /// Who else scales the target or keeps the ring, in a sentence.
    fn ambiguity(&self, followed: &Followed) -> Option<String> {
        let terms = followed.terms.as_ref().ok()?;
        let (key, _) = followed.target.as_ref()?;
        if terms.policy.mode == Mode::Active && self.rivals.any() {
            let (policies, autoscalers) = self.rivals.of(&followed.name, key);
            if !policies.is_empty() {
                return Some(format!(
                    "{} {} is also the target of the active policies {}, so none of them writes; keep one, or set \
                     the others' mode to Shadow or Paused",
                    key.kind,
                    key.name,
                    policies.join(", ")
                ));
            }
            if !autoscalers.is_empty() {
                return Some(format!(
                    "{} {} is also scaled by the HorizontalPodAutoscaler {}, so this policy does not write; delete \
                     it, or set this policy's mode to Shadow",
                    key.kind,
                    key.name,
                    autoscalers.join(", ")
                ));
            }
        }
        let ring = terms.ring.as_ref().filter(|_| terms.policy.mode != Mode::Shadow)?;
        let map = crate::objects::Name { name: ring.spec.config_map.clone(), ..followed.name.clone() };
        let others = self.rivals.of_ring(&followed.name, &map);
        (!others.is_empty()).then(|| {
            format!(
                "the ring in ConfigMap {} is also kept by the policies {}, so none of them writes; give each ring a \
                 ConfigMap of its own",
                map.name,
                others.join(", ")
            )
        })
    }

    /// Says why a policy is not evaluated, and nothing else: what was known before no longer holds.
    fn stand_still(&mut self, id: Id, obstacle: Obstacle) {
        let now = self.now;
        let Some(followed) = self.policies.get_mut(&id) else { return };
        let generation = followed.generation;
        let mut said = vec![obstacle.said];
        said.extend(limit_of(&self.config, followed));
        let Some(live) = &mut followed.live else { return };
        live.verdicts.clear();
        live.input.observations.clear();
        live.board.observed_generation = generation;
        live.board.forget_decision();
        let changed = crate::said::say_only(&mut live.board.conditions, said, generation, now.wall_ms);
        let name = followed.name.clone();
        self.counters.evaluations = self.counters.evaluations.saturating_add(1);
        let evaluated = Evaluated { policy: name, became: obstacle.became, took_ms: 0, decided: None };
        self.out.push(Effect::Evaluated(Box::new(evaluated)));
        self.tell(id, &changed);
        self.consider_status(id);
    }

    /// Asks for every metric.
    fn ask(&mut self, id: Id) {
        let now = self.now;
        let Some(followed) = self.policies.get_mut(&id) else { return };
        let (Ok(terms), Some(live)) = (&followed.terms, &mut followed.live) else { return };
        let count = terms.questions.len().min(terms.policy.metrics.len());
        live.tick = Some(Tick { started: now, observations: vec![None; count], missing: count });
        let cluster = followed.name.cluster;
        let source = |(q, spec): (&Question, &MetricSpec)| match spec.kind.resource() {
            // A cluster's metrics have slots of their own, as a querier's.
            Some(_) => format!("metrics.k8s.io {cluster}"),
            None => q.source.clone(),
        };
        let each = terms.questions.iter().zip(&terms.policy.metrics);
        let questions: Vec<(String, u32, Option<String>)> =
            each.map(|(q, spec)| (source((q, spec)), q.weight, q.unusable.clone())).collect();
        for (metric, (source, weight, unusable)) in questions.into_iter().take(count).enumerate() {
            let query = self.next_number();
            self.queries.insert(query, (id, metric));
            if let Some(why) = unusable {
                self.fail(query, FailureKind::BadQuery, &format!("the query is not usable: {why}"));
            } else if !self.pool.push(&source, id, query, weight) {
                self.counters.dropped = self.counters.dropped.saturating_add(1);
                let message =
                    "too many queries wait for the querier; make queries cheaper, or intervals longer";
                self.fail(query, FailureKind::Timeout, message);
            }
        }
        if count == 0 {
            self.conclude(id);
        }
    }

    /// Sends whatever there is room for.
    pub(super) fn start_queries(&mut self) {
        while let Some(query) = self.pool.start() {
            let Some(&(id, metric)) = self.queries.get(&query) else { continue };
            let Some(followed) = self.policies.get(&id) else { continue };
            let (Ok(terms), Some(live)) = (&followed.terms, &followed.live) else { continue };
            let (Some(question), Some(tick)) = (terms.questions.get(metric), &live.tick) else { continue };
            let Some(spec) = terms.policy.metrics.get(metric) else { continue };
            let deadline_ms = self.config.query_timeout_ms;
            // Whoever asks knows better what there was no answer from.
            let until_ms = self.now.mono_ms.saturating_add(deadline_ms).saturating_add(GRACE_MS);
            if spec.kind.resource().is_some() {
                self.ask_usage(id, query, until_ms);
                continue;
            }
            self.out.push(Effect::Query(Query {
                id: query,
                policy: followed.name.clone(),
                generation: followed.generation,
                metric,
                source: question.source.clone(),
                at_ms: tick.started.wall_ms,
                settled_ms: live.input.history.settled_ms(&spec.name),
                starts: live.input.history.starts(&terms.policy, &spec.name, tick.started.wall_ms),
                deadline_ms,
            }));
            self.counters.queries = self.counters.queries.saturating_add(1);
            self.deadlines.push_back((until_ms, query));
        }
    }

    pub(super) fn answer(&mut self, query: u64, observation: Observation) {
        let timed_out = matches!(observation.newest, Reading::Failed { kind: FailureKind::Timeout, .. });
        let ended = if timed_out { Ended::TimedOut } else { Ended::Answered };
        if !self.pool.done(query, ended) {
            self.counters.late = self.counters.late.saturating_add(1);
            return;
        }
        self.counters.timed_out = self.counters.timed_out.saturating_add(u64::from(timed_out));
        self.observed(query, observation);
    }

    /// A query's deadline passed.
    pub(super) fn query_overdue(&mut self, query: u64) {
        if !self.queries.contains_key(&query) || !self.pool.done(query, Ended::TimedOut) {
            return;
        }
        self.counters.timed_out = self.counters.timed_out.saturating_add(1);
        self.out.push(Effect::Abandon { query });
        let message = format!("no answer in time ({} ms)", self.config.query_timeout_ms);
        self.fail(query, FailureKind::Timeout, &message);
    }

    pub(super) fn fail(&mut self, query: u64, kind: FailureKind, message: &str) {
        self.observed(query, judge::failed(kind, message));
    }

    /// An answer, or what stands for one.
    pub(super) fn observed(&mut self, query: u64, mut observation: Observation) {
        let Some((id, metric)) = self.queries.remove(&query) else { return };
        let Some(live) = self.live_mut(id) else { return };
        let Some(spec) = live.input.policy.metrics.get(metric) else { return };
        observation.name = spec.name.clone();
        let Some(tick) = &mut live.tick else { return };
        let Some(place) = tick.observations.get_mut(metric) else { return };
        if place.replace(observation).is_none() {
            tick.missing = tick.missing.saturating_sub(1);
        }
        if tick.missing == 0 {
            self.conclude(id);
        }
    }

    pub(super) fn live(&self, id: Id) -> Option<&crate::followed::Live> {
        self.policies.get(&id)?.live.as_deref()
    }

    pub(super) fn live_mut(&mut self, id: Id) -> Option<&mut crate::followed::Live> {
        self.policies.get_mut(&id)?.live.as_deref_mut()
    }
}

/// Says that a policy is beyond the controller's limits, though it is followed at them.
pub(super) fn limit_of(config: &crate::Config, followed: &Followed) -> Option<Said> {
    let asked_ms = followed.terms.as_ref().ok()?.interval_ms;
    let interval_ms = interval_of(config, followed);
    (asked_ms < interval_ms).then(|| {
        let message = format!(
            "the interval of {asked_ms} ms is below this controller's shortest, so the policy is evaluated every \
             {interval_ms} ms; raise spec.interval, or lower --min-interval"
        );
        Said::new(types::WITHIN_LIMITS, false, reasons::INTERVAL_TOO_SHORT, message)
    })
}
