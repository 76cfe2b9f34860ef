//! The servers that an API server calls, called by a real one: admission and external metrics, while their certificates
//! are renewed.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::client::Body;
use peers::{Address, Binaries, ControlPlane, Process};
use serde_json::{Value, json};

use crate::subject::{eventually, within};

mod admission;
mod metrics;

pub(crate) use admission::{policies_are_judged, replicas_take_turns_unnoticed};
pub(crate) use metrics::an_hpa_follows_and_holds;

const DEFINITION: &str =
    include_str!("../../../../manifests/crds/scalingpolicies.autoscaling.gauntlet.dev.yaml");
pub(crate) const POLICIES: &str =
    "/apis/autoscaling.gauntlet.dev/v1alpha1/namespaces/default/scalingpolicies";
/// As short as they may be: renewed after 7 s and 20 s.
const SHORT: [&str; 2] = ["--cert-lifetime=10s", "--ca-lifetime=30s"];

/// What an API server answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) warnings: Vec<String>,
    pub(crate) body: Value,
}

impl Reply {
    fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

/// One request, as whoever `as_user` names, or as the administrator.
pub(crate) async fn send(
    client: &Client,
    method: &str,
    path: &str,
    body: &Value,
    as_user: Option<&str>,
) -> Reply {
    use http_body_util::BodyExt as _;
    let kind = match (method, path.ends_with("fieldManager=suite&force=true")) {
        ("PATCH", true) => "application/apply-patch+yaml",
        ("PATCH", false) => "application/merge-patch+json",
        _ => "application/json",
    };
    let mut request = http::Request::builder().method(method).uri(path).header("content-type", kind);
    if let Some(user) = as_user {
        request = request.header("impersonate-user", user);
    }
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let response = within(client.send(request.body(Body::from(body)).unwrap())).await.unwrap();
    let code = response.status().as_u16();
    let warnings = response.headers().get_all("warning").iter();
    let warnings = warnings.map(|w| w.to_str().unwrap_or_default().to_owned()).collect();
    let bytes = within(response.into_body().collect()).await.unwrap().to_bytes();
    Reply { code, warnings, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
}

async fn create(client: &Client, path: &str, object: &Value) -> Reply {
    send(client, "POST", path, object, None).await
}

/// Creates what everything else stands on.
pub(crate) async fn made(client: &Client, path: &str, object: &Value) {
    let reply = create(client, path, object).await;
    assert_eq!(reply.code, 201, "{reply:?}");
}

/// A real API server with our definition.
pub(crate) async fn stand(dir: &Path, binaries: Binaries) -> (ControlPlane, Client) {
    let plane = ControlPlane::start(&dir.join("plane"), binaries).await;
    let client = plane.client().await;
    let definition: Value = thanos_telemetry::cli::parse_yaml(DEFINITION).unwrap();
    made(&client, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition).await;
    eventually(async || (send(&client, "GET", POLICIES, &Value::Null, None).await.code == 200).then_some(()))
        .await;
    (plane, client)
}

/// One of our servers, not waited for.
fn start(name: &str, part: &str, dir: &Path, plane: &ControlPlane, at: &Address, flags: &[&str]) -> Process {
    let mut command = Command::new(peers::gauntlet!());
    command.args(["autoscaler", part]);
    command.arg(format!("--kubeconfig={}", plane.admin_kubeconfig().display()));
    command.arg(format!("--secure-listen-address={}", at.port(8443)));
    command.arg(format!("--listen-address={}", at.port(9095)));
    command.args(flags);
    Process::spawn(name, dir, &mut command)
}

/// A Deployment of its name, whose pods nobody runs.
pub(crate) fn deployment(name: &str, replicas: i64) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": name, "image": name}]},
            },
        },
    })
}

fn policy(name: &str, target: &str) -> Value {
    json!({
        "apiVersion": "autoscaling.gauntlet.dev/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicas": 1, "maxReplicas": 20, "interval": "5s",
            "metrics": [{
                "name": "requests", "query": "sum(rate(request_total[1m]))",
                "target": {"type": "AverageValue", "averageValue": "10"},
            }],
        },
    })
}
