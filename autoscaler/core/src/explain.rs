//! A decision in sentences.

use crate::decision::{Decision, doubt_sentence, measured};
use crate::input::Input;
use crate::limit::Limit;
use crate::number::seconds;
use crate::policy::Mode;
use crate::verdict::{Evidence, Verdict};

/// Turns a decision into sentences, the outcome first, then every metric, then every limit.
#[must_use]
pub fn explain(input: &Input, decision: &Decision) -> Vec<String> {
    let current = input.scale.spec_replicas;
    let desired = decision.desired_replicas;
    let cause = decision.cause(input);
    let outcome = match decision.write {
        Some(write) => format!("Scale from {current} to {write}: {cause}."),
        None if desired != current && input.policy.mode == Mode::Shadow => {
            format!("Would scale from {current} to {desired} (shadow, nothing is written): {cause}.")
        }
        None => format!("Stay at {current}: {cause}."),
    };
    let mut sentences = vec![outcome];
    sentences.extend(decision.metrics.iter().map(|verdict| metric_sentence(input, verdict)));
    sentences.extend(decision.limits.iter().map(limit_sentence));
    sentences
}

fn limit_sentence(limit: &Limit) -> String {
    let wait = limit.wait.map(|wait| format!(", for another {}: {}", seconds(wait.left_ms), wait.why));
    let (kind, from, to) = (limit.kind, limit.from, limit.to);
    format!("{kind} changed {from} to {to}: {}{}.", kind.message(), wait.unwrap_or_default())
}

fn metric_sentence(input: &Input, verdict: &Verdict) -> String {
    let name = &verdict.name;
    let spec = input.policy.metrics.iter().find(|spec| spec.name == *name);
    let measured = spec.map_or_else(String::new, |spec| measured(spec, verdict, input));
    let age_ms = verdict.value_ms.map_or(0, |at_ms| input.now_ms.saturating_sub(at_ms));
    let when = if age_ms > 0 { format!(", as of {} ago,", seconds(age_ms)) } else { String::new() };
    let asks = match verdict.proposal {
        Some(proposal) => format!("Metric {name} is {measured}{when} and asks for {proposal} replicas"),
        None => format!("Metric {name} asks for nothing"),
    };
    let Evidence::Insufficient { since_ms, .. } = &verdict.evidence else {
        return format!("{asks}, on sufficient evidence.");
    };
    let since = seconds(input.now_ms.saturating_sub(*since_ms));
    let counted = match (verdict.counted, verdict.fallback) {
        (Some(counted), Some(fallback)) if counted == fallback => format!("its fallback counts as {counted}"),
        (Some(counted), _) => format!("it may raise and counts as {counted}"),
        (None, _) => "it may not lower and is not counted".to_owned(),
    };
    format!("{asks}, on evidence insufficient for {since}, so {counted} ({}).", doubt_sentence(verdict))
}
