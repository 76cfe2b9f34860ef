//! What is around the objects: errors, discovery, bodies.

use serde_json::json;

use crate::subject::Subject;

pub(crate) async fn errors_are_statuses(s: Subject) {
    let maps = s.core("configmaps");
    for (method, path, kind, body, expected) in [
        ("POST", maps.clone(), "", "{", 400),
        ("POST", maps.clone(), "", "[]", 400),
        ("POST", maps.clone(), "", "", 400),
        ("POST", maps.clone(), "application/yaml", "a: [", 400),
        ("POST", maps.clone(), "text/plain", "x", 415),
        ("POST", maps.clone(), "", "{\"metadata\": \"x\"}", 400),
        ("POST", maps.clone(), "", "{\"metadata\": {\"name\": \"a\", \"labels\": {\"x\": [1]}}}", 400),
        ("POST", "/api/v1/configmaps".into(), "", "{\"metadata\": {\"name\": \"a\"}}", 405),
        ("PATCH", s.core("configmaps/x"), "", "{}", 415),
        ("PATCH", s.core("configmaps/x?fieldManager=m"), "application/apply-patch+yaml", "[1]", 400),
        ("GET", s.core("configmaps?limit=x"), "", "", 400),
        ("PUT", maps.clone(), "", "{}", 405),
        ("GET", "/apis/none.example/v1".into(), "", "", 404),
        ("GET", "/api/v1/namespaces/default/none".into(), "", "", 404),
    ] {
        let reply = s.send(method, &path, kind, "", body).await;
        assert_eq!(reply.code, expected, "{method} {path} {kind} {body}: {reply:?}");
        if expected != 404 {
            assert!(!reply.status().2.is_empty(), "{method} {path}");
        }
    }
    let deleted = s.delete(&s.core("configmaps/x"), &json!({"propagationPolicy": "X"})).await;
    assert!(matches!(deleted.code, 400 | 422), "{deleted:?}");
}

pub(crate) async fn discovery_finds_everything(s: Subject) {
    assert_eq!(s.get("/readyz").await.text, "ok");
    assert_eq!(s.get("/livez").await.text, "ok");
    let version = s.get("/version").await.body;
    assert_eq!((version["major"].as_str(), version["minor"].as_str()), (Some("1"), Some("35")));
    assert!(version["gitVersion"].as_str().is_some_and(|v| v.starts_with("v1.35.4")), "{version}");
    assert_eq!(s.get("/api").await.body["versions"], json!(["v1"]));
    let groups = s.get("/apis").await.body;
    let names: Vec<&str> =
        groups["groups"].as_array().unwrap().iter().filter_map(|g| g["name"].as_str()).collect();
    for group in [
        "apps",
        "coordination.k8s.io",
        "events.k8s.io",
        "apiextensions.k8s.io",
        "rbac.authorization.k8s.io",
        "discovery.k8s.io",
    ] {
        assert!(names.contains(&group), "{group}: {names:?}");
    }
    assert_eq!(s.get("/apis/apps").await.body["preferredVersion"]["groupVersion"], "apps/v1");
    let apps = s.get("/apis/apps/v1").await.body;
    let found =
        |name: &str| apps["resources"].as_array().unwrap().iter().find(|r| r["name"] == name).cloned();
    let deployments = found("deployments").unwrap();
    assert_eq!((&deployments["namespaced"], &deployments["shortNames"]), (&json!(true), &json!(["deploy"])));
    assert_eq!(deployments["kind"], "Deployment");
    for verb in ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"] {
        assert!(deployments["verbs"].as_array().unwrap().contains(&json!(verb)), "{verb}");
    }
    let scale = found("deployments/scale").unwrap();
    assert_eq!(
        (&scale["kind"], &scale["group"], &scale["version"]),
        (&json!("Scale"), &json!("autoscaling"), &json!("v1"))
    );
    assert!(found("statefulsets/scale").is_some() && found("deployments/status").is_some());
    let schemas = s.get("/openapi/v3").await.body;
    assert!(schemas["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().is_some(), "{schemas}");
}

pub(crate) async fn bodies_may_be_yaml(s: Subject) {
    let made = s
        .send("POST", &s.core("configmaps"), "application/yaml", "", "metadata: {name: yam}\ndata: {k: v}\n")
        .await;
    assert_eq!((made.code, &made.body["data"]["k"]), (201, &json!("v")), "{made:?}");
}

pub(crate) async fn booleans_are_true_unless_they_say_otherwise(s: Subject) {
    s.post(&s.core("configmaps"), &json!({"metadata": {"name": "a"}})).await;
    for (value, watches) in
        [("True", true), ("1", true), ("yes", true), ("", true), ("False", false), ("0", false)]
    {
        let reply = s.get(&s.core(&format!("configmaps?timeoutSeconds=1&watch={value}"))).await;
        assert_eq!(reply.text.contains(r#""type":"ADDED""#), watches, "{value:?}: {}", reply.text);
    }
    let apply =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "1"}});
    assert_eq!(s.patch("apply", &s.core("configmaps/a?fieldManager=one"), &apply).await.code, 200);
    let mut other = apply.clone();
    other["data"]["k"] = json!("2");
    assert_eq!(s.patch("apply", &s.core("configmaps/a?fieldManager=two"), &other).await.code, 409);
    assert_eq!(s.patch("apply", &s.core("configmaps/a?fieldManager=two&force=True"), &other).await.code, 200);
}

pub(crate) async fn media_types_have_no_case(s: Subject) {
    let map = r#"{"metadata": {"name": "a"}}"#;
    let made = s.send("POST", &s.core("configmaps"), "Application/JSON", "", map).await;
    assert_eq!(made.code, 201, "{made:?}");
    let yaml = s.send("GET", &s.core("configmaps/a"), "", "application/yaml", "").await;
    assert_eq!((yaml.code, yaml.content_type.as_str()), (200, "application/yaml"), "{yaml:?}");
    assert!(yaml.text.contains("kind: ConfigMap"), "{}", yaml.text);
    let missing = s.send("GET", &s.core("configmaps/none"), "", "application/yaml", "").await;
    assert!(missing.code == 404 && missing.text.contains("reason: NotFound"), "{missing:?}");
}

pub(crate) async fn doubled_keys_are_told(s: Subject) {
    let map = r#"{"metadata": {"name": "a"}, "data": {"k": "1", "k": "2"}}"#;
    let strict = s.send("POST", &s.core("configmaps?fieldValidation=Strict"), "", "", map).await;
    let (code, _, message) = strict.status();
    assert!(code == 400 && message.contains("duplicate field \"data.k\""), "{message}");
    let warned = s.send("POST", &s.core("configmaps"), "", "", map).await;
    assert_eq!((warned.code, &warned.body["data"]["k"]), (201, &json!("2")));
    assert_eq!(warned.warnings, ["299 - \"duplicate field \\\"data.k\\\"\""]);
}

pub(crate) async fn reviews_are_answered(s: Subject) {
    let asked =
        json!({"spec": {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "default"}}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let told = s.post(path, &asked).await;
    assert_eq!((told.code, &told.body["status"]["allowed"]), (201, &json!(true)), "{told:?}");
    let who = s.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &json!({})).await;
    assert!(who.body["status"]["userInfo"]["username"].is_string(), "{who:?}");
    assert!(s.get("/readyz?verbose").await.text.contains("readyz check passed"));
    assert!(s.get("/metrics").await.text.contains("apiserver_"));
}
