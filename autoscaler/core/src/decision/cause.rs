//! A decision's cause in one sentence.

use super::{Cause, Decision};
use crate::input::Input;
use crate::number::seconds;
use crate::pods::Pods;
use crate::policy::{MetricKind, Mode, Target};
use crate::verdict::Verdict;

impl Decision {
    /// One sentence: why this number.
    #[must_use]
    pub fn cause(&self, input: &Input) -> String {
        let current = input.scale.spec_replicas;
        match &self.cause {
            Cause::Invalid(problem) => format!("the policy contradicts itself: {problem}"),
            Cause::Paused => match input.policy.pause.replicas {
                Some(replicas) if input.policy.mode != Mode::Paused => {
                    format!("the policy is paused at {replicas}")
                }
                _ => "the policy is paused".to_owned(),
            },
            Cause::Disabled => "scaling is disabled since the replica count of the target is zero".to_owned(),
            Cause::AboveMaximum => {
                format!("{current} replicas are above {}", self.bound("maxReplicas"))
            }
            Cause::BelowMinimum => {
                format!("{current} replicas are below {}", self.bound("minReplicas"))
            }
            Cause::InsufficientEvidence => self.held(),
            Cause::MetricsFailed => self.failed(input),
            Cause::Metric { index, replicas } => {
                let spec = input.policy.metrics.get(*index).map(|spec| (&spec.kind, spec.target));
                self.limited(self.asked(input, self.metrics.get(*index), spec, *replicas))
            }
            Cause::Formula { replicas } => {
                let spec = input.policy.formula.as_ref().map(|spec| (&MetricKind::Query, spec.target));
                self.limited(self.asked(input, self.formula.as_ref(), spec, *replicas))
            }
            Cause::Idle => {
                let cooldown_ms = input.policy.zero.map_or(0, |zero| zero.cooldown_ms);
                self.limited(format!("nothing was active for {}", seconds(cooldown_ms)))
            }
        }
    }

    /// The bound that was beyond reach, and whose it is.
    fn bound(&self, field: &str) -> String {
        let whose = self.limits.first().and_then(|limit| limit.schedule.as_ref());
        let whose = whose.map(|name| format!("schedule {name}'s ")).unwrap_or_default();
        format!("{whose}{field}, {}", self.desired_replicas)
    }

    fn held(&self) -> String {
        let would =
            self.highest().map(|(replicas, metric)| format!("{} asks for {replicas}, but ", metric.name));
        let insufficient =
            self.verdicts().filter_map(|verdict| Some((verdict, verdict.own_doubts().next()?)));
        let names: Vec<_> =
            insufficient.map(|(verdict, doubt)| format!("{} ({doubt})", verdict.name)).collect();
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

    fn asked(
        &self,
        input: &Input,
        verdict: Option<&Verdict>,
        spec: Option<(&MetricKind, Target)>,
        replicas: i32,
    ) -> String {
        let (Some(verdict), Some((kind, target))) = (verdict, spec) else {
            return format!("a metric asks for {replicas}");
        };
        let name = &verdict.name;
        if verdict.is_by_fallback() {
            format!("{name} has no sufficient evidence and its fallback asks for {replicas}")
        } else {
            let position = match replicas.cmp(&input.scale.spec_replicas) {
                std::cmp::Ordering::Greater => "above target",
                std::cmp::Ordering::Equal => "on target",
                std::cmp::Ordering::Less if self.verdicts().count() > 1 => {
                    "highest, all metrics below target"
                }
                std::cmp::Ordering::Less => "below target",
            };
            format!(
                "{name} {position}: {} asks for {replicas}",
                super::measured(kind, target, verdict, input)
            )
        }
    }

    /// What is asked for, and what the limits left of it.
    fn limited(&self, what: String) -> String {
        let (stabilized, limited) = self.steps();
        match limited.or(stabilized) {
            Some(limit) if limit.to == self.desired_replicas => {
                let wait = limit.wait.map(|wait| format!(" for another {}", seconds(wait.left_ms)));
                let wait = wait.unwrap_or_default();
                let schedule = limit.schedule.as_ref().map(|name| format!(" of schedule {name}"));
                let schedule = schedule.unwrap_or_default();
                format!("{what}; {} by {}{schedule}{wait}", self.desired_replicas, limit.kind)
            }
            _ => what,
        }
    }
}
