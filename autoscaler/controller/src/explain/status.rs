//! What a policy's status tells, in sentences: the last decisions in short, and how things stand.

use autoscaler_api::{DecisionSummary, MetricStatus, ScalingPolicyStatus};

use super::when::{span, time};

/// What it takes to know more.
const KEEP: &str = "A status has the last decisions in short; for what each came from, run the controller with \
                    --records-dir DIR, and explain with --records DIR.";

/// Tells the decision of `at_ms`, or (`None`) the last one and how things stand at `now_ms`; times are milliseconds
/// since the epoch.
///
/// # Errors
/// It has no decision of that time; says what it has.
pub(super) fn tell(
    policy: &str,
    status: Option<&ScalingPolicyStatus>,
    at_ms: Option<i64>,
    now_ms: i64,
) -> Result<String, String> {
    let silent = || format!("policy {policy} has no status: no controller that leads has seen it yet");
    let status = status.ok_or_else(silent)?;
    let decisions = decisions(status);
    let mut lines = vec![format!("Policy {policy}, by its status.")];
    let chosen = decisions.iter().position(|d| at_ms.is_none_or(|at_ms| ms(d) <= at_ms));
    match (chosen.and_then(|at| Some((at, *decisions.get(at)?))), at_ms, decisions.last()) {
        (Some((at, decision)), ..) => {
            lines.push(decided(decision, at_ms, now_ms));
            if let Some(next) = at.checked_sub(1).and_then(|next| decisions.get(next)) {
                lines.push(format!("The next that differed was taken at {}.", time(ms(next))));
            }
        }
        (None, Some(at_ms), Some(earliest)) => {
            return Err(format!(
                "policy {policy}: its status has no decision at or before {}; the earliest is of {}. {KEEP}",
                time(at_ms),
                time(ms(earliest))
            ));
        }
        (None, Some(_), None) => return Err(format!("policy {policy}: its status has no decision. {KEEP}")),
        (None, None, _) => lines.push("Nothing was decided yet.".to_owned()),
    }
    if at_ms.is_none() {
        lines.extend(standing(status));
        lines.extend(decisions.iter().skip(1).map(|d| format!("Before: {}", in_short(d))));
    }
    lines.push(KEEP.to_owned());
    Ok(lines.join("\n") + "\n")
}

/// Newest first, each once: what was written may be in both lists.
fn decisions(status: &ScalingPolicyStatus) -> Vec<&DecisionSummary> {
    let mut all: Vec<&DecisionSummary> = status.last_decisions.iter().chain(&status.last_scales).collect();
    all.sort_by_key(|d| (std::cmp::Reverse(ms(d)), &d.digest));
    all.dedup_by(|a, b| a.digest == b.digest && ms(a) == ms(b));
    all
}

fn ms(decision: &DecisionSummary) -> i64 {
    decision.time.0.as_millisecond()
}

fn decided(decision: &DecisionSummary, at_ms: Option<i64>, now_ms: i64) -> String {
    let age = match at_ms {
        None => format!("{} ago", span(now_ms.saturating_sub(ms(decision)))),
        Some(at_ms) => format!("{} before {}", span(at_ms.saturating_sub(ms(decision))), time(at_ms)),
    };
    format!("Decided {age}: {} Its record has the digest {}.", in_short(decision), decision.digest)
}

fn in_short(decision: &DecisionSummary) -> String {
    let DecisionSummary { from, to, written, cause, limits, .. } = decision;
    let what = match (from == to, written) {
        (true, _) => format!("stay at {from}"),
        (false, true) => format!("scale from {from} to {to}"),
        (false, false) => format!("from {from} to {to} was wanted and not written"),
    };
    let limited =
        if limits.is_empty() { String::new() } else { format!("; limited by {}", limits.join(", ")) };
    format!("{}, {what}: {cause}{limited}.", time(ms(decision)))
}

/// Replicas, metrics and conditions as they were written last.
fn standing(status: &ScalingPolicyStatus) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(current) = status.current_replicas {
        let wanted = status.desired_replicas.map(|desired| format!(", and {desired} are wanted"));
        lines
            .push(format!("The target was last seen with {current} replicas{}.", wanted.unwrap_or_default()));
    }
    if let Some(at) = &status.last_evaluation_time {
        lines.push(format!("Metrics as of {}:", at.0));
    }
    lines.extend(status.metrics.iter().map(|metric| measured(&format!("Metric {}", metric.name), metric)));
    lines.extend(status.formula.iter().map(|formula| measured("The formula", formula)));
    lines.extend(status.conditions.iter().map(|c| {
        format!(
            "{} is {} since {}, {}: {}.",
            c.type_, c.status, c.last_transition_time.0, c.reason, c.message
        )
    }));
    lines
}

fn measured(title: &str, metric: &MetricStatus) -> String {
    let value = metric.value.as_deref().map_or_else(|| "has no value".to_owned(), |v| format!("is {v}"));
    let asks = match metric.proposal {
        Some(replicas) => format!("asks for {replicas} replicas"),
        None => "asks for nothing".to_owned(),
    };
    let age = metric.age.as_ref().map(|age| format!(", its samples {age} old")).unwrap_or_default();
    let missing = match metric.clusters_missing.join(", ") {
        names if names.is_empty() => String::new(),
        names => format!("; without a fresh sample: {names}"),
    };
    let evidence = match (&metric.message, metric.sufficient) {
        (_, true) => "on sufficient evidence".to_owned(),
        (Some(why), false) => format!("on insufficient evidence: {why}"),
        (None, false) => "on insufficient evidence".to_owned(),
    };
    format!("{title} {value} and {asks}{age}, {evidence}{missing}.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status() -> ScalingPolicyStatus {
        let decision = |time: &str, from: i32, to: i32, written: bool| {
            json!({"time": time, "from": from, "to": to, "written": written, "cause": "requests above target",
                   "limits": ["ScaleUpLimit 12→8"], "digest": format!("{from}{to}")})
        };
        serde_json::from_value(json!({
            "currentReplicas": 8, "desiredReplicas": 8,
            "lastEvaluationTime": "2026-11-30T16:43:00Z",
            "conditions": [{"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale",
                            "message": "recommended size matches current size",
                            "lastTransitionTime": "2026-11-30T16:00:00Z"}],
            "metrics": [
                {"name": "requests", "value": "412", "age": "1s", "sufficient": true, "proposal": 8},
                {"name": "queue", "sufficient": false, "message": "no sample (look)", "clustersMissing": ["west"]},
            ],
            "lastDecisions": [decision("2026-11-30T16:40:00Z", 3, 8, true), decision("2026-11-30T16:30:00Z", 3, 3, false)],
            "lastScales": [decision("2026-11-30T16:40:00Z", 3, 8, true), decision("2026-11-30T15:00:00Z", 1, 3, true)],
        }))
        .unwrap()
    }

    fn at(text: &str) -> i64 {
        text.parse::<k8s_openapi::jiff::Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn the_last_decision_is_told_with_how_things_stand() {
        let now_ms = at("2026-11-30T16:43:30Z");
        let told = tell("default/web", Some(&status()), None, now_ms).unwrap();
        assert_eq!(
            told,
            "Policy default/web, by its status.\n\
             Decided 3m30s ago: 2026-11-30T16:40:00Z, scale from 3 to 8: requests above target; limited by \
             ScaleUpLimit 12→8. Its record has the digest 38.\n\
             The target was last seen with 8 replicas, and 8 are wanted.\n\
             Metrics as of 2026-11-30T16:43:00Z:\n\
             Metric requests is 412 and asks for 8 replicas, its samples 1s old, on sufficient evidence.\n\
             Metric queue has no value and asks for nothing, on insufficient evidence: no sample (look); without a \
             fresh sample: west.\n\
             AbleToScale is True since 2026-11-30T16:00:00Z, ReadyForNewScale: recommended size matches current size.\n\
             Before: 2026-11-30T16:30:00Z, stay at 3: requests above target; limited by ScaleUpLimit 12→8.\n\
             Before: 2026-11-30T15:00:00Z, scale from 1 to 3: requests above target; limited by ScaleUpLimit 12→8.\n"
                .to_owned()
                + KEEP
                + "\n"
        );
    }

    #[test]
    fn a_decision_of_before_is_told_or_what_there_is_instead() {
        let tell = |text: &str| tell("default/web", Some(&status()), Some(at(text)), at(text) + 1);
        let told = tell("2026-11-30T16:00:00Z").unwrap();
        assert!(
            told.contains("Decided 1h before 2026-11-30T16:00:00Z: 2026-11-30T15:00:00Z, scale from 1 to 3")
        );
        assert!(told.contains("The next that differed was taken at 2026-11-30T16:30:00Z."), "{told}");
        assert!(!told.contains("Metrics as of"), "of now, not of then: {told}");
        let error = tell("2026-11-30T14:00:00Z").unwrap_err();
        assert!(
            error.contains("at or before 2026-11-30T14:00:00Z; the earliest is of 2026-11-30T15:00:00Z"),
            "{error}"
        );
        assert!(error.contains("--records-dir"), "{error}");
    }

    #[test]
    fn a_policy_that_nobody_looked_at_says_so() {
        let error = tell("default/web", None, None, 0).unwrap_err();
        assert!(error.contains("no controller that leads has seen it yet"), "{error}");
        let told = tell("default/web", Some(&ScalingPolicyStatus::default()), None, 0).unwrap();
        assert!(told.contains("Nothing was decided yet."), "{told}");
    }
}
