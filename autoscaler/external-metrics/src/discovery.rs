//! What an aggregated API server says of itself (Kubernetes `metav1.APIGroupList`, `APIResourceList`; OpenAPI).
//!
//! Metrics are not listed: they are as many as policies have, and a client that lists resources wants none of them.
//! What is listed is one name for all, as KEDA does.

use serde_json::{Value, json};

use crate::{GROUP, VERSION};

/// `/apis`.
pub fn groups() -> Value {
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [entry()]})
}

/// `/apis/external.metrics.k8s.io`.
pub fn group() -> Value {
    let mut group = entry();
    group["kind"] = json!("APIGroup");
    group["apiVersion"] = json!("v1");
    group
}

fn entry() -> Value {
    let version = json!({"groupVersion": format!("{GROUP}/{VERSION}"), "version": VERSION});
    json!({"name": GROUP, "versions": [version], "preferredVersion": version})
}

/// `/apis/external.metrics.k8s.io/v1beta1`.
pub fn resources() -> Value {
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{GROUP}/{VERSION}"),
        "resources": [{
            "name": "externalmetrics", "singularName": "", "namespaced": true, "kind": "ExternalMetricValueList",
            "verbs": ["get"],
        }],
    })
}

/// Whether `/apis` can be answered with what [`groups`] gives: API servers of 1.26 and newer ask for aggregated
/// discovery first, and for this if they are told that there is none (406).
pub fn is_acceptable(accept: Option<&str>) -> bool {
    let Some(accept) = accept else { return true };
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let plain = matches!(parts.next(), Some("application/json" | "application/*" | "*/*"));
        plain && !parts.any(|p| p.starts_with("as="))
    })
}

/// `/openapi/v2`: nothing, validly.
pub fn openapi_v2() -> Value {
    json!({"swagger": "2.0", "info": info(), "paths": {}})
}

/// `/openapi/v3`: where the group's document is.
pub fn openapi_v3() -> Value {
    let path = format!("apis/{GROUP}/{VERSION}");
    json!({"paths": {path.as_str(): {"serverRelativeURL": format!("/openapi/v3/{path}")}}})
}

/// `/openapi/v3/apis/external.metrics.k8s.io/v1beta1`: nothing, validly.
pub fn openapi_v3_group() -> Value {
    json!({"openapi": "3.0.0", "info": info(), "paths": {}})
}

fn info() -> Value {
    json!({"title": "Gauntlet external metrics", "version": VERSION})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aggregated_discovery_is_declined_and_the_plain_one_given() {
        let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        for (accept, expected) in [
            (None, true),
            (Some("*/*"), true),
            (Some("application/json"), true),
            (Some("application/json; charset=utf-8"), true),
            (Some(aggregated), false),
            (Some("application/vnd.kubernetes.protobuf"), false),
            (Some(""), false),
        ] {
            assert_eq!(is_acceptable(accept), expected, "{accept:?}");
        }
        assert!(is_acceptable(Some(&format!("{aggregated},application/json"))));
    }

    #[test]
    fn every_document_names_the_group_and_its_version() {
        assert_eq!(
            groups()["groups"][0]["preferredVersion"]["groupVersion"],
            "external.metrics.k8s.io/v1beta1"
        );
        assert_eq!(group()["kind"], "APIGroup");
        assert_eq!(resources()["resources"][0]["kind"], "ExternalMetricValueList");
        assert!(openapi_v3()["paths"]["apis/external.metrics.k8s.io/v1beta1"].is_object());
    }
}
