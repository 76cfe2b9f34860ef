//! The way from Prometheus to a HPA: an API server for `external.metrics.k8s.io`, registered with the real one.
//!
//! It asks Prometheus anew for every question and keeps nothing, so it is as fast as an adapter can be: what a real one
//! adds (queries that are looked up, its own authorisation, caches) would come on top.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::Listener;
use axum::{Json, Router};
use kube::Client;
use peers::{Address, until};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::server::TlsStream;

use crate::Outcome;
use crate::bed::ask;
use crate::rows::{METRIC, create};

const GROUP: &str = "/apis/external.metrics.k8s.io/v1beta1";
const PORT: u16 = 6443;
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(2);

/// A running one.
pub(crate) struct Adapter {
    answered: Arc<AtomicU64>,
    task: JoinHandle<()>,
    _at: Address,
}

struct Source {
    client: reqwest::Client,
    url: String,
    query: String,
    answered: Arc<AtomicU64>,
}

impl Adapter {
    /// Serves the value of `query` at `prometheus`, and registers that with an API server.
    pub(crate) async fn start(api: &Client, prometheus: String, query: String) -> Outcome<Self> {
        let (at, answered) = (Address::claim(), Arc::new(AtomicU64::new(0)));
        let tls = Tls {
            tcp: TcpListener::bind(at.port(PORT)).await?,
            acceptor: TlsAcceptor::from(Arc::new(certificate(&at)?)),
        };
        let source =
            Source { client: peers::http::client(), url: prometheus, query, answered: answered.clone() };
        let router = Router::new()
            .route(GROUP, get(async || Json(resources())))
            .route(&format!("{GROUP}/namespaces/{{namespace}}/{{metric}}"), get(value))
            .with_state(Arc::new(source));
        let task = tokio::spawn(async move {
            // It only ever ends with its task.
            let _ = axum::serve(tls, router).await;
        });
        register(api, &at).await?;
        Ok(Self { answered, task, _at: at })
    }

    /// How often it was asked, and answered.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::SeqCst)
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn resources() -> Value {
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "external.metrics.k8s.io/v1beta1",
        "resources": [{
            "name": METRIC, "singularName": "", "namespaced": true, "kind": "ExternalMetricValueList",
            "verbs": ["get"],
        }],
    })
}

async fn value(
    State(source): State<Arc<Source>>,
    Path((_, metric)): Path<(String, String)>,
) -> Result<Json<Value>, (StatusCode, String)> {
    if metric != METRIC {
        return Err((StatusCode::NOT_FOUND, metric));
    }
    let value = ask(&source.client, &source.url, &source.query).await;
    let value = value.map_err(|why| (StatusCode::SERVICE_UNAVAILABLE, why))?;
    source.answered.fetch_add(1, Ordering::SeqCst);
    Ok(Json(json!({
        "kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": {},
        "items": [{
            "metricName": METRIC, "metricLabels": {}, "timestamp": jiff::Timestamp::now().to_string(),
            "value": format!("{:.0}m", value * 1000.0),
        }],
    })))
}

async fn register(api: &Client, at: &Address) -> Outcome<()> {
    // Endpoints may not be on 127.0.0.0/8, but a name may be anything.
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "adapter"},
        "spec": {"type": "ExternalName", "externalName": at.to_string()},
    });
    create(api, "/api/v1/namespaces/default/services", &service).await?;
    let registration = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1beta1.external.metrics.k8s.io"},
        "spec": {
            "group": "external.metrics.k8s.io", "version": "v1beta1",
            "service": {"namespace": "default", "name": "adapter", "port": PORT},
            "insecureSkipTLSVerify": true, "groupPriorityMinimum": 100, "versionPriority": 100,
        },
    });
    create(api, "/apis/apiregistration.k8s.io/v1/apiservices", &registration).await?;
    until("the external metric, through the API server", async || {
        let path = format!("{GROUP}/namespaces/default/{METRIC}");
        let request = http::Request::get(path).body(Vec::new()).map_err(|e| e.to_string())?;
        api.request_text(request).await.map_err(|e| e.to_string())
    })
    .await;
    Ok(())
}

fn certificate(at: &Address) -> Outcome<ServerConfig> {
    let made = rcgen::generate_simple_self_signed([at.to_string()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder().with_no_client_auth();
    let mut config = config.with_single_cert(vec![made.cert.der().clone()], key.into())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

struct Tls {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, from) = Listener::accept(&mut self.tcp).await;
            // One that says nothing would keep all others waiting.
            if let Ok(Ok(stream)) = timeout(HANDSHAKE_WITHIN, self.acceptor.accept(stream)).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
