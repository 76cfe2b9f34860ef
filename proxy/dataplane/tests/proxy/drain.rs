//! Ending without failing a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

use crate::support::*;

/// Requests that are let through one by one.
async fn gated() -> (App, Arc<Notify>, Arc<Semaphore>) {
    let (arrived, gate) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (a, g) = (arrived.clone(), gate.clone());
    let app = App::start(move |_| {
        let (arrived, gate) = (a.clone(), g.clone());
        async move {
            arrived.notify_one();
            let _permit = gate.acquire().await.unwrap();
            text("late")
        }
    })
    .await;
    (app, arrived, gate)
}

#[tokio::test]
async fn what_is_in_flight_finishes_and_the_port_closes() {
    for client in [h1(), h2()] {
        let (app, arrived, gate) = gated().await;
        let proxy = Proxy::inbound_to(app.addr, "--drain-delay 0ms").await;
        let addr = proxy.inbound();
        let request = tokio::spawn(async move { send(&client, get(addr, &addr.to_string(), "/")).await });
        timeout(PATIENCE, arrived.notified()).await.unwrap();
        proxy.begin_drain();
        let closed = async {
            while tokio::net::TcpStream::connect(addr).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, closed).await.unwrap();
        assert_eq!(proxy.admin_get("/ready").await.unwrap().0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(proxy.admin_get("/live").await.unwrap().0, StatusCode::OK);
        gate.add_permits(1);
        let (status, _, body) = timeout(PATIENCE, request).await.unwrap().unwrap();
        assert_eq!((status, body.as_str()), (StatusCode::OK, "late"));
        proxy.ended().await;
    }
}

#[tokio::test]
async fn lingering_still_accepts_and_asks_to_close() {
    let app = App::named("a").await;
    let proxy = Proxy::inbound_to(app.addr, "--drain-delay 600ms").await;
    let addr = proxy.inbound();
    let client = h1();
    assert!(!send(&client, get(addr, "web", "/")).await.1.contains_key("connection"));
    proxy.begin_drain();
    timeout(PATIENCE, async {
        while proxy.admin_get("/ready").await.unwrap().0 == StatusCode::OK {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let (status, headers, _) = send(&client, get(addr, "web", "/")).await;
    assert_eq!((status, &headers["connection"]), (StatusCode::OK, &"close".parse().unwrap()));
    let (status, _, _) = send(&h1(), get(addr, "web", "/")).await;
    assert_eq!(status, StatusCode::OK);
    proxy.ended().await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let app = App::named("a").await;
    let proxy = Proxy::inbound_to(app.addr, "--drain-delay 0ms --drain-timeout 15s").await;
    let (one, two) = (h1(), h2());
    for client in [&one, &two] {
        send(client, get(proxy.inbound(), &proxy.inbound().to_string(), "/")).await;
    }
    let began = Instant::now();
    proxy.begin_drain();
    proxy.ended().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_deadline_ends_a_request_that_does_not() {
    let (app, arrived, _gate) = gated().await;
    let proxy = Proxy::inbound_to(app.addr, "--drain-delay 0ms --drain-timeout 300ms").await;
    let addr = proxy.inbound();
    let request = tokio::spawn(async move { h1().request(get(addr, "web", "/")).await.is_err() });
    timeout(PATIENCE, arrived.notified()).await.unwrap();
    proxy.begin_drain();
    proxy.ended().await;
    assert!(timeout(PATIENCE, request).await.unwrap().unwrap());
}

/// Many clients on kept-alive connections, of both protocols, while one of two proxies leaves as Kubernetes makes a
/// pod leave: the signal first, its removal from discovery a moment later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_request_fails() {
    let app = App::start(|r: http::Request<hyper::body::Incoming>| async move {
        tokio::time::sleep(Duration::from_millis(3)).await;
        text(r.into_body().collect().await.unwrap().to_bytes())
    })
    .await;
    let leaving = Proxy::inbound_to(app.addr, "--drain-delay 1500ms").await;
    let staying = Proxy::inbound_to(app.addr, "").await;
    let file = endpoints(&[("web.svc:80", &[leaving.inbound(), staying.inbound()])]);
    let outbound = Proxy::outbound_with(&format!("--endpoints {}", file.path().display())).await;
    let (addr, stop) = (outbound.outbound(), Arc::new(AtomicBool::new(false)));
    let served = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let (stop, served) = (stop.clone(), served.clone());
            tokio::spawn(async move {
                let client = h1();
                while !stop.load(Ordering::Relaxed) {
                    let post = http::Request::post(format!("http://{addr}/")).header("host", "web.svc");
                    let (status, headers, body) = send(&client, post.body(full("ping")).unwrap()).await;
                    assert_eq!((status, body.as_str()), (StatusCode::OK, "ping"), "{headers:?}");
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let reached = |n| {
        let served = served.clone();
        async move {
            while served.load(Ordering::Relaxed) < n {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    timeout(PATIENCE, reached(200)).await.unwrap();
    leaving.begin_drain();
    tokio::time::sleep(Duration::from_millis(200)).await;
    write_endpoints(&file, &[("web.svc:80", &[staying.inbound()])]);
    leaving.ended().await;
    timeout(PATIENCE, reached(served.load(Ordering::Relaxed) + 200)).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        timeout(PATIENCE, client).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn outbound_outlives_inbound_while_the_app_needs_it() {
    // The app's own request goes out, through the same sidecar, only after the drain began.
    let backend = App::named("backend").await;
    let gate = Arc::new(Semaphore::new(0));
    let (arrived, out) = (Arc::new(Notify::new()), Arc::new(std::sync::OnceLock::new()));
    let (g, a, o) = (gate.clone(), arrived.clone(), out.clone());
    let backend_addr = backend.addr;
    let app = App::start(move |_| {
        let (gate, arrived, out) = (g.clone(), a.clone(), o.clone());
        async move {
            arrived.notify_one();
            let _permit = gate.acquire().await.unwrap();
            let out: std::net::SocketAddr = *out.get().unwrap();
            text(send(&h1(), get(out, &backend_addr.to_string(), "/")).await.2)
        }
    })
    .await;
    let flags = format!(
        "--inbound-listen {{ip}}:4143 --inbound-forward {} --outbound-listen {{ip}}:4140 --drain-delay 100ms",
        app.addr
    );
    let proxy = Proxy::start(&flags).await;
    out.set(proxy.outbound()).unwrap();
    let addr = proxy.inbound();
    let request = tokio::spawn(async move { send(&h1(), get(addr, "web", "/")).await });
    timeout(PATIENCE, arrived.notified()).await.unwrap();
    proxy.begin_drain();
    tokio::time::sleep(Duration::from_millis(400)).await;
    gate.add_permits(1);
    let (status, _, body) = timeout(PATIENCE, request).await.unwrap().unwrap();
    assert_eq!((status, body.as_str()), (StatusCode::OK, "backend"));
    proxy.ended().await;
}

/// An app that stops listening at SIGTERM, as most do, while its proxy still takes requests: they go elsewhere, whatever
/// their method and with their bodies.
#[tokio::test]
async fn what_reached_no_app_goes_elsewhere() {
    let echo = |r: Request<hyper::body::Incoming>| async move {
        let body = http_body_util::BodyExt::collect(r.into_body()).await.unwrap().to_bytes();
        text(body)
    };
    let (leaving, staying) = (App::start(echo).await, App::start(echo).await);
    let pods = [Proxy::inbound_to(leaving.addr, "").await, Proxy::inbound_to(staying.addr, "").await];
    let file = endpoints(&[("web:80", &[pods[0].inbound(), pods[1].inbound()])]);
    let proxy = Proxy::outbound_with(&format!("--seed 3 --endpoints {}", file.path().display())).await;
    let client = h1();
    let body = "x".repeat(30_000);
    let post = async |nth: usize| {
        let request = Request::post(format!("http://{}/", proxy.outbound())).header("host", "web");
        let (status, headers, got) = send(&client, request.body(full(body.clone())).unwrap()).await;
        assert_eq!(status, 200, "request {nth}: {headers:?} {got}");
        assert_eq!(got.len(), body.len());
    };
    for nth in 0..20 {
        post(nth).await;
    }
    drop(leaving);
    // Several at once, so that one endpoint alone is never the cheapest for all.
    for nth in 0..20 {
        futures::future::join_all((0..8).map(|i| post(20 + 8 * nth + i))).await;
    }
    let m = proxy.metrics().await;
    assert_eq!(m.sum("outbound_http_errors_total", &[]), 0.0);
    assert!(pods[0].metrics().await.sum("inbound_http_errors_total", &["connect"]) > 0.0);
    // Where there is no elsewhere, its words pass.
    let only = endpoints(&[("web:80", &[pods[0].inbound()])]);
    let proxy = Proxy::outbound_with(&format!("--endpoints {}", only.path().display())).await;
    let request = Request::post(format!("http://{}/", proxy.outbound())).header("host", "web");
    let (status, headers, _) = send(&client, request.body(full("x")).unwrap()).await;
    assert_eq!(status, 502);
    assert!(
        headers["l5d-proxy-error"].to_str().unwrap().contains("cannot connect to the app"),
        "{headers:?}"
    );
}
