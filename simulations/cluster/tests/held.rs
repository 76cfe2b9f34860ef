//! A cluster starts beside programs that hold its ports, or says why not. This program runs itself in a network
//! namespace of its own, where it may hold what it likes; where that is not allowed, it says so and is skipped.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{Command, ExitCode};

use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};
use simulations_cluster::preflight::{Needs, findings, refuse};
use simulations_cluster::{Cluster, ClusterConfig, Dns, Zone};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("lo-is-down") => block_on(without_loopback()),
        Some("lo-is-up") => tells_holders(),
        Some(case) if case.parse::<usize>().is_ok_and(|n| n < CASES) => {
            block_on(beside_holders(case.parse().unwrap()));
        }
        // A listing of tests, or a filter for others.
        Some(_) => {}
        None => outside(),
    }
    ExitCode::SUCCESS
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(future)
}

fn outside() {
    let own = std::env::current_exe().unwrap();
    let unshared = |script: &str| {
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--net", "sh", "-c", script, "sh"]).arg(&own);
        command
    };
    if !unshared("ip link set lo up").output().is_ok_and(|out| out.status.success()) {
        eprintln!("held: skipped, it takes `unshare --net`, allowed to this user, and `ip`");
        return;
    }
    assert!(unshared("exec \"$1\" lo-is-down").status().unwrap().success());
    assert!(unshared("ip link set lo up && exec \"$1\" lo-is-up").status().unwrap().success());
    // Each in a namespace of its own: what is closed keeps ports for a while from those that do not share.
    for case in 0..CASES {
        let script = format!("ip link set lo up && exec \"$1\" {case}");
        assert!(unshared(&script).status().unwrap().success(), "{script}");
    }
    eprintln!("held: clusters start beside whoever holds their ports");
}

/// Sets of sockets, each with the flags that let others share, and without.
const CASES: usize = 12;

fn has_ipv6() -> bool {
    TcpListener::bind("[::]:0").is_ok()
}

/// A socket that holds a port, with or without the flags that let others share it.
fn hold(kind: &str, addr: &str, shared: bool) -> OwnedFd {
    let addr: SocketAddr = addr.parse().unwrap();
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let stream = kind == "tcp";
    let fd = socket(family, if stream { SocketType::STREAM } else { SocketType::DGRAM }, None).unwrap();
    if shared {
        sockopt::set_socket_reuseaddr(&fd, true).unwrap();
        sockopt::set_socket_reuseport(&fd, true).unwrap();
    }
    bind(&fd, &addr).unwrap();
    if stream {
        listen(&fd, 8).unwrap();
    }
    fd
}

async fn beside_holders(case: usize) {
    let all = [
        ("tcp", "0.0.0.0:6443"),
        ("tcp", "[::]:16443"),
        ("tcp", "[::ffff:0.0.0.0]:26443"),
        ("udp", "0.0.0.0:10053"),
        ("tcp", "[::]:20053"),
        ("udp", "[::]:30053"),
        ("udp", "0.0.0.0:5353"),
    ];
    let sets = [&all[..0], &all[..1], &all[3..4], &all[4..6], &all[1..2], &all[..]];
    let (shared, held) = (case.is_multiple_of(2), sets[case / 2]);
    let held: Vec<(&str, &str)> =
        held.iter().filter(|(_, addr)| has_ipv6() || !addr.starts_with('[')).copied().collect();
    let _held: Vec<OwnedFd> = held.iter().map(|(kind, addr)| hold(kind, addr, shared)).collect();
    starts(&format!("{held:?}, shared: {shared}")).await;
}

/// Two of them, and each is reached.
async fn starts(held: &str) {
    let mut clusters = Vec::new();
    for name in ["east", "west"] {
        let dir = tempfile::tempdir().unwrap();
        let cluster = Cluster::start(ClusterConfig::new(name, dir.path())).await;
        let cluster = cluster.unwrap_or_else(|e| panic!("{held}: {e:#}"));
        cluster.client().apiserver_version().await.unwrap();
        let kubeconfig = std::fs::read_to_string(cluster.kubeconfig_path()).unwrap();
        assert!(kubeconfig.contains(&cluster.api_url()), "{held}: {kubeconfig}");
        let zones = vec![Zone::new("east.local", cluster.client())];
        let dns = Dns::serve(cluster.dns_addr(), zones).await.unwrap_or_else(|e| panic!("{held}: {e}"));
        assert_eq!(dns.addr().ip(), cluster.dns_addr().ip(), "{held}");
        let asks = UdpSocket::bind("127.0.0.1:0").unwrap();
        asks.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let question = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03svc\x04east\x05local\0\0\x01\0\x01";
        asks.send_to(question, dns.addr()).unwrap();
        assert!(asks.recv_from(&mut [0; 512]).unwrap().0 >= question.len(), "{held}: DNS answers");
        clusters.push((cluster, dns, dir));
    }
    let octets: BTreeSet<_> = clusters.iter().map(|(cluster, _, _)| cluster.api_addr().ip()).collect();
    assert_eq!(octets.len(), 2, "{held}");
    for (cluster, dns, _) in clusters {
        drop(dns);
        cluster.stop().await;
    }
}

fn needs(ports: &[u16]) -> Needs {
    Needs {
        octets: 2,
        ports: ports.iter().copied().collect(),
        open_files: 64,
        tasks: 1,
        memory_bytes: 1,
        dir: std::env::temp_dir(),
        disk_bytes: 1,
    }
}

fn tells_holders() {
    let at = if has_ipv6() { "[::]:9090" } else { "0.0.0.0:9090" };
    let (four, both, one) = (("tcp", "0.0.0.0:8080"), ("tcp", at), ("tcp", "127.0.0.1:4191"));
    let _held: Vec<OwnedFd> = [four, both, one].iter().map(|(kind, addr)| hold(kind, addr, true)).collect();
    // A client's end of a connection, and what was closed a moment ago, are in nobody's way.
    let server = TcpListener::bind("127.0.0.1:10901").unwrap();
    let _client = std::net::TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let found = findings(&needs(&[8080, 9090, 4191, 10901, 4143]));
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    let pid = std::process::id();
    for (line, (port, at)) in lines.iter().zip([(8080, "0.0.0.0:8080"), (9090, at)]) {
        assert!(line.starts_with(&format!("port {port}, ")), "{line}");
        assert!(line.contains("held by held") && line.contains(&format!("(pid {pid}) at {at}")), "{line}");
        assert!(line.contains(&format!("`kill {pid}`")), "{line}");
    }
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(refuse(&found).unwrap_err().to_string().lines().count(), 3);
    eprintln!("held: whoever holds ports of pods is told, all at once");
}

async fn without_loopback() {
    let dir = tempfile::tempdir().unwrap();
    let error = Cluster::start(ClusterConfig::new("east", dir.path())).await.unwrap_err();
    for text in [format!("{error:#}"), refuse(&findings(&needs(&[8080]))).unwrap_err().to_string()] {
        assert!(text.contains("127.64.") && text.contains("ip link set lo up"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    eprintln!("held: without loopback addresses it says so");
}
