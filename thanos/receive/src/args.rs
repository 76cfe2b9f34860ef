//! The command line, and what it means once it is known to be right.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use thanos_model::{Label, Labels, parse_duration};
use thanos_telemetry::RunError;

use crate::hashring::Algorithm;

/// `gauntlet thanos receive`: remote write in, StoreAPI out. Flags are named as in Thanos.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where remote write is served (/api/v1/receive).
    #[arg(long = "remote-write.address", default_value = "0.0.0.0:19291", value_parser = address)]
    pub remote_write_address: SocketAddr,
    /// Where StoreAPI, Info and RemoteWrite are served.
    #[arg(long = "grpc-address", default_value = "0.0.0.0:10901", value_parser = address)]
    pub grpc_address: SocketAddr,
    /// Where /metrics, /-/ready and /-/healthy are served.
    #[arg(long = "http-address", default_value = "0.0.0.0:10902", value_parser = address)]
    pub http_address: SocketAddr,
    /// Data directory.
    #[arg(long = "tsdb.path", default_value = "./data")]
    pub tsdb_path: PathBuf,
    /// External label that every series of this replica carries, as NAME="VALUE"; repeat it. Needed at least once.
    #[arg(long = "label", value_name = "NAME=\"VALUE\"")]
    pub labels: Vec<String>,
    /// How far behind the newest sample samples are kept, in memory and in the log.
    #[arg(long = "tsdb.retention", default_value = "2h", value_parser = parse_duration)]
    pub retention: Duration,
    /// Samples farther ahead of the clock are refused. One of them would put every other sample out of bounds.
    #[arg(long = "tsdb.too-far-in-future.time-window", default_value = "10m", value_parser = parse_duration)]
    pub future_window: Duration,
    /// How often the log goes from the operating system to the disk. An acknowledged sample survives the death
    /// of the process in any case; a power cut may take what came within this time. 0: synced before every
    /// acknowledgement.
    #[arg(long = "tsdb.wal-fsync-interval", default_value = "1s", value_parser = parse_duration)]
    pub wal_fsync_interval: Duration,
    /// Series beyond this many are refused.
    #[arg(long = "tsdb.max-series", default_value_t = 2_000_000)]
    pub max_series: usize,
    /// Hashrings, in Thanos' JSON. Without it this replica stores all it gets.
    #[arg(long = "receive.hashrings-file")]
    pub hashrings_file: Option<PathBuf>,
    /// How often that file is read again.
    #[arg(long = "receive.hashrings-file-refresh-interval", default_value = "1s", value_parser = parse_duration)]
    pub hashrings_file_refresh_interval: Duration,
    /// Algorithm of rings that name none. Unlike Thanos, ketama: hashmod moves nearly every series at each change.
    #[arg(long = "receive.hashrings-algorithm", value_enum, default_value_t = Algorithm::Ketama)]
    pub hashrings_algorithm: Algorithm,
    /// This replica's address as the hashrings have it. Without it every series is forwarded.
    #[arg(long = "receive.local-endpoint")]
    pub local_endpoint: Option<String>,
    /// On how many replicas a series is stored. A write succeeds on 1 of 1, 1 of 2 or 2 of 3, as in Thanos.
    #[arg(long = "receive.replication-factor", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=3))]
    pub replication_factor: u8,
    /// HTTP header that names the tenant.
    #[arg(long = "receive.tenant-header", default_value = "THANOS-TENANT")]
    pub tenant_header: String,
    /// HTTP header that says which copy a request already is.
    #[arg(long = "receive.replica-header", default_value = "THANOS-REPLICA")]
    pub replica_header: String,
    /// Tenant of requests without that header.
    #[arg(long = "receive.default-tenant-id", default_value = "default-tenant")]
    pub default_tenant_id: String,
    /// Label under which the tenant is announced.
    #[arg(long = "receive.tenant-label-name", default_value = "tenant_id")]
    pub tenant_label_name: String,
    /// How long one forwarded write may take.
    #[arg(long = "receive-forward-timeout", default_value = "5s", value_parser = parse_duration)]
    pub forward_timeout: Duration,
    /// A replica that does not answer is left alone for at most this long.
    #[arg(long = "receive-forward-max-backoff", default_value = "1s", value_parser = parse_duration)]
    pub forward_max_backoff: Duration,
    /// Largest remote write request, after decompression.
    #[arg(long = "receive.limits.request-size-bytes", default_value_t = 32 << 20)]
    pub request_size_bytes: usize,
    /// Most series in one remote write request.
    #[arg(long = "receive.limits.request-series", default_value_t = 50_000)]
    pub request_series: usize,
    /// Most samples in one remote write request.
    #[arg(long = "receive.limits.request-samples", default_value_t = 500_000)]
    pub request_samples: usize,
    /// Remote write requests at work at once; beyond, a client waits a moment and is then told to come back (429).
    #[arg(long = "receive.limits.max-concurrency", default_value_t = 64)]
    pub max_concurrency: usize,
    /// Most series in one StoreAPI answer.
    #[arg(long = "store.limits.request-series", default_value_t = 1_000_000)]
    pub store_series: usize,
}

impl Args {
    /// The external labels.
    ///
    /// # Errors
    /// [`RunError::Config`] naming the flag and the fix.
    pub(crate) fn external_labels(&self) -> Result<Labels, RunError> {
        if self.labels.is_empty() {
            return Err(RunError::Config(
                "--label: at least one external label is needed to tell replicas apart; give for example \
                 --label 'replica=\"receive-0\"'"
                    .into(),
            ));
        }
        let mut out: Vec<Label> = Vec::new();
        for text in &self.labels {
            let bad = |why: &str| RunError::Config(format!("--label {text}: {why}; write NAME=\"VALUE\""));
            let (name, quoted) = text.split_once('=').ok_or_else(|| bad("has no ="))?;
            if !is_label_name(name) {
                return Err(bad("the name is not a label name"));
            }
            let value: String =
                serde_json::from_str(quoted).map_err(|_| bad("the value is not a quoted string"))?;
            if value.is_empty() {
                return Err(bad("the value is empty"));
            }
            if name == self.tenant_label_name {
                return Err(bad("the name is that of --receive.tenant-label-name"));
            }
            if out.iter().any(|l| &*l.name == name) {
                return Err(bad("the name is given twice"));
            }
            out.push(Label::new(name, value));
        }
        Ok(Labels::new(out))
    }

    /// What clap cannot check alone.
    ///
    /// # Errors
    /// [`RunError::Config`] naming the flag and the fix.
    pub(crate) fn check(&self) -> Result<(), RunError> {
        let bad = |text: &str| Err(RunError::Config(text.into()));
        if !is_label_name(&self.tenant_label_name) {
            return bad("--receive.tenant-label-name: not a label name; use for example tenant_id");
        }
        for (flag, header) in [
            ("--receive.tenant-header", &self.tenant_header),
            ("--receive.replica-header", &self.replica_header),
        ] {
            if header.parse::<http::HeaderName>().is_err() {
                return Err(RunError::Config(format!("{flag} {header:?}: not an HTTP header name")));
            }
        }
        if let Err(why) = crate::tenant::check(&self.default_tenant_id) {
            return Err(RunError::Config(format!("--receive.default-tenant-id: {why}")));
        }
        if self.retention < Duration::from_secs(1) {
            return bad("--tsdb.retention: must be at least 1s");
        }
        for (flag, d) in [
            ("--receive.hashrings-file-refresh-interval", self.hashrings_file_refresh_interval),
            ("--receive-forward-timeout", self.forward_timeout),
            ("--receive-forward-max-backoff", self.forward_max_backoff),
        ] {
            if d.is_zero() {
                return Err(RunError::Config(format!("{flag}: must be more than 0")));
            }
        }
        for (flag, n) in [
            ("--receive.limits.request-size-bytes", self.request_size_bytes),
            ("--receive.limits.request-series", self.request_series),
            ("--receive.limits.request-samples", self.request_samples),
            ("--receive.limits.max-concurrency", self.max_concurrency),
            ("--store.limits.request-series", self.store_series),
            ("--tsdb.max-series", self.max_series),
        ] {
            if n == 0 {
                return Err(RunError::Config(format!("{flag}: must be more than 0")));
            }
        }
        Ok(())
    }
}

/// `host:port` by number, or Go's `:port` for all addresses.
fn address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    full.parse().map_err(|_| format!("not an address: {text:?} (write for example 0.0.0.0:10901)"))
}

fn is_label_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn args(more: &[&str]) -> Args {
        Cli::try_parse_from([&["receive"], more].concat()).unwrap_or_else(|e| panic!("{e}")).args
    }

    #[test]
    fn labels_are_read_as_thanos_writes_them() {
        let a = args(&["--label", r#"cluster="east""#, "--label", r#"replica="a\"b""#]);
        assert_eq!(a.external_labels().unwrap().to_string(), r#"{cluster="east", replica="a\"b"}"#);
        a.check().unwrap();
    }

    #[test]
    fn what_is_wrong_is_named_with_its_fix() {
        for (flags, part) in [
            (&[][..], "at least one external label"),
            (&["--label", "cluster"][..], "has no ="),
            (&["--label", "cluster=east"][..], "quoted"),
            (&["--label", r#"1x="east""#][..], "label name"),
            (&["--label", r#"a="""#][..], "empty"),
            (&["--label", r#"a="1""#, "--label", r#"a="2""#][..], "twice"),
            (&["--label", r#"tenant_id="1""#][..], "--receive.tenant-label-name"),
        ] {
            let e = args(flags).external_labels().unwrap_err();
            assert_eq!(e.exit_code(), 64);
            assert!(e.to_string().contains(part), "{e}");
        }
        for (flags, part) in [
            (&["--tsdb.retention", "0s"][..], "--tsdb.retention"),
            (&["--receive.tenant-header", "a b"][..], "--receive.tenant-header"),
            (&["--receive.default-tenant-id", "../x"][..], "--receive.default-tenant-id"),
            (&["--receive.limits.max-concurrency", "0"][..], "--receive.limits.max-concurrency"),
        ] {
            let e = args(flags).check().unwrap_err();
            assert!(e.to_string().contains(part), "{e}");
        }
        assert!(Cli::try_parse_from(["receive", "--receive.replication-factor", "4"]).is_err());
        assert_eq!(args(&["--grpc-address", ":1"]).grpc_address.to_string(), "0.0.0.0:1");
    }
}
