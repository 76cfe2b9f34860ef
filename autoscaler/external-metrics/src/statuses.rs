//! Values out of the statuses that the controller writes.

use std::collections::BTreeMap;

use autoscaler_api::ScalingPolicyStatus;
use serde_json::Value as Json;

use crate::value::{Value, Values, Why};

/// How far another clock may be ahead, in milliseconds.
const AHEAD_MS: i64 = 10_000;
/// Where a policy's interval cannot be read it is the API's default, in milliseconds.
const INTERVAL_MS: i64 = 15_000;
/// Longest message that is told.
const MESSAGE_CHARS: usize = 1_000;

/// All policies, as a watch shows them.
#[derive(Clone, Debug)]
pub struct Statuses {
    policies: BTreeMap<String, BTreeMap<String, Kept>>,
    listed: bool,
    late_ms: i64,
}

/// What is kept of one policy.
#[derive(Clone, Debug, Default)]
struct Kept {
    generation: Option<i64>,
    interval_ms: i64,
    metrics: Vec<String>,
    status: ScalingPolicyStatus,
}

impl Statuses {
    /// Nothing is known yet. An evaluation may be the policy's interval and `late_ms` old: statuses are written once
    /// in a few seconds, and another leader needs some to take over.
    pub fn new(late_ms: i64) -> Self {
        Self { policies: BTreeMap::new(), listed: false, late_ms }
    }

    /// A policy is there, or changed.
    pub fn put(&mut self, policy: &Json) {
        let (namespace, name) = name(policy);
        self.policies.entry(namespace).or_default().insert(name, Kept::of(policy));
    }

    /// It is gone.
    pub fn remove(&mut self, namespace: &str, name: &str) {
        if let Some(policies) = self.policies.get_mut(namespace) {
            policies.remove(name);
            if policies.is_empty() {
                self.policies.remove(namespace);
            }
        }
    }

    /// These are all that there are.
    pub fn all<'a>(&mut self, policies: impl IntoIterator<Item = &'a Json>) {
        self.policies.clear();
        self.listed = true;
        policies.into_iter().for_each(|p| self.put(p));
    }

    /// Whether all were seen at least once.
    pub fn is_listed(&self) -> bool {
        self.listed
    }
}

impl Values for Statuses {
    fn get(&self, namespace: &str, policy: &str, metric: &str, now_ms: i64) -> Result<Value, Why> {
        let kept = match self.policies.get(namespace).and_then(|p| p.get(policy)) {
            Some(kept) => kept,
            None if self.listed => return Err(Why::NoPolicy),
            None => return Err(Why::NotListed),
        };
        if !kept.metrics.iter().any(|m| m == metric) {
            return Err(Why::NoMetric { has: kept.metrics.clone() });
        }
        kept.value(metric, now_ms, kept.interval_ms.saturating_add(self.late_ms))
    }

    fn policies_with(&self, namespace: &str, metric: &str) -> Vec<String> {
        let policies = self.policies.get(namespace).into_iter().flatten();
        policies
            .filter(|(_, k)| k.metrics.iter().any(|m| m == metric))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

impl Kept {
    fn of(policy: &Json) -> Self {
        let spec = &policy["spec"];
        let names = spec["metrics"].as_array().into_iter().flatten();
        Self {
            generation: policy["metadata"]["generation"].as_i64(),
            interval_ms: spec["interval"].as_str().and_then(duration_ms).unwrap_or(INTERVAL_MS),
            metrics: names.filter_map(|m| m["name"].as_str()).map(str::to_owned).collect(),
            // One that cannot be read says nothing.
            status: serde_json::from_value(policy["status"].clone()).unwrap_or_default(),
        }
    }

    fn value(&self, metric: &str, now_ms: i64, allowed_ms: i64) -> Result<Value, Why> {
        let status = &self.status;
        let evaluated_ms = status.last_evaluation_time.as_ref().map(|t| t.0.as_millisecond());
        let shown = status.metrics.iter().find(|m| m.name == metric);
        let (Some(evaluated_ms), Some(shown)) = (evaluated_ms, shown) else { return Err(Why::NotEvaluated) };
        if status.observed_generation.is_none() || status.observed_generation != self.generation {
            return Err(Why::NotEvaluated);
        }
        let since_ms = now_ms.saturating_sub(evaluated_ms);
        if since_ms > allowed_ms {
            return Err(Why::Stale { age_ms: since_ms, allowed_ms });
        }
        if since_ms < -AHEAD_MS {
            return Err(Why::FromTheFuture { ahead_ms: since_ms.saturating_neg() });
        }
        if !shown.sufficient {
            let message = shown.message.as_deref().unwrap_or_default().chars().take(MESSAGE_CHARS).collect();
            return Err(Why::Insufficient { message });
        }
        let counted = shown.value.as_deref().unwrap_or_default();
        let milli =
            milli(counted).ok_or_else(|| Why::NoValue { text: counted.chars().take(64).collect() })?;
        // A newer value may be of fewer samples, so that it may raise and not lower, here as in the controller.
        let newer = shown.newest.as_deref().and_then(self::milli).unwrap_or(milli);
        let age_ms = shown.age.as_deref().and_then(duration_ms).unwrap_or(0);
        Ok(Value { milli: milli.max(newer), at_ms: evaluated_ms.saturating_sub(age_ms) })
    }
}

/// A number in thousandths, rounded to the nearest; `None` for what is no number, and for what does not fit.
fn milli(text: &str) -> Option<i64> {
    let milli = (text.parse::<f64>().ok()? * 1000.0).round();
    // Beyond 2^63 a cast would saturate: another value.
    (milli.abs() < 9.2e18).then_some(milli as i64)
}

fn duration_ms(text: &str) -> Option<i64> {
    i64::try_from(thanos_model::parse_duration(text).ok()?.as_millis()).ok()
}

fn name(policy: &Json) -> (String, String) {
    let text = |key: &str| policy["metadata"][key].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

#[cfg(test)]
mod tests;
