//! The whole control plane between an API server that lists, watches, goes away and forgets, and a proxy's
//! discovery stream.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use linkerd2_proxy_api::destination::destination_client::DestinationClient;
use linkerd2_proxy_api::destination::{GetDestination, Update, update};
use parking_lot::Mutex;
use proxy_control::{Args, run};
use serde_json::{Value, json};
use thanos_telemetry::{Context, RunError, Shutdown};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(20);

/// As much of an API server as listing and watching takes.
#[derive(Clone, Debug, Default)]
struct Api(Arc<Mutex<ApiState>>);

#[derive(Debug, Default)]
struct ApiState {
    pods: Vec<Value>,
    watches: Vec<mpsc::Sender<Value>>,
    away: bool,
    /// It does not remember what a watch wants to go on from: lists must be read anew.
    forgot: bool,
    requests: usize,
    /// As an API server before 1.21 has none.
    no_slices: bool,
}

impl Api {
    /// Adds or replaces a pod.
    fn apply(&self, pod: Value) {
        let mut state = self.0.lock();
        state.pods.retain(|p| p["metadata"]["name"] != pod["metadata"]["name"]);
        state.pods.push(pod.clone());
        for watch in &state.watches {
            let _ = watch.try_send(json!({"type": "MODIFIED", "object": pod}));
        }
    }
}

fn pod(last: u8, leaving: bool) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("web-{last}"), "namespace": "default", "labels": {"app": "web"},
            "resourceVersion": "2"},
        "spec": {"containers": [{"name": "proxy", "args": ["--inbound-forward=127.0.0.1:8080"],
            "ports": [{"containerPort": 4143}]}]},
        "status": {"podIP": format!("127.1.0.{last}"), "conditions": [{"type": "Ready", "status": "True"}]},
    });
    if leaving {
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    }
    pod
}

fn list(kind: &str, items: &[Value]) -> Response {
    let list =
        json!({"apiVersion": "v1", "kind": kind, "metadata": {"resourceVersion": "1"}, "items": items});
    axum::Json(list).into_response()
}

async fn serve(State(api): State<Api>, uri: Uri, RawQuery(query): RawQuery) -> Response {
    let mut state = api.0.lock();
    state.requests += 1;
    if state.away {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let pods = uri.path().ends_with("/pods");
    if uri.path().ends_with("/endpointslices") {
        if state.no_slices {
            return StatusCode::NOT_FOUND.into_response();
        }
        if !query.as_deref().unwrap_or_default().contains("watch=true") {
            return list("EndpointSliceList", &[]);
        }
    }
    match (query.unwrap_or_default().contains("watch=true"), pods) {
        (true, true) if std::mem::take(&mut state.forgot) => {
            let gone = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410,
                "reason": "Expired", "message": "too old resource version"});
            format!("{}\n", json!({"type": "ERROR", "object": gone})).into_response()
        }
        (true, true) => {
            let (sender, receiver) = mpsc::channel(16);
            state.watches.push(sender);
            let lines = futures::stream::unfold(receiver, |mut r| async {
                let event = r.recv().await?;
                Some((Ok::<_, std::io::Error>(Bytes::from(format!("{event}\n"))), r))
            });
            Body::from_stream(lines.boxed()).into_response()
        }
        (true, false) => {
            let never = futures::stream::pending::<Result<Bytes, std::io::Error>>();
            Body::from_stream(never).into_response()
        }
        (false, true) => list("PodList", &state.pods),
        (false, false) => list(
            "ServiceList",
            &[json!({
                "metadata": {"name": "web", "namespace": "default"},
                "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
            })],
        ),
    }
}

/// An address of this test process alone.
fn free_address(host: u8) -> SocketAddr {
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let ip = Ipv4Addr::new(127, high | 0x80, low, host);
    std::net::TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap()
}

fn print(update: Update) -> String {
    let addr = |a: linkerd2_proxy_api::net::TcpAddress| SocketAddr::try_from(a).unwrap().to_string();
    match update.update.unwrap() {
        update::Update::Add(set) => {
            let addrs: Vec<_> = set.addrs.into_iter().filter_map(|w| w.addr).map(addr).collect();
            format!("add {}", addrs.join(" "))
        }
        update::Update::Remove(set) => {
            format!("remove {}", set.addrs.into_iter().map(addr).collect::<Vec<_>>().join(" "))
        }
        update::Update::NoEndpoints(none) => format!("none, exists {}", none.exists),
    }
}

/// An API server, and a control plane's arguments to watch it.
async fn with(api: &Api, folder: &std::path::Path, host: u8) -> Args {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(serve).with_state(api.clone());
    tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
    let kubeconfig = folder.join("kubeconfig");
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, users: [{{name: u, user: {{}}}}], \
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}], \
         clusters: [{{name: c, cluster: {{server: '{url}'}}}}]}}"
    );
    std::fs::write(&kubeconfig, text).unwrap();
    Args {
        listen: free_address(host),
        admin_listen: free_address(host + 1),
        kubeconfig: Some(kubeconfig),
        context: None,
        cluster_domains: vec!["cluster.local".into()],
    }
}

#[tokio::test]
async fn a_list_that_fails_is_asked_for_less_and_less_often() {
    let api = Api::default();
    api.0.lock().away = true;
    let folder = tempfile::tempdir().unwrap();
    let args = with(&api, folder.path(), 5).await;
    let shutdown = Shutdown::new();
    let task = tokio::spawn(run(args, Context { shutdown: shutdown.clone() }));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    // Of each kind after 0, 0.1, 0.3, 0.7 and 1.5 s, and the client by itself repeats what is answered so; ten times
    // a second would be 75 and what it repeats.
    let asked = api.0.lock().requests;
    assert!((3..=40).contains(&asked), "{asked}");
    shutdown.start();
    tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn without_slices_everything_else_goes_on() {
    let api = Api::default();
    api.apply(pod(1, false));
    api.0.lock().no_slices = true;
    let folder = tempfile::tempdir().unwrap();
    let args = with(&api, folder.path(), 7).await;
    let listen = args.listen;
    let shutdown = Shutdown::new();
    let task = tokio::spawn(run(args, Context { shutdown: shutdown.clone() }));
    let mut client = tokio::time::timeout(PATIENCE, connect(listen)).await.unwrap();
    let path = "127.1.0.1:8080".to_owned();
    let request = GetDestination { scheme: "k8s".into(), path, context_token: String::new() };
    let mut stream = client.get(request).await.unwrap().into_inner();
    let first = tokio::time::timeout(PATIENCE, stream.message()).await.unwrap();
    assert_eq!(print(first.unwrap().unwrap()), "add 127.1.0.1:4143");
    shutdown.start();
    tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap().unwrap();
}

async fn connect(listen: SocketAddr) -> DestinationClient<tonic::transport::Channel> {
    loop {
        match DestinationClient::connect(format!("http://{listen}")).await {
            Ok(client) => return client,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn endpoints_follow_the_cluster_and_stay_while_it_cannot_be_asked() {
    let api = Api::default();
    let folder = tempfile::tempdir().unwrap();
    let args = with(&api, folder.path(), 1).await;
    let listen = args.listen;
    let shutdown = Shutdown::new();
    api.apply(pod(1, false));
    let task = tokio::spawn(run(args, Context { shutdown: shutdown.clone() }));

    let mut client = tokio::time::timeout(PATIENCE, connect(listen)).await.unwrap();
    let path = "web.default.svc.cluster.local:80".to_owned();
    let request = GetDestination { scheme: "k8s".into(), path, context_token: String::new() };
    let mut stream = client.get(request).await.unwrap().into_inner();
    let mut next = async || tokio::time::timeout(PATIENCE, stream.message()).await.unwrap();

    assert_eq!(print(next().await.unwrap().unwrap()), "add 127.1.0.1:4143");
    // Both watches are up before anything is left to them.
    let watching = async {
        while api.0.lock().watches.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, watching).await.unwrap();
    api.apply(pod(2, false));
    assert_eq!(print(next().await.unwrap().unwrap()), "add 127.1.0.2:4143");
    api.apply(pod(1, true));
    assert_eq!(print(next().await.unwrap().unwrap()), "remove 127.1.0.1:4143");

    let asked = {
        let mut state = api.0.lock();
        (state.away, state.forgot) = (true, true);
        state.watches.clear();
        state.requests
    };
    let retried = async {
        while api.0.lock().requests < asked + 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, retried).await.unwrap();
    {
        let mut state = api.0.lock();
        state.pods = vec![pod(2, false), pod(3, false)];
        state.away = false;
    }
    // Nothing was said while it was away: the next news is the new pod alone.
    assert_eq!(print(next().await.unwrap().unwrap()), "add 127.1.0.3:4143");

    shutdown.start();
    assert_eq!(next().await.unwrap_err().code(), tonic::Code::Unavailable);
    tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_missing_kubeconfig_ends_the_start_before_a_port_opens() {
    let args = Args {
        listen: free_address(3),
        admin_listen: free_address(4),
        kubeconfig: Some("/nowhere/kubeconfig".into()),
        context: None,
        cluster_domains: vec!["cluster.local".into()],
    };
    let error = run(args, Context { shutdown: Shutdown::new() }).await.unwrap_err();
    assert!(
        matches!(&error, RunError::Config(text) if text.contains("--kubeconfig /nowhere/kubeconfig")),
        "{error}"
    );
    assert_eq!(error.exit_code(), 64);
}
