//! A policy's status: what is said, and how often it is worth a write.

use std::collections::BTreeMap;
use std::time::Duration;

use autoscaler_api::status::MAX_DECISIONS;
use autoscaler_api::{DecisionSummary, MetricStatus, ScalingPolicyStatus};
use autoscaler_core::{Decision, Float, Input, Observation, Reading, Samples, SelectorSamples};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use crate::plan::MetricPlan;

/// Shortest time between two writes of one policy's status.
const MIN_GAP: Duration = Duration::from_secs(1);
/// Longest message of a condition; the API refuses more than 32768 characters.
const MAX_MESSAGE: usize = 2_000;

/// One condition to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub kind: String,
    pub status: bool,
    pub reason: String,
    pub message: String,
}

impl Said {
    pub(crate) fn new(kind: &str, status: bool, reason: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), status, reason: reason.to_owned(), message: message.into() }
    }

    /// The decision's own conditions.
    pub(crate) fn by_decision(decision: &Decision, input: &Input) -> Vec<Self> {
        let said =
            |c: autoscaler_core::Condition| Self::new(&c.kind.to_string(), c.status, &c.reason, c.message);
        decision.conditions(input).into_iter().map(said).collect()
    }
}

/// Sets conditions in place; the others stay. Returns those whose status or reason changed.
pub(crate) fn say(
    conditions: &mut Vec<Condition>,
    said: Vec<Said>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Said> {
    let mut changed = Vec::new();
    for s in said {
        let status = if s.status { "True" } else { "False" };
        let message: String = s.message.chars().take(MAX_MESSAGE).collect();
        let old = conditions.iter_mut().find(|c| c.type_ == s.kind);
        let (same_status, same_reason) =
            old.as_ref().map_or((false, false), |c| (c.status == status, c.reason == s.reason));
        let since =
            old.as_ref().filter(|_| same_status).map_or(Time(now), |c| c.last_transition_time.clone());
        let condition = Condition {
            last_transition_time: since,
            message,
            observed_generation: generation,
            reason: s.reason.clone(),
            status: status.to_owned(),
            type_: s.kind.clone(),
        };
        match old {
            Some(old) => *old = condition,
            None => conditions.push(condition),
        }
        if !(same_status && same_reason) {
            changed.push(s);
        }
    }
    changed
}

/// Each metric's value with its evidence.
pub(crate) fn metrics(plans: &[MetricPlan], input: &Input, decision: &Decision) -> Vec<MetricStatus> {
    let verdicts: BTreeMap<&str, _> = decision.metrics.iter().map(|v| (v.name.as_str(), v)).collect();
    let duration = |ms: i64| thanos_model::format_duration(Duration::from_millis(ms.max(0).unsigned_abs()));
    plans
        .iter()
        .filter_map(|plan| {
            let verdict = verdicts.get(plan.name.as_str())?;
            let observation = input.observations.iter().find(|o| o.name == plan.name)?;
            let known = decision.history.metrics.iter().find(|known| known.name == plan.name);
            let doubts = verdict.evidence.doubts();
            let answered = |cluster: &str| {
                let doubted = doubts.iter().any(|doubt| doubt.cluster().is_some_and(|c| *c == *cluster));
                !doubted
                    && selectors(observation).iter().any(|s| s.clusters.iter().any(|c| c.cluster == *cluster))
            };
            // Those that the policy names, else those that are remembered.
            let expected: Vec<String> = if plan.clusters.is_empty() {
                let remembered = known.into_iter().flat_map(|known| &known.clusters);
                remembered.map(|c| c.name.to_string()).filter(|c| !c.is_empty()).collect()
            } else {
                plan.clusters.clone()
            };
            let (answered, missing) = expected.into_iter().partition(|c| answered(c));
            let mut warnings = observation.warnings.clone();
            warnings.extend(observation.incomplete.clone());
            Some(MetricStatus {
                name: plan.name.to_string(),
                value: verdict.value.map(|v| v.to_string()),
                newest: newest(observation).filter(|v| Some(*v) != verdict.value).map(|v| v.to_string()),
                age: oldest_ms(observation, input.now_ms).map(duration),
                sufficient: doubts.is_empty(),
                message: (!doubts.is_empty()).then(|| {
                    let texts: Vec<String> = doubts.iter().map(|d| format!("{d} ({})", d.cure())).collect();
                    texts.join("; ").chars().take(MAX_MESSAGE).collect()
                }),
                clusters_answered: answered,
                clusters_missing: missing,
                warnings,
                proposal: verdict.proposal,
            })
        })
        .collect()
}

fn newest(observation: &Observation) -> Option<Float> {
    match observation.newest {
        Reading::Value(value) => Some(value),
        Reading::Failed { .. } => None,
    }
}

fn selectors(observation: &Observation) -> &[SelectorSamples] {
    match &observation.samples {
        Samples::Seen(selectors) => selectors,
        Samples::Timeless | Samples::Unknown(_) => &[],
    }
}

/// Age of the slowest series' newest sample of the cluster that lags most.
pub(crate) fn oldest_ms(observation: &Observation, now_ms: i64) -> Option<i64> {
    let clusters = selectors(observation).iter().flat_map(|selector| &selector.clusters);
    clusters.map(|c| now_ms.saturating_sub(c.slowest_ms.unwrap_or(c.newest_ms))).max()
}

/// Puts a decision in front, if it differs from the one before in more than numbers.
pub(crate) fn remember(decisions: &mut Vec<DecisionSummary>, decision: DecisionSummary) {
    decisions.insert(0, decision);
    decisions.truncate(MAX_DECISIONS);
}

/// Whether a decision wishes something else than the one before, or is limited by something else. What the
/// limits changed drifts with every sample and is no news.
pub(crate) fn is_news(last: Option<&DecisionSummary>, to: i32, limits: &[String]) -> bool {
    let kinds = |limits: &[String]| -> Vec<String> {
        limits.iter().map(|l| l.split(' ').next().unwrap_or_default().to_owned()).collect()
    };
    last.is_none_or(|last| last.to != to || kinds(&last.limits) != kinds(limits))
}

/// Whether the status should be written now: at once for what matters, seldom for values that drift.
pub(crate) fn is_due(
    written: Option<&ScalingPolicyStatus>,
    new: &ScalingPolicyStatus,
    tried: Option<Instant>,
    now: Instant,
    refresh: Duration,
) -> bool {
    let passed = tried.map_or(Duration::MAX, |t| now.saturating_duration_since(t));
    if passed < MIN_GAP || written == Some(new) {
        return false;
    }
    passed >= refresh || written.is_none_or(|old| material(old) != material(new))
}

/// A status without what drifts with every sample.
fn material(status: &ScalingPolicyStatus) -> ScalingPolicyStatus {
    let mut status = status.clone();
    status.last_evaluation_time = None;
    for metric in &mut status.metrics {
        (metric.value, metric.newest, metric.age) = (None, None, None);
        (metric.message, metric.proposal) = (None, None);
        metric.warnings.clear();
    }
    for condition in &mut status.conditions {
        condition.message.clear();
    }
    status
}

#[cfg(test)]
mod tests;
