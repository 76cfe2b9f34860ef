//! The command line; flags are Thanos' where it has them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgAction;
use thanos_model::parse_duration;
use thanos_store::{Config, EndpointSpec};
use thanos_telemetry::RunError;

use crate::api::Limits;

/// Answers PromQL over every store: the global view.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where the Prometheus HTTP API, /metrics, /-/ready and /-/healthy are served.
    #[arg(long, default_value = "0.0.0.0:9090", value_name = "ADDR")]
    pub http_address: SocketAddr,

    /// Where StoreAPI and Info are served, so that another querier can ask this one. Not served unless given.
    #[arg(long, value_name = "ADDR")]
    pub grpc_address: Option<SocketAddr>,

    /// A store: host:port, dns+host:port (A records) or dnssrv+_service._proto.name (SRV records). Repeatable.
    #[arg(long, value_name = "STORE")]
    pub endpoint: Vec<EndpointSpec>,

    /// A file in Prometheus' file_sd format that lists stores; read again as it changes. Repeatable.
    #[arg(long = "store.sd-files", visible_alias = "endpoint.sd-file", value_name = "FILE")]
    pub sd_files: Vec<PathBuf>,

    /// How often those files are read.
    #[arg(long = "store.sd-interval", default_value = "5s", value_parser = parse_duration, value_name = "DURATION")]
    pub sd_interval: Duration,

    /// How often names are resolved.
    #[arg(long = "store.sd-dns-interval", visible_alias = "endpoint.sd-dns-interval", default_value = "5s",
          value_parser = parse_duration, value_name = "DURATION")]
    pub sd_dns_interval: Duration,

    /// DNS server to ask instead of the system's.
    #[arg(long, value_name = "ADDR")]
    pub dns_server: Option<SocketAddr>,

    /// How often every store is asked what it holds; one that does not answer is flagged from then on.
    #[arg(long = "endpoint.info-interval", default_value = "5s", value_parser = parse_duration, value_name = "DURATION")]
    pub info_interval: Duration,

    /// Deadline of that question.
    #[arg(long = "endpoint.info-timeout", default_value = "5s", value_parser = parse_duration, value_name = "DURATION")]
    pub info_timeout: Duration,

    /// How long a store that crashed and left discovery is still missed; listed ones always are.
    #[arg(long = "endpoint.forget-after", default_value = "15m", value_parser = parse_duration, value_name = "DURATION")]
    pub forget_after: Duration,

    /// How long a store that shut down in order and left discovery is still missed.
    #[arg(long = "endpoint.departed-after", default_value = "0s", value_parser = parse_duration, value_name = "DURATION")]
    pub departed_after: Duration,

    /// Leave out a store that sends nothing for so long.
    #[arg(long = "store.response-timeout", default_value = "5s", value_parser = parse_duration, value_name = "DURATION")]
    pub response_timeout: Duration,

    /// Largest message accepted from a store, bytes.
    #[arg(long = "store.max-message-bytes", default_value_t = 64 << 20, value_name = "BYTES")]
    pub max_message_bytes: usize,

    /// A label that tells replicas apart; replicas are merged. Repeatable, or separated by commas.
    #[arg(long = "query.replica-label", value_delimiter = ',', value_name = "LABEL")]
    pub replica_label: Vec<String>,

    /// Longest that one query may take.
    #[arg(long = "query.timeout", default_value = "2m", value_parser = parse_duration, value_name = "DURATION")]
    pub timeout: Duration,

    /// Queries that run at once; up to 16 times as many wait.
    #[arg(long = "query.max-concurrent", default_value_t = 20, value_name = "N")]
    pub max_concurrent: usize,

    /// Samples that one query may hold.
    #[arg(long = "query.max-samples", default_value_t = 50_000_000, value_name = "N")]
    pub max_samples: u64,

    /// Memory that one query may hold, bytes or with KiB, MiB, GiB.
    #[arg(long = "query.max-memory", default_value = "512MiB", value_parser = bytes, value_name = "SIZE")]
    pub max_memory: u64,

    /// Series that one selector may match.
    #[arg(long = "query.max-series", default_value_t = 1_000_000, value_name = "N")]
    pub max_series: usize,

    /// How far an instant selector looks back.
    #[arg(long = "query.lookback-delta", default_value = "5m", value_parser = parse_duration, value_name = "DURATION")]
    pub lookback_delta: Duration,

    /// Step of a subquery that gives none.
    #[arg(long = "query.default-evaluation-interval", default_value = "1m", value_parser = parse_duration,
          value_name = "DURATION")]
    pub default_evaluation_interval: Duration,

    /// Answer with warnings when a store is missing (true) or with an error (false); `partial_response` of a
    /// request overrides it.
    #[arg(long = "query.partial-response", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    pub partial_response: bool,

    /// Send no CORS headers.
    #[arg(long = "web.disable-cors")]
    pub disable_cors: bool,
}

impl Args {
    /// The store side.
    pub(crate) fn stores(&self) -> Config {
        Config {
            endpoints: self.endpoint.clone(),
            sd_files: self.sd_files.clone(),
            sd_file_interval: self.sd_interval,
            sd_dns_interval: self.sd_dns_interval,
            dns_server: self.dns_server,
            info_interval: self.info_interval,
            info_timeout: self.info_timeout,
            forget_after: self.forget_after,
            departed_after: self.departed_after,
            max_message_bytes: self.max_message_bytes,
        }
    }

    /// The query side.
    ///
    /// # Errors
    /// [`RunError::Config`] naming the flag that allows nothing.
    pub(crate) fn limits(&self) -> Result<Limits, RunError> {
        for (flag, value) in [
            ("--store.sd-interval", self.sd_interval),
            ("--store.sd-dns-interval", self.sd_dns_interval),
            ("--endpoint.info-interval", self.info_interval),
            ("--endpoint.info-timeout", self.info_timeout),
            ("--store.response-timeout", self.response_timeout),
            ("--query.timeout", self.timeout),
            ("--query.lookback-delta", self.lookback_delta),
            ("--query.default-evaluation-interval", self.default_evaluation_interval),
        ] {
            if value.is_zero() {
                return Err(RunError::Config(format!(
                    "{flag} 0s: give a duration above zero, for example 5s"
                )));
            }
        }
        for (flag, value) in [
            ("--query.max-concurrent", self.max_concurrent as u64),
            ("--query.max-samples", self.max_samples),
            ("--query.max-memory", self.max_memory),
            ("--query.max-series", self.max_series as u64),
            ("--store.max-message-bytes", self.max_message_bytes as u64),
        ] {
            if value == 0 {
                return Err(RunError::Config(format!(
                    "{flag} 0: nothing could be answered; give at least 1"
                )));
            }
        }
        let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        Ok(Limits {
            timeout: self.timeout,
            response_timeout: self.response_timeout,
            lookback_delta_ms: ms(self.lookback_delta),
            default_step_ms: ms(self.default_evaluation_interval),
            max_samples: self.max_samples,
            max_memory_bytes: self.max_memory,
            max_series: self.max_series,
            partial_response: self.partial_response,
            replica_labels: self.replica_label.iter().filter(|l| !l.is_empty()).cloned().collect(),
            cors: !self.disable_cors,
        })
    }
}

/// `64MiB`, `1GiB`, `1000`.
fn bytes(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is not a size: write bytes, or for example 512MiB");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(bad()),
    };
    number.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << shift)).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, want) in [
            ("1000", Some(1000)),
            ("2KiB", Some(2048)),
            ("1GiB", Some(1 << 30)),
            ("", None),
            ("1GB", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(bytes(text).ok(), want, "{text}");
        }
    }
}
