//! The file as written. Names are Prometheus'; what is missing here is refused by name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};
use thanos_model::parse_duration;
use thanos_telemetry::exposition::Format;

use crate::relabel::RuleConfig;

pub(super) const INTERVAL_DEFAULT: Duration = Duration::from_secs(60);
pub(super) const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) global: Global,
    pub(super) scrape_configs: Vec<ScrapeConfig>,
    pub(super) remote_write: Vec<RemoteWriteConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Global {
    #[serde(deserialize_with = "duration")]
    pub(super) scrape_interval: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub(super) scrape_timeout: Option<Duration>,
    /// Taken and unused: it paces rules, of which there are none here.
    #[serde(rename = "evaluation_interval", deserialize_with = "duration")]
    _evaluation_interval: Option<Duration>,
    pub(super) external_labels: BTreeMap<String, String>,
    pub(super) sample_limit: Option<u64>,
    pub(super) body_size_limit: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScrapeConfig {
    pub(super) job_name: String,
    #[serde(default, deserialize_with = "duration")]
    pub(super) scrape_interval: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    pub(super) scrape_timeout: Option<Duration>,
    pub(super) metrics_path: Option<String>,
    pub(super) scheme: Option<String>,
    #[serde(default)]
    pub(super) params: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(super) honor_labels: bool,
    pub(super) honor_timestamps: Option<bool>,
    pub(super) sample_limit: Option<u64>,
    pub(super) body_size_limit: Option<String>,
    pub(super) fallback_scrape_protocol: Option<Protocol>,
    #[serde(default)]
    pub(super) static_configs: Vec<StaticConfig>,
    #[serde(default)]
    pub(super) file_sd_configs: Vec<FileSdConfig>,
    #[serde(default)]
    pub(super) kubernetes_sd_configs: Vec<KubernetesSdConfig>,
    #[serde(default)]
    pub(super) relabel_configs: Vec<RuleConfig>,
    #[serde(default)]
    pub(super) metric_relabel_configs: Vec<RuleConfig>,
}

/// The formats that can be assumed where a target does not say.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum Protocol {
    #[serde(rename = "PrometheusText0.0.4")]
    Text,
    #[serde(rename = "OpenMetricsText1.0.0")]
    OpenMetrics,
}

impl Protocol {
    pub(super) fn format(self) -> Format {
        match self {
            Self::Text => Format::Text,
            Self::OpenMetrics => Format::OpenMetrics,
        }
    }
}

/// Targets by address; also one group of a `file_sd` file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StaticConfig {
    /// `host:port`.
    pub targets: Vec<String>,
    /// Added to each.
    pub labels: BTreeMap<String, String>,
}

/// Targets from files of [`StaticConfig`]s, YAML or JSON.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSdConfig {
    /// Paths; `*` in the last segment stands for any text.
    pub files: Vec<PathBuf>,
    /// How often they are read. Prometheus also watches them, so its default of 5m would be slow here: 5s.
    #[serde(default = "FileSdConfig::refresh_default", with = "thanos_model::duration::serde_text")]
    pub refresh_interval: Duration,
}

impl FileSdConfig {
    fn refresh_default() -> Duration {
        Duration::from_secs(5)
    }

    pub(super) fn judge(&self) -> Result<(), String> {
        if self.files.is_empty() {
            return Err("files: is empty; name a file".into());
        }
        if self.refresh_interval < Duration::from_millis(100) {
            return Err("refresh_interval: the shortest is 100ms".into());
        }
        let bad = self.files.iter().find(|f| {
            let extension = f.extension().and_then(|e| e.to_str()).unwrap_or_default();
            !matches!(extension, "json" | "yml" | "yaml")
        });
        match bad {
            Some(file) => Err(format!("files: {} must end in .json, .yml or .yaml", file.display())),
            None => Ok(()),
        }
    }
}

/// Targets from a cluster's pods.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubernetesSdConfig {
    /// `pod`.
    pub role: String,
    /// Where the API server is; default `$KUBECONFIG`, then the pod's service account.
    pub kubeconfig_file: Option<PathBuf>,
    /// Which namespaces; default all.
    #[serde(default)]
    pub namespaces: Namespaces,
    /// Narrow what is watched.
    #[serde(default)]
    pub selectors: Vec<Selector>,
}

/// Namespaces to look in.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Namespaces {
    /// By name.
    pub names: Vec<String>,
    /// The one that the client's configuration names.
    pub own_namespace: bool,
}

/// A label and a field selector for one role.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// `pod`.
    pub role: String,
    /// As `kubectl -l`.
    pub label: Option<String>,
    /// As `kubectl --field-selector`.
    pub field: Option<String>,
}

impl KubernetesSdConfig {
    pub(super) fn judge(&self) -> Result<(), String> {
        if self.role != "pod" {
            return Err(format!("role: {:?} is not supported yet; use pod", self.role));
        }
        if let Some(selector) = self.selectors.iter().find(|s| s.role != "pod") {
            return Err(format!("selectors: role pod takes selectors of role pod, not {:?}", selector.role));
        }
        if self.selectors.len() > 1 {
            return Err("selectors: give at most one for role pod".into());
        }
        Ok(())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoteWriteConfig {
    pub(super) url: String,
    pub(super) name: Option<String>,
    pub(super) proxy_url: Option<String>,
    #[serde(default, deserialize_with = "duration")]
    pub(super) remote_timeout: Option<Duration>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) queue_config: QueueConfig,
    #[serde(default)]
    pub(super) write_relabel_configs: Vec<RuleConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct QueueConfig {
    pub(super) capacity: Option<usize>,
    pub(super) max_shards: Option<usize>,
    pub(super) max_samples_per_send: Option<usize>,
    #[serde(deserialize_with = "duration")]
    pub(super) batch_send_deadline: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub(super) min_backoff: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub(super) max_backoff: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub(super) sample_age_limit: Option<Duration>,
}

fn duration<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
    Option::<String>::deserialize(d)?.map(|t| parse_duration(&t).map_err(D::Error::custom)).transpose()
}

/// Keys that Prometheus has and this scraper does not: their users deserve better than "unknown".
const NOT_YET: &[&str] = &[
    "alerting",
    "rule_files",
    "scrape_config_files",
    "remote_read",
    "storage",
    "tracing",
    "otlp",
    "runtime",
    "rule_query_offset",
    "query_log_file",
    "scrape_failure_log_file",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "target_limit",
    "keep_dropped_targets",
    "metric_name_validation_scheme",
    "metric_name_escaping_scheme",
    "scrape_protocols",
    "scrape_native_histograms",
    "always_scrape_classic_histograms",
    "convert_classic_histograms_to_nhcb",
    "native_histogram_bucket_limit",
    "native_histogram_min_bucket_factor",
    "scrape_classic_histograms",
    "track_timestamps_staleness",
    "enable_compression",
    "basic_auth",
    "authorization",
    "oauth2",
    "follow_redirects",
    "enable_http2",
    "tls_config",
    "proxy_url",
    "no_proxy",
    "proxy_from_environment",
    "proxy_connect_header",
    "http_headers",
    "bearer_token",
    "bearer_token_file",
    "extra_scrape_metrics",
    "azure_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "dns_sd_configs",
    "ec2_sd_configs",
    "ecs_sd_configs",
    "eureka_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "http_sd_configs",
    "ionos_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "openstack_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
    "api_server",
    "attach_metadata",
    "protobuf_message",
    "send_exemplars",
    "send_native_histograms",
    "round_robin_dns",
    "sigv4",
    "azuread",
    "google_iam",
    "metadata_config",
    "min_shards",
    "retry_on_http_429",
];

/// Turns the YAML reader's error into one line, and says "not supported yet" where that is the truth.
pub(super) fn explain(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    let key = error.split_once("unknown field").and_then(|(_, rest)| {
        let name = rest.trim_start().trim_start_matches(['`', '"', '\'']);
        name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()
    });
    match key.filter(|k| NOT_YET.contains(k)) {
        Some(key) => format!("{line}: Prometheus' {key} is not supported yet; remove it"),
        None => line.to_owned(),
    }
}
