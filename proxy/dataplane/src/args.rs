//! Flags, and what they become once they make sense together.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use proxy_core::drain;
use thanos_model::http_url;
use thanos_telemetry::RunError;

use crate::client::Settings;
use crate::discovery::file::{self, Endpoints};
use crate::inbound::{self, RateLimit};
use crate::limits::{Timeouts, duration};
use crate::{outbound, server};

/// Flags of `gauntlet proxy sidecar`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where other pods reach the app through this proxy. Needs --inbound-forward.
    #[arg(long, value_name = "IP:PORT", value_parser = address)]
    pub inbound_listen: Option<SocketAddr>,
    /// The app's own address. Needs --inbound-listen.
    #[arg(long, value_name = "IP:PORT", value_parser = address)]
    pub inbound_forward: Option<SocketAddr>,
    /// Where the app reaches other services through this proxy.
    #[arg(long, value_name = "IP:PORT", value_parser = address)]
    pub outbound_listen: Option<SocketAddr>,
    /// Where /metrics, /live and /ready are served.
    #[arg(long, value_name = "IP:PORT", default_value = "[::]:4191", value_parser = address)]
    pub admin_listen: SocketAddr,

    /// The mesh's control plane: io.linkerd.proxy.destination.Destination.
    #[arg(long, value_name = "http://HOST:PORT", conflicts_with = "endpoints")]
    pub destination: Option<String>,
    /// Sent with each lookup; what it means is the control plane's.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub destination_context: String,
    /// Instead of a control plane, a YAML file `host:port: [IP:PORT, …]`; changes are picked up.
    #[arg(long, value_name = "FILE")]
    pub endpoints: Option<PathBuf>,

    /// Ports of apps whose connections are passed on unseen: protocols in which the server speaks first, or whose lines
    /// look like HTTP's. TLS and what else is not HTTP is told by its first bytes and needs no word.
    #[arg(
        long,
        value_name = "PORT,…",
        value_delimiter = ',',
        default_value = "25,587,3306,4444,5432,6379,9300,11211"
    )]
    pub opaque_ports: Vec<u16>,
    /// Inbound requests a second, and how many may come at once (default: as many); beyond, 429.
    #[arg(long, value_name = "RPS[:BURST]", value_parser = rate_limit)]
    pub inbound_rate_limit: Option<RateLimit>,
    /// Connections accepted at once, each side; more wait.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub max_connections: usize,
    /// Requests in flight at once, each side; more are refused with 503.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub max_in_flight: u64,

    /// How long a request that is over may wait for the head of its response. Calls of gRPC may wait for ever, or as
    /// long as their `grpc-timeout` says; `l5d-timeout` on an outbound request overrides, from its arrival.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub request_timeout: Duration,
    /// How long the body of a request may stand still before there is a response: 408 if it was the client, 504 if it
    /// was the target. Not for gRPC.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub upload_idle_timeout: Duration,
    /// How long a client that ended its own side of an HTTP/1 connection is answered without a byte going out: it may
    /// be waiting, or have left.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub half_close_timeout: Duration,
    /// How long a peer may take nothing of what is written to it; then the connection or stream is broken off.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub write_timeout: Duration,
    /// How long a response may pause between two frames.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    pub stream_idle_timeout: Duration,
    /// How long connecting may take.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub connect_timeout: Duration,
    /// How long an outbound request waits for a service to have an endpoint; then 503.
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = duration)]
    pub fail_fast_timeout: Duration,
    /// Refuse outbound names that discovery does not know, with 503. Without this flag they are resolved as without a
    /// proxy: an app that sends all its calls here also reaches what is outside of the mesh.
    #[arg(long)]
    pub known_names_only: bool,
    /// How long an endpoint that joins others takes until it has its full share of requests; 0s: at once.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub slow_start: Duration,
    /// How long a new connection may say nothing.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub detect_timeout: Duration,
    /// How long the head of a request may take; a connection unused for as long is closed.
    #[arg(long, value_name = "DURATION", default_value = "90s", value_parser = duration)]
    pub header_timeout: Duration,
    /// How long a connection to a target is kept unused, or as long as the target says (`Keep-Alive: timeout=5`) if
    /// that is less. Keep it under the target's own limit: a request that meets its closing fails.
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = duration)]
    pub pool_idle_timeout: Duration,

    /// Write a line of JSON to standard output for each inbound request, once its response is over.
    #[arg(long)]
    pub access_log: bool,
    /// How long the series of an endpoint that left its service are still told. Shorter keeps scrapes small
    /// where pods come and go.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub metrics_idle_timeout: Duration,

    /// After SIGTERM, how long to go on accepting while other proxies learn that this one leaves.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub drain_delay: Duration,
    /// After SIGTERM, how long requests in flight may take. Keep it under the pod's grace period.
    #[arg(long, value_name = "DURATION", default_value = "25s", value_parser = duration)]
    pub drain_timeout: Duration,

    /// Seed of the balancer's choices, to replay them. Default: differs with each start, and is logged.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Whose choices they are, for example the pod's name: proxies with one seed and other names choose independently.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub stream: String,
}

/// Flags that make sense together.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) inbound: Option<(SocketAddr, inbound::Config)>,
    pub(crate) outbound: Option<(outbound::Config, Lookup)>,
    pub(crate) limits: server::Limits,
    pub(crate) drain: drain::Config,
}

/// Where endpoints come from, checked but not started.
#[derive(Debug)]
pub(crate) enum Lookup {
    Destination(crate::discovery::destination::Client),
    File(PathBuf, Endpoints),
    Nowhere,
}

impl Args {
    /// Checks the flags together. Inside a runtime: a control plane's client needs one.
    pub(crate) fn config(&self) -> Result<Config, RunError> {
        let inbound = match (self.inbound_listen, self.inbound_forward) {
            (Some(listen), Some(forward)) if outbound::Own::listening(listen).is(forward) => {
                return Err(RunError::Config(format!(
                    "--inbound-forward {forward}: is --inbound-listen itself; name the app's own address"
                )));
            }
            (Some(listen), Some(forward)) => Some((listen, self.inbound_config(forward))),
            (None, None) => None,
            (Some(_), None) => {
                return Err(RunError::config("--inbound-listen needs --inbound-forward IP:PORT"));
            }
            (None, Some(_)) => {
                return Err(RunError::config("--inbound-forward needs --inbound-listen IP:PORT"));
            }
        };
        let outbound = match self.outbound_listen {
            Some(listen) => Some((self.outbound_config(listen), self.lookup()?)),
            None if self.destination.is_some() || self.endpoints.is_some() => {
                return Err(RunError::config("--destination and --endpoints need --outbound-listen IP:PORT"));
            }
            None => None,
        };
        if inbound.is_none() && outbound.is_none() {
            return Err(RunError::config(
                "nothing to proxy: give --inbound-listen with --inbound-forward, or --outbound-listen, or both",
            ));
        }
        self.check()?;
        Ok(Config {
            inbound,
            outbound,
            limits: server::Limits {
                connections_max: self.max_connections,
                detect_timeout: self.detect_timeout,
                header_timeout: self.header_timeout,
                write_stall: self.write_timeout,
            },
            drain: drain::Config {
                delay_ms: millis(self.drain_delay),
                timeout_ms: millis(self.drain_timeout),
                until_quiet: false,
            },
        })
    }

    fn check(&self) -> Result<(), RunError> {
        if self.inbound_rate_limit.is_some() && self.inbound_listen.is_none() {
            return Err(RunError::config("--inbound-rate-limit needs --inbound-listen IP:PORT"));
        }
        for (flag, zero) in [
            ("--max-connections", self.max_connections == 0),
            ("--max-in-flight", self.max_in_flight == 0),
            ("--request-timeout", self.request_timeout.is_zero()),
            ("--connect-timeout", self.connect_timeout.is_zero()),
            ("--upload-idle-timeout", self.upload_idle_timeout.is_zero()),
            ("--write-timeout", self.write_timeout.is_zero()),
            ("--stream-idle-timeout", self.stream_idle_timeout.is_zero()),
            ("--detect-timeout", self.detect_timeout.is_zero()),
            ("--header-timeout", self.header_timeout.is_zero()),
        ] {
            if zero {
                return Err(RunError::Config(format!("{flag} 0: nothing would pass; give at least 1")));
            }
        }
        // A semaphore's own bound.
        if self.max_connections > tokio::sync::Semaphore::MAX_PERMITS {
            return Err(RunError::config("--max-connections: too many; the default is 10000"));
        }
        if self.drain_delay > self.drain_timeout {
            return Err(RunError::config("--drain-delay is longer than --drain-timeout; make it shorter"));
        }
        Ok(())
    }

    fn lookup(&self) -> Result<Lookup, RunError> {
        if let Some(url) = &self.destination {
            let client = crate::discovery::destination::Client::new(url, self.destination_context.clone())
                .map_err(|e| {
                    RunError::Config(format!("--destination {}: {e}", http_url::without_secrets(url)))
                })?;
            return Ok(Lookup::Destination(client));
        }
        match &self.endpoints {
            Some(path) => {
                let endpoints = file::read(path).map_err(|e| RunError::Config(format!("--endpoints {e}")))?;
                Ok(Lookup::File(path.clone(), endpoints))
            }
            None => Ok(Lookup::Nowhere),
        }
    }

    fn client(&self) -> Settings {
        Settings {
            connect_timeout: self.connect_timeout,
            idle_timeout: self.pool_idle_timeout,
            write_stall: self.write_timeout,
        }
    }

    fn timeouts(&self) -> Timeouts {
        Timeouts {
            request: self.request_timeout,
            upload_idle: self.upload_idle_timeout,
            stream_idle: self.stream_idle_timeout,
            half_close: self.half_close_timeout,
        }
    }

    fn inbound_config(&self, forward: SocketAddr) -> inbound::Config {
        inbound::Config {
            forward,
            opaque: self.opaque_ports.contains(&forward.port()),
            rate_limit: self.inbound_rate_limit,
            in_flight_max: self.max_in_flight,
            timeouts: self.timeouts(),
            client: self.client(),
        }
    }

    fn outbound_config(&self, listen: SocketAddr) -> outbound::Config {
        outbound::Config {
            listen,
            in_flight_max: self.max_in_flight,
            timeouts: self.timeouts(),
            fail_fast: self.fail_fast_timeout,
            slow_start: self.slow_start,
            pass_through: !self.known_names_only,
            client: self.client(),
        }
    }
}

/// `127.0.0.1:80`, `[::1]:80`, and `fd00::1:80`, which is what `$(POD_IP):80` becomes: the port is behind the last
/// colon.
fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = || {
        let (ip, port) = text.rsplit_once(':')?;
        Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
    };
    let parsed = text.parse().ok().or_else(bare);
    parsed.ok_or_else(|| format!("{text:?}: expected IP:PORT, such as 127.0.0.1:8080 or [::1]:8080"))
}

fn rate_limit(text: &str) -> Result<RateLimit, String> {
    let number = |t: &str| {
        t.parse::<NonZeroU32>()
            .map_err(|_| format!("{text:?}: expected RPS or RPS:BURST, whole numbers above 0"))
    };
    let (rps, burst) = text.split_once(':').unwrap_or((text, text));
    Ok(RateLimit { per_second: number(rps)?, burst: number(burst)? })
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    #[tokio::test]
    async fn wrong_flags_are_named() {
        let table = [
            ("", "nothing to proxy"),
            ("--inbound-listen 127.0.0.1:1", "--inbound-forward"),
            ("--inbound-forward 127.0.0.1:1", "--inbound-listen"),
            ("--inbound-listen 127.0.0.1:1 --inbound-forward 127.0.0.1:1", "itself"),
            ("--inbound-listen 0.0.0.0:1 --inbound-forward 127.0.0.1:1", "itself"),
            ("--inbound-listen 127.0.0.1:1 --inbound-forward [::ffff:127.0.0.1]:1", "itself"),
            ("--outbound-listen 127.0.0.1:1 --destination ftp://x", "--destination"),
            ("--outbound-listen 127.0.0.1:1 --destination https://x:1", "http://HOST:PORT"),
            ("--outbound-listen 127.0.0.1:1 --endpoints /does/not/exist", "/does/not/exist"),
            ("--destination http://x:1", "--outbound-listen"),
            ("--outbound-listen 127.0.0.1:1 --max-connections 0", "--max-connections"),
            ("--outbound-listen 127.0.0.1:1 --detect-timeout 0s", "--detect-timeout"),
            ("--outbound-listen 127.0.0.1:1 --header-timeout 0ms", "--header-timeout"),
            ("--outbound-listen 127.0.0.1:1 --stream-idle-timeout 0s", "--stream-idle-timeout"),
            ("--outbound-listen 127.0.0.1:1 --write-timeout 0s", "--write-timeout"),
            ("--outbound-listen 127.0.0.1:1 --inbound-rate-limit 5", "--inbound-rate-limit"),
            ("--outbound-listen 127.0.0.1:1 --drain-delay 1m", "--drain-delay"),
        ];
        for (flags, expected) in table {
            let cli = Cli::try_parse_from(["x"].into_iter().chain(flags.split_whitespace())).unwrap();
            let error = cli.args.config().unwrap_err();
            assert!(
                matches!(error, RunError::Config(_)) && error.to_string().contains(expected),
                "{flags}: {error}"
            );
        }
    }

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[fd00::1]:80", "[fd00::1]:80"),
            ("fd00::1:4143", "[fd00::1]:4143"),
        ] {
            assert_eq!(address(text).unwrap().to_string(), expected);
        }
        for bad in ["", "80", "localhost:80", "1.2.3.4", "1.2.3.4:x", "1.2.3.4:70000"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rates() {
        let limit = |rps, burst| RateLimit {
            per_second: NonZeroU32::new(rps).unwrap(),
            burst: NonZeroU32::new(burst).unwrap(),
        };
        assert_eq!(rate_limit("50"), Ok(limit(50, 50)));
        assert_eq!(rate_limit("50:10"), Ok(limit(50, 10)));
        for bad in ["0", "a", "5:", "5:0", "-1"] {
            assert!(rate_limit(bad).is_err(), "{bad}");
        }
    }
}
