//! From what discovery found to what is scraped: defaults, relabelling, the URL (Prometheus
//! `scrape/target.go`).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::time::Duration;

use reqwest::Url;
use thanos_model::{HttpUrl, Labels, format_duration, http_url, parse_duration};
use twox_hash::XxHash64;

use crate::config::Job;
use crate::relabel::{self, Builder};

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM: &str = "__param_";

/// Labels by name, as discovery gives them.
pub type LabelMap = BTreeMap<String, String>;

/// What one source of discovery knows: labels that all its targets share, and each target's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetGroup {
    /// Shared; a target's own win.
    pub labels: LabelMap,
    /// One map a target, with `__address__`.
    pub targets: Vec<LabelMap>,
}

/// One endpoint to scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Every label after relabelling but the `__meta_` ones: two targets with equal keys are one.
    pub key: Labels,
    /// What was there before relabelling.
    pub discovered: Labels,
    /// What its series carry.
    pub labels: Labels,
    /// Where it is.
    pub url: HttpUrl,
    /// How often.
    pub interval: Duration,
    /// How long one scrape may take.
    pub timeout: Duration,
}

/// What became of a discovered target.
#[derive(Debug)]
pub enum Built {
    /// It is scraped.
    Target(Box<Target>),
    /// A rule dropped it; these were its labels.
    Dropped(Labels),
}

impl Target {
    /// Applies a job's defaults and rules to one target of a group.
    ///
    /// # Errors
    /// A sentence: the labels name no place that can be scraped.
    pub fn build(job: &Job, group: &LabelMap, own: &LabelMap) -> Result<Built, String> {
        let mut labels = Builder::default();
        for (name, value) in group.iter().chain(own) {
            labels.set(name, value);
        }
        let defaults = [
            ("job", job.job_name.as_str()),
            (INTERVAL, &format_duration(job.scrape_interval)),
            (TIMEOUT, &format_duration(job.scrape_timeout)),
            (METRICS_PATH, &job.metrics_path),
            (SCHEME, "http"),
        ];
        for (name, value) in defaults {
            if labels.get(name).is_empty() {
                labels.set(name, value);
            }
        }
        for (name, values) in &job.params {
            let label = format!("{PARAM}{name}");
            if let (Some(first), true) = (values.first(), labels.get(&label).is_empty()) {
                labels.set(&label, first);
            }
        }
        let discovered = labels.labels();
        if !relabel::apply(&job.relabel.compiled, &mut labels) {
            return Ok(Built::Dropped(discovered));
        }
        let address = labels.get(ADDRESS).to_owned();
        if address.is_empty() {
            return Err("no address: __address__ is empty after relabelling".into());
        }
        let interval = duration(&labels, INTERVAL)?;
        let timeout = duration(&labels, TIMEOUT)?;
        if timeout > interval {
            return Err(format!("{TIMEOUT} is longer than {INTERVAL}"));
        }
        let url = url(job, &labels, &address)?;
        labels.remove_if(|name| name.starts_with("__meta_"));
        if labels.get("instance").is_empty() {
            labels.set("instance", &address);
        }
        let key = labels.labels();
        let public = key.filtered(|l| !l.name.starts_with("__"));
        Ok(Built::Target(Box::new(Self { key, discovered, labels: public, url, interval, timeout })))
    }

    /// How long after a whole multiple of its interval this target is scraped: spreads targets evenly, and
    /// stays the same over restarts.
    pub fn offset(&self) -> Duration {
        let interval_ns = u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        Duration::from_nanos(hash(&self.key) % interval_ns)
    }
}

/// A label set's hash, the same in every process and release of ours.
pub fn hash(labels: &Labels) -> u64 {
    let mut hasher = XxHash64::with_seed(0);
    for label in labels {
        hasher.write(label.name.as_bytes());
        hasher.write(&[0xff]);
        hasher.write(label.value.as_bytes());
        hasher.write(&[0xff]);
    }
    hasher.finish()
}

fn duration(labels: &Builder, name: &str) -> Result<Duration, String> {
    match parse_duration(labels.get(name)).map_err(|e| format!("{name}: {e}"))? {
        Duration::ZERO => Err(format!("{name} is 0")),
        duration => Ok(duration),
    }
}

fn url(job: &Job, labels: &Builder, address: &str) -> Result<HttpUrl, String> {
    let scheme = labels.get(SCHEME);
    if scheme != "http" {
        return Err(format!("scheme {scheme:?} is not supported yet"));
    }
    let no_address =
        || format!("{:?} is not an address, which is host:port", http_url::without_secrets(address));
    if address.contains('/') {
        return Err(no_address());
    }
    let mut url =
        Url::parse(&format!("{scheme}://{address}")).map_err(|e| format!("{}: {e}", no_address()))?;
    let path = labels.get(METRICS_PATH);
    match path.split_once('?') {
        Some((path, query)) => {
            url.set_path(path);
            url.set_query(Some(query));
        }
        None => url.set_path(path),
    }
    let params: Vec<(String, String)> = params(job, labels);
    if !params.is_empty() {
        url.query_pairs_mut().extend_pairs(params);
    }
    HttpUrl::try_from(url).map_err(|e| e.to_string())
}

/// A parameter's first value is a label, which rules may have changed; the rest come from the job.
fn params(job: &Job, labels: &Builder) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for label in &labels.labels() {
        let Some(name) = label.name.strip_prefix(PARAM) else { continue };
        out.push((name.to_owned(), label.value.to_string()));
        let more = job.params.get(name).into_iter().flatten().skip(1);
        out.extend(more.map(|value| (name.to_owned(), value.clone())));
    }
    out
}
