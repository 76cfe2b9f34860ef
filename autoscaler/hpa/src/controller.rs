//! One sync of one HorizontalPodAutoscaler: upstream's `reconcileAutoscaler`, its reads before and its writes after.

use crate::behavior::Behavior;
use crate::event::Event;
use crate::inputs::{Inputs, Selected};
use crate::metrics::{Computed, Failure, Proposal, Scale, compute, followed};
use crate::normalize::{Limit, Normalized, Wish, normalize, normalize_with_behavior};
use crate::number::Float;
use crate::outputs::{COMPUTE_FAILED, Outputs, SyncError};
use crate::rates;
use crate::ratio::Tolerances;
use crate::reasons;
use crate::replicas::Circumstances;
use crate::settings::Settings;
use crate::state::{Recommendation, State};
use crate::status::{
    Condition,
    ConditionType::{AbleToScale, ScalingActive, ScalingLimited},
    HpaStatus, MetricStatus,
};

/// The controller of one HorizontalPodAutoscaler: its settings, and what a process remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Controller {
    settings: Settings,
    state: State,
}

/// A sync up to the write of the scale.
#[derive(Debug)]
#[must_use = "a sync ends with Controller::finish"]
pub struct Pending {
    now_ms: i64,
    step: Step,
    behavior: Option<Behavior>,
    proposal: Option<Proposal>,
    results: Vec<Result<i32, String>>,
    normalized: Option<Normalized>,
    metrics: Vec<Option<MetricStatus>>,
    status: HpaStatus,
    before: HpaStatus,
    events: Vec<Event>,
    error: Option<SyncError>,
}

/// What is left to do.
#[derive(Debug)]
enum Step {
    /// Nothing: the scale is unknown.
    Blind,
    /// Nothing: metrics failed, and the status keeps what was desired before.
    Failed { current: i32 },
    /// Replicas are as they should be.
    Stay { current: i32 },
    /// They are to be changed.
    Rescale { current: i32, desired: i32, because: String },
}

impl Pending {
    /// Replicas to write to the scale; `None` where nothing is to be written. After a conflict upstream tries
    /// again with the same number, whatever the scale says by then.
    #[must_use]
    pub fn write(&self) -> Option<i32> {
        match self.step {
            Step::Rescale { desired, .. } => Some(desired),
            _ => None,
        }
    }

    /// What metrics ask for, where they were asked and may be followed.
    #[must_use]
    pub fn proposal(&self) -> Option<Proposal> {
        self.proposal
    }

    /// What each metric asks for, or why it failed, in the spec's order; empty where metrics were not asked.
    pub fn results(&self) -> &[Result<i32, String>] {
        &self.results
    }

    /// Each metric's present value, in the spec's order; empty where metrics were not asked.
    #[must_use]
    pub fn metrics(&self) -> &[Option<MetricStatus>] {
        &self.metrics
    }

    /// What windows, rates and bounds made of the proposal.
    #[must_use]
    pub fn normalized(&self) -> Option<Normalized> {
        self.normalized
    }

    /// Conditions as they stand before the write.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        &self.status.conditions
    }
}

impl Controller {
    /// A process that has seen nothing yet; also what a restart leaves.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self::with_state(settings, State::default())
    }

    /// One that goes on from what another remembered.
    #[must_use]
    pub fn with_state(settings: Settings, state: State) -> Self {
        Self { settings, state }
    }

    /// What it remembers.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// A whole sync. `write` is given the replicas for the scale, if there are any to write, and says what came
    /// of it.
    pub fn sync(&mut self, inputs: &Inputs<'_>, write: impl FnOnce(i32) -> Result<(), String>) -> Outputs {
        let pending = self.begin(inputs);
        let written = pending.write().map_or(Ok(()), write);
        self.finish(pending, written)
    }

    /// The sync up to the write. What was recommended is remembered even if the write fails.
    pub fn begin(&mut self, inputs: &Inputs<'_>) -> Pending {
        let mut pending = Pending {
            now_ms: inputs.now_ms,
            step: Step::Blind,
            behavior: inputs.spec.behavior.clone(),
            proposal: None,
            results: Vec::new(),
            normalized: None,
            metrics: Vec::new(),
            status: inputs.status.clone(),
            before: inputs.status.clone(),
            events: Vec::new(),
            error: None,
        };
        match inputs.scale {
            Ok(scale) => pending.step = self.decide(inputs, scale, &mut pending),
            Err(why) => {
                pending.events.push(Event::warning(reasons::FAILED_GET_SCALE, why));
                let message = format!("the target's scale could not be read: {why}");
                pending.status.set(pending.now_ms, AbleToScale, false, reasons::FAILED_GET_SCALE, message);
                pending.error = Some(SyncError::GetScale(why.to_owned()));
            }
        }
        pending
    }

    fn decide(&mut self, inputs: &Inputs<'_>, scale: Scale, pending: &mut Pending) -> Step {
        let (now_ms, current) = (inputs.now_ms, scale.spec_replicas);
        pending.status.set(
            now_ms,
            AbleToScale,
            true,
            reasons::SUCCEEDED_GET_SCALE,
            "the target's scale was read",
        );
        let first_sight = || vec![Recommendation { replicas: current, at_ms: now_ms }];
        self.state.recommendations.get_or_insert_with(first_sight);
        let (min, max) = (inputs.spec.min_replicas.unwrap_or(1), inputs.spec.max_replicas);
        if current == 0 && min != 0 {
            let message = "the target has zero replicas, which switches scaling off";
            pending.status.set(now_ms, ScalingActive, false, reasons::SCALING_DISABLED, message);
            Step::Stay { current }
        } else if current > max {
            Step::Rescale { current, desired: max, because: "above maxReplicas".to_owned() }
        } else if current < min {
            Step::Rescale { current, desired: min, because: "below minReplicas".to_owned() }
        } else {
            self.follow_metrics(inputs, scale, Wish { current, wanted: 0, min, max }, pending)
        }
    }

    fn follow_metrics(
        &mut self,
        inputs: &Inputs<'_>,
        scale: Scale,
        wish: Wish,
        pending: &mut Pending,
    ) -> Step {
        let (now_ms, current) = (inputs.now_ms, wish.current);
        let computed = self.ask_metrics(inputs, scale, pending);
        pending.events.extend(computed.events.iter().cloned());
        pending.metrics.clone_from(&computed.statuses);
        pending.results.clone_from(&computed.results);
        let Some(proposal) = computed.usable(current) else {
            let failure = computed.first_failure.unwrap_or(Failure {
                reason: reasons::INVALID_METRIC_SOURCE_TYPE,
                message: "the spec has no metrics; name one".to_owned(),
            });
            pending.status.set(now_ms, ScalingActive, false, failure.reason, failure.message.clone());
            pending.events.push(Event::warning(COMPUTE_FAILED, failure.message.clone()));
            pending.error = Some(SyncError::Metrics(failure.message));
            return Step::Failed { current };
        };
        let asking = inputs.spec.metrics.get(proposal.metric);
        let message = format!("replicas follow {}", asking.map(followed).unwrap_or_default());
        pending.status.set(now_ms, ScalingActive, true, reasons::VALID_METRIC_FOUND, message);
        pending.error = computed.first_failure.map(|failure| SyncError::SomeMetrics(failure.message));
        pending.proposal = Some(proposal);

        let wanted = proposal.replicas.max(0);
        let because = match wanted.cmp(&current) {
            std::cmp::Ordering::Greater => {
                format!("{} above target", asking.map(ToString::to_string).unwrap_or_default())
            }
            std::cmp::Ordering::Less => "all metrics below target".to_owned(),
            std::cmp::Ordering::Equal => String::new(),
        };
        let desired = self.normalize(Wish { wanted, ..wish }, pending);
        if desired == current { Step::Stay { current } } else { Step::Rescale { current, desired, because } }
    }

    /// Metrics are not asked at all where the selector is no good: then none of them has a status.
    fn ask_metrics(&self, inputs: &Inputs<'_>, scale: Scale, pending: &mut Pending) -> Computed {
        let (event, reason, message) = match inputs.pods {
            Selected::Pods(pods) => {
                let tolerances = self.tolerances(pending.behavior.as_ref());
                let at = Circumstances { settings: &self.settings, tolerances, pods, now_ms: inputs.now_ms };
                return compute(&at, &inputs.spec.metrics, inputs.answers, scale);
            }
            Selected::Required => (
                "SelectorRequired",
                reasons::INVALID_SELECTOR,
                "the target's scale has no selector".to_owned(),
            ),
            Selected::Invalid(why) => {
                let message = format!("the selector of the target's scale cannot be read: {why}");
                (reasons::INVALID_SELECTOR, reasons::INVALID_SELECTOR, message)
            }
            Selected::Ambiguous(others) => {
                let message = format!("pods are selected by several autoscalers: {others}");
                (reasons::AMBIGUOUS_SELECTOR, reasons::AMBIGUOUS_SELECTOR, message)
            }
        };
        Computed {
            events: vec![Event::warning(event, message.clone())],
            first_failure: Some(Failure { reason, message }),
            failed: inputs.spec.metrics.len(),
            ..Computed::default()
        }
    }

    /// Upstream: `horizontal.go`, `tolerancesForHpa`.
    fn tolerances(&self, behavior: Option<&Behavior>) -> Tolerances {
        let own = self.settings.tolerance;
        let behavior = behavior.filter(|_| self.settings.configurable_tolerance).map(Behavior::complete);
        Tolerances {
            down: behavior.and_then(|b| b.down.tolerance).map_or(own, Float::get),
            up: behavior.and_then(|b| b.up.tolerance).map_or(own, Float::get),
        }
    }

    fn normalize(&mut self, wish: Wish, pending: &mut Pending) -> i32 {
        let (state, settings, now_ms) = (&mut self.state, &self.settings, pending.now_ms);
        let result = match &pending.behavior {
            None => normalize(wish, state, settings, now_ms),
            Some(behavior) => normalize_with_behavior(wish, behavior.complete(), state, settings, now_ms),
        };
        let stability = result.stabilized_by.map_or("the window agrees with the recommendation", message);
        let reason = result.stabilized_by.map_or(reasons::READY_FOR_NEW_SCALE, Limit::reason);
        pending.status.set(now_ms, AbleToScale, true, reason, stability);
        let limit = result.limited_by.map_or("what is wanted is allowed", message);
        let reason = result.limited_by.map_or(reasons::DESIRED_WITHIN_RANGE, Limit::reason);
        pending.status.set(now_ms, ScalingLimited, result.limited_by.is_some(), reason, limit);
        pending.normalized = Some(result);
        result.desired
    }

    /// The sync from the write on; `written` is not looked at where nothing was to be written.
    pub fn finish(&mut self, pending: Pending, written: Result<(), String>) -> Outputs {
        let write = pending.write();
        let Pending {
            now_ms,
            step,
            behavior,
            proposal,
            metrics,
            mut status,
            before,
            mut events,
            mut error,
            ..
        } = pending;
        let arrive = |status: &mut HpaStatus, current| {
            (status.current_replicas, status.current_metrics) = (current, metrics.clone());
        };
        match (step, written) {
            (Step::Blind, _) => {}
            (Step::Failed { current }, _) => arrive(&mut status, current),
            (Step::Stay { current }, _) => {
                arrive(&mut status, current);
                status.desired_replicas = current;
            }
            (Step::Rescale { current, desired, because }, Err(why)) => {
                let message = format!("New size: {desired}; reason: {because}; error: {why}");
                events.push(Event::warning("FailedRescale", message));
                let message = format!("the target's scale could not be written: {why}");
                status.set(now_ms, AbleToScale, false, reasons::FAILED_UPDATE_SCALE, message);
                arrive(&mut status, current);
                error = Some(SyncError::UpdateScale(why));
            }
            (Step::Rescale { current, desired, because }, Ok(())) => {
                let message = format!("the target's scale was written: {desired} replicas");
                status.set(now_ms, AbleToScale, true, reasons::SUCCEEDED_RESCALE, message);
                let message = format!("New size: {desired}; reason: {because}");
                events.push(Event::normal("SuccessfulRescale", message));
                let behavior = behavior.as_ref().map(Behavior::complete);
                rates::written(&mut self.state, behavior, current, desired, now_ms);
                arrive(&mut status, current);
                status.desired_replicas = desired;
                status.last_scale_ms = Some(now_ms);
            }
        }
        let status_changed = status != before;
        Outputs { proposal, write, status, status_changed, events, error }
    }
}

/// A condition's words for what keeps replicas from what is wanted.
fn message(limit: Limit) -> &'static str {
    match limit {
        Limit::ScaleUpStabilized => "a lower recommendation of the window is kept",
        Limit::ScaleDownStabilized => "a higher recommendation of the window is kept",
        Limit::ScaleUpLimit => "replicas may not rise faster",
        Limit::ScaleDownLimit => "replicas may not fall faster",
        Limit::TooManyReplicas => "more replicas are wanted than maxReplicas",
        Limit::TooFewReplicas => "fewer replicas are wanted than minReplicas",
    }
}
