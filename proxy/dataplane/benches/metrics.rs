//! What recording one request costs. Names are chosen once: renaming a bench resets its history.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use proxy_core::classify::{Class, Outcome};
use proxy_dataplane::metrics::Registry;

fn record(c: &mut Criterion) {
    let addr = "127.0.0.1:8080".parse().expect("an address");
    let registry = Arc::new(Registry::default());
    let (traffic, target) = (registry.inbound_traffic(addr), registry.inbound_target(addr));
    let request = || {
        traffic.arrived();
        let admitted = traffic.admit();
        target.request(black_box(1));
        target.latency(200, black_box(1_500));
        target.response(Some(200), Class::Http(Outcome::Success));
        drop(admitted);
    };
    c.bench_function("record_request", |b| b.iter(request));
    c.bench_function("record_request_beside_another_thread", |b| {
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|s| {
            s.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    request();
                }
            });
            b.iter(request);
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    });
    for i in 0..100u16 {
        let endpoint = (std::net::Ipv4Addr::LOCALHOST, 1_000 + i).into();
        let target =
            registry.outbound_target("web.default.svc.cluster.local:80", endpoint, &Default::default());
        target.latency(200, 1_500);
        target.response(Some(200), Class::Http(Outcome::Success));
        std::mem::forget(target);
    }
    c.bench_function("scrape_100_endpoints", |b| b.iter(|| registry.encode(None)));
}

criterion_group!(benches, record);
criterion_main!(benches);
