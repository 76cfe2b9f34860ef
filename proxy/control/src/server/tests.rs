use std::net::SocketAddr;

use kube::runtime::watcher::Event;
use linkerd2_proxy_api::destination::destination_client::DestinationClient;
use linkerd2_proxy_api::destination::{Update, update};
use tonic::transport::server::TcpIncoming;

use super::*;
use crate::codec::Destination;
use crate::objects::{Pod, Service};

struct Bench {
    client: DestinationClient<tonic::transport::Channel>,
    index: Arc<Index>,
    shutdown: Shutdown,
    metrics: Metrics,
}

async fn bench() -> Bench {
    let metrics = Metrics::register(&mut prometheus_client::registry::Registry::default());
    let index = Arc::new(Index::new("cluster.local", metrics.clone()));
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
            .add_service(Destination::new(server))
            .serve_with_incoming_shutdown(TcpIncoming::from(listener), shutdown.wait()),
    );
    let client = DestinationClient::connect(url).await.unwrap();
    Bench { client, index, shutdown, metrics }
}

fn request(path: &str) -> GetDestination {
    GetDestination { scheme: "k8s".into(), path: path.into(), context_token: String::new() }
}

fn pod(ip: &str, extra: &str) -> Event<Pod> {
    let yaml = format!(
        "{{metadata: {{name: web-{ip}, namespace: default, labels: {{app: web}}, {extra}}}, \
         spec: {{containers: []}}, status: {{podIP: {ip}, conditions: [{{type: Ready, status: 'True'}}]}}}}"
    );
    Event::Apply(thanos_telemetry::cli::parse_yaml(&yaml).unwrap())
}

fn web() -> Event<Service> {
    let yaml = "{metadata: {name: web, namespace: default}, \
        spec: {selector: {app: web}, clusterIP: 10.0.0.1, ports: [{port: 80}]}}";
    Event::Apply(thanos_telemetry::cli::parse_yaml(yaml).unwrap())
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

    b.index.service(web());
    b.index.publish();
    assert_eq!(next().await.unwrap().unwrap(), "none, exists true");
    b.index.pod(pod("127.1.0.1", ""));
    b.index.pod(pod("127.1.0.2", ""));
    b.index.publish();
    assert_eq!(next().await.unwrap().unwrap(), "add 127.1.0.1:80 127.1.0.2:80");
    // Terminating: out at once, though still ready.
    b.index.pod(pod("127.1.0.1", "deletionTimestamp: '2026-01-01T00:00:00Z'"));
    b.index.publish();
    assert_eq!(next().await.unwrap().unwrap(), "remove 127.1.0.1:80");
    assert_eq!(b.metrics.streams.get(), 1);

    b.shutdown.start();
    assert_eq!(next().await.unwrap_err().code(), tonic::Code::Unavailable);
}

#[tokio::test]
async fn the_token_says_whose_short_name_it_is() {
    let mut b = bench().await;
    b.index.service(web());
    b.index.pod(pod("127.1.0.1", ""));
    b.index.set_listed();
    for (path, token, want) in [
        ("web", r#"{"ns":"default","nodeName":"n","pod":"p"}"#, "add 127.1.0.1:80"),
        ("web:80", "ns:default", "add 127.1.0.1:80"),
        ("web", r#"{"ns":"other"}"#, "none, exists false"),
        ("127.1.0.1:80", "", "add 127.1.0.1:80"),
        ("10.0.0.1:80", "", "add 127.1.0.1:80"),
        ("10.0.0.2:80", "", "none, exists false"),
        ("absent.default.svc.cluster.local", "", "none, exists false"),
    ] {
        let request = GetDestination { context_token: token.into(), ..request(path) };
        let mut stream = b.client.get(request).await.unwrap().into_inner();
        assert_eq!(print(stream.message().await.unwrap().unwrap()), want, "{path} {token}");
    }
}

#[tokio::test]
async fn a_profile_stream_stays_open_and_tells_what_changes() {
    let mut b = bench().await;
    b.index.service(web());
    b.index.set_listed();
    let mut stream = b.client.get_profile(request("10.0.0.1:80")).await.unwrap().into_inner();
    assert_eq!(
        stream.message().await.unwrap().unwrap().fully_qualified_name,
        "web.default.svc.cluster.local"
    );
    assert_eq!((b.metrics.streams.get(), b.metrics.profile_streams.get()), (0, 1));
    let mut by_ip = b.client.get_profile(request("127.1.0.1:8080")).await.unwrap().into_inner();
    assert!(by_ip.message().await.unwrap().unwrap().endpoint.is_none());
    // A pod of the service changes nothing of its profile, but comes to be at its own address.
    b.index.pod(pod("127.1.0.1", "annotations: {config.linkerd.io/opaque-ports: '8080'}"));
    b.index.publish();
    let told = by_ip.message().await.unwrap().unwrap();
    assert!(told.opaque_protocol && told.endpoint.is_some() && told.fully_qualified_name.is_empty());
    assert!(futures::FutureExt::now_or_never(stream.message()).is_none());
    b.shutdown.start();
    assert_eq!(stream.message().await.unwrap_err().code(), tonic::Code::Unavailable);
}

#[tokio::test]
async fn what_is_no_name_of_ours_is_refused() {
    let mut b = bench().await;
    b.index.set_listed();
    for path in ["", "web", "web.default.svc.west.local", "www.example.com:443", "a.b.c.d.e"] {
        for code in [
            b.client.get(request(path)).await.unwrap_err().code(),
            b.client.get_profile(request(path)).await.unwrap_err().code(),
        ] {
            assert_eq!(code, tonic::Code::InvalidArgument, "{path}");
        }
    }
    assert_eq!((b.metrics.refused.get(), b.metrics.streams.get()), (10, 0));
}

#[tokio::test]
async fn nobody_is_told_anything_before_the_first_list() {
    let mut b = bench().await;
    let index = b.index.clone();
    let get = b.client.get(request("web.default"));
    let list = async {
        tokio::task::yield_now().await;
        index.service(web());
        index.pod(pod("127.1.0.1", ""));
        index.set_listed();
    };
    let (stream, ()) = tokio::join!(get, list);
    assert_eq!(print(stream.unwrap().into_inner().message().await.unwrap().unwrap()), "add 127.1.0.1:80");
}
