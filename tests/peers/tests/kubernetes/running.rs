//! The controller, run as users run it, on a real API server and a real Prometheus: policies divided among processes,
//! a source whose token changes, replicas that come back when a policy goes, and an HPA that is taken over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use parking_lot::Mutex;
use peers::{Address, Binaries, Process, World, write};
use serde_json::{Value, json};
use thanos_model::Labels;

use crate::serving::{POLICIES, deployment, made, send, stand};
use crate::subject::eventually;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const HPAS: &str = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
const SECRET: &str = "/api/v1/namespaces/default/secrets/querier";
/// What there is before anybody scales.
const REPLICAS: i64 = 4;
/// As many Leases, and processes.
const SHARDS: usize = 2;
/// Several evaluations, in which nothing may happen.
const LOOKS: Duration = Duration::from_secs(4);
/// A leader is followed by the next one when its Lease of 8 s is over and the next attempt came; the rest is for a busy
/// machine.
const HANDED_OVER: Duration = Duration::from_secs(30);

/// The load of each service, pushed to Prometheus twice a second.
#[derive(Clone, Default)]
struct Load(Arc<Mutex<BTreeMap<&'static str, f64>>>);

impl Load {
    fn set(&self, service: &'static str, load: f64) {
        self.0.lock().insert(service, load);
    }

    async fn push(self, url: String) {
        loop {
            let at_ms = Timestamp::now().as_millisecond();
            let loads = self.0.lock().clone();
            let series: Vec<_> = loads
                .into_iter()
                .map(|(service, load)| {
                    let labels = [("__name__", "load"), ("cluster", "east"), ("service", service)];
                    (Labels::from_pairs(labels), vec![(at_ms, load)])
                })
                .collect();
            write::push(&url, &series).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// A querier that wants a token, before one that does not.
struct Guarded {
    token: Mutex<&'static str>,
    refused: Mutex<usize>,
    behind: String,
}

impl Guarded {
    async fn start(behind: String) -> (Arc<Self>, String) {
        let guarded = Arc::new(Self { token: Mutex::new("first"), refused: Mutex::new(0), behind });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(Self::answer).with_state(guarded.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (guarded, url)
    }

    async fn answer(State(guarded): State<Arc<Self>>, request: Request) -> Response {
        let wanted = format!("Bearer {}", *guarded.token.lock());
        if request.headers().get("authorization").is_none_or(|given| given.as_bytes() != wanted.as_bytes()) {
            *guarded.refused.lock() += 1;
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        let method = request.method().clone();
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        let sent = peers::http::client()
            .request(method, format!("{}{path}", guarded.behind))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send();
        let Ok(answer) = sent.await else { return StatusCode::BAD_GATEWAY.into_response() };
        (answer.status(), answer.bytes().await.unwrap_or_default()).into_response()
    }
}

/// One replica for ten of its service's load.
fn policy(name: &str) -> Value {
    json!({
        "apiVersion": "autoscaling.gauntlet.dev/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1, "maxReplicas": 20, "interval": "1s",
            "metrics": [{
                "name": "load", "query": format!("sum(load{{service=\"{name}\"}})"),
                "target": {"type": "AverageValue", "averageValue": "10"},
                "evidence": {"maxAge": "3s", "clusters": ["east"]},
            }],
            "behavior": {
                "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 100, "periodSeconds": 1}]},
                "scaleDown": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 1}]},
            },
        },
    })
}

async fn replicas(client: &Client, name: &str) -> i64 {
    let reply = send(client, "GET", &format!("{DEPLOYMENTS}/{name}"), &Value::Null, None).await;
    reply.body["spec"]["replicas"].as_i64().unwrap()
}

async fn reaches(client: &Client, name: &str, wanted: i64) {
    eventually(async || (replicas(client, name).await == wanted).then_some(())).await;
}

async fn stays(client: &Client, name: &str, wanted: i64) {
    let began = Instant::now();
    while began.elapsed() < LOOKS {
        assert_eq!(replicas(client, name).await, wanted, "{name}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The reasons of a policy's conditions, by type.
async fn reason(client: &Client, name: &str, kind: &str) -> String {
    let policy = send(client, "GET", &format!("{POLICIES}/{name}"), &Value::Null, None).await.body;
    let conditions = policy["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default();
    found["reason"].as_str().unwrap_or_default().to_owned()
}

/// Who holds each shard's Lease.
async fn holders(client: &Client) -> BTreeMap<String, String> {
    let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    let leases = send(client, "GET", path, &Value::Null, None).await.body;
    let of = |lease: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&lease["metadata"]["name"]), text(&lease["spec"]["holderIdentity"]))
    };
    let all = leases["items"].as_array().cloned().unwrap_or_default();
    all.iter().map(of).filter(|(name, _)| name.starts_with("gauntlet-autoscaler")).collect()
}

/// What `import` writes for an object.
fn imported(object: &Value) -> Value {
    use std::io::Write as _;
    let mut child = Command::new(peers::gauntlet!())
        .args(["autoscaler", "import", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(object.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "what the adapter's rule is has to be looked at");
    let text = String::from_utf8(output.stdout).unwrap();
    let document = text.rsplit("\n---\n").next().unwrap();
    thanos_telemetry::cli::parse_yaml(document).unwrap()
}

pub(crate) async fn policies_are_followed(dir: &Path, binaries: Binaries) {
    let world = World::new(peers::gauntlet!());
    let (mut plane, client) = stand(dir, binaries).await;
    plane.start_manager_with(&["--horizontal-pod-autoscaler-sync-period=1s"]).await;
    let prometheus = world.prometheus("prometheus", "global: {scrape_interval: 1s}\n", "").await;
    let (guarded, guarded_url) = Guarded::start(prometheus.url(9090)).await;
    let load = Load::default();
    let pushing = tokio::spawn(load.clone().push(format!("{}/api/v1/write", prometheus.url(9090))));

    let names = ["a", "b", "c", "d", "secret", "restored", "kept"];
    for name in names {
        made(&client, DEPLOYMENTS, &deployment(name, REPLICAS)).await;
        load.set(name, 40.0);
    }
    let mut controllers: Vec<Process> = Vec::new();
    for nth in 0..SHARDS {
        let at = Address::claim();
        let mut command = Command::new(peers::gauntlet!());
        command.args(["autoscaler", "run", &format!("--shards={SHARDS}")]);
        command.arg(format!("--kubeconfig={}", plane.admin_kubeconfig().display()));
        command.arg(format!("--query-url={}", prometheus.url(9090)));
        command.arg(format!("--listen-address={}", at.port(9095)));
        let mut process = Process::spawn(&format!("autoscaler-{nth}"), dir, &mut command);
        process.ready(&format!("{}/live", at.url(9095))).await;
        controllers.push(process);
    }

    shards_are_taken_over(&client, &load, &mut controllers).await;
    a_token_changes(&client, &load, &guarded, &guarded_url).await;
    replicas_come_back(&client, &load).await;
    an_hpa_is_taken_over(&client, &load).await;

    pushing.abort();
    for mut controller in controllers {
        assert!(controller.terminate().await.success(), "it ends in order");
    }
    plane.kill_manager();
}

/// Two processes divide the policies; one that is killed is followed by the other.
async fn shards_are_taken_over(client: &Client, load: &Load, controllers: &mut Vec<Process>) {
    let names = ["a", "b", "c", "d"];
    for name in names {
        made(client, POLICIES, &policy(name)).await;
    }
    load.set("a", 90.0);
    load.set("b", 20.0);
    for (name, wanted) in names.into_iter().zip([9, 2, 4, 4]) {
        reaches(client, name, wanted).await;
    }
    // Whoever was first had both, and gave one away.
    let before = eventually(async || {
        let before = holders(client).await;
        let who: BTreeSet<&String> = before.values().filter(|holder| !holder.is_empty()).collect();
        (before.len() == SHARDS && who.len() == SHARDS).then_some(before)
    })
    .await;
    for (name, wanted) in names.into_iter().zip([9, 2, 4, 4]) {
        assert_eq!(replicas(client, name).await, wanted, "a Lease that changes hands changes nothing");
    }
    load.set("a", 50.0);
    load.set("b", 50.0);
    load.set("c", 50.0);
    load.set("d", 50.0);
    for name in names {
        reaches(client, name, 5).await;
    }

    controllers.remove(0).kill();
    let killed = Instant::now();
    for name in names {
        load.set(name, 70.0);
    }
    for name in names {
        reaches(client, name, 7).await;
    }
    let took = killed.elapsed();
    tracing::info!(took_ms = took.as_millis() as u64, ?before, after = ?holders(client).await, "taken over");
    assert!(took < HANDED_OVER, "all policies are followed again after {took:?}");
    load.set("c", 30.0);
    reaches(client, "c", 3).await;
}

/// A source's token is renewed at the server first: until the Secret says so too, nothing happens; then it goes on.
async fn a_token_changes(client: &Client, load: &Load, guarded: &Guarded, url: &str) {
    let token = |token: &str| json!({"metadata": {"name": "querier"}, "stringData": {"token": token}});
    let mut with_source = policy("secret");
    with_source["spec"]["source"] =
        json!({"addresses": [url], "bearerToken": {"secretRef": {"name": "querier", "key": "token"}}});
    load.set("secret", 10.0);
    made(client, POLICIES, &with_source).await;
    // A Secret that is not there holds.
    eventually(async || {
        (reason(client, "secret", "EvidenceSufficient").await == "SourceUnusable").then_some(())
    })
    .await;
    assert_eq!(replicas(client, "secret").await, REPLICAS);
    made(client, "/api/v1/namespaces/default/secrets", &token("first")).await;
    reaches(client, "secret", 1).await;
    *guarded.token.lock() = "second";
    load.set("secret", 60.0);
    let refused = *guarded.refused.lock();
    stays(client, "secret", 1).await;
    assert!(*guarded.refused.lock() > refused, "it was asked with the old token");
    assert_eq!(send(client, "PATCH", SECRET, &token("second"), None).await.code, 200);
    reaches(client, "secret", 6).await;
}

/// A policy that is deleted leaves what it found.
async fn replicas_come_back(client: &Client, load: &Load) {
    let mut restored = policy("restored");
    restored["spec"]["onDelete"] = json!("Restore");
    load.set("restored", 120.0);
    made(client, POLICIES, &restored).await;
    reaches(client, "restored", 12).await;
    let path = format!("{POLICIES}/restored");
    eventually(async || {
        let policy = send(client, "GET", &path, &Value::Null, None).await.body;
        (policy["status"]["original"]["replicas"] == REPLICAS).then_some(())
    })
    .await;
    assert_eq!(send(client, "DELETE", &path, &Value::Null, None).await.code, 200);
    eventually(async || (send(client, "GET", &path, &Value::Null, None).await.code == 404).then_some(()))
        .await;
    assert_eq!(replicas(client, "restored").await, REPLICAS);
    stays(client, "restored", REPLICAS).await;
}

/// What `import` makes of an HPA stands beside it, is let in when that is gone, and makes no jump.
async fn an_hpa_is_taken_over(client: &Client, load: &Load) {
    let hpa = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "kept", "namespace": "default"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "kept"},
            "minReplicas": 2, "maxReplicas": 20,
            "metrics": [{"type": "External", "external": {
                "metric": {"name": "load", "selector": {"matchLabels": {"service": "kept"}}},
                "target": {"type": "AverageValue", "averageValue": "10"},
            }}],
        },
    });
    made(client, HPAS, &hpa).await;
    let hpa = send(client, "GET", &format!("{HPAS}/kept"), &Value::Null, None).await.body;
    let mut policy = imported(&hpa);
    assert_eq!(policy["spec"]["mode"], "Shadow", "{policy}");
    policy["spec"]["interval"] = json!("1s");
    policy["spec"]["metrics"][0]["evidence"] = json!({"maxAge": "3s", "clusters": ["east"]});
    made(client, POLICIES, &policy).await;
    // One writer: with both of them there the policy only says what it would do.
    let path = format!("{POLICIES}/kept");
    eventually(async || {
        let policy = send(client, "GET", &path, &Value::Null, None).await.body;
        (policy["status"]["desiredReplicas"] == REPLICAS).then_some(())
    })
    .await;
    let mode = |mode: &str| json!({"spec": {"mode": mode}});
    assert_eq!(send(client, "PATCH", &path, &mode("Active"), None).await.code, 200);
    load.set("kept", 90.0);
    eventually(async || (reason(client, "kept", "AbleToScale").await == "AmbiguousTarget").then_some(()))
        .await;
    stays(client, "kept", REPLICAS).await;
    load.set("kept", 40.0);
    tokio::time::sleep(LOOKS).await;
    assert_eq!(send(client, "DELETE", &format!("{HPAS}/kept"), &Value::Null, None).await.code, 200);
    eventually(async || {
        let reason = reason(client, "kept", "AbleToScale").await;
        (!reason.is_empty() && reason != "AmbiguousTarget").then_some(())
    })
    .await;
    stays(client, "kept", REPLICAS).await;
    load.set("kept", 90.0);
    reaches(client, "kept", 9).await;
}
