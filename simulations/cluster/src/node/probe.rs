//! Readiness, liveness and startup probes.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe as Spec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How often a probe is repeated until it first succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Readiness and start-up: soon again, so that a pod is ready when it is ready. Until the first success,
    /// failure is a matter of the time that the probe's own period and threshold allow.
    Eager,
    /// Liveness: its own period.
    Own,
}

/// The period of [`Pace::Eager`].
const EAGER_PERIOD: Duration = Duration::from_millis(200);
/// How long that goes on; then its own period counts.
const EAGER_FOR: Duration = Duration::from_secs(30);

/// What is asked.
#[derive(Debug, Clone)]
pub(super) enum Check {
    Http { address: SocketAddr, request: String },
    Tcp(SocketAddr),
    Exec(Vec<String>),
}

/// Who can carry out a check.
pub(super) trait Checker: Sync {
    /// Whether it passed.
    fn check(&self, check: &Check) -> impl Future<Output = bool> + Send;
}

/// A probe, ready to be run.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    pub(super) check: Check,
    initial_delay: Duration,
    period: Duration,
    pub(super) timeout: Duration,
    success_threshold: u32,
    failure_threshold: u32,
}

impl Probe {
    /// From the spec, at the pod's address.
    ///
    /// # Errors
    /// A sentence naming the field: an unknown port name, a kind that is not provided.
    pub(super) fn new(spec: &Spec, container: &Container, ip: IpAddr) -> Result<Self, String> {
        let address = |host: Option<&str>, port: &IntOrString| -> Result<SocketAddr, String> {
            let ip = match host.unwrap_or_default() {
                "" => ip,
                host => host.parse().map_err(|_| format!("probe host {host:?} is not an address"))?,
            };
            Ok(SocketAddr::new(ip, port_number(port, container)?))
        };
        let check = if let Some(get) = &spec.http_get {
            let address = address(get.host.as_deref(), &get.port)?;
            let path = get.path.as_deref().filter(|p| !p.is_empty()).unwrap_or("/");
            let mut request = format!(
                "GET {path} HTTP/1.1\r\nConnection: close\r\nUser-Agent: kube-probe/1.35\r\nAccept: */*\r\n"
            );
            let mut host = address.to_string();
            for header in get.http_headers.iter().flatten() {
                if header.name.eq_ignore_ascii_case("host") {
                    host.clone_from(&header.value);
                } else {
                    request.push_str(&format!("{}: {}\r\n", header.name, header.value));
                }
            }
            request.push_str(&format!("Host: {host}\r\n\r\n"));
            let lines = request.matches("\r\n").count();
            if path.contains(['\r', '\n', ' ']) || request.matches('\n').count() != lines {
                return Err(format!("probe path {path:?} or its headers hold line breaks or spaces"));
            }
            Check::Http { address, request }
        } else if let Some(tcp) = &spec.tcp_socket {
            Check::Tcp(address(tcp.host.as_deref(), &tcp.port)?)
        } else if let Some(exec) = &spec.exec {
            Check::Exec(exec.command.clone().unwrap_or_default())
        } else {
            return Err("probe: only httpGet, tcpSocket and exec are provided".into());
        };
        let seconds = |value: Option<i32>, default: u32, min: u32| {
            value.and_then(|v| u32::try_from(v).ok()).unwrap_or(default).max(min)
        };
        let duration = |value, default, min| Duration::from_secs(u64::from(seconds(value, default, min)));
        Ok(Self {
            check,
            initial_delay: duration(spec.initial_delay_seconds, 0, 0),
            period: duration(spec.period_seconds, 10, 1),
            timeout: duration(spec.timeout_seconds, 1, 1),
            success_threshold: seconds(spec.success_threshold, 1, 1),
            failure_threshold: seconds(spec.failure_threshold, 3, 1),
        })
    }

    /// Probes on, telling whenever the verdict changes; there is none before a threshold allows one.
    /// Ends when `tell` says so.
    pub(super) async fn run(
        &self,
        pace: Pace,
        checker: &impl Checker,
        mut tell: impl FnMut(bool) -> bool + Send,
    ) {
        tokio::time::sleep(self.initial_delay).await;
        let began = Instant::now();
        let (mut successes, mut failures) = (0u32, 0u32);
        let mut verdict: Option<bool> = None;
        loop {
            let passed =
                tokio::time::timeout(self.timeout, checker.check(&self.check)).await.unwrap_or(false);
            if passed {
                (successes, failures) = (successes.saturating_add(1), 0);
            } else {
                (successes, failures) = (0, failures.saturating_add(1));
            }
            let failed = if pace == Pace::Eager && verdict.is_none() {
                !passed && began.elapsed() >= self.period * self.failure_threshold
            } else {
                failures >= self.failure_threshold
            };
            let new = match (successes >= self.success_threshold, failed) {
                (true, _) => Some(true),
                (false, true) => Some(false),
                (false, false) => verdict,
            };
            if let Some(now) = new.filter(|_| new != verdict)
                && !tell(now)
            {
                return;
            }
            verdict = new;
            let eager = pace == Pace::Eager && verdict != Some(true) && began.elapsed() < EAGER_FOR;
            tokio::time::sleep(if eager { self.period.min(EAGER_PERIOD) } else { self.period }).await;
        }
    }
}

fn port_number(port: &IntOrString, container: &Container) -> Result<u16, String> {
    let bad = || {
        format!("probe port {port:?} is neither a number nor a named port of container {:?}", container.name)
    };
    match port {
        IntOrString::Int(n) => u16::try_from(*n).ok().filter(|n| *n > 0).ok_or_else(bad),
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|p| p.name.as_deref() == Some(name));
            let number = named.map(|p| p.container_port).or_else(|| name.parse().ok());
            number.and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0).ok_or_else(bad)
        }
    }
}

/// Sends the request; a status from 200 to 399 passes.
pub(super) async fn http(address: SocketAddr, request: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        // "HTTP/1.1 200" is all that matters.
        let mut start = [0; 12];
        stream.read_exact(&mut start).await?;
        std::io::Result::Ok(start)
    };
    let Ok(start) = ask.await else { return false };
    let status = std::str::from_utf8(&start).ok().and_then(|s| s.strip_prefix("HTTP/1."));
    status.and_then(|s| s.get(2..5)?.parse::<u16>().ok()).is_some_and(|code| (200..400).contains(&code))
}

/// Connects.
pub(super) async fn tcp(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.is_ok()
}
