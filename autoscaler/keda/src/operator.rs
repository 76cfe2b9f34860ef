//! KEDA's two ways to a metric: its own polls, and the HPA's requests.

use autoscaler_hpa::Answer;
use serde::{Deserialize, Serialize};

use crate::executor::{Step, Target, decide};
use crate::fallback::{Told, tell};
use crate::prometheus::{QueryResult, read};
use crate::scaled_object::{PrometheusTrigger, ScaledObject, Trigger};

/// What is remembered of one ScaledObject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operator {
    /// `status.health`: failures in a row by trigger.
    failures: Vec<i32>,
    /// `status.lastActiveTime`; KEDA's is in whole seconds.
    last_active_ms: Option<i64>,
    /// What the last poll told, by trigger, where that is kept for the HPA.
    #[serde(skip)]
    cache: Vec<Option<Result<(i64, bool), String>>>,
}

/// What a poll did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// Replicas that were written to the scale, or tried.
    pub write: Option<i32>,
    /// Whether any trigger is active.
    pub active: bool,
    /// Whether any trigger failed, and no fallback replaced it.
    pub error: bool,
    /// Whether a fallback is told.
    pub fallback: bool,
    /// Reason of the condition `Active`.
    pub active_reason: &'static str,
    /// Reason of the condition `Ready`.
    pub ready_reason: &'static str,
}

impl Operator {
    /// Failures in a row of a trigger, of polls and requests together.
    #[must_use]
    pub fn failures(&self, trigger: usize) -> i32 {
        self.failures.get(trigger).copied().unwrap_or(0)
    }

    /// When a trigger was last seen active.
    #[must_use]
    pub fn last_active_ms(&self) -> Option<i64> {
        self.last_active_ms
    }

    /// A poll, every [`polling_interval_ms`](ScaledObject::polling_interval_ms). `results` are those of the
    /// triggers' queries, by trigger; one that is missing has failed. Without a target nothing is done. `write` is
    /// given the replicas for the scale, if any, and says whether that went well.
    ///
    /// Upstream: `pkg/scaling/scale_handler.go`, `checkScalers` and `getScaledObjectState`.
    pub fn poll(
        &mut self,
        object: &ScaledObject,
        target: Option<Target>,
        results: &[QueryResult],
        now_ms: i64,
        write: impl FnOnce(i32) -> bool,
    ) -> Poll {
        let (mut active, mut error, mut fallback, mut queries) = (false, false, false, 0);
        let missing = QueryResult::Failed("no result".to_owned());
        for (i, trigger) in object.triggers.iter().enumerate() {
            let Trigger::Prometheus(trigger) = trigger else { continue };
            queries += 1;
            let told = self.ask(object, i, trigger, results.get(i).unwrap_or(&missing), target);
            if trigger.use_cached_metrics {
                *slot(&mut self.cache, i) = Some(told.clone().map(|told| (told.milli, told.active)));
            }
            match told {
                Ok(told) => {
                    active |= told.active;
                    fallback |= told.fallback;
                }
                Err(_) => error = true,
            }
        }
        // Resources alone cannot tell activity at zero.
        active |= queries == 0 && !error;
        let Some(target) = target else {
            let ready_reason = "ErrorGettingCurrentReplicas";
            return Poll { write: None, active, error, fallback, active_reason: "", ready_reason };
        };
        let verdict = decide(object, self.last_active_ms, (active, error), target.replicas, now_ms);
        let write = match verdict.step {
            Step::Nothing => None,
            Step::Active => {
                self.last_active_ms = Some(now_ms);
                None
            }
            Step::Activate(replicas) => {
                if write(replicas) {
                    self.last_active_ms = Some(now_ms);
                }
                Some(replicas)
            }
            Step::Deactivate(replicas) => {
                write(replicas);
                Some(replicas)
            }
        };
        let (active_reason, ready_reason) = (verdict.active, verdict.ready);
        Poll { write, active, error, fallback, active_reason, ready_reason }
    }

    /// What the HPA is told about a trigger. `result` is that of a query of now; with `useCachedMetrics` and a poll
    /// before, it is not looked at.
    ///
    /// Upstream: `pkg/scaling/scale_handler.go`, `GetScaledObjectMetrics`.
    pub fn external_metric(
        &mut self,
        object: &ScaledObject,
        trigger: usize,
        result: &QueryResult,
        target: Option<Target>,
    ) -> Answer {
        let Some(Trigger::Prometheus(spec)) = object.triggers.get(trigger) else {
            return Answer::Failed(format!("trigger {trigger} has no query"));
        };
        let kept = self.cache.get(trigger).cloned().flatten().filter(|_| spec.use_cached_metrics);
        let told = match kept {
            Some(kept) => {
                let reading = kept.map(|(milli, active)| crate::prometheus::Reading { milli, active });
                let failures = slot(&mut self.failures, trigger);
                tell(object.fallback.as_ref(), failures, spec, reading, target)
            }
            None => self.ask(object, trigger, spec, result, target),
        };
        match told {
            Ok(told) => Answer::External(vec![told.milli]),
            Err(why) => Answer::Failed(why),
        }
    }

    fn ask(
        &mut self,
        object: &ScaledObject,
        i: usize,
        trigger: &PrometheusTrigger,
        result: &QueryResult,
        target: Option<Target>,
    ) -> Result<Told, String> {
        let failures = slot(&mut self.failures, i);
        tell(object.fallback.as_ref(), failures, trigger, read(trigger, result), target)
    }
}

/// The place of a trigger, made if need be.
fn slot<T: Default + Clone>(of: &mut Vec<T>, i: usize) -> &mut T {
    if of.len() <= i {
        of.resize(i + 1, T::default());
    }
    &mut of[i]
}
