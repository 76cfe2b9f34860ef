//! The configuration file: the part of Prometheus' `prometheus.yml` that this scraper honours.
//!
//! ```text
//!  text ─► file::File (serde, unknown keys refused) ─► Config (defaults applied, rules compiled, all judged)
//! ```
//!
//! Two things are ours: `${VAR}` and `$(VAR)` name environment variables inside `external_labels` values and
//! `remote_write` `url`, `proxy_url` and header values (`$$` is a dollar), because a pod knows its own address only at run
//! time; and a body without `body_size_limit` may have 64 MiB, not any size.

mod file;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use thanos_model::{HttpUrl, Labels, format_duration};
use thanos_telemetry::RunError;
use thanos_telemetry::cli::{parse_yaml, read_config};

pub use file::{FileSdConfig, KubernetesSdConfig, Selector, StaticConfig};

use crate::relabel::{self, Rule, RuleConfig};

const BODY_LIMIT_DEFAULT_BYTES: u64 = 64 << 20;
/// Shortest interval: below this a scrape costs more than it tells.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// A configuration that was found right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Added to every series that leaves, where it has no such label.
    pub external_labels: Labels,
    /// What to scrape.
    pub jobs: Vec<Job>,
    /// Where to send it.
    pub remotes: Vec<Remote>,
}

/// Rules together with what they were compiled from, by which they are compared.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Ready to run.
    pub compiled: Vec<Rule>,
    source: Vec<RuleConfig>,
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Rules {
    fn compile(field: &str, source: Vec<RuleConfig>) -> Result<Self, String> {
        Ok(Self { compiled: relabel::compile_all(field, &source)?, source })
    }
}

/// One `scrape_configs` entry, defaults applied.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "Prometheus' own words")]
pub struct Job {
    pub job_name: String,
    pub scrape_interval: Duration,
    pub scrape_timeout: Duration,
    pub metrics_path: String,
    pub params: BTreeMap<String, Vec<String>>,
    pub honor_labels: bool,
    pub honor_timestamps: bool,
    /// 0: no limit.
    pub sample_limit: u64,
    pub body_size_limit_bytes: u64,
    pub fallback_format: Option<thanos_telemetry::exposition::Format>,
    pub static_configs: Vec<StaticConfig>,
    pub file_sd_configs: Vec<FileSdConfig>,
    pub kubernetes_sd_configs: Vec<KubernetesSdConfig>,
    pub relabel: Rules,
    pub metric_relabel: Rules,
}

/// One `remote_write` entry, defaults applied.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "Prometheus' own words")]
pub struct Remote {
    pub name: String,
    pub url: HttpUrl,
    /// An HTTP proxy: requests are sent to it in absolute form.
    pub proxy_url: Option<HttpUrl>,
    pub remote_timeout: Duration,
    pub headers: HeaderMap,
    pub queue: Queue,
    pub write_relabel: Rules,
}

/// `queue_config`, defaults applied.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "Prometheus' own words")]
pub struct Queue {
    /// Samples held per shard; there is no log on disk behind it, so it is larger than Prometheus' 10,000.
    pub capacity: usize,
    /// How many shards there are; the number does not change while running.
    pub max_shards: usize,
    pub max_samples_per_send: usize,
    pub batch_send_deadline: Duration,
    pub min_backoff: Duration,
    pub max_backoff: Duration,
    /// Samples older than this are dropped instead of sent; zero: never.
    pub sample_age_limit: Duration,
}

impl Config {
    /// Reads and judges a file.
    ///
    /// # Errors
    /// [`RunError::Config`] naming the file, the line where YAML is at fault, the field and the fix.
    pub fn load(path: &Path) -> Result<Self, RunError> {
        let fail = |e| RunError::Config(format!("{}: {e}", path.display()));
        Self::parse(&read_config(path)?, &|name| std::env::var(name).ok()).map_err(fail)
    }

    /// Judges a text; `env` looks up environment variables.
    ///
    /// # Errors
    /// One line naming the field and the fix.
    pub fn parse(yaml: &str, env: text::Env<'_>) -> Result<Self, String> {
        let file: file::File = parse_yaml(yaml).map_err(|e| file::explain(&e))?;
        let mut external = BTreeMap::new();
        for (name, value) in &file.global.external_labels {
            if name.is_empty() || name.starts_with("__") {
                return Err(format!("global.external_labels: {name:?} cannot be a label name"));
            }
            let value =
                text::expand(value, env).map_err(|e| format!("global.external_labels.{name}: {e}"))?;
            external.insert(name.as_str(), value);
        }
        let mut jobs: Vec<Job> = Vec::new();
        for (i, job) in file.scrape_configs.iter().enumerate() {
            let at = format!("scrape_configs[{i}]");
            let job = Job::judge(job, &file.global).map_err(|e| format!("{at}.{e}"))?;
            if jobs.iter().any(|j| j.job_name == job.job_name) {
                return Err(format!(
                    "{at}.job_name: {:?} is used twice; give each job its own",
                    job.job_name
                ));
            }
            jobs.push(job);
        }
        let mut remotes: Vec<Remote> = Vec::new();
        for (i, remote) in file.remote_write.iter().enumerate() {
            let at = format!("remote_write[{i}]");
            let remote = Remote::judge(remote, i, env).map_err(|e| format!("{at}.{e}"))?;
            if remotes.iter().any(|r| r.name == remote.name) {
                return Err(format!("{at}.name: {:?} is used twice; give each its own", remote.name));
            }
            remotes.push(remote);
        }
        Ok(Self { external_labels: Labels::from_pairs(external), jobs, remotes })
    }
}

impl Job {
    fn judge(job: &file::ScrapeConfig, global: &file::Global) -> Result<Self, String> {
        if job.job_name.is_empty() {
            return Err("job_name: is empty; name the job".into());
        }
        if let Some(scheme) = job.scheme.as_deref().filter(|s| *s != "http") {
            return Err(format!("scheme: {scheme:?} is not supported yet; use http"));
        }
        let scrape_interval =
            job.scrape_interval.or(global.scrape_interval).unwrap_or(file::INTERVAL_DEFAULT);
        if scrape_interval < INTERVAL_MIN {
            return Err(format!("scrape_interval: the shortest is {}", format_duration(INTERVAL_MIN)));
        }
        let global_timeout = global.scrape_timeout.unwrap_or(file::TIMEOUT_DEFAULT);
        let scrape_timeout = job.scrape_timeout.unwrap_or(global_timeout.min(scrape_interval));
        if scrape_timeout.is_zero() || scrape_timeout > scrape_interval {
            return Err(format!(
                "scrape_timeout: {} must be above 0 and not above the interval of {}",
                format_duration(scrape_timeout),
                format_duration(scrape_interval)
            ));
        }
        let body_size_limit = job.body_size_limit.as_ref().or(global.body_size_limit.as_ref());
        let body_size_limit_bytes = match body_size_limit.map(|s| text::bytes(s)).transpose() {
            Ok(limit) => limit.filter(|n| *n > 0).unwrap_or(BODY_LIMIT_DEFAULT_BYTES),
            Err(e) => return Err(format!("body_size_limit: {e}")),
        };
        for (i, sd) in job.kubernetes_sd_configs.iter().enumerate() {
            sd.judge().map_err(|e| format!("kubernetes_sd_configs[{i}].{e}"))?;
        }
        for (i, sd) in job.file_sd_configs.iter().enumerate() {
            sd.judge().map_err(|e| format!("file_sd_configs[{i}].{e}"))?;
        }
        Ok(Self {
            job_name: job.job_name.clone(),
            scrape_interval,
            scrape_timeout,
            metrics_path: job.metrics_path.clone().unwrap_or_else(|| "/metrics".into()),
            params: job.params.clone(),
            honor_labels: job.honor_labels,
            honor_timestamps: job.honor_timestamps.unwrap_or(true),
            sample_limit: job.sample_limit.or(global.sample_limit).unwrap_or(0),
            body_size_limit_bytes,
            fallback_format: job.fallback_scrape_protocol.map(file::Protocol::format),
            static_configs: job.static_configs.clone(),
            file_sd_configs: job.file_sd_configs.clone(),
            kubernetes_sd_configs: job.kubernetes_sd_configs.clone(),
            relabel: Rules::compile("relabel_configs", job.relabel_configs.clone())?,
            metric_relabel: Rules::compile("metric_relabel_configs", job.metric_relabel_configs.clone())?,
        })
    }
}

impl Remote {
    fn judge(remote: &file::RemoteWriteConfig, index: usize, env: text::Env<'_>) -> Result<Self, String> {
        let url = |field: &str, value: &str| {
            let value = text::expand(value, env).map_err(|e| format!("{field}: {e}"))?;
            HttpUrl::parse(&value).map_err(|e| format!("{field}: {e}"))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &remote.headers {
            let value = text::expand(value, env).map_err(|e| format!("headers.{name}: {e}"))?;
            let name: HeaderName =
                name.parse().map_err(|_| format!("headers: {name:?} is no header name"))?;
            if is_reserved(&name) {
                return Err(format!("headers: {name} is set by remote write itself; remove it"));
            }
            let mut value: HeaderValue =
                value.parse().map_err(|_| format!("headers.{name}: not a header value"))?;
            // Tokens stand there.
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let remote_timeout = remote.remote_timeout.unwrap_or(Duration::from_secs(30));
        if remote_timeout.is_zero() {
            return Err("remote_timeout: must be above 0".into());
        }
        Ok(Self {
            name: remote.name.clone().unwrap_or_else(|| format!("remote_write[{index}]")),
            url: url("url", &remote.url)?,
            proxy_url: remote.proxy_url.as_deref().map(|p| url("proxy_url", p)).transpose()?,
            remote_timeout,
            headers,
            queue: Queue::judge(&remote.queue_config).map_err(|e| format!("queue_config.{e}"))?,
            write_relabel: Rules::compile("write_relabel_configs", remote.write_relabel_configs.clone())?,
        })
    }
}

/// Headers that the protocol sets.
fn is_reserved(name: &HeaderName) -> bool {
    const RESERVED: [&str; 6] = [
        "content-encoding",
        "content-type",
        "content-length",
        "host",
        "user-agent",
        "x-prometheus-remote-write-version",
    ];
    RESERVED.contains(&name.as_str())
}

impl Queue {
    fn judge(queue: &file::QueueConfig) -> Result<Self, String> {
        let out = Self {
            capacity: queue.capacity.unwrap_or(100_000),
            max_shards: queue.max_shards.unwrap_or(4),
            max_samples_per_send: queue.max_samples_per_send.unwrap_or(2_000),
            batch_send_deadline: queue.batch_send_deadline.unwrap_or(Duration::from_secs(5)),
            min_backoff: queue.min_backoff.unwrap_or(Duration::from_millis(30)),
            max_backoff: queue.max_backoff.unwrap_or(Duration::from_secs(5)),
            sample_age_limit: queue.sample_age_limit.unwrap_or(Duration::ZERO),
        };
        if !(1..=1_000).contains(&out.max_shards) {
            return Err("max_shards: must be 1 to 1000".into());
        }
        if out.max_samples_per_send == 0 {
            return Err("max_samples_per_send: must be above 0".into());
        }
        if out.capacity < out.max_samples_per_send {
            return Err("capacity: must hold at least max_samples_per_send".into());
        }
        if out.min_backoff.is_zero() || out.max_backoff < out.min_backoff {
            return Err("max_backoff: must not be below min_backoff, which must be above 0".into());
        }
        Ok(out)
    }
}
