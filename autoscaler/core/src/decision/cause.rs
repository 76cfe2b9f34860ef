//! A decision's cause in one sentence.

use super::{Cause, Decision};
use crate::input::Input;
use crate::number::seconds;
use crate::pods::Pods;

impl Decision {
    /// One sentence: why this number.
    #[must_use]
    pub fn cause(&self, input: &Input) -> String {
        let current = input.scale.spec_replicas;
        match &self.cause {
            Cause::Invalid(problem) => format!("the policy contradicts itself: {problem}"),
            Cause::Paused => "the policy is paused".to_owned(),
            Cause::Disabled => "scaling is disabled since the replica count of the target is zero".to_owned(),
            Cause::AboveMaximum => {
                format!("{current} replicas are above maxReplicas, {}", input.policy.max_replicas)
            }
            Cause::BelowMinimum => {
                format!("{current} replicas are below minReplicas, {}", input.policy.min_replicas)
            }
            Cause::InsufficientEvidence => self.held(),
            Cause::MetricsFailed => self.failed(input),
            Cause::Metric { index, replicas } => self.by_metric(input, *index, *replicas),
        }
    }

    fn held(&self) -> String {
        let would = self.highest().and_then(|(replicas, index)| Some((replicas, self.metrics.get(index)?)));
        let would = would.map(|(replicas, metric)| format!("{} asks for {replicas}, but ", metric.name));
        let insufficient = self.metrics.iter().filter(|verdict| verdict.evidence.is_insufficient());
        let names: Vec<_> = insufficient
            .map(|verdict| {
                let doubt = verdict.evidence.doubts().first().map(ToString::to_string).unwrap_or_default();
                format!("{} ({doubt})", verdict.name)
            })
            .collect();
        format!("{}evidence is insufficient for {}", would.unwrap_or_default(), names.join(", "))
    }

    fn failed(&self, input: &Input) -> String {
        let failed = self.metrics.iter().filter(|verdict| verdict.evidence.is_insufficient());
        let names: Vec<_> = failed
            .map(|verdict| {
                let doubt = verdict.evidence.doubts().first().map(ToString::to_string).unwrap_or_default();
                format!("{} ({doubt})", verdict.name)
            })
            .collect();
        if names.is_empty() {
            Pods::why_unknown(input.pods.as_ref())
        } else {
            format!("no number from {}", names.join(", "))
        }
    }

    fn by_metric(&self, input: &Input, index: usize, replicas: i32) -> String {
        let (Some(verdict), Some(spec)) = (self.metrics.get(index), input.policy.metrics.get(index)) else {
            return format!("a metric asks for {replicas}");
        };
        let name = &verdict.name;
        let what = if verdict.is_by_fallback() {
            format!("{name} has no sufficient evidence and its fallback asks for {replicas}")
        } else {
            let position = match replicas.cmp(&input.scale.spec_replicas) {
                std::cmp::Ordering::Greater => "above target",
                std::cmp::Ordering::Equal => "on target",
                std::cmp::Ordering::Less if self.metrics.len() > 1 => "highest, all metrics below target",
                std::cmp::Ordering::Less => "below target",
            };
            format!("{name} {position}: {} asks for {replicas}", super::measured(spec, verdict, input))
        };
        let (stabilized, limited) = self.steps();
        match limited.or(stabilized) {
            Some(limit) if limit.to == self.desired_replicas => {
                let wait = limit.wait.map(|wait| format!(" for another {}", seconds(wait.left_ms)));
                let wait = wait.unwrap_or_default();
                format!("{what}; {} by {}{wait}", self.desired_replicas, limit.kind)
            }
            _ => what,
        }
    }
}
