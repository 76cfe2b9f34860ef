use super::*;

/// Compares the committed CRD with the types; `UPDATE_CRD=1 cargo test -p autoscaler-api` rewrites it.
#[test]
fn the_committed_crd_is_what_the_types_say() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../manifests/crds/scalingpolicies.autoscaling.gauntlet.dev.yaml");
    let text = format!(
        "# Generated from autoscaler/api: UPDATE_CRD=1 cargo test -p autoscaler-api\n{}",
        crd_yaml().unwrap()
    );
    if std::env::var_os("UPDATE_CRD").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, text, "types and {} differ; UPDATE_CRD=1 rewrites it", path.display());
}

#[test]
fn every_keyword_of_the_spec_schema_is_enforced_or_known_not_to_be() {
    fn visit(schema: &Value, at: &str) {
        for (keyword, inner) in schema.as_object().unwrap() {
            let known = ENFORCED.contains(&keyword.as_str()) || NOT_ENFORCED.contains(&keyword.as_str());
            assert!(known, "{at}: nobody enforces {keyword}");
            match keyword.as_str() {
                "properties" => {
                    inner.as_object().unwrap().iter().for_each(|(k, s)| visit(s, &format!("{at}.{k}")))
                }
                "items" => visit(inner, &format!("{at}[]")),
                _ => {}
            }
        }
    }
    let crd = serde_json::to_value(crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    visit(schema, "spec");
}

#[test]
fn the_crd_is_structural_and_has_its_subresource_columns_and_rules() {
    let crd = serde_json::to_value(crd()).unwrap();
    let version = &crd["spec"]["versions"][0];
    assert!(version["subresources"]["status"].is_object());
    assert_eq!(version["additionalPrinterColumns"].as_array().unwrap().len(), 9);
    let text = version["schema"].to_string();
    for forbidden in ["additionalProperties\":false", "\"oneOf\"", "\"$ref\"", "\"const\""] {
        assert!(!text.contains(forbidden), "{forbidden} is not structural");
    }
    assert_eq!(text.matches("\"rule\"").count(), 24, "the CEL rules");
}

fn sound() -> Value {
    serde_json::json!({
        "apiVersion": "autoscaling.gauntlet.dev/v1alpha1", "kind": "ScalingPolicy",
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "web"},
            "maxReplicas": 40, "interval": "1s",
            "metrics": [{"name": "requests", "query": "sum(up)",
                         "target": {"type": "AverageValue", "averageValue": 50},
                         "evidence": {"maxAge": "20s", "clusters": ["east", "west"]},
                         "fallback": {"after": "3m", "replicas": 10}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 30, "tolerance": "100m",
                         "policies": [{"type": "Percent", "value": 50, "periodSeconds": 15}]}}
        }
    })
}

#[test]
fn a_sound_document_has_no_problems_and_reads() {
    assert_eq!(check(&sound()), []);
    let policy: ScalingPolicy = serde_json::from_value(sound()).unwrap();
    assert_eq!(policy.spec.min_replicas, 1);
    assert_eq!(policy.spec.scale_target_ref.api_version, "apps/v1");
    assert_eq!(crate::validate(&policy), []);
}

#[test]
fn each_wrong_field_is_named_with_its_cure() {
    let cases = [
        (
            "/spec/maxreplicas",
            serde_json::json!(3),
            "spec.maxreplicas: is an unknown field; did you mean maxReplicas?",
        ),
        ("/spec/maxReplicas", serde_json::json!("3"), "spec.maxReplicas: is \"3\"; write a whole number"),
        ("/spec/maxReplicas", serde_json::json!(0), "spec.maxReplicas: 0 is too small; write at least 1"),
        (
            "/spec/maxReplicas",
            serde_json::json!(3e9 as i64),
            "spec.maxReplicas: 3000000000 is too large; write at most 2147483647",
        ),
        (
            "/spec/mode",
            serde_json::json!("Dry"),
            "spec.mode: \"Dry\" is unknown; write one of Active, Shadow, Paused",
        ),
        ("/spec/interval", serde_json::json!("soon"), "spec.interval: \"soon\" has the wrong form"),
        ("/spec/metrics", serde_json::json!([]), "spec.metrics: has 0 entries; write at least 1"),
        ("/spec/metrics/0/target/type", serde_json::json!(null), "spec.metrics[0].target.type: is null"),
        (
            "/spec/metrics/0/target/averageValue",
            serde_json::json!(0.5),
            "spec.metrics[0].target.averageValue: is 0.5; write a whole number or a quoted string",
        ),
        (
            "/spec/behavior/scaleDown/policies/0/periodSeconds",
            serde_json::json!(1801),
            "periodSeconds: 1801 is too large; write at most 1800",
        ),
        ("/metadata/name", serde_json::json!(""), "metadata.name: is missing"),
        (
            "/spek",
            serde_json::json!({}),
            "spek: is an unknown field; known here: apiVersion, kind, metadata, spec",
        ),
    ];
    for (pointer, value, expected) in cases {
        let mut document = sound();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.into(), value);
        let problems: Vec<String> = check(&document).iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 1, "{pointer}: {problems:?}");
        assert!(problems[0].contains(expected), "{pointer}: {}", problems[0]);
    }
    let mut document = sound();
    document["spec"].as_object_mut().unwrap().remove("scaleTargetRef");
    assert_eq!(check(&document)[0].to_string(), "spec.scaleTargetRef: is missing; it has no default");
}
