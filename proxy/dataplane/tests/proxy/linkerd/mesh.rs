//! Three deployments behind our proxies, the traffic between them, and what Linkerd would have counted of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use linkerd2_proxy_api::destination::destination_server::{Destination, DestinationServer};
use linkerd2_proxy_api::destination::{
    DestinationProfile, GetDestination, Update, WeightedAddr, WeightedAddrSet, update::Update as Kind,
};
use tonic::Status;

use super::page::{Era, Response, Seen};
use super::view::View;
use crate::support::*;

/// What an app is asked to do.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answers(u16),
    /// Over gRPC: HTTP 200 and this status.
    AnswersGrpc(u8),
    /// Closes the connection instead.
    Dies,
}

use Does::{Answers, AnswersGrpc, Dies};

/// Deployment, what its app does after how many ms, and how often: 40 requests.
const TRAFFIC: &[(&str, Does, u64, usize)] = &[
    ("web", Answers(200), 7, 8),
    ("web", Answers(200), 25, 6),
    ("web", Answers(404), 3, 4),
    ("web", Answers(500), 240, 3),
    ("web", AnswersGrpc(14), 60, 2),
    ("web", Dies, 0, 1),
    ("books", Answers(200), 60, 11),
    ("books", Answers(503), 480, 5),
];

/// Deployments behind front, their authorities, and how Linkerd writes these.
const SERVICES: [(&str, &str, &str); 2] = [
    ("web", "web.default.svc.cluster.local:80", "web.default.svc.cluster.local"),
    ("books", "books.default.svc.cluster.local:7000", "books.default.svc.cluster.local:7000"),
];

/// Front's proxy, and each service's with its app.
pub(crate) struct Mesh {
    front: Proxy,
    services: BTreeMap<&'static str, (Proxy, App)>,
    /// Of each deployment, what was asked of it so far.
    asked: BTreeMap<&'static str, Vec<(Does, u64)>>,
}

impl Mesh {
    pub(crate) async fn start() -> Self {
        let mut services = BTreeMap::new();
        for (name, ..) in SERVICES {
            let app = App::start(serve).await;
            services.insert(name, (Proxy::inbound_to(app.addr, "").await, app));
        }
        let endpoints =
            SERVICES.map(|(name, authority, _)| (authority, endpoint(name, services[name].0.inbound())));
        let control = Control(endpoints.into()).serve().await;
        let front = Proxy::outbound_with(&format!("--destination http://{control}")).await;
        Self { front, services, asked: BTreeMap::new() }
    }

    /// Each kind of request so often; returns when all is counted.
    pub(crate) async fn send(&mut self, times: impl Fn(usize) -> usize) {
        let client = h1();
        for (name, does, ms, count) in TRAFFIC {
            let host = SERVICES.iter().find(|s| s.0 == *name).unwrap().1;
            for _ in 0..times(*count) {
                // Not idempotent: what dies is not repeated.
                let mut request = get(self.front.outbound(), host, &format!("/{ms}"));
                *request.method_mut() = http::Method::POST;
                let (header, value, status) = match does {
                    Answers(status) => ("x-status", status.to_string(), *status),
                    AnswersGrpc(status) => ("x-grpc-status", status.to_string(), 200),
                    Dies => ("x-dies", String::new(), 502),
                };
                request.headers_mut().insert(header, value.parse().unwrap());
                if matches!(does, AnswersGrpc(_)) {
                    request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
                }
                assert_eq!(send(&client, request).await.0, status, "{name} {does:?}");
                self.asked.entry(name).or_default().push((*does, *ms));
            }
        }
        let all: usize = self.asked.values().map(Vec::len).sum();
        counted(&self.front, all).await;
        for (name, (proxy, _)) in &self.services {
            counted(proxy, self.asked[name].len()).await;
        }
    }

    /// Linkerd's pages by deployment.
    fn pages(&self, era: Era) -> BTreeMap<&'static str, String> {
        let seen = |name: &'static str, authority: &'static str, direction: &'static str| Seen {
            direction,
            authority,
            target: SocketAddr::new([10, 0, 0, 1].into(), 8080),
            dst: if direction == "outbound" { dst(name) } else { Vec::new() },
            responses: self.asked[name].iter().map(|(does, ms)| response(*does, *ms, direction)).collect(),
        };
        let inbound = SERVICES.map(|(name, _, shown)| (name, era.page(&[seen(name, shown, "inbound")])));
        let front = SERVICES.map(|(name, _, shown)| seen(name, shown, "outbound"));
        inbound.into_iter().chain([("front", era.page(&front))]).collect()
    }

    pub(crate) async fn scrape_ours(&self, view: &mut View, t_ms: i64) {
        let sidecars = self.services.iter().map(|(name, (proxy, _))| (*name, proxy));
        for (name, proxy) in sidecars.chain([("front", &self.front)]) {
            view.scrape(name, ("proxy", "admin"), (proxy.ip, 4191).into(), t_ms).await;
        }
    }

    pub(crate) async fn scrape_linkerds(&self, era: Era, view: &mut View, t_ms: i64) {
        for (name, page) in self.pages(era) {
            let server = App::start(move |_| {
                let mut response = text(page.clone());
                // Linkerd gives no version.
                response.headers_mut().insert("content-type", "text/plain".parse().unwrap());
                async move { response }
            })
            .await;
            view.scrape(name, ("linkerd-proxy", "linkerd-admin"), server.addr, t_ms).await;
        }
    }
}

/// An app: does as it is told once the clock has moved by the path's milliseconds.
async fn serve(request: http::Request<hyper::body::Incoming>) -> http::Response<Body> {
    let ms = request.uri().path().trim_start_matches('/').parse().unwrap();
    tokio::time::advance(Duration::from_millis(ms)).await;
    let header = |name: &str| request.headers().get(name).cloned();
    let mut response = text("body");
    if let Some(status) = header("x-status") {
        *response.status_mut() = http::StatusCode::from_bytes(status.as_bytes()).unwrap();
    }
    if let Some(status) = header("x-grpc-status") {
        response.headers_mut().insert("grpc-status", status);
    }
    assert!(header("x-dies").is_none(), "dies as it is told");
    response
}

async fn counted(proxy: &Proxy, responses: usize) {
    proxy.metrics_when(|m| m.sum("response_total", &[]) == responses as f64).await;
}

/// As Linkerd counts it on either side of the mesh.
fn response(does: Does, latency_ms: u64, direction: &str) -> Response {
    let (status, success, grpc_status) = match does {
        Answers(status) => (Some(status), status < 500, None),
        AnswersGrpc(status) => (Some(200), false, Some(status)),
        // The proxy beside the app answers in its place.
        Dies => ((direction == "outbound").then_some(502), false, None),
    };
    Response { status, success, grpc_status, latency_ms }
}

/// Labels of a service's only endpoint.
fn dst(name: &str) -> Vec<(&'static str, String)> {
    vec![
        ("control_plane_ns", "linkerd".into()),
        ("deployment", name.into()),
        ("namespace", "default".into()),
        ("pod", format!("{name}-5d8c7-x2x2x")),
        ("pod_template_hash", "5d8c7".into()),
        ("service", name.into()),
        ("serviceaccount", "default".into()),
    ]
}

fn endpoint(name: &str, addr: SocketAddr) -> WeightedAddrSet {
    let metric_labels = dst(name).into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
    let addr = WeightedAddr { addr: Some(addr.into()), weight: 10_000, ..Default::default() };
    WeightedAddrSet { addrs: vec![addr], metric_labels }
}

/// A control plane that knows fixed services.
struct Control(BTreeMap<&'static str, WeightedAddrSet>);

type Updates<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Destination for Control {
    type GetStream = Updates<Update>;
    type GetProfileStream = Updates<DestinationProfile>;

    async fn get(
        &self,
        request: tonic::Request<GetDestination>,
    ) -> Result<tonic::Response<Self::GetStream>, Status> {
        let path = request.into_inner().path;
        let set = self.0.get(path.as_str()).cloned().ok_or_else(|| Status::not_found(path))?;
        let update = Update { update: Some(Kind::Add(set)) };
        let stream = futures::stream::iter([Ok(update)]).chain(futures::stream::pending());
        Ok(tonic::Response::new(Box::pin(stream)))
    }

    async fn get_profile(
        &self,
        _: tonic::Request<GetDestination>,
    ) -> Result<tonic::Response<Self::GetProfileStream>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

impl Control {
    async fn serve(self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder().add_service(DestinationServer::new(self));
        tokio::spawn(server.serve_with_incoming(incoming));
        addr
    }
}

/// Keeps a paused clock from moving by itself until it is dropped. Should a test hang, it lets go, and the test's
/// own deadlines pass.
pub(crate) struct Still {
    _until: std::sync::mpsc::Sender<()>,
}

impl Still {
    pub(crate) fn start() -> Self {
        let (until, dropped) = std::sync::mpsc::channel();
        // The runtime moves a paused clock only while no blocking task runs.
        tokio::task::spawn_blocking(move || dropped.recv_timeout(Duration::from_secs(120)));
        Self { _until: until }
    }
}
