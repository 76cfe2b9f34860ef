//! A decision in sentences.

use crate::decision::{Decision, doubt_sentence, measured};
use crate::input::Input;
use crate::limit::Limit;
use crate::number::seconds;
use crate::policy::{MetricKind, Mode, Target};
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
    sentences.extend(decision.metrics.iter().map(|verdict| metric_sentence(input, verdict, false)));
    sentences.extend(decision.formula.iter().map(|verdict| metric_sentence(input, verdict, true)));
    sentences.extend(decision.limits.iter().map(limit_sentence));
    sentences
}

fn limit_sentence(limit: &Limit) -> String {
    let wait = limit.wait.map(|wait| format!(", for another {}: {}", seconds(wait.left_ms), wait.why));
    let (kind, from, to) = (limit.kind, limit.from, limit.to);
    let schedule = limit.schedule.as_ref().map(|name| format!(" of schedule {name}")).unwrap_or_default();
    format!("{kind}{schedule} changed {from} to {to}: {}{}.", kind.message(), wait.unwrap_or_default())
}

fn metric_sentence(input: &Input, verdict: &Verdict, is_formula: bool) -> String {
    let policy = &input.policy;
    let (title, spec) = if is_formula {
        let spec = policy.formula.as_ref();
        let text = spec.map(|spec| spec.expression.to_string()).unwrap_or_default();
        (format!("The formula {text}"), spec.map(|spec| (&MetricKind::Query, spec.target)))
    } else {
        let spec = policy.metrics.iter().find(|spec| spec.name == verdict.name);
        (format!("Metric {}", verdict.name), spec.map(|spec| (&spec.kind, spec.target)))
    };
    let target = spec.map(|(_, target)| target);
    let measured = spec.map_or_else(String::new, |(kind, target)| measured(kind, target, verdict, input));
    let age_ms = verdict.value_ms.map_or(0, |at_ms| input.now_ms.saturating_sub(at_ms));
    let when = if age_ms > 0 { format!(", as of {} ago,", seconds(age_ms)) } else { String::new() };
    let asks = match verdict.proposal {
        Some(proposal) => format!("{title} is {measured}{when} and asks for {proposal} replicas"),
        None if target == Some(Target::None) && verdict.value.is_some() => {
            format!("{title} is {measured}{when}, for the formula")
        }
        None => format!("{title} asks for nothing"),
    };
    let since_ms = match &verdict.evidence {
        Evidence::Sufficient => return format!("{asks}, on sufficient evidence."),
        Evidence::NotJudged => return format!("{asks}, as the HPA takes it."),
        Evidence::Insufficient { since_ms, .. } => since_ms,
    };
    let since = seconds(input.now_ms.saturating_sub(*since_ms));
    let counted = match (verdict.counted, verdict.fallback) {
        (Some(counted), Some(fallback)) if counted == fallback => format!("its fallback counts as {counted}"),
        (Some(counted), _) => format!("it may raise and counts as {counted}"),
        (None, _) => "it may not lower and is not counted".to_owned(),
    };
    format!(
        "{asks}, on evidence insufficient for {since}, so {counted} ({}).",
        doubt_sentence(verdict, is_formula)
    )
}
