//! What is answered: a list of one value, or a `Status` (Kubernetes `metav1.Status`).

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::selector;
use crate::value::{Value, Values};
use crate::{GROUP, VERSION};

/// An HTTP status and its document.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub code: u16,
    /// JSON.
    pub body: Json,
}

/// Answers for `namespaces/NAMESPACE/METRIC` with this `labelSelector` at `now_ms`.
pub fn answer(values: &dyn Values, namespace: &str, metric: &str, selector: &str, now_ms: i64) -> Answer {
    let named = match selector::policy(selector) {
        Ok(named) => named.map(str::to_owned),
        Err(message) => return refusal(400, "BadRequest", &message),
    };
    let policy = match named {
        Some(policy) => policy,
        // Where one policy has the metric, that one is meant.
        None => match values.policies_with(namespace, metric).as_slice() {
            [one] => one.clone(),
            [] => {
                let message = format!(
                    "no ScalingPolicy in namespace {namespace} has a metric {metric:?}; name one by selector: \
                     {{matchLabels: {{policy: NAME}}}}"
                );
                return refusal(404, "NotFound", &message);
            }
            several => {
                let message = format!(
                    "{} ScalingPolicies in namespace {namespace} have a metric {metric:?}; say which by selector: \
                     {{matchLabels: {{policy: NAME}}}}",
                    several.len()
                );
                return refusal(400, "BadRequest", &message);
            }
        },
    };
    match values.get(namespace, &policy, metric, now_ms) {
        Ok(value) => Answer { code: 200, body: list(&policy, metric, &value) },
        Err(why) => {
            let (code, reason) = why.code();
            refusal(code, reason, &format!("metric {metric} of ScalingPolicy {namespace}/{policy}: {why}"))
        }
    }
}

/// Source: Kubernetes `k8s.io/metrics/pkg/apis/external_metrics/v1beta1/types.go`.
fn list(policy: &str, metric: &str, value: &Value) -> Json {
    let at = Timestamp::from_millisecond(value.at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    // metav1.Time has whole seconds.
    let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
    json!({
        "kind": "ExternalMetricValueList", "apiVersion": format!("{GROUP}/{VERSION}"), "metadata": {},
        "items": [{
            "metricName": metric, "metricLabels": {selector::LABEL: policy}, "timestamp": at.to_string(),
            "value": format!("{}m", value.milli),
        }],
    })
}

/// A `Status` that says why not.
pub fn refusal(code: u16, reason: &str, message: &str) -> Answer {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    Answer { code, body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Why;

    /// Two policies with one metric each.
    struct Two;

    impl Values for Two {
        fn get(&self, _: &str, policy: &str, _: &str, _: i64) -> Result<Value, Why> {
            match policy {
                "web" => Ok(Value { milli: 1_500, at_ms: 1_767_225_600_750 }),
                "api" => Err(Why::Insufficient { message: "cluster west is missing".into() }),
                _ => Err(Why::NoPolicy),
            }
        }

        fn policies_with(&self, _: &str, metric: &str) -> Vec<String> {
            let names: &[&str] = match metric {
                "shared" => &["api", "web"],
                "own" => &["web"],
                _ => &[],
            };
            names.iter().map(|&n| n.to_owned()).collect()
        }
    }

    #[test]
    fn a_value_has_the_shape_that_clients_read() {
        let answer = answer(&Two, "shop", "own", "policy=web", 0);
        assert_eq!(answer.code, 200);
        assert_eq!(
            answer.body,
            json!({
                "kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": {},
                "items": [{
                    "metricName": "own", "metricLabels": {"policy": "web"}, "timestamp": "2026-01-01T00:00:00Z",
                    "value": "1500m",
                }],
            })
        );
        assert_eq!(super::answer(&Two, "shop", "own", "", 0), answer, "the one that has the metric is meant");
    }

    #[test]
    fn everything_else_is_a_status_that_says_why() {
        for (metric, selector, code, expected) in [
            (
                "shared",
                "policy=api",
                503,
                "metric shared of ScalingPolicy shop/api: its evidence is insufficient: cluster west",
            ),
            ("shared", "", 400, "2 ScalingPolicies in namespace shop"),
            ("none", "", 404, "no ScalingPolicy in namespace shop"),
            ("own", "policy=other", 404, "no such ScalingPolicy"),
            ("own", "tier=a", 400, "is not understood"),
        ] {
            let Answer { code: got, body } = answer(&Two, "shop", metric, selector, 0);
            assert_eq!(
                (got, &body["kind"], &body["code"]),
                (code, &json!("Status"), &json!(code)),
                "{metric} {selector}"
            );
            assert!(body["message"].as_str().unwrap().contains(expected), "{body}");
        }
    }
}
