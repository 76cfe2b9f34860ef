//! One evaluation of one policy: read, decide, record, write, say.
//!
//! ```text
//!  answers ─► observations ┐
//!  GET /scale, target ─────┴► Input ─► decide (pure) ─► record ─► ring ─► PUT /scale ─► status, events
//! ```
//!
//! A conflict or a failed write is not repeated: the next evaluation reads again and decides anew.

use std::sync::Arc;

use autoscaler_api::conditions::{events, reasons, types};
use autoscaler_api::{DecisionSummary, ScalingPolicyStatus};
use autoscaler_core::{Decision, History, Input, Mode, Scale, Wish, decide};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

use crate::cluster::{CallError, Cluster, Target, is_conflict, is_missing, may_have_happened};
use crate::events::Told;
use crate::evidence::{self, Question};
use crate::metrics::{MetricLabels, OutcomeLabels, PolicyLabels};
use crate::plan::{MetricPlan, Plan};
use crate::policies::Policy;
use crate::querier::Outcome;
use crate::ring::reconcile::{self, Memory};
use crate::shared::Shared;
use crate::status::{self, Said};

/// What one policy's evaluations hand on. Lost with the process: then the replicas found count as a
/// recommendation, so that a restart lowers nothing for one window; the rates start anew.
#[derive(Debug, Default)]
pub(crate) struct State {
    history: History,
    /// As it should be.
    status: ScalingPolicyStatus,
    /// As it was last written.
    written: Option<ScalingPolicyStatus>,
    /// When a write was last tried.
    tried: Option<Instant>,
    /// A write whose answer never came: `(from, to)`.
    unanswered: Option<(i32, i32)>,
    ring: Memory,
    told: Told,
}

impl State {
    /// Begins where the status of a former process ended.
    pub(crate) fn new(status: ScalingPolicyStatus) -> Self {
        Self { status, ..Self::default() }
    }

    /// The queries of an evaluation at `now_ms`, by metric.
    pub(crate) fn queries(&self, plan: &Plan, now_ms: i64) -> Vec<Vec<String>> {
        plan.queries(now_ms, &self.history)
    }
}

/// The evaluation at hand.
pub(crate) struct Tick<'a> {
    pub shared: &'a Shared,
    pub cluster: &'a Cluster,
    pub policy: &'a Policy,
    /// Other active policies with the same target.
    pub rivals: Vec<String>,
    /// The time that queries were evaluated at.
    pub now_ms: i64,
    /// What the querier said, by metric; `None` is a query that was never answered.
    pub outcomes: &'a [Vec<Option<Arc<Outcome>>>],
}

/// What became of an evaluation, as a label.
type Became = &'static str;

impl Tick<'_> {
    /// Evaluates.
    pub(crate) async fn run(&self, state: &mut State) {
        let mut status = state.status.clone();
        status.observed_generation = self.policy.generation;
        if self.ring_is_gone() {
            status.ring = None;
            status.conditions.retain(|c| c.type_ != types::RING_SETTLED);
        }
        let (said, became) = self.evaluate(state, &mut status).await;
        let labels = OutcomeLabels { cluster: self.cluster.name.clone(), outcome: became };
        self.shared.metrics.decisions.get_or_create(&labels).inc();
        let changed = status::say(&mut status.conditions, said, self.policy.generation, now());
        self.tell(state, &changed).await;
        self.write_status(state, status).await;
    }

    fn ring_is_gone(&self) -> bool {
        self.policy.plan.as_ref().is_ok_and(|p| p.ring.is_none())
    }

    async fn evaluate(&self, state: &mut State, status: &mut ScalingPolicyStatus) -> (Vec<Said>, Became) {
        let (plan, spec) = match (&self.policy.plan, &self.policy.spec) {
            (Ok(plan), Some(spec)) => (plan, spec),
            (Err(problems), _) => {
                let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
                let said = Said::new(types::SCALING_ACTIVE, false, reasons::INVALID_POLICY, text.join("; "));
                return (vec![said], "invalid");
            }
            (Ok(_), None) => return (Vec::new(), "invalid"),
        };
        if !self.rivals.is_empty() {
            let message = format!(
                "{} {} is also the target of the active policies {}, so none of them writes; keep one, or set the \
                 others' mode to Shadow or Paused",
                spec.scale_target_ref.kind,
                spec.scale_target_ref.name,
                self.rivals.join(", ")
            );
            return (
                vec![Said::new(types::ABLE_TO_SCALE, false, reasons::AMBIGUOUS_TARGET, message)],
                "ambiguous",
            );
        }
        match self.cluster.target(&self.policy.namespace, &spec.scale_target_ref).await {
            Ok(target) => self.decide(state, status, plan, &target).await,
            Err(error) => {
                let name = format!("{} {}", spec.scale_target_ref.kind, spec.scale_target_ref.name);
                let cure = if is_missing(&error) {
                    "create it, or correct spec.scaleTargetRef"
                } else {
                    "check the API server and the controller's permissions"
                };
                let message = format!("the scale of {name} could not be read: {error}; {cure}");
                (
                    vec![Said::new(types::ABLE_TO_SCALE, false, reasons::FAILED_GET_SCALE, message)],
                    "unreadable",
                )
            }
        }
    }

    async fn decide(
        &self,
        state: &mut State,
        status: &mut ScalingPolicyStatus,
        plan: &Plan,
        target: &Target,
    ) -> (Vec<Said>, Became) {
        let current = target.replicas();
        if let Some((from, to)) = state.unanswered {
            if to == current {
                // The write did happen; it used up rate.
                state.history.record_written(&plan.policy, self.now_ms, from, to);
            }
            // It may still be on its way while nothing has changed.
            state.unanswered = Some((from, to)).filter(|_| from == current);
        }
        let input = self.input(state, plan, target);
        let decision = decide(&input);
        state.history = decision.history.clone();
        let mut said = Said::by_decision(&decision, &input);
        let cause = decision.cause(&input);

        let (write, ring_event) = self.ring(state, status, plan, target, &decision, &mut said).await;
        let limits = limits(&decision);
        let last = status.last_decisions.first();
        let news = status::is_news(last, write.unwrap_or(decision.desired_replicas), &limits);
        // Recorded before it is acted on: what was done can always be explained.
        let digest = (news || write.is_some()).then(|| self.shared.records.keep(&input, &decision));

        let mut became = became(&decision, current, plan.policy.mode);
        let mut written = false;
        if let Some(to) = write {
            let (result, outcome) = self.write(state, plan, target, to, &cause).await;
            written = outcome == "written";
            became = outcome;
            said.retain(|s| s.kind != result.kind);
            said.push(result);
        }
        if written {
            status.last_scale_time = Some(Time(now()));
        }
        status.current_replicas = Some(write.filter(|_| written).unwrap_or(current));
        status.desired_replicas = Some(decision.desired_replicas);
        status.metrics = status::metrics(&plan.metrics, &input, &decision);
        status.last_evaluation_time = Timestamp::from_millisecond(input.now_ms).ok().map(Time);
        let failed_again = !news && !written && state.unanswered.is_none();
        if failed_again && let Some(digest) = &digest {
            self.shared.records.discard(digest);
        }
        if let Some(digest) = digest.filter(|_| news || written) {
            let summary = DecisionSummary {
                time: Time(now()),
                from: current,
                to: write.unwrap_or(decision.desired_replicas),
                written,
                cause,
                limits,
                digest,
            };
            status::remember(&mut status.last_decisions, summary);
        }
        if let Some(note) = ring_event {
            self.event(false, events::RING_CHANGED, &note).await;
        }
        let latest = &self.shared.metrics.latest;
        latest.decided(&self.labels(), &decision, &input);
        if written {
            latest.written(&self.labels(), &decision, &input);
        }
        self.measure(status, plan, &input);
        (said, became)
    }

    fn input(&self, state: &State, plan: &Plan, target: &Target) -> Input {
        let observe = |(index, metric): (usize, &MetricPlan)| {
            let outcomes: Vec<Option<&Outcome>> =
                self.outcomes.get(index).into_iter().flatten().map(Option::as_deref).collect();
            let question = Question {
                now_ms: self.now_ms,
                settled_ms: state.history.settled_ms(&metric.name),
                cluster_label: &self.shared.cluster_label,
            };
            evidence::observe(metric, question, &outcomes)
        };
        Input {
            now_ms: self.now_ms,
            cluster: self.cluster.name.as_str().into(),
            policy: plan.policy.clone(),
            scale: Scale {
                spec_replicas: target.replicas(),
                status_replicas: target.status_replicas(),
                ready_replicas: target.ready_replicas,
            },
            observations: plan.metrics.iter().enumerate().map(observe).collect(),
            history: state.history.clone(),
        }
    }

    /// What may be written, after the ring had its say.
    async fn ring(
        &self,
        state: &mut State,
        status: &mut ScalingPolicyStatus,
        plan: &Plan,
        target: &Target,
        decision: &Decision,
        said: &mut Vec<Said>,
    ) -> (Option<i32>, Option<String>) {
        let (Some(ring), Some(spec)) = (&plan.ring, &self.policy.spec) else { return (decision.write, None) };
        let request = reconcile::Request {
            namespace: &self.policy.namespace,
            target: &spec.scale_target_ref.name,
            selector: target.selector(),
            ordered_start: target.ordered_start,
            ring,
            replicas: target.replicas(),
            wanted: decision.write,
            is_held: decision.wish(target.replicas()) == Wish::Hold,
            // A paused policy keeps its ring in order, a shadow writes nothing at all.
            may_write: plan.policy.mode != Mode::Shadow,
        };
        let outcome =
            reconcile::reconcile(self.cluster, &request, &mut state.ring, self.shared.steady_ms()).await;
        said.push(outcome.said);
        if outcome.status.is_some() {
            status.ring = outcome.status;
        }
        // Only an active policy's decision asks for a write in the first place.
        (outcome.write.filter(|_| decision.write.is_some()), outcome.changed)
    }

    async fn write(
        &self,
        state: &mut State,
        plan: &Plan,
        target: &Target,
        to: i32,
        cause: &str,
    ) -> (Said, Became) {
        let from = target.replicas();
        let Some(spec) = &self.policy.spec else {
            return (Said::new(types::ABLE_TO_SCALE, false, reasons::INVALID_POLICY, "no spec"), "invalid");
        };
        let target_ref = &spec.scale_target_ref;
        let able = |status, reason, message: String| Said::new(types::ABLE_TO_SCALE, status, reason, message);
        match self.cluster.write_scale(&self.policy.namespace, target_ref, &target.scale, to).await {
            Ok(()) => {
                state.unanswered = None;
                state.history.record_written(&plan.policy, self.now_ms, from, to);
                tracing::info!(
                    cluster = self.cluster.name,
                    policy = %format_args!("{}/{}", self.policy.namespace, self.policy.name),
                    from,
                    to,
                    cause,
                    "scaled"
                );
                let note = format!("New size: {to}; reason: {cause}");
                self.event(false, events::SUCCESSFUL_RESCALE, &note).await;
                let message = format!("the controller was able to update the target scale to {to}");
                (able(true, reasons::SUCCEEDED_RESCALE, message), "written")
            }
            Err(e) if is_conflict(&e) => {
                let message = "the target changed while it was decided on; the next evaluation decides anew";
                (able(true, reasons::SCALE_CONFLICT, message.into()), "conflict")
            }
            Err(CallError::NotLeader) => {
                let message = "this process lost the Lease before it wrote; the new leader decides";
                (able(false, reasons::NOT_LEADER, message.into()), "not_leader")
            }
            Err(e) => {
                if may_have_happened(&e) {
                    state.unanswered = Some((from, to));
                }
                let message = format!(
                    "the scale of {} {} could not be written: {e}; the next evaluation reads and decides anew",
                    target_ref.kind, target_ref.name
                );
                (able(false, reasons::FAILED_UPDATE_SCALE, message), "failed")
            }
        }
    }

    /// Events for the conditions that changed, when they are due.
    async fn tell(&self, state: &mut State, changed: &[Said]) {
        for telling in state.told.due(changed, self.now_ms) {
            tracing::info!(
                cluster = self.cluster.name,
                policy = %format_args!("{}/{}", self.policy.namespace, self.policy.name),
                reason = telling.reason,
                message = telling.said.message,
                "condition"
            );
            if !self.event(telling.warning, &telling.reason, &telling.said.message).await {
                state.told.failed(telling);
            }
        }
    }

    /// Says whether it was published.
    async fn event(&self, warning: bool, reason: &str, note: &str) -> bool {
        let published = self.cluster.publish(&self.policy.reference, warning, reason, note).await;
        if let Err(error) = &published {
            tracing::debug!(cluster = self.cluster.name, %error, reason, "an event could not be published");
        }
        published.is_ok()
    }

    async fn write_status(&self, state: &mut State, status: ScalingPolicyStatus) {
        let now = Instant::now();
        let due =
            status::is_due(state.written.as_ref(), &status, state.tried, now, self.shared.status_refresh);
        state.status = status;
        if !due {
            return;
        }
        state.tried = Some(now);
        self.shared.metrics.status_writes.inc();
        match self.cluster.write_status(&self.policy.namespace, &self.policy.name, &state.status).await {
            Ok(()) => state.written = Some(state.status.clone()),
            Err(e) if is_missing(&e) => tracing::debug!(policy = self.policy.name, "the policy is gone"),
            Err(error) => {
                tracing::debug!(cluster = self.cluster.name, policy = self.policy.name, %error, "status not written");
            }
        }
    }

    fn labels(&self) -> PolicyLabels {
        PolicyLabels {
            cluster: self.cluster.name.clone(),
            namespace: self.policy.namespace.clone(),
            policy: self.policy.name.clone(),
        }
    }

    fn measure(&self, status: &ScalingPolicyStatus, plan: &Plan, input: &Input) {
        let labels = self.labels();
        let metrics = &self.shared.metrics;
        let gauge = |family: &Family<PolicyLabels, Gauge>, value: i64| {
            family.get_or_create(&labels).set(value);
        };
        gauge(&metrics.desired, i64::from(status.desired_replicas.unwrap_or(0)));
        gauge(&metrics.current, i64::from(status.current_replicas.unwrap_or(0)));
        gauge(&metrics.evidence_sufficient, i64::from(status.metrics.iter().all(|m| m.sufficient)));
        if let Some(target) = self.policy.spec.as_ref().map(|s| &s.scale_target_ref) {
            metrics.target_info.get_or_create(&labels.target(&target.kind, &target.name)).set(1);
        }
        if plan.ring.is_some() {
            gauge(&metrics.ring_version, status.ring.as_ref().map_or(0, |r| r.version));
        }
        for observation in &input.observations {
            let labels = MetricLabels {
                cluster: labels.cluster.clone(),
                namespace: labels.namespace.clone(),
                policy: labels.policy.clone(),
                metric: observation.name.to_string(),
            };
            // Unknown is not zero.
            let seconds =
                status::oldest_ms(observation, input.now_ms).map_or(f64::NAN, |ms| ms as f64 / 1000.0);
            metrics.evidence_age.get_or_create(&labels).set(seconds);
        }
    }
}

/// What cut the result. A hold without any number to cut has no limit of its own, but is one to a reader.
fn limits(decision: &Decision) -> Vec<String> {
    let mut limits: Vec<String> =
        decision.limits.iter().map(|l| format!("{} {}→{}", l.kind, l.from, l.to)).collect();
    if limits.is_empty()
        && let Some(held) = decision.limited_by()
    {
        limits.push(held.to_string());
    }
    limits
}

fn became(decision: &Decision, current: i32, mode: Mode) -> Became {
    match (mode, decision.desired_replicas.cmp(&current)) {
        (Mode::Paused, _) => "paused",
        (_, std::cmp::Ordering::Equal) => "hold",
        (Mode::Shadow, _) => "shadow",
        // Wanted but not written: the ring settles.
        (Mode::Active, _) => "waiting",
    }
}

fn now() -> Timestamp {
    Timestamp::now()
}
