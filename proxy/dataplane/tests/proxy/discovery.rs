//! A control plane that speaks linkerd2-proxy-api, comes, changes its mind, and goes.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use http::StatusCode;
use linkerd2_proxy_api::destination::destination_server::{Destination, DestinationServer};
use linkerd2_proxy_api::destination::{
    AddrSet, DestinationProfile, GetDestination, NoEndpoints, Update, WeightedAddr, WeightedAddrSet,
    update::Update as Kind,
};
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::support::*;

/// Sends each subscriber the history, then what follows.
#[derive(Clone)]
struct ControlPlane {
    history: Arc<Mutex<Vec<Update>>>,
    updates: broadcast::Sender<Update>,
    asked: Arc<Mutex<Vec<String>>>,
}

type Updates<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Destination for ControlPlane {
    type GetStream = Updates<Update>;
    type GetProfileStream = Updates<DestinationProfile>;

    async fn get(&self, request: Request<GetDestination>) -> Result<Response<Self::GetStream>, Status> {
        self.asked.lock().push(request.into_inner().path);
        let history = self.history.lock();
        let later = BroadcastStream::new(self.updates.subscribe());
        let past = futures::stream::iter(history.clone()).map(Ok);
        Ok(Response::new(Box::pin(past.chain(later.map(|u| u.map_err(|e| Status::internal(e.to_string())))))))
    }

    async fn get_profile(
        &self,
        _: Request<GetDestination>,
    ) -> Result<Response<Self::GetProfileStream>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

impl ControlPlane {
    fn new() -> Self {
        Self { history: Arc::default(), updates: broadcast::channel(16).0, asked: Arc::default() }
    }

    fn say(&self, kind: Kind) {
        let update = Update { update: Some(kind) };
        let mut history = self.history.lock();
        history.push(update.clone());
        // Nobody listening yet is fine: they get the history.
        let _ = self.updates.send(update);
    }

    /// Serves until the token ends it, with every connection.
    async fn serve(&self, addr: SocketAddr) -> (SocketAddr, CancellationToken) {
        let listener = tokio::net::TcpListener::bind(addr).await.unwrap();
        let (addr, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let (service, token) = (DestinationServer::new(self.clone()), stop.clone());
        // A runtime of its own: dropping it cuts connections, as a kill does.
        std::thread::spawn(move || {
            let listener = listener.into_std().unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
                let server = tonic::transport::Server::builder().add_service(service);
                tokio::select! {
                    _ = server.serve_with_incoming(incoming) => {}
                    () = token.cancelled() => {}
                }
            });
        });
        (addr, stop)
    }
}

fn add(addrs: &[SocketAddr]) -> Kind {
    let addrs = addrs
        .iter()
        .map(|a| WeightedAddr {
            addr: Some((*a).into()),
            weight: 1,
            metric_labels: [("pod".to_owned(), format!("pod-{}", a.port()))].into(),
            ..Default::default()
        })
        .collect();
    Kind::Add(WeightedAddrSet { addrs, metric_labels: [("service".to_owned(), "web".to_owned())].into() })
}

async fn ask(proxy: &Proxy) -> (StatusCode, String) {
    let (status, _, body) = send(&h1(), get(proxy.outbound(), "web.default.svc.cluster.local", "/")).await;
    (status, body)
}

fn endpoints_are(n: f64) -> impl Fn(&Metrics) -> bool {
    move |m| m.sum("outbound_http_balancer_endpoints", &[]) == n && m.sum("discovery_stale", &[]) == 0.0
}

#[tokio::test]
async fn endpoints_follow_the_stream() {
    let (a, b) = (App::named("a").await, App::named("b").await);
    let control = ControlPlane::new();
    let (addr, _stop) = control.serve("127.0.0.1:0".parse().unwrap()).await;
    control.say(add(&[a.addr]));
    let proxy = Proxy::outbound_with(&format!("--destination http://{addr}")).await;
    assert_eq!(ask(&proxy).await, (StatusCode::OK, "a".to_owned()));
    assert_eq!(*control.asked.lock(), ["web.default.svc.cluster.local:80"]);

    control.say(add(&[b.addr]));
    proxy.metrics_when(endpoints_are(2.0)).await;
    control.say(Kind::Remove(AddrSet { addrs: vec![a.addr.into()] }));
    proxy.metrics_when(endpoints_are(1.0)).await;
    for _ in 0..5 {
        assert_eq!(ask(&proxy).await, (StatusCode::OK, "b".to_owned()));
    }
    let m = proxy.metrics().await;
    let labels = format!(
        r#"{{direction="outbound",authority="web.default.svc.cluster.local",target_addr="{0}",target_ip="127.0.0.1",target_port="{1}",tls="disabled",dst_pod="pod-{1}",dst_service="web"}}"#,
        b.addr,
        b.addr.port()
    );
    assert_eq!(m.sum("request_total", &[&labels]), 5.0);

    control.say(Kind::NoEndpoints(NoEndpoints { exists: false }));
    proxy.metrics_when(endpoints_are(0.0)).await;
    assert_eq!(ask(&proxy).await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_request_waits_for_the_first_endpoint() {
    let a = App::named("a").await;
    let control = ControlPlane::new();
    let (addr, _stop) = control.serve("127.0.0.1:0".parse().unwrap()).await;
    control.say(Kind::NoEndpoints(NoEndpoints { exists: true }));
    let proxy =
        Arc::new(Proxy::outbound_with(&format!("--fail-fast-timeout 15s --destination http://{addr}")).await);
    let (asking, p) = (proxy.clone(), proxy.clone());
    let request = tokio::spawn(async move { ask(&asking).await });
    p.metrics_when(|m| m.sum("requests_in_flight", &[]) == 1.0).await;
    control.say(add(&[a.addr]));
    assert_eq!(request.await.unwrap(), (StatusCode::OK, "a".to_owned()));
}

#[tokio::test]
async fn an_endpoint_that_leaves_finishes_its_request() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let g = gate.clone();
    let a = App::start(move |_| {
        let gate = g.clone();
        async move {
            let _permit = gate.acquire().await.unwrap();
            text("finished")
        }
    })
    .await;
    let b = App::named("b").await;
    let control = ControlPlane::new();
    let (addr, _stop) = control.serve("127.0.0.1:0".parse().unwrap()).await;
    control.say(add(&[a.addr]));
    let proxy = Arc::new(Proxy::outbound_with(&format!("--destination http://{addr}")).await);
    let asking = proxy.clone();
    let request = tokio::spawn(async move { ask(&asking).await });
    proxy.metrics_when(|m| m.sum("request_total", &[]) == 1.0).await;
    control.say(add(&[b.addr]));
    proxy.metrics_when(endpoints_are(2.0)).await;
    control.say(Kind::Remove(AddrSet { addrs: vec![a.addr.into()] }));
    proxy.metrics_when(endpoints_are(1.0)).await;
    assert_eq!(ask(&proxy).await.1, "b");
    gate.add_permits(1);
    assert_eq!(request.await.unwrap(), (StatusCode::OK, "finished".to_owned()));
}

#[tokio::test]
async fn without_its_control_plane_it_keeps_what_it_knows_and_catches_up() {
    let (a, b) = (App::named("a").await, App::named("b").await);
    let control = ControlPlane::new();
    let (addr, stop) = control.serve("127.0.0.1:0".parse().unwrap()).await;
    control.say(add(&[a.addr]));
    let proxy = Proxy::outbound_with(&format!("--destination http://{addr}")).await;
    assert_eq!(ask(&proxy).await.1, "a");
    stop.cancel();
    proxy.metrics_when(|m| m.sum("discovery_stale", &[]) == 1.0).await;
    assert_eq!(ask(&proxy).await, (StatusCode::OK, "a".to_owned()));

    // It comes back knowing only b: what it says first replaces everything.
    let control = ControlPlane::new();
    control.say(add(&[b.addr]));
    let _again = control.serve(addr).await;
    proxy.metrics_when(endpoints_are(1.0)).await;
    assert_eq!(ask(&proxy).await, (StatusCode::OK, "b".to_owned()));
}
