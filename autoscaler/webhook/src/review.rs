//! The judgement: what is refused, and what is said beside.

use autoscaler_api::{GROUP, Problem};
use serde_json::Value;

use crate::known::Known;
use crate::scaler::Scaler;
use crate::verdict::Verdict;
use crate::wire::AdmissionRequest;

/// What a policy's document says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is sound, but does not do what it says.
    pub notes: Vec<Problem>,
}

/// Judges one request. `judge` is what judges a document alone: that of `gauntlet autoscaler check`.
pub fn review(request: &AdmissionRequest, known: &Known, judge: impl Fn(&Value) -> Judged) -> Verdict {
    let mut verdict = Verdict { kind: request.kind.kind.clone(), name: name(request), ..Verdict::default() };
    let is_whole = request.sub_resource.as_deref().unwrap_or_default().is_empty();
    let is = |group: &str, kind: &str| is_whole && request.kind.group == group && request.kind.kind == kind;
    let (ours, hpa) = (is(GROUP, "ScalingPolicy"), is("autoscaling", "HorizontalPodAutoscaler"));
    let update = match request.operation.as_str() {
        "CREATE" => false,
        "UPDATE" => true,
        _ => return verdict,
    };
    // Whoever cannot take a finalizer away cannot delete; status and metadata change nothing of what is asked for.
    let deleted = !request.object["metadata"]["deletionTimestamp"].is_null();
    if hpa && !deleted {
        return review_hpa(request, known, verdict);
    }
    if !ours || deleted || update && request.object["spec"] == request.old_object["spec"] {
        return verdict;
    }
    let Judged { mut problems, notes } = judge(&request.object);
    problems.extend(others(request, &request.object, known));
    if update {
        // Refused only for what the update makes wrong: a policy that was wrong before can still be paused, and
        // be mended in steps.
        let mut before = judge(&request.old_object).problems;
        before.extend(others(request, &request.old_object, known));
        let (old, new) = problems.into_iter().partition(|p| before.contains(p));
        problems = new;
        verdict.warnings.extend(old.iter().map(|p: &Problem| format!("still wrong: {p}")));
    }
    verdict.problems = problems;
    verdict.warnings.extend(notes.iter().map(ToString::to_string));
    if let Some(missing) = known.missing() {
        verdict.warnings.push(format!(
            "{missing} not known here yet: whether another scaler has the same target was not looked at"
        ));
    }
    verdict
}

/// An HPA is refused where a policy is active, and for nothing else: the rest of it is not ours to judge.
fn review_hpa(request: &AdmissionRequest, known: &Known, mut verdict: Verdict) -> Verdict {
    let [old, new] = [&request.old_object, &request.object].map(|hpa| Scaler::of_hpa(hpa).target);
    let Some(target) = new.filter(|new| old.as_ref() != Some(new)) else { return verdict };
    let of_policy = |policy: &str| {
        Problem::new(
            "spec.scaleTargetRef",
            format!(
                "{target} is already scaled by the active policy {policy}, and two write over each other"
            ),
            format!("write mode: Shadow in {policy} first, or delete it"),
        )
    };
    verdict.problems = known.rivals(&request.namespace, "", &target).into_iter().map(of_policy).collect();
    verdict
}

fn name(request: &AdmissionRequest) -> String {
    let metadata = &request.object["metadata"];
    let named = [metadata["name"].as_str(), Some(request.name.as_str()), metadata["generateName"].as_str()];
    named.into_iter().flatten().find(|n| !n.is_empty()).unwrap_or_default().to_owned()
}

/// Other scalers of what this one would write.
fn others(request: &AdmissionRequest, policy: &Value, known: &Known) -> Vec<Problem> {
    let Scaler { target, ring } = Scaler::of_policy(policy);
    let (namespace, name) = (&request.namespace, policy["metadata"]["name"].as_str().unwrap_or_default());
    let mut found = Vec::new();
    if let Some(target) = target {
        let of_policy = |other: &str| {
            Problem::new(
                "spec.scaleTargetRef",
                format!(
                    "{target} is already scaled by the active policy {other}, and two write over each other"
                ),
                format!("keep one, or write mode: Shadow or Paused here or in {other}"),
            )
        };
        found.extend(known.rivals(namespace, name, &target).into_iter().map(of_policy));
        let of_hpa = |hpa: &str| {
            // KEDA's are made anew for as long as their ScaledObject is there.
            let keda = hpa.strip_prefix("keda-hpa-");
            let cure = match keda {
                Some(object) => format!(
                    "pause the ScaledObject {object} (annotation autoscaling.keda.sh/paused: \"true\"), or write \
                     mode: Shadow until it is"
                ),
                None => format!("delete the HPA {hpa}, or write mode: Shadow until it is gone"),
            };
            Problem::new(
                "spec.scaleTargetRef",
                format!(
                    "{target} is already scaled by the HorizontalPodAutoscaler {hpa}, and two write over each other"
                ),
                cure,
            )
        };
        found.extend(known.hpas(namespace, &target).into_iter().map(of_hpa));
    }
    if let Some(ring) = ring {
        let of_ring = |other: &str| {
            Problem::new(
                "spec.ring.configMap",
                format!("{} of ConfigMap {} is already written by the active policy {other}", ring.1, ring.0),
                "give each ring a ConfigMap or key of its own",
            )
        };
        found.extend(known.ring_rivals(namespace, name, &ring).into_iter().map(of_ring));
    }
    found
}

#[cfg(test)]
mod tests;
