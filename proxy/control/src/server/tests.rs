use std::net::SocketAddr;

use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher::Event;
use linkerd2_proxy_api::destination::destination_client::DestinationClient;
use linkerd2_proxy_api::destination::destination_server::DestinationServer;
use linkerd2_proxy_api::destination::update;
use tonic::transport::server::TcpIncoming;

use super::*;
use crate::objects::{Pod, Service};

struct Bench {
    client: DestinationClient<tonic::transport::Channel>,
    index: Arc<Index>,
    services: Writer<Service>,
    pods: Writer<Pod>,
    shutdown: Shutdown,
    metrics: Metrics,
}

async fn bench() -> Bench {
    let (service_store, services) = reflector::store();
    let (pod_store, pods) = reflector::store();
    let metrics = Metrics::register(&mut prometheus_client::registry::Registry::default());
    let index = Arc::new(Index::new(service_store, pod_store, metrics.clone()));
    let shutdown = Shutdown::new();
    let server = Server {
        index: index.clone(),
        domains: ["cluster.local".to_owned()].into(),
        metrics: metrics.clone(),
        shutdown: shutdown.clone(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(DestinationServer::new(server))
            .serve_with_incoming_shutdown(TcpIncoming::from(listener), shutdown.wait()),
    );
    let client = DestinationClient::connect(url).await.unwrap();
    Bench { client, index, services, pods, shutdown, metrics }
}

fn request(path: &str) -> GetDestination {
    GetDestination { scheme: "k8s".into(), path: path.into(), context_token: String::new() }
}

fn pod(ip: &str, extra: &str) -> Pod {
    let yaml = format!(
        "{{metadata: {{name: web-{ip}, namespace: default, labels: {{app: web}}, {extra}}}, \
         spec: {{containers: []}}, status: {{podIP: {ip}, conditions: [{{type: Ready, status: 'True'}}]}}}}"
    );
    thanos_telemetry::cli::parse_yaml(&yaml).unwrap()
}

fn web() -> Service {
    let yaml =
        "{metadata: {name: web, namespace: default}, spec: {selector: {app: web}, ports: [{port: 80}]}}";
    thanos_telemetry::cli::parse_yaml(yaml).unwrap()
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

#[tokio::test]
async fn a_stream_follows_the_cluster_and_ends_with_the_process() {
    let mut b = bench().await;
    b.index.set_listed();
    let mut stream = b.client.get(request("web.default.svc.cluster.local:80")).await.unwrap().into_inner();
    let mut next = async || stream.message().await.map(|m| m.map(print));
    assert_eq!(next().await.unwrap().unwrap(), "none, exists false");

    b.services.apply_watcher_event(&Event::Apply(web()));
    b.index.refresh();
    assert_eq!(next().await.unwrap().unwrap(), "none, exists true");
    b.pods.apply_watcher_event(&Event::Apply(pod("127.1.0.1", "")));
    b.pods.apply_watcher_event(&Event::Apply(pod("127.1.0.2", "")));
    b.index.refresh();
    assert_eq!(next().await.unwrap().unwrap(), "add 127.1.0.1:80 127.1.0.2:80");
    // Terminating: out at once, though still ready.
    b.pods.apply_watcher_event(&Event::Apply(pod("127.1.0.1", "deletionTimestamp: '2026-01-01T00:00:00Z'")));
    b.index.refresh();
    assert_eq!(next().await.unwrap().unwrap(), "remove 127.1.0.1:80");
    assert_eq!(b.metrics.streams.get(), 1);

    b.shutdown.start();
    assert_eq!(next().await.unwrap_err().code(), tonic::Code::Unavailable);
}

#[tokio::test]
async fn what_is_no_service_of_ours_is_refused() {
    let mut b = bench().await;
    b.index.set_listed();
    for path in ["", "10.0.0.1:80", "web.default.svc.west.local"] {
        assert_eq!(
            b.client.get(request(path)).await.unwrap_err().code(),
            tonic::Code::InvalidArgument,
            "{path}"
        );
    }
    assert_eq!(b.client.get_profile(request("a.b")).await.unwrap_err().code(), tonic::Code::Unimplemented);
}

#[tokio::test]
async fn nobody_is_told_anything_before_the_first_list() {
    let mut b = bench().await;
    let index = b.index.clone();
    let get = b.client.get(request("web.default"));
    let list = async {
        tokio::task::yield_now().await;
        b.services.apply_watcher_event(&Event::Apply(web()));
        b.pods.apply_watcher_event(&Event::Apply(pod("127.1.0.1", "")));
        index.set_listed();
    };
    let (stream, ()) = tokio::join!(get, list);
    assert_eq!(print(stream.unwrap().into_inner().message().await.unwrap().unwrap()), "add 127.1.0.1:80");
}
