//! As much of an API server as listing and watching takes, over pods as large as real ones.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{Uri, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// What the cluster consists of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) pods: usize,
    pub(crate) services: usize,
    /// Services and pods are spread over these.
    pub(crate) namespaces: usize,
}

impl Size {
    /// The service that selects a pod.
    pub(crate) fn service_of(self, pod: usize) -> usize {
        pod % self.services
    }

    /// Name and namespace of a service.
    pub(crate) fn service(self, service: usize) -> (String, String) {
        (format!("web-{service}"), format!("team-{}", service % self.namespaces))
    }
}

/// The address of a pod, as a number: 10.0.0.0 and onwards.
pub(crate) fn ip(pod: usize) -> u32 {
    (10 << 24) + 1 + u32::try_from(pod).unwrap()
}

/// The API server.
#[derive(Clone, Debug)]
pub(crate) struct Api(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    size: Size,
    template: String,
    /// Whether each pod is ready, and since when, if not from the start.
    pods: Mutex<Vec<(bool, Option<Instant>)>>,
    events: broadcast::Sender<Bytes>,
}

impl Api {
    pub(crate) fn new(size: Size) -> Self {
        let pods = Mutex::new(vec![(true, None); size.pods]);
        Self(Arc::new(Inner {
            size,
            template: template().to_string(),
            pods,
            events: broadcast::Sender::new(4096),
        }))
    }

    pub(crate) fn routes(&self) -> Router {
        Router::new().fallback(serve).with_state(self.clone())
    }

    /// Bytes of one pod.
    pub(crate) fn bytes_a_pod(&self) -> usize {
        self.object(0, true).len()
    }

    /// How many watch pods.
    pub(crate) fn watches(&self) -> usize {
        self.0.events.receiver_count()
    }

    /// A pod becomes ready, or no longer is; the watch is told.
    pub(crate) fn turn(&self, pod: usize) {
        let ready = {
            let mut pods = self.0.pods.lock();
            pods[pod] = (!pods[pod].0, Some(Instant::now()));
            pods[pod].0
        };
        self.send(pod, ready);
    }

    /// A pod is written in a way that is nothing to a proxy.
    pub(crate) fn touch(&self, pod: usize) {
        let ready = self.0.pods.lock()[pod].0;
        self.send(pod, ready);
    }

    /// Since when a pod is as it is, if it changed.
    pub(crate) fn since(&self, pod: usize) -> Option<Instant> {
        self.0.pods.lock()[pod].1
    }

    fn send(&self, pod: usize, ready: bool) {
        let line = format!("{{\"type\":\"MODIFIED\",\"object\":{}}}\n", self.object(pod, ready));
        let _ = self.0.events.send(line.into());
    }

    fn object(&self, pod: usize, ready: bool) -> String {
        let (service, namespace) = self.0.size.service(self.0.size.service_of(pod));
        let ip = std::net::Ipv4Addr::from(ip(pod)).to_string();
        let name = format!("{service}-5d9c7b6f4-{pod}");
        let ready = if ready { "True" } else { "False" };
        let text = self.0.template.replace("@NAMESPACE", &namespace).replace("@NAME", &name);
        text.replace("@SERVICE", &service).replace("@IP", &ip).replace("@READY", ready)
    }
}

async fn serve(State(api): State<Api>, uri: Uri, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let value = |name: &str| query.split('&').find_map(|q| q.strip_prefix(name)?.strip_prefix('='));
    let (pods, services) = (uri.path().ends_with("/pods"), uri.path().ends_with("/services"));
    if value("watch") == Some("true") {
        let events = pods.then(|| api.0.events.subscribe());
        let lines = futures::stream::unfold(events, |events| async {
            let Some(mut events) = events else { return std::future::pending().await };
            let line = events.recv().await.ok()?;
            Some((Ok::<_, std::io::Error>(line), Some(events)))
        });
        return Body::from_stream(lines.boxed()).into_response();
    }
    let size = api.0.size;
    let all = if pods {
        size.pods
    } else if services {
        size.services
    } else {
        0
    };
    let from = value("continue").and_then(|v| v.parse().ok()).unwrap_or(0);
    let to = all.min(from + value("limit").and_then(|v| v.parse().ok()).unwrap_or(all));
    let mut items = Vec::new();
    for n in from..to {
        items.push(if pods { api.object(n, api.0.pods.lock()[n].0) } else { a_service(size, n).to_string() });
    }
    let next = if to < all { to.to_string() } else { String::new() };
    let meta = json!({"resourceVersion": "1", "continue": next});
    let body = format!(
        "{{\"kind\":\"List\",\"apiVersion\":\"v1\",\"metadata\":{meta},\"items\":[{}]}}",
        items.join(",")
    );
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

fn a_service(size: Size, n: usize) -> Value {
    let (name, namespace) = size.service(n);
    json!({
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": "1"},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]},
    })
}

/// A pod of an ordinary Deployment, as an API server sends it: about 7 KB.
fn template() -> Value {
    let fields = |m: usize| -> Value {
        let field = |k: usize| {
            (format!("f:field{m}x{k}"), json!({".": {}, "f:lastProbeTime": {}, "f:status": {}, "f:type": {}}))
        };
        (0..20).map(field).collect::<serde_json::Map<_, _>>().into()
    };
    let managers = ["kube-controller-manager", "kubelet"];
    let manager = |m: usize| {
        json!({"manager": managers[m], "operation": "Update", "apiVersion": "v1",
            "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:status": fields(m)}})
    };
    let container = |name: &str, args: Value, ports: Value| {
        let env: Vec<_> = (0..15)
            .map(|k| json!({"name": format!("VARIABLE_{k}"), "value": format!("value-{k}")}))
            .collect();
        json!({"name": name, "image": "registry.example/team/app:1.2.3", "args": args, "ports": ports, "env": env,
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "volumeMounts": [{"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true}],
            "terminationMessagePath": "/dev/termination-log", "imagePullPolicy": "IfNotPresent"})
    };
    let condition =
        |kind: &str| json!({"type": kind, "status": "@READY", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let conditions = ["Ready", "Initialized", "ContainersReady", "PodScheduled"].map(condition);
    let state = |name: &str| {
        json!({"name": name, "ready": true, "restartCount": 0, "image": "registry.example/team/app:1.2.3",
            "imageID": format!("sha256:{}", "a".repeat(64)), "containerID": format!("containerd://{}", "b".repeat(64))})
    };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "@NAME", "namespace": "@NAMESPACE", "uid": "@NAME", "resourceVersion": "1",
            "labels": {"app": "@SERVICE", "pod-template-hash": "5d9c7b6f4", "team": "@NAMESPACE"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "@SERVICE-5d9c7b6f4", "uid": "r", "controller": true}],
            "managedFields": [manager(0), manager(1)]},
        "spec": {"serviceAccountName": "default", "nodeName": "node-1",
            "containers": [
                container("app", json!(["--listen=:8080"]), json!([{"containerPort": 8080, "name": "http", "protocol": "TCP"}])),
                container("proxy", json!(["--inbound-listen=$(POD_IP):4143", "--inbound-forward=127.0.0.1:8080"]),
                    json!([{"containerPort": 4143, "name": "mesh"}, {"containerPort": 4191, "name": "admin"}])),
            ],
            "volumes": (0..3).map(|k| json!({"name": format!("v{k}"), "configMap": {"name": format!("c{k}")}})).collect::<Vec<_>>(),
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]},
        "status": {"phase": "Running", "podIP": "@IP", "podIPs": [{"ip": "@IP"}],
            "conditions": conditions,
            "containerStatuses": [state("app"), state("proxy")]},
    })
}
