use std::net::SocketAddr;

use autoscaler_certs::issue::{self, Pair};
use axum::routing::get;
use tokio::task::JoinHandle;

use super::*;

const DAY_MS: i64 = 86_400_000;

fn authority(name: &str) -> Pair {
    issue::authority(name, crate::clock::now_ms(), 30 * DAY_MS).unwrap()
}

fn signed(by: &Pair, name: &str) -> Pair {
    issue::serving(by, &[name.to_owned()], crate::clock::now_ms(), DAY_MS).unwrap()
}

/// Answers who asks.
async fn start(served: &Served, client_ca: Option<&str>) -> (SocketAddr, Shutdown, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let who = async |Extension(caller): Extension<Caller>| caller.0.unwrap_or("nobody".into());
    let config = config(served, client_ca).unwrap();
    let stop = Shutdown::new();
    let router = Router::new().route("/", get(who));
    let task = tokio::spawn(serve(listener, move || Some(config.clone()), router, stop.clone()));
    (at, stop, task)
}

/// A new connection each time.
async fn ask(at: SocketAddr, ca: &Pair, identity: Option<&Pair>) -> Result<String, String> {
    let trusted = reqwest::Certificate::from_pem(ca.certificate_pem.as_bytes()).unwrap();
    let mut client =
        reqwest::Client::builder().timeout(Duration::from_secs(20)).tls_certs_only([trusted]).no_proxy();
    if let Some(pair) = identity {
        let both = format!("{}{}", pair.certificate_pem, pair.key_pem.expose());
        client = client.identity(reqwest::Identity::from_pem(both.as_bytes()).unwrap());
    }
    let answer =
        client.build().unwrap().get(format!("https://{at}/")).send().await.map_err(|e| format!("{e:?}"))?;
    answer.text().await.map_err(|e| e.to_string())
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart() {
    let (one, two) = (authority("one"), authority("two"));
    let served = Served::default();
    served.set(&signed(&one, "127.0.0.1")).unwrap();
    let (at, stop, task) = start(&served, None).await;
    assert_eq!(ask(at, &one, None).await.unwrap(), "nobody");
    assert!(ask(at, &two, None).await.is_err());
    served.set(&signed(&two, "127.0.0.1")).unwrap();
    assert_eq!(ask(at, &two, None).await.unwrap(), "nobody");
    assert!(ask(at, &one, None).await.is_err(), "the old one is no longer shown");
    stop.start();
    tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_is_known_by_a_certificate_of_the_right_authority_alone() {
    let (servers, clients, others) = (authority("servers"), authority("clients"), authority("others"));
    let served = Served::default();
    served.set(&signed(&servers, "127.0.0.1")).unwrap();
    let (at, _stop, _task) = start(&served, Some(&clients.certificate_pem)).await;
    assert_eq!(ask(at, &servers, None).await.unwrap(), "nobody");
    assert!(ask(at, &servers, Some(&client(&others))).await.is_err());
    assert_eq!(ask(at, &servers, Some(&client(&clients))).await.unwrap(), "gauntlet-front-proxy");
}

/// As an API server's aggregation layer has it.
fn client(authority: &Pair) -> Pair {
    issue::client(authority, "gauntlet-front-proxy", crate::clock::now_ms(), DAY_MS).unwrap()
}

#[tokio::test]
async fn who_says_nothing_keeps_nobody_waiting() {
    let servers = authority("servers");
    let served = Served::default();
    served.set(&signed(&servers, "127.0.0.1")).unwrap();
    let (at, stop, task) = start(&served, None).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(at).await.unwrap());
    }
    assert_eq!(ask(at, &servers, None).await.unwrap(), "nobody");
    stop.start();
    tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap();
    drop(silent);
}
