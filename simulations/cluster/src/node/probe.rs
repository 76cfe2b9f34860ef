//! Readiness, liveness and startup probes.

mod tls;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe as Spec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior};

/// What is asked.
#[derive(Debug, Clone)]
pub(super) enum Check {
    Http { address: SocketAddr, https: bool, request: String },
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
            let https = get.scheme.as_deref() == Some("HTTPS");
            Check::Http { address, https, request }
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

    /// Probes on, telling whenever the verdict changes; there is none before a threshold allows one. `started` is
    /// when the container was: the first probe comes when its delay from then is over, at once if it is already,
    /// and then one each period. Ends when `tell` says so.
    pub(super) async fn run(
        &self,
        started: Instant,
        checker: &impl Checker,
        mut tell: impl FnMut(bool) -> bool + Send,
    ) {
        let first = (started + self.initial_delay).max(Instant::now());
        let mut ticks = tokio::time::interval_at(first, self.period);
        // One that took longer than its period is followed by the next at the next beat.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut streak = (false, 0u32);
        let mut verdict: Option<bool> = None;
        loop {
            ticks.tick().await;
            let passed =
                tokio::time::timeout(self.timeout, checker.check(&self.check)).await.unwrap_or(false);
            streak = if streak.0 == passed { (passed, streak.1.saturating_add(1)) } else { (passed, 1) };
            let threshold = if passed { self.success_threshold } else { self.failure_threshold };
            if streak.1 >= threshold && verdict != Some(passed) {
                verdict = Some(passed);
                if !tell(passed) {
                    return;
                }
            }
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
pub(super) async fn http(address: SocketAddr, https: bool, request: &str) -> bool {
    let answer = async {
        let stream = TcpStream::connect(address).await?;
        if https {
            ask(tls::secure(stream, address).await?, request).await
        } else {
            ask(stream, request).await
        }
    };
    let Ok(start) = answer.await else { return false };
    let status = std::str::from_utf8(&start).ok().and_then(|s| s.strip_prefix("HTTP/1."));
    status.and_then(|s| s.get(2..5)?.parse::<u16>().ok()).is_some_and(|code| (200..400).contains(&code))
}

/// "HTTP/1.1 200" is all that matters of an answer.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> std::io::Result<[u8; 12]> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    Ok(start)
}

/// Connects.
pub(super) async fn tcp(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.is_ok()
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use serde_json::{Value, json};

    use super::*;

    /// Passes from and to some second after its first moment, and notes when it was asked.
    struct From {
        began: Instant,
        passes: std::ops::Range<u64>,
        asked: Mutex<Vec<u64>>,
    }

    impl Checker for From {
        async fn check(&self, _: &Check) -> bool {
            let at = self.began.elapsed().as_secs();
            self.asked.lock().push(at);
            self.passes.contains(&at)
        }
    }

    fn probe(spec: Value) -> Probe {
        let mut spec = spec;
        spec["tcpSocket"] = json!({"port": 80});
        let spec: Spec = serde_json::from_value(spec).unwrap();
        Probe::new(&spec, &Container::default(), IpAddr::from([127, 0, 0, 1])).unwrap()
    }

    /// A server that answers every request with this status, behind a certificate that nobody trusts.
    async fn serve(status: u16, https: bool) -> SocketAddr {
        use rustls::pki_types::PrivatePkcs8KeyDer;
        use std::sync::Arc;
        let made = rcgen::generate_simple_self_signed(vec!["nobody.invalid".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, status: u16) {
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let status = if request[..read].starts_with(b"GET /healthy HTTP/1.1\r\n") { status } else { 400 };
            let _ = stream
                .write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").as_bytes())
                .await;
            let _ = stream.flush().await;
        }
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if !https {
                    answer(stream, status).await;
                } else if let Ok(stream) = acceptor.accept(stream).await {
                    answer(stream, status).await;
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn a_probe_asks_by_the_scheme_that_it_is_told_and_takes_any_certificate() {
        for (scheme, served_by_https, status, passes) in [
            (Some("HTTPS"), true, 200, true),
            (Some("HTTPS"), true, 503, false),
            (Some("HTTPS"), false, 200, false),
            (Some("HTTP"), true, 200, false),
            (Some("HTTP"), false, 200, true),
            (None, false, 302, true),
        ] {
            let address = serve(status, served_by_https).await;
            let spec = json!({"httpGet": {"path": "/healthy", "port": address.port(), "scheme": scheme}});
            let spec: Spec = serde_json::from_value(spec).unwrap();
            let probe = Probe::new(&spec, &Container::default(), address.ip()).unwrap();
            let Check::Http { address, https, request } = &probe.check else { panic!("{probe:?}") };
            let asked = tokio::time::timeout(Duration::from_secs(10), http(*address, *https, request)).await;
            assert_eq!(asked, Ok(passes), "{scheme:?} {served_by_https} {status}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_keeps_its_own_times_from_the_first_on() {
        for (spec, passes, asked, verdicts) in [
            // The defaults: each ten seconds, and from the first moment.
            (json!({}), 0..99, vec![0, 10, 20], vec![(0, true)]),
            // Not sooner because it is not ready yet.
            (json!({"periodSeconds": 5}), 3..99, vec![0, 5, 10, 15, 20], vec![(5, true)]),
            (
                json!({"periodSeconds": 5, "initialDelaySeconds": 7}),
                0..99,
                vec![7, 12, 17, 22],
                vec![(7, true)],
            ),
            (
                json!({"periodSeconds": 4, "successThreshold": 2}),
                0..99,
                vec![0, 4, 8, 12, 16, 20, 24],
                vec![(4, true)],
            ),
            // Two failures in a row of three are none; three are one.
            (
                json!({"periodSeconds": 4, "failureThreshold": 3}),
                0..1,
                vec![0, 4, 8, 12, 16, 20, 24],
                vec![(0, true), (12, false)],
            ),
            (
                json!({"periodSeconds": 4, "failureThreshold": 2}),
                8..9,
                vec![0, 4, 8, 12, 16, 20, 24],
                vec![(4, false), (8, true), (16, false)],
            ),
        ] {
            let began = Instant::now();
            let checker = From { began, passes, asked: Mutex::default() };
            let mut told = Vec::new();
            let tell = |verdict| {
                told.push((began.elapsed().as_secs(), verdict));
                true
            };
            let probe = probe(spec.clone());
            let _ =
                tokio::time::timeout(Duration::from_millis(24_500), probe.run(began, &checker, tell)).await;
            assert_eq!((checker.asked.into_inner(), told), (asked, verdicts), "{spec}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_start_up_that_took_long_the_first_probe_is_at_once() {
        let started = Instant::now();
        tokio::time::sleep(Duration::from_secs(30)).await;
        let checker = From { began: Instant::now(), passes: 0..1, asked: Mutex::default() };
        let probe = probe(json!({"initialDelaySeconds": 20}));
        probe.run(started, &checker, |ready| !ready).await;
        assert_eq!(checker.asked.into_inner(), [0]);
    }
}
