//! A decision in sentences.

use crate::conditions::{doubt_sentence, measured};
use crate::decision::{Decision, Evidence, Verdict};
use crate::evidence::seconds;
use crate::input::Input;
use crate::policy::Mode;

/// Turns a decision into sentences, the outcome first, then every metric, then every limit.
#[must_use]
pub fn explain(input: &Input, decision: &Decision) -> Vec<String> {
    let current = input.scale.spec_replicas;
    let desired = decision.desired_replicas;
    let outcome = match decision.write {
        Some(write) => format!("Scale from {current} to {write}: {}.", decision.cause),
        None if desired != current && input.policy.mode == Mode::Shadow => {
            format!(
                "Would scale from {current} to {desired} (shadow, nothing is written): {}.",
                decision.cause
            )
        }
        None => format!("Stay at {current}: {}.", decision.cause),
    };
    let mut sentences = vec![outcome];
    sentences.extend(decision.metrics.iter().map(|verdict| metric_sentence(input, verdict)));
    sentences.extend(decision.limits.iter().map(|limit| {
        format!("{} changed {} to {}: {}.", limit.kind, limit.from, limit.to, limit.kind.message())
    }));
    sentences
}

fn metric_sentence(input: &Input, verdict: &Verdict) -> String {
    let name = &verdict.name;
    let measured = input
        .policy
        .metrics
        .iter()
        .find(|spec| &spec.name == name)
        .map_or_else(String::new, |spec| measured(spec, verdict, input));
    let asks = match verdict.proposal {
        Some(proposal) => format!("Metric {name} is {measured} and asks for {proposal} replicas"),
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
