//! What a user sees: pages scraped by our scraper, under the shipped configuration, and read by our PromQL engine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, ready};
use thanos_model::{Labels, Sample};
use thanos_promql::source::{Budget, SelectRequest, Series, SeriesSet, SeriesSource, SourceError};
use thanos_promql::{Engine, QueryValue, Steps};
use thanos_scrape::config::{Config, Job};
use thanos_scrape::fetch;
use thanos_scrape::series_cache::{Mutation, SeriesCache};
use thanos_scrape::target::{Built, LabelMap, Target};

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Values by labels; an answer without series is empty.
pub(crate) type Answer = BTreeMap<String, f64>;

/// One scraper's series.
pub(crate) struct View {
    job: Job,
    external: Labels,
    /// By pod.
    caches: BTreeMap<String, SeriesCache>,
    series: BTreeMap<Labels, Vec<Sample>>,
}

impl View {
    /// As `manifests/base/scrape` configures it.
    pub(crate) fn new() -> Self {
        let text = std::fs::read_to_string(root().join("manifests/base/scrape/prometheus.yml")).unwrap();
        let env = |name: &str| (name == "CLUSTER").then(|| "east".to_owned());
        let config = Config::parse(&text, &env).unwrap();
        let job = config.jobs.into_iter().find(|j| j.job_name == "linkerd-proxy").unwrap();
        let (caches, series) = (BTreeMap::new(), BTreeMap::new());
        Self { job, external: config.external_labels, caches, series }
    }

    /// The proxy of a pod that such an owner made; `container` and `port` are the names of both in the pod.
    pub(crate) fn target(
        &self,
        (kind, name): (&str, &str),
        (container, port): (&str, &str),
        admin: SocketAddr,
    ) -> Target {
        let owner = format!("pod_label_linkerd_io_proxy_{kind}");
        let meta = [
            ("namespace", "default".to_owned()),
            ("pod_name", format!("{name}-5d8c7-x2x2x")),
            (owner.as_str(), name.to_owned()),
            ("pod_container_name", container.to_owned()),
            ("pod_container_port_name", port.to_owned()),
        ];
        let meta = meta.map(|(name, value)| (format!("__meta_kubernetes_{name}"), value));
        let own: LabelMap = meta.into_iter().chain([("__address__".to_owned(), admin.to_string())]).collect();
        match Target::build(&self.job, &LabelMap::new(), &own).unwrap() {
            Built::Target(target) => *target,
            Built::Dropped(labels) => panic!("the rules drop {labels}"),
        }
    }

    /// Scrapes the proxy of a deployment's pod.
    pub(crate) async fn scrape(
        &mut self,
        deployment: &str,
        names: (&str, &str),
        admin: SocketAddr,
        t_ms: i64,
    ) {
        let target = self.target(("deployment", deployment), names, admin);
        let body = fetch::fetch(&fetch::client().unwrap(), &target, 1 << 20, None).await.unwrap();
        let mutation = Mutation {
            target: &target.labels,
            honor_labels: self.job.honor_labels,
            honor_timestamps: self.job.honor_timestamps,
            rules: &self.job.metric_relabel.compiled,
            sample_limit: self.job.sample_limit,
        };
        let cache = self.caches.entry(deployment.to_owned()).or_default();
        let intern = |labels: Labels| Arc::new(thanos_scrape::remote_write::Series::new(labels, []));
        let got = cache.ingest(&body.text, body.format, t_ms, mutation, &intern);
        assert_eq!((got.error, got.duplicates), (None, 0));
        for point in got.points {
            let labels = self.external.overlaid(&point.series.labels);
            self.series.entry(labels).or_default().push(Sample::float(t_ms, point.value));
        }
    }

    /// Asks at one time.
    pub(crate) async fn ask(&self, query: &str, t_ms: i64) -> Answer {
        let plan = thanos_promql::parse(query).unwrap_or_else(|e| panic!("{query}: {e}"));
        let budget = Budget::new(1_000_000, 1 << 28);
        let result = Engine::default().query(&plan, Steps::instant(t_ms), self, budget, &|| None).await;
        let result = result.unwrap_or_else(|e| panic!("{query}: {e}"));
        assert!(result.warnings.is_empty() && result.infos.is_empty(), "{query}: {result:?}");
        let QueryValue::Vector(series) = result.value else { panic!("{query}: not a vector") };
        series.into_iter().map(|s| (s.labels.to_string(), s.value.as_float().unwrap())).collect()
    }
}

impl SeriesSource for View {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<SeriesSet, SourceError>> {
        let inside = |s: &&Sample| (request.start_ms..=request.end_ms).contains(&s.t_ms);
        let series = self.series.iter().filter(|(l, _)| request.matchers.iter().all(|m| m.matches_labels(l)));
        let series = series
            .map(|(labels, samples)| Series {
                labels: labels.clone(),
                samples: samples.iter().filter(inside).cloned().collect(),
            })
            .filter(|s| !s.samples.is_empty())
            .collect();
        ready(Ok(SeriesSet { series, warnings: Vec::new() })).boxed()
    }
}

/// Panics unless both have the same series with the same values, sums in another order aside.
pub(crate) fn assert_same(what: &str, ours: &Answer, theirs: &Answer) {
    let close = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan() || (a - b).abs() < 1e-9 * b.abs();
    let same =
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| a.0 == b.0 && close(*a.1, *b.1));
    assert!(same, "{what}\n  ours:   {ours:?}\n  theirs: {theirs:?}");
}
