//! The control plane at the size of a large cluster: how soon a change is told, and what that costs.
//!
//! ```text
//!  this process: API server ─ 7 KB a pod ─► control plane, a process of its own ─ Get ─► this process: proxies
//! ```
//!
//! `cargo bench -p proxy-control --bench size -- pods=10000 services=500 namespaces=50 streams=1000 connections=250
//! rate=100 noise=0 seconds=40 follow=500`; these are the defaults. `rate` pods a second become ready or unready,
//! `noise` are written in a way that is nothing to a proxy. The streams are spread over `follow` services.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a benchmark")]

mod api;

use std::collections::HashMap;
use std::io::Read;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use api::{Api, Size};
use linkerd2_proxy_api::destination::destination_client::DestinationClient;
use linkerd2_proxy_api::destination::{GetDestination, Update, update};
use linkerd2_proxy_api::net::{TcpAddress, ip_address::Ip};
use parking_lot::Mutex;
use thanos_telemetry::{Context, Shutdown};
use tonic::transport::Channel;

const PATIENCE: Duration = Duration::from_secs(60);

/// What the streams saw.
#[derive(Debug, Default)]
struct Seen {
    firsts: AtomicUsize,
    delays: Mutex<Vec<Duration>>,
}

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match &args[..] {
        [role, kubeconfig, listen, admin] if role == "control" => control(kubeconfig, listen, admin),
        _ => {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let given: HashMap<_, _> = args.iter().filter_map(|a| a.split_once('=')).collect();
            runtime.block_on(measure(&given));
        }
    }
}

/// As the program runs it: one thread.
fn control(kubeconfig: &str, listen: &str, admin: &str) {
    let args = proxy_control::Args {
        listen: listen.parse().unwrap(),
        admin_listen: admin.parse().unwrap(),
        kubeconfig: Some(kubeconfig.into()),
        context: None,
        cluster_domains: vec!["cluster.local".into()],
    };
    let shutdown = Shutdown::new();
    // Ends with the one that started it, however that ends.
    std::thread::spawn({
        let shutdown = shutdown.clone();
        move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            shutdown.start();
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(proxy_control::run(args, Context { shutdown })).unwrap();
}

async fn measure(given: &HashMap<&str, &str>) {
    let number = |name: &str, default: usize| given.get(name).map_or(default, |v| v.parse().unwrap());
    let size = Size {
        pods: number("pods", 10_000),
        services: number("services", 500),
        namespaces: number("namespaces", 50),
    };
    let (streams, connections) = (number("streams", 1000), number("connections", 250));
    let (rate, noise, seconds) = (number("rate", 100), number("noise", 0), number("seconds", 40));
    let follow = number("follow", 500).min(size.services);

    let api = Api::new(size);
    println!(
        "{size:?}, {} bytes a pod; {streams} streams of {follow} services, {connections} connections",
        api.bytes_a_pod()
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, api.routes()).into_future());
    let folder = tempfile::tempdir().unwrap();
    let (mut control, listen, admin) = start(&url, folder.path());
    let started = Instant::now();
    let connect = |to: String| async move {
        loop {
            match Channel::from_shared(to.clone()).unwrap().connect().await {
                Ok(channel) => return channel,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };

    // The first stream is answered once everything is listed.
    let seen = Arc::new(Seen::default());
    let mut channels = Vec::new();
    for _ in 0..connections.min(streams) {
        channels.push(connect(format!("http://{listen}")).await);
    }
    let tasks: Vec<_> = (0..streams)
        .map(|n| {
            let (name, namespace) = size.service(n % follow);
            let path = format!("{name}.{namespace}.svc.cluster.local:80");
            tokio::spawn(stream(channels[n % channels.len()].clone(), path, api.clone(), seen.clone()))
        })
        .collect();
    until(|| seen.firsts.load(Relaxed) == streams && api.watches() > 0).await;
    println!(
        "listed, and all streams told, after {:.1} s and {:.2} s of processor time; {}",
        started.elapsed().as_secs_f64(),
        cpu_seconds(&control),
        memory(&control)
    );
    tokio::time::sleep(Duration::from_secs(2)).await;

    // One at a time.
    let (mut quiet, mut next) = (Vec::new(), 0);
    while next < 20 {
        api.turn(next);
        quiet.append(&mut delays(&seen, told(size, next, streams, follow)).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
        next += 1;
    }
    report("one change on a quiet system", quiet);

    let (cpu, begun, mut expected) = (cpu_seconds(&control), Instant::now(), 0);
    let mut due = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate + noise).unwrap());
    for event in 0..seconds * (rate + noise) {
        due.tick().await;
        if event % (rate + noise) < rate {
            // Each pod at most once, so that its news are known by its address.
            assert!(next < size.pods, "more changes than pods");
            expected += told(size, next, streams, follow);
            api.turn(next);
            next += 1;
        } else {
            api.touch(event % size.pods);
        }
    }
    let (took, used) = (begun.elapsed().as_secs_f64(), cpu_seconds(&control) - cpu);
    report(&format!("{rate} changes and {noise} other events a second"), delays(&seen, expected).await);
    println!("{took:.0} s of them: {:.3} core; {}", used / took, memory(&control));
    println!("{}", metrics(&admin).await);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    control.kill().unwrap();
    control.wait().unwrap();
}

/// How many streams a change of a pod is told to.
fn told(size: Size, pod: usize, streams: usize, follow: usize) -> usize {
    let service = size.service_of(pod);
    if service < follow.min(streams) { (streams - service).div_ceil(follow) } else { 0 }
}

/// Waits for that many news, and takes them.
async fn delays(seen: &Seen, expected: usize) -> Vec<Duration> {
    until(|| seen.delays.lock().len() >= expected).await;
    let delays = std::mem::take(&mut *seen.delays.lock());
    assert_eq!(delays.len(), expected, "told more than changed");
    delays
}

fn report(what: &str, mut delays: Vec<Duration>) {
    delays.sort_unstable();
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    let at = |share: f64| ms(delays[((delays.len() - 1) as f64 * share) as usize]);
    println!(
        "{what}: told to {} streams; ms p50 {:.1}, p99 {:.1}, most {:.1}",
        delays.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("in time");
}

/// A proxy's stream: what each of its messages says, how late.
async fn stream(channel: Channel, path: String, api: Api, seen: Arc<Seen>) {
    let request = GetDestination { scheme: "k8s".into(), path, context_token: String::new() };
    let mut updates = DestinationClient::new(channel).get(request).await.unwrap().into_inner();
    let mut first = true;
    while let Some(Update { update: Some(update) }) = updates.message().await.unwrap() {
        if std::mem::take(&mut first) {
            seen.firsts.fetch_add(1, Relaxed);
            continue;
        }
        let now = Instant::now();
        let addresses: Vec<_> = match update {
            update::Update::Add(set) => set.addrs.into_iter().filter_map(|a| a.addr).collect(),
            update::Update::Remove(set) => set.addrs,
            update::Update::NoEndpoints(_) => continue,
        };
        let mut delays = seen.delays.lock();
        for TcpAddress { ip, .. } in addresses {
            if let Some(Ip::Ipv4(ip)) = ip.and_then(|i| i.ip) {
                // A first answer may take several messages.
                delays.extend(api.since((ip - api::ip(0)) as usize).map(|since| now - since));
            }
        }
    }
}

/// Starts the control plane, and says where it listens.
fn start(api: &str, folder: &std::path::Path) -> (Child, SocketAddr, SocketAddr) {
    let kubeconfig = folder.join("kubeconfig");
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, users: [{{name: u, user: {{}}}}], \
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}], \
         clusters: [{{name: c, cluster: {{server: '{api}'}}}}]}}"
    );
    std::fs::write(&kubeconfig, text).unwrap();
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (listen, admin) = (free(), free());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("control").arg(kubeconfig).arg(listen.to_string()).arg(admin.to_string());
    (command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap(), listen, admin)
}

/// Processor time of a process, seconds.
fn cpu_seconds(process: &Child) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let ticks = after_name.split_whitespace().skip(11).take(2).map(|t| t.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

fn memory(process: &Child) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let mib = |name: &str| -> u64 {
        let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
    };
    format!("{} MiB resident, {} at most", mib("VmRSS:"), mib("VmHWM:"))
}

/// The control plane's own counts.
async fn metrics(admin: &SocketAddr) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket = tokio::net::TcpStream::connect(admin).await.unwrap();
    socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut page = String::new();
    socket.read_to_string(&mut page).await.unwrap();
    let own = page.lines().filter_map(|l| l.strip_prefix("destination_"));
    own.collect::<Vec<_>>().join("; ")
}
