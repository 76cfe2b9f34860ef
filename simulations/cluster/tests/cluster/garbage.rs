//! Requests that nobody should send: an error each, and the server goes on.

use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use super::Sandbox;

async fn send(
    client: &Client,
    method: &str,
    path: &str,
    kind: &str,
    accept: &str,
    body: Vec<u8>,
) -> (u16, Value) {
    use http_body_util::BodyExt as _;
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", kind)
        .header("accept", accept)
        .body(Body::from(body))
        .unwrap();
    let response = client.send(request).await.unwrap();
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong() {
    let sandbox = Sandbox::start().await;
    let client = sandbox.client();
    let (json_type, any) = ("application/json", "application/json");
    let maps = "/api/v1/namespaces/default/configmaps";
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let huge = vec![b' '; (3 << 20) + 1];
    let cm = |meta: Value| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}).to_string().into_bytes()
    };
    let proto = "application/vnd.kubernetes.protobuf";
    for (method, path, kind, accept, body, expected) in [
        ("POST", maps, json_type, any, b"{".to_vec(), 400),
        ("POST", maps, json_type, any, b"[]".to_vec(), 400),
        ("POST", maps, json_type, any, b"".to_vec(), 400),
        ("POST", maps, json_type, any, vec![0xff, 0xfe], 400),
        ("POST", maps, json_type, any, deep.into_bytes(), 400),
        ("POST", maps, json_type, any, huge, 413),
        ("POST", maps, proto, any, b"k8s\0".to_vec(), 400),
        ("POST", maps, proto, any, b"k8s\0\x0a\xff".to_vec(), 400),
        ("POST", maps, proto, any, b"{}".to_vec(), 400),
        ("POST", maps, "application/yaml", any, b"a: [".to_vec(), 400),
        ("POST", maps, "application/yaml", any, b"metadata: {name: from-yaml}".to_vec(), 201),
        ("GET", maps, json_type, proto, vec![], 406),
        ("POST", maps, json_type, any, cm(json!("x")), 400),
        ("POST", maps, json_type, any, cm(json!({})), 422),
        ("POST", maps, json_type, any, cm(json!({"name": "UPPER"})), 422),
        ("POST", maps, json_type, any, cm(json!({"name": "a/b"})), 422),
        ("POST", maps, json_type, any, cm(json!({"name": 7})), 422),
        ("POST", maps, json_type, any, cm(json!({"name": "a", "labels": {"x": [1]}})), 400),
        ("POST", maps, json_type, any, cm(json!({"name": "a", "namespace": "other"})), 400),
        ("POST", maps, json_type, any, b"{\"kind\": \"Pod\", \"metadata\": {\"name\": \"a\"}}".to_vec(), 400),
        ("POST", "/api/v1/configmaps", json_type, any, cm(json!({"name": "a"})), 405),
        ("PATCH", "/api/v1/namespaces/default/configmaps/x", json_type, any, b"{}".to_vec(), 415),
        (
            "PATCH",
            "/api/v1/namespaces/default/configmaps/x?fieldManager=m",
            "application/apply-patch+yaml",
            any,
            b"[1]".to_vec(),
            400,
        ),
        (
            "PATCH",
            "/api/v1/namespaces/default/configmaps/x",
            "application/apply-patch+yaml",
            any,
            b"{}".to_vec(),
            422,
        ),
        (
            "DELETE",
            "/api/v1/namespaces/default/configmaps/x",
            json_type,
            any,
            b"{\"propagationPolicy\": \"X\"}".to_vec(),
            422,
        ),
        ("GET", "/api/v1/pods?labelSelector=((", json_type, any, vec![], 400),
        ("GET", "/api/v1/pods?fieldSelector=spec.x=1", json_type, any, vec![], 400),
        ("GET", "/api/v1/pods?limit=x", json_type, any, vec![], 400),
        ("GET", "/api/v1/pods?watch=true&resourceVersion=x", json_type, any, vec![], 400),
        ("GET", "/api/v1/pods?watch=true&timeoutSeconds=-1", json_type, any, vec![], 400),
        ("GET", "/api/v1/pods?watch=true&resourceVersion=99999999999999999", json_type, any, vec![], 200),
        ("PUT", "/api/v1/pods", json_type, any, b"{}".to_vec(), 405),
        ("TRACE", "/api/v1/pods", json_type, any, vec![], 405),
        ("POST", "/version", json_type, any, vec![], 405),
        ("GET", "/apis/none/v1", json_type, any, vec![], 404),
        ("GET", "/api/v1/namespaces/default/pods/x/exec", json_type, any, vec![], 404),
        ("GET", "/api/v1/namespaces/default/pods/x/log", json_type, any, vec![], 404),
        ("GET", "/%ff%fe", json_type, any, vec![], 400),
    ] {
        let title = format!(
            "{method} {path} {kind} {}",
            String::from_utf8_lossy(&body).chars().take(60).collect::<String>()
        );
        let (code, status) = send(&client, method, path, kind, accept, body).await;
        assert_eq!(code, expected, "{title}: {status}");
        if expected >= 400 && expected != 406 {
            assert_eq!(status["kind"], "Status", "{title}");
            assert_eq!(status["code"], expected, "{title}");
            assert!(status["message"].as_str().is_some_and(|m| !m.is_empty()), "{title}");
        }
    }
    let (code, pods) = send(&client, "GET", "/api/v1/pods", json_type, any, vec![]).await;
    assert_eq!((code, pods["kind"].as_str()), (200, Some("PodList")));
    sandbox.cluster.stop().await;
}
