//! Questions about who asks and what they may do: there is neither authentication nor authorisation, and the answers
//! say so: nobody is known, and everybody may do everything.

use serde_json::{Value, json};

use crate::error::{ApiError, Result};

/// Group and what it serves: plural and kind, all of version v1.
pub(super) const GROUPS: &[(&str, &[(&str, &str)])] = &[
    ("authentication.k8s.io", &[("selfsubjectreviews", "SelfSubjectReview")]),
    (
        "authorization.k8s.io",
        &[
            ("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
            ("selfsubjectrulesreviews", "SelfSubjectRulesReview"),
            ("subjectaccessreviews", "SubjectAccessReview"),
        ],
    ),
];

/// Group and kind of a path of reviews.
pub(super) fn find(path: &str) -> Option<(&'static str, &'static str)> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let ["apis", group, "v1", plural] = segments.as_slice() else { return None };
    let (group, kinds) = GROUPS.iter().find(|(name, _)| name == group)?;
    let (_, kind) = kinds.iter().find(|(name, _)| name == plural)?;
    Some((group, kind))
}

/// The review with its answer.
pub(super) fn answer(group: &str, kind: &str, body: Value) -> Result<Value> {
    let Value::Object(mut review) = body else {
        return Err(ApiError::bad_request("the body must be a JSON object"));
    };
    if review.get("kind").is_some_and(|k| k != kind) {
        return Err(ApiError::bad_request(format!("the body must be a {kind}")));
    }
    let spec = review.get("spec").cloned().unwrap_or(json!({}));
    let attributes = ["resourceAttributes", "nonResourceAttributes"];
    if kind.ends_with("AccessReview") && attributes.iter().filter(|a| spec.get(**a).is_some()).count() != 1 {
        let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        let cause = crate::error::Cause::invalid("spec.resourceAttributes", format!("null: {why}"));
        return Err(ApiError::invalid(group, kind, "", &[cause]));
    }
    let status = match kind {
        "SelfSubjectReview" => {
            json!({"userInfo": {"username": "system:anonymous", "groups": ["system:unauthenticated"]}})
        }
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        _ => json!({"allowed": true, "reason": "this cluster authorises everything"}),
    };
    review.insert("kind".into(), json!(kind));
    review.insert("apiVersion".into(), json!(format!("{group}/v1")));
    review.entry("metadata").or_insert(json!({}));
    if kind != "SelfSubjectReview" {
        review.insert("spec".into(), spec);
    }
    review.insert("status".into(), status);
    Ok(Value::Object(review))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_may_do_everything() {
        let (group, kind) = find("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews").unwrap();
        let asked = json!({"spec": {"resourceAttributes": {"verb": "create", "resource": "pods"}}});
        let told = answer(group, kind, asked).unwrap();
        assert_eq!(
            (&told["status"]["allowed"], &told["kind"]),
            (&json!(true), &json!("SelfSubjectAccessReview"))
        );
        assert_eq!(answer(group, kind, json!({})).unwrap_err().code, 422);
        assert_eq!(answer(group, kind, json!([])).unwrap_err().code, 400);
        let (group, kind) = find("/apis/authentication.k8s.io/v1/selfsubjectreviews/").unwrap();
        let told = answer(group, kind, json!({})).unwrap();
        assert_eq!(told["status"]["userInfo"]["username"], "system:anonymous");
        assert_eq!(find("/apis/authentication.k8s.io/v1/tokenreviews"), None);
    }
}
