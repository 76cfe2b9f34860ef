//! Which endpoint gets a request.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Request, StatusCode};

use crate::support::*;

async fn hits(proxy: &Proxy, requests: usize) -> BTreeMap<String, usize> {
    let client = h1();
    let mut hits = BTreeMap::new();
    for _ in 0..requests {
        let (status, _, name) = send(&client, get(proxy.outbound(), "web.svc", "/")).await;
        assert_eq!(status, StatusCode::OK);
        *hits.entry(name).or_default() += 1;
    }
    hits
}

#[tokio::test]
async fn spreads_and_prefers_the_faster() {
    let slow = App::start(|_| async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        text("slow")
    })
    .await;
    let (a, b) = (App::named("a").await, App::named("b").await);
    let file = endpoints(&[("web.svc:80", &[a.addr, b.addr, slow.addr])]);
    let proxy = Proxy::outbound_with(&format!("--seed 7 --endpoints {}", file.path().display())).await;
    let hits = hits(&proxy, 300).await;
    let count = |name: &str| hits.get(name).copied().unwrap_or(0);
    // An even spread would give it 100.
    assert!(count("slow") < 40, "{hits:?}");
    assert!(count("a") > 60 && count("b") > 60, "{hits:?}");
}

#[tokio::test]
async fn a_refusing_endpoint_costs_no_request_not_even_with_a_body() {
    let live = App::start(|r: Request<hyper::body::Incoming>| async move {
        use http_body_util::BodyExt;
        text(r.into_body().collect().await.unwrap().to_bytes())
    })
    .await;
    let file = endpoints(&[("web.svc:80", &[refusing(), live.addr])]);
    let proxy = Proxy::outbound_with(&format!("--endpoints {}", file.path().display())).await;
    for client in [h1(), h1()] {
        for i in 0..50 {
            let request = Request::post(format!("http://{}/", proxy.outbound())).header("host", "web.svc");
            let (status, _, body) = send(&client, request.body(full(format!("body {i}"))).unwrap()).await;
            assert_eq!((status, body), (StatusCode::OK, format!("body {i}")));
        }
    }
    // Nothing was counted as sent to the one that refused.
    let m = proxy.metrics().await;
    assert_eq!(m.sum("request_total", &[&format!("target_addr=\"{}\"", live.addr)]), 100.0);
    assert_eq!(m.sum("request_total", &[]), 100.0);
}

#[tokio::test]
async fn a_killed_endpoint_costs_no_repeatable_request() {
    let (a, b) = (App::named("a").await, App::named("b").await);
    let file = endpoints(&[("web.svc:80", &[a.addr, b.addr])]);
    let proxy = Proxy::outbound_with(&format!("--endpoints {}", file.path().display())).await;
    hits(&proxy, 20).await;
    drop(a);
    assert_eq!(hits(&proxy, 40).await, BTreeMap::from([("b".to_owned(), 40)]));
}

#[tokio::test]
async fn all_refusing_is_a_bad_gateway_that_names_the_address() {
    let dead = refusing();
    let file = endpoints(&[("web.svc:80", &[dead])]);
    let proxy = Proxy::outbound_with(&format!("--endpoints {}", file.path().display())).await;
    let (status, headers, _) = send(&h1(), get(proxy.outbound(), "web.svc", "/")).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(headers["l5d-proxy-error"].to_str().unwrap().contains(&dead.to_string()));
    assert_eq!(proxy.metrics().await.sum("outbound_http_errors_total", &[r#"error="connect""#]), 1.0);
}

#[tokio::test]
async fn a_changed_file_is_picked_up_and_a_broken_one_is_not() {
    let (a, b) = (App::named("a").await, App::named("b").await);
    let file = endpoints(&[("web.svc:80", &[a.addr])]);
    let proxy = Proxy::outbound_with(&format!("--endpoints {}", file.path().display())).await;
    assert_eq!(hits(&proxy, 1).await, BTreeMap::from([("a".to_owned(), 1)]));
    std::fs::write(file.path(), "web.svc:80: [not an address]").unwrap();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(hits(&proxy, 1).await, BTreeMap::from([("a".to_owned(), 1)]));
    write_endpoints(&file, &[("web.svc:80", &[b.addr, refusing()])]);
    proxy.metrics_when(|m| m.sum("outbound_http_balancer_endpoints", &[]) == 2.0).await;
    assert_eq!(hits(&proxy, 5).await, BTreeMap::from([("b".to_owned(), 5)]));
}
