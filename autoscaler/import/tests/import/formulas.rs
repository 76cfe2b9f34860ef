//! The suggested queries ask for the replicas that the HPA's own arithmetic asks for.

use autoscaler_import::Options;
use futures::future::{BoxFuture, FutureExt, ready};
use proptest::prelude::*;
use thanos_model::{Labels, METRIC_NAME, Sample};
use thanos_promql::source::{Budget, SelectRequest, Series, SeriesSet, SeriesSource, SourceError};
use thanos_promql::{Engine, QueryValue, Steps};

use crate::{options, read};

/// One pod: what it uses (cores, or MiB) and requests, in thousandths.
type Pod = (u32, u32);

struct Store(Vec<Series>);

impl SeriesSource for Store {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<SeriesSet, SourceError>> {
        let fits = |s: &&Series| request.matchers.iter().all(|m| m.matches_labels(&s.labels));
        let mut series: Vec<Series> = self.0.iter().filter(fits).cloned().collect();
        for s in &mut series {
            s.samples.retain(|x| (request.start_ms..=request.end_ms).contains(&x.t_ms));
        }
        series.retain(|s| !s.samples.is_empty());
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        ready(Ok(SeriesSet { series, warnings: Vec::new() })).boxed()
    }
}

const STEP_MS: i64 = 15_000;
const NOW_MS: i64 = 600_000;

fn series(name: &str, labels: &[(&str, &str)], value: impl Fn(i64) -> f64) -> Series {
    let labels = labels.iter().fold(Labels::empty().with(METRIC_NAME, name), |l, (k, v)| l.with(*k, *v));
    let samples = (0..=NOW_MS / STEP_MS).map(|i| Sample::float(i * STEP_MS, value(i * STEP_MS)));
    Series { labels, samples: samples.collect() }
}

/// What cAdvisor and kube-state-metrics show of these pods and of what is beside them.
fn cluster(pods: &[Pod], container_share: f64) -> Store {
    let mut all = Vec::new();
    let names = (0..pods.len()).map(|i| format!("web-6d5f7c8b9-{}{i:04}", (b'a' + (i % 20) as u8) as char));
    for (name, (used, requested)) in names.zip(pods) {
        let (used, requested) = (f64::from(*used) / 1000.0, f64::from(*requested) / 1000.0);
        for (container, share) in [("app", container_share), ("proxy", 1.0 - container_share)] {
            let own = [("namespace", "shop"), ("pod", name.as_str()), ("container", container)];
            all.push(series("container_cpu_usage_seconds_total", &own, |t| used * share * t as f64 / 1000.0));
            all.push(series("container_memory_working_set_bytes", &own, |_| used * share * 1_048_576.0));
            for (resource, unit) in [("cpu", 1.0), ("memory", 1_048_576.0)] {
                let labels = [own[0], own[1], own[2], ("resource", resource)];
                all.push(series("kube_pod_container_resource_requests", &labels, |_| {
                    requested * share * unit
                }));
            }
        }
        // The pod's own sum and its sandbox, which count twice.
        for container in ["", "POD"] {
            let own = [("namespace", "shop"), ("pod", name.as_str()), ("container", container)];
            all.push(series("container_cpu_usage_seconds_total", &own, |t| used * t as f64 / 1000.0));
            all.push(series("container_memory_working_set_bytes", &own, |_| used * 1_048_576.0));
        }
    }
    // Neighbours whose names begin alike, and another namespace.
    for (namespace, pod) in [("shop", "web-api-6d5f7c8b9-abcde"), ("mail", "web-6d5f7c8b9-abcde")] {
        let own = [("namespace", namespace), ("pod", pod), ("container", "app"), ("resource", "cpu")];
        all.push(series("container_cpu_usage_seconds_total", &own[..3], |t| t as f64));
        all.push(series("kube_pod_container_resource_requests", &own, |_| 99.0));
    }
    Store(all)
}

fn value(query: &str, store: &Store) -> f64 {
    let plan = thanos_promql::parse(query).unwrap_or_else(|e| panic!("{query}: {e}"));
    let engine = Engine::new(Default::default());
    let run = engine.query(&plan, Steps::instant(NOW_MS), store, Budget::new(1_000_000, 1 << 28), &|| None);
    match futures::executor::block_on(run).unwrap().value {
        QueryValue::Vector(v) => {
            assert_eq!(v.len(), 1, "{query}: {v:?}");
            v[0].value.as_float().unwrap()
        }
        other => panic!("{query}: {other:?}"),
    }
}

/// Replicas that the suggested metric asks for: `⌈value ÷ target⌉`, where it is not just at an edge.
fn asked(metric: &str, store: &Store) -> Option<i64> {
    let text = format!(
        "{{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {{name: web, namespace: shop}}, spec: \
         {{scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}, maxReplicas: 9, metrics: [{metric}]}}}}"
    );
    let imported = read(&text, Options { take_suggestions: true, ..options() }).unwrap();
    let metric = &imported.policies[0].spec.metrics[0];
    let target = metric.target.average_value.as_ref().unwrap().milli().unwrap() as f64 / 1000.0;
    let replicas = value(&metric.query, store) / target;
    let edge = (replicas - replicas.round()).abs() < 1e-6;
    (!edge).then(|| replicas.ceil() as i64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn utilization_of_pods_with_equal_requests(
        used in prop::collection::vec(1u32..4000, 1..8), requested in 50u32..2000, percent in 5i64..200,
    ) {
        let pods: Vec<Pod> = used.iter().map(|u| (*u, requested)).collect();
        for resource in ["cpu", "memory"] {
            let store = cluster(&pods, 0.5);
            let metric = format!(
                "{{type: Resource, resource: {{name: {resource}, target: {{type: Utilization, averageUtilization: {percent}}}}}}}"
            );
            let Some(asked) = asked(&metric, &store) else { continue };
            // Upstream cuts the utilization to whole percents first; here it is what it is.
            let total: i64 = used.iter().map(|u| i64::from(*u)).sum();
            let share = 100.0 * total as f64 / (f64::from(requested) * pods.len() as f64);
            let upstream = (share / percent as f64 * pods.len() as f64).ceil() as i64;
            prop_assert_eq!(asked, upstream, "{}", resource);
        }
    }

    #[test]
    fn amounts_a_pod_and_of_one_container(used in prop::collection::vec(1u32..4000, 1..8), target in 10i64..3000) {
        let pods: Vec<Pod> = used.iter().map(|u| (*u, 100)).collect();
        let store = cluster(&pods, 0.25);
        let total: f64 = used.iter().map(|u| f64::from(*u)).sum();
        let whole = format!("{{type: Resource, resource: {{name: cpu, target: {{type: AverageValue, averageValue: {target}m}}}}}}");
        if let Some(asked) = asked(&whole, &store) {
            prop_assert_eq!(asked, (total / target as f64).ceil() as i64);
        }
        let one = format!(
            "{{type: ContainerResource, containerResource: {{name: cpu, container: app, target: {{type: AverageValue, averageValue: {target}m}}}}}}"
        );
        if let Some(asked) = asked(&one, &store) {
            prop_assert_eq!(asked, (total * 0.25 / target as f64).ceil() as i64);
        }
    }
}
