use autoscaler_certs::issue;
use axum::body::Body;
use k8s_openapi::jiff::Timestamp;
use tower::ServiceExt as _;

use super::*;

const BASE: &str = "/apis/external.metrics.k8s.io/v1beta1";

fn policy(name: &str, sufficient: bool) -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": name, "generation": 1},
        "spec": {"interval": "5s", "metrics": [{"name": "requests"}]},
        "status": {
            "observedGeneration": 1, "lastEvaluationTime": Timestamp::now().to_string(),
            "metrics": [{"name": "requests", "value": "120.5", "sufficient": sufficient, "message": "west is missing"}],
        },
    })
}

fn shared(door: bool) -> Shared {
    let mut statuses = Statuses::new(20_000);
    statuses.all([&policy("web", true), &policy("api", false)]);
    let authority = issue::authority("front proxies", clock::now_ms(), 86_400_000).unwrap();
    let data = [
        ("requestheader-client-ca-file".to_owned(), authority.certificate_pem),
        ("requestheader-allowed-names".to_owned(), r#"["front-proxy-client"]"#.to_owned()),
    ];
    let proxy = FrontProxy::of(&BTreeMap::from(data)).unwrap();
    let config = tls::config(&Served::default(), Some(&proxy.ca_pem)).unwrap();
    Shared {
        statuses: Arc::new(RwLock::new(statuses)),
        door: Arc::new(ArcSwapOption::new(door.then(|| Arc::new(Door { proxy, config })))),
        requests: Requests::default(),
    }
}

async fn ask(shared: Shared, caller: Option<&str>, path: &str, accept: &str) -> (u16, Value) {
    let served = router(shared).layer(Extension(Caller(caller.map(str::to_owned))));
    let request = Request::builder().uri(path).header("accept", accept).body(Body::empty()).unwrap();
    let response = served.oneshot(request).await.unwrap();
    let code = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (code, serde_json::from_slice(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body:?}")))
}

#[tokio::test]
async fn every_path_answers_api_servers_and_nobody_else() {
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    for (path, accept, code, kind) in [
        ("/apis".to_owned(), "application/json", 200, "APIGroupList"),
        ("/apis".to_owned(), aggregated, 406, "Status"),
        (format!("/apis/{GROUP}"), "*/*", 200, "APIGroup"),
        (BASE.to_owned(), "*/*", 200, "APIResourceList"),
        (
            format!("{BASE}/namespaces/shop/requests?labelSelector=policy%3Dweb"),
            "*/*",
            200,
            "ExternalMetricValueList",
        ),
        (format!("{BASE}/namespaces/shop/requests?labelSelector=policy%3Dapi"), "*/*", 503, "Status"),
        (format!("{BASE}/namespaces/shop/requests"), "*/*", 400, "Status"),
        (format!("{BASE}/namespaces/shop/other"), "*/*", 404, "Status"),
        (format!("{BASE}/namespaces/other/requests?labelSelector=policy%3Dweb"), "*/*", 404, "Status"),
        (format!("{BASE}/nonsense"), "*/*", 404, "Status"),
    ] {
        let (got, body) = ask(shared(true), Some("front-proxy-client"), &path, accept).await;
        assert_eq!((got, &body["kind"]), (code, &json!(kind)), "{path}: {body}");
        for (caller, code) in [(None, 401), (Some("kubelet"), 403)] {
            let (got, body) = ask(shared(true), caller, &path, accept).await;
            assert_eq!((got, &body["kind"]), (code, &json!("Status")), "{path}: {body}");
        }
        assert_eq!(ask(shared(false), Some("front-proxy-client"), &path, accept).await.0, 503, "{path}");
    }
    for path in ["/openapi/v2".to_owned(), "/openapi/v3".to_owned(), format!("/openapi/v3{BASE}")] {
        assert_eq!(ask(shared(true), Some("front-proxy-client"), &path, "*/*").await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn a_refusal_says_which_doubt() {
    let path = format!("{BASE}/namespaces/shop/requests?labelSelector=policy%3Dapi");
    let (_, body) = ask(shared(true), Some("front-proxy-client"), &path, "*/*").await;
    assert_eq!(
        body["message"],
        "metric requests of ScalingPolicy shop/api: its evidence is insufficient: west is missing"
    );
}
