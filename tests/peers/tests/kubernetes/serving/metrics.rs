//! External metrics, and the real HPA controller on them.

use std::sync::Arc;

use parking_lot::Mutex;

use super::*;

const BASE: &str = "/apis/external.metrics.k8s.io/v1beta1";
const HPAS: &str = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/web";
/// Several syncs of the HPA, which looks each second here.
const SYNCS: Duration = Duration::from_secs(6);

/// What the controller says of the metric.
#[derive(Clone, Copy, Debug)]
enum Said {
    Sound(i64),
    Doubted(i64),
    Nothing,
}

/// Writes the status as a controller would, each second.
async fn control(client: Client, said: Arc<Mutex<Said>>) {
    loop {
        let (value, sufficient) = match *said.lock() {
            Said::Sound(value) => (Some(value), true),
            Said::Doubted(value) => (Some(value), false),
            Said::Nothing => (None, false),
        };
        if let Some(value) = value {
            let status = json!({"status": {
                "observedGeneration": 1, "lastEvaluationTime": Timestamp::now().to_string(),
                "metrics": [{
                    "name": "requests", "value": value.to_string(), "age": "1s", "sufficient": sufficient,
                    "message": "cluster west has no sample",
                }],
            }});
            let reply = send(&client, "PATCH", &format!("{POLICIES}/web/status"), &status, None).await;
            assert_eq!(reply.code, 200, "{reply:?}");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn replicas(client: &Client) -> i64 {
    send(client, "GET", DEPLOYMENT, &Value::Null, None).await.body["spec"]["replicas"].as_i64().unwrap()
}

async fn reaches(client: &Client, wanted: i64) {
    eventually(async || (replicas(client).await == wanted).then_some(())).await;
}

/// The condition that says whether the HPA computes anything: status and message.
async fn active(client: &Client) -> (String, String) {
    let hpa = send(client, "GET", &format!("{HPAS}/web"), &Value::Null, None).await.body;
    let conditions = hpa["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let active = conditions.into_iter().find(|c| c["type"] == "ScalingActive").unwrap_or_default();
    let text = |key: &str| active[key].as_str().unwrap_or_default().to_owned();
    (text("status"), text("message"))
}

/// For several syncs the HPA leaves the replicas alone and says which doubt it met.
async fn holds(client: &Client, wanted: i64, doubt: &str) {
    eventually(async || {
        let (status, message) = active(client).await;
        (status == "False" && message.contains(doubt)).then_some(())
    })
    .await;
    let began = Instant::now();
    while began.elapsed() < SYNCS {
        assert_eq!(replicas(client).await, wanted, "{doubt}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn workload() -> (Value, Value) {
    let deployment = deployment("web", 1);
    let hpa = json!({
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 1, "maxReplicas": 20,
            "metrics": [{"type": "External", "external": {
                "metric": {"name": "requests", "selector": {"matchLabels": {"policy": "web"}}},
                "target": {"type": "AverageValue", "averageValue": "10"},
            }}],
            "behavior": {
                "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 100, "periodSeconds": 1}]},
                "scaleDown": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 1}]},
            },
        },
    });
    (deployment, hpa)
}

/// The aggregation layer's registration: a Service by name, since Endpoints may not be on 127.0.0.0/8.
async fn register(client: &Client, at: &Address) {
    let service = json!({
        "metadata": {"name": "external-metrics"}, "spec": {"type": "ExternalName", "externalName": at.to_string()},
    });
    made(client, "/api/v1/namespaces/default/services", &service).await;
    let registration = json!({
        "metadata": {"name": "v1beta1.external.metrics.k8s.io"},
        "spec": {
            "group": "external.metrics.k8s.io", "version": "v1beta1",
            "service": {"namespace": "default", "name": "external-metrics", "port": 8443},
            "groupPriorityMinimum": 100, "versionPriority": 100,
        },
    });
    made(client, "/apis/apiregistration.k8s.io/v1/apiservices", &registration).await;
}

pub(crate) async fn an_hpa_follows_and_holds(dir: &Path, binaries: Binaries) {
    let (mut plane, client) = stand(dir, binaries).await;
    plane.start_manager_with(&["--horizontal-pod-autoscaler-sync-period=1s"]).await;
    let at = Address::claim();
    register(&client, &at).await;
    let flags = [&["--cert-name=external-metrics.default.svc", "--max-status-age=5s"], &SHORT[..]].concat();
    let mut server = start("external-metrics", "external-metrics", dir, &plane, &at, &flags);
    server.ready(&format!("{}/ready", at.url(9095))).await;

    let mut shadow = policy("web", "web");
    shadow["spec"]["mode"] = json!("Shadow");
    shadow["spec"]["interval"] = json!("1s");
    made(&client, POLICIES, &shadow).await;
    let said = Arc::new(Mutex::new(Said::Sound(80)));
    let controller = tokio::spawn(control(client.clone(), said.clone()));

    // Through the API server, which checks who may.
    let path = format!("{BASE}/namespaces/default/requests?labelSelector=policy%3Dweb");
    let list = eventually(async || {
        let reply = send(&client, "GET", &path, &Value::Null, None).await;
        (reply.code == 200).then_some(reply.body)
    })
    .await;
    assert_eq!(
        (&list["kind"], &list["items"][0]["value"]),
        (&json!("ExternalMetricValueList"), &json!("80000m"))
    );
    let resources = send(&client, "GET", BASE, &Value::Null, None).await;
    assert_eq!(resources.body["resources"][0]["name"], "externalmetrics", "{resources:?}");
    let other = send(&client, "GET", &path, &Value::Null, Some("somebody")).await;
    assert_eq!(other.code, 403, "{other:?}");
    // Past it, whoever it is: not without the front proxy's certificate.
    let direct =
        reqwest::Client::builder().danger_accept_invalid_certs(true).timeout(Duration::from_secs(10));
    let direct = direct.build().unwrap().get(format!("https://{}{path}", at.port(8443)));
    let direct = direct.header("x-remote-user", "admin").header("x-remote-group", "system:masters");
    assert_eq!(direct.send().await.unwrap().status(), 401);

    let (deployment, hpa) = workload();
    made(&client, "/apis/apps/v1/namespaces/default/deployments", &deployment).await;
    made(&client, HPAS, &hpa).await;
    reaches(&client, 8).await;
    // The value of half a world, which is in doubt: not a replica goes.
    *said.lock() = Said::Doubted(10);
    holds(&client, 8, "its evidence is insufficient: cluster west has no sample").await;
    *said.lock() = Said::Sound(100);
    reaches(&client, 10).await;
    // Its status is written after the scale.
    eventually(async || (active(&client).await.0 == "True").then_some(())).await;
    // Nobody evaluates any more.
    *said.lock() = Said::Nothing;
    holds(&client, 10, "the controller evaluated the policy last").await;
    // What is true lowers; by now the certificate and its authority were renewed.
    *said.lock() = Said::Sound(30);
    reaches(&client, 3).await;
    let secret = send(
        &client,
        "GET",
        "/api/v1/namespaces/default/secrets/autoscaler-external-metrics-cert",
        &Value::Null,
        None,
    );
    let version = secret.await.body["metadata"]["resourceVersion"].clone();
    let created = send(&client, "GET", &path, &Value::Null, None).await;
    assert_eq!(created.code, 200, "{created:?}");
    assert!(!version.is_null());
    // An API server that is told nothing of the policy's change reads no value of the old one.
    let change = json!({"spec": {"metrics": [
        {"name": "requests", "query": "sum(rate(other[1m]))", "target": {"type": "AverageValue", "averageValue": "10"}},
    ]}});
    assert_eq!(send(&client, "PATCH", &format!("{POLICIES}/web"), &change, None).await.code, 200);
    holds(&client, 3, "has not evaluated the policy as it is now").await;
    controller.abort();
    assert!(server.terminate().await.success(), "it ends in order");
}
