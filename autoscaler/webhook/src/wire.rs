//! `admission.k8s.io/v1`, as far as it is needed here (Kubernetes `k8s.io/api/admission/v1/types.go`).

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::verdict::{PROBLEMS_MAX, Verdict};

/// API version of the envelope.
const API_VERSION: &str = "admission.k8s.io/v1";
/// A warning is cut at this many characters; API servers cut theirs too.
const WARNING_CHARS: usize = 240;
/// Most warnings of one answer; API servers keep 4096 characters of all.
const WARNINGS_MAX: usize = 16;

/// What an API server asks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AdmissionRequest {
    /// Goes back with the answer.
    pub uid: String,
    /// What is asked about.
    pub kind: Kind,
    /// `status` or `scale`, if it is not the object itself.
    pub sub_resource: Option<String>,
    /// Its name; empty where the API server is to make one.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    pub operation: String,
    /// As it will be; null for a deletion.
    pub object: Value,
    /// As it is; null for a creation.
    pub old_object: Value,
}

/// A kind with its group.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Kind {
    /// Group.
    pub group: String,
    /// Kind.
    pub kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    api_version: String,
    kind: String,
    request: AdmissionRequest,
}

/// Reads an envelope. Nesting is bounded by serde_json's own limit (128 levels), size by whoever reads the body.
///
/// # Errors
/// One sentence: it is no AdmissionReview of the version that is known.
pub fn parse(body: &[u8]) -> Result<AdmissionRequest, String> {
    let review: Review =
        serde_json::from_slice(body).map_err(|e| format!("the body is no AdmissionReview: {e}"))?;
    if review.api_version != API_VERSION || review.kind != "AdmissionReview" {
        return Err(format!(
            "apiVersion {:?} and kind {:?} are not known; send {API_VERSION} AdmissionReview \
             (admissionReviewVersions: [v1])",
            clip(&review.api_version, 64),
            clip(&review.kind, 64),
        ));
    }
    Ok(review.request)
}

/// The answer's envelope.
pub fn render(uid: &str, verdict: &Verdict) -> Value {
    let mut response = Map::new();
    response.insert("uid".into(), uid.into());
    response.insert("allowed".into(), verdict.problems.is_empty().into());
    let warnings: Vec<String> =
        verdict.warnings.iter().take(WARNINGS_MAX).map(|w| clip(w, WARNING_CHARS)).collect();
    if !warnings.is_empty() {
        response.insert("warnings".into(), json!(warnings));
    }
    if !verdict.problems.is_empty() {
        let causes: Vec<Value> = verdict
            .problems
            .iter()
            .take(PROBLEMS_MAX)
            .map(|p| {
                json!({"reason": "FieldValueInvalid", "field": p.field, "message": format!("{}; {}", p.message, p.fix)})
            })
            .collect();
        response.insert(
            "status".into(),
            json!({
                "metadata": {}, "status": "Failure", "reason": "Invalid", "code": 422,
                "message": verdict.message(), "details": {"causes": causes},
            }),
        );
    }
    json!({"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response})
}

/// At most so many characters of `text`. The dots are plain: warnings become HTTP headers.
pub(crate) fn clip(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    text.chars().take(chars.saturating_sub(3)).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoscaler_api::Problem;

    #[test]
    fn what_is_no_review_is_refused_in_one_sentence() {
        let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        let deep_inside = format!(
            r#"{{"apiVersion": "{API_VERSION}", "kind": "AdmissionReview", "request": {{"object": {deep}}}}}"#
        );
        for (body, expected) in [
            ("", "no AdmissionReview"),
            ("[]", "no AdmissionReview"),
            (r#"{"apiVersion": 1}"#, "no AdmissionReview"),
            (
                r#"{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {}}"#,
                "not known",
            ),
            (r#"{"apiVersion": "admission.k8s.io/v1", "kind": "X", "request": {}}"#, "not known"),
            (r#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}"#, "request"),
            (&deep, "no AdmissionReview"),
            (&deep_inside, "recursion limit"),
        ] {
            let why = parse(body.as_bytes()).unwrap_err();
            assert!(why.contains(expected), "{}: {why}", clip(body, 80));
        }
        let empty =
            format!(r#"{{"apiVersion": "{API_VERSION}", "kind": "AdmissionReview", "request": {{}}}}"#);
        assert!(parse(empty.as_bytes()).is_ok(), "fields that are missing are empty");
    }

    #[test]
    fn answers_say_all_within_what_an_api_server_keeps() {
        let allowed = render("u", &Verdict::default());
        assert_eq!(allowed["response"], json!({"uid": "u", "allowed": true}));
        let many = Verdict {
            problems: (0..100).map(|i| Problem::new(format!("spec.x[{i}]"), "is wrong", "mend it")).collect(),
            warnings: vec!["ü".repeat(10_000); 100],
            kind: "ScalingPolicy".into(),
            name: "web".into(),
        };
        let answer = render("u", &many);
        let response = &answer["response"];
        assert_eq!(response["allowed"], false);
        let warnings = response["warnings"].as_array().unwrap();
        let chars: usize = warnings.iter().map(|w| w.as_str().unwrap().chars().count()).sum();
        assert!(warnings.len() == WARNINGS_MAX && chars <= 4_096, "{chars}");
        let message = response["status"]["message"].as_str().unwrap();
        assert!(message.contains("spec.x[0]: is wrong; mend it") && message.contains("80 more"), "{message}");
        assert_eq!(response["status"]["details"]["causes"][0]["field"], "spec.x[0]");
    }
}
