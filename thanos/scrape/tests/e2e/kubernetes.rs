use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use thanos_scrape::config::Config;
use thanos_scrape::discovery::{Discovery, connect};
use tokio::sync::mpsc;

use crate::receiver::PATIENCE;

/// As much of an API server as listing and watching pods takes.
#[derive(Clone, Debug, Default)]
struct Api(Arc<Mutex<ApiState>>);

#[derive(Debug, Default)]
struct ApiState {
    pods: Vec<Value>,
    watches: Vec<mpsc::Sender<Value>>,
    away: bool,
    /// It does not remember what a watch wants to go on from: lists must be read anew.
    forgot: bool,
    queries: Vec<String>,
}

impl Api {
    fn add(&self, name: &str) {
        let mut state = self.0.lock();
        let pod = pod(name);
        state.pods.push(pod.clone());
        for watch in &state.watches {
            watch.try_send(json!({"type": "ADDED", "object": pod})).unwrap();
        }
    }

    /// Watches break; until it is back, every request fails.
    fn go_away(&self) {
        let mut state = self.0.lock();
        state.away = true;
        state.watches.clear();
    }

    fn come_back_with(&self, names: &[&str]) {
        let mut state = self.0.lock();
        state.pods = names.iter().map(|n| pod(n)).collect();
        state.away = false;
        state.forgot = true;
    }
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": name, "resourceVersion": "2"},
        "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}]},
        "status": {"podIP": "127.1.0.1"},
    })
}

async fn serve(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let mut state = api.0.lock();
    state.queries.push(query.clone());
    if state.away {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if query.contains("watch=true") && std::mem::take(&mut state.forgot) {
        let gone = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410,
            "reason": "Expired", "message": "too old resource version"});
        return format!("{}\n", json!({"type": "ERROR", "object": gone})).into_response();
    }
    if query.contains("watch=true") {
        let (sender, receiver) = mpsc::channel(16);
        state.watches.push(sender);
        let lines = futures::stream::unfold(receiver, |mut r| async {
            let event = r.recv().await?;
            Some((Ok::<_, std::io::Error>(Bytes::from(format!("{event}\n"))), r))
        });
        return Body::from_stream(lines.boxed()).into_response();
    }
    let list = json!({"apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "1"},
        "items": state.pods});
    axum::Json(list).into_response()
}

/// Waits until discovery knows exactly these pods.
async fn until(discovery: &mut Discovery, wanted: &[&str]) {
    let known = async {
        loop {
            let groups = discovery.groups();
            let names: Option<Vec<_>> = groups.map(|groups| {
                let all = groups.iter().flat_map(|g| g.iter());
                all.map(|g| g.labels["__meta_kubernetes_pod_name"].clone()).collect()
            });
            if names.as_deref().is_some_and(|n| n == wanted) {
                return;
            }
            discovery.changed().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, known).await.is_ok(), "never knew {wanted:?}");
}

#[tokio::test]
async fn pods_are_followed_and_kept_while_the_api_server_is_away() {
    let api = Api::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(serve).with_state(api.clone());
    tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, users: [{{name: u, user: {{}}}}], \
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}], \
         clusters: [{{name: c, cluster: {{server: '{url}'}}}}]}}"
    );
    std::fs::write(&kubeconfig, text).unwrap();
    let yaml = format!(
        "scrape_configs: [{{job_name: j, kubernetes_sd_configs: [{{role: pod, kubeconfig_file: '{}', \
         selectors: [{{role: pod, label: app=web}}]}}]}}]",
        kubeconfig.display()
    );
    let config = Config::parse(&yaml, &|_| None).unwrap();
    let job = &config.jobs[0];
    let connection = connect(&job.kubernetes_sd_configs[0]).await.unwrap();
    api.add("a");
    let mut discovery = Discovery::start(job, vec![connection]);
    assert_eq!(discovery.groups(), None, "not asked yet is not the same as no targets");
    until(&mut discovery, &["a"]).await;
    api.add("b");
    until(&mut discovery, &["a", "b"]).await;
    assert!(api.0.lock().queries.iter().all(|q| q.contains("labelSelector=app%3Dweb")));

    api.go_away();
    let asked = api.0.lock().queries.len();
    let retried = async {
        while api.0.lock().queries.len() < asked + 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, retried).await.unwrap();
    until(&mut discovery, &["a", "b"]).await;
    api.come_back_with(&["b", "c"]);
    until(&mut discovery, &["b", "c"]).await;
}
