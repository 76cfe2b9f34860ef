//! Upstream's cases on one metric: `replica_calculator_test.go`, `metrics/utilization_test.go` and `buildQuantity`.

use std::collections::BTreeMap;

use autoscaler_hpa::grouping::group;
use autoscaler_hpa::metrics::compute_one;
use autoscaler_hpa::pod::requests;
use autoscaler_hpa::quantity::{Format, text};
use autoscaler_hpa::ratio::{Tolerances, average, utilization};
use autoscaler_hpa::replicas::Circumstances;
use autoscaler_hpa::{Pod, Sample, Scale};
use serde::Deserialize;

use crate::harness::calculations::{Calculated, Calculation};
use crate::harness::cases::{NOW_MS, Periods, PodCase, SampleCase, each, same, samples};

#[test]
fn replicas_of_one_metric() {
    each("replica_calc.json", 60, |input: &Calculation, expected: &Calculated| {
        let settings = input.periods.settings();
        let pods: Vec<Pod> = input.pods.iter().map(PodCase::pod).collect();
        let tolerances = Tolerances { down: input.tolerance_down, up: input.tolerance_up };
        let at = Circumstances { settings: &settings, tolerances, pods: &pods, now_ms: NOW_MS };
        // Each function is given only the one that it looks at.
        let scale = Scale {
            spec_replicas: input.current_replicas.unwrap_or(i32::MIN),
            status_replicas: input.status_replicas.unwrap_or(i32::MIN),
        };
        let found = compute_one(&at, &input.spec(), &input.metric_call.answer(), scale);
        let expected = match &expected.error {
            Some(_) => None,
            None => Some((expected.replicas, expected.usage_milli, expected.utilization)),
        };
        let found = found.ok().map(|(replicas, current)| {
            let usage = current.value_milli.or(current.average_value_milli).unwrap_or_default();
            (Some(replicas), Some(usage), current.average_utilization)
        });
        same(&found, &expected)
    });
}

#[derive(Deserialize)]
struct Grouping {
    pods: Vec<PodCase>,
    metrics: BTreeMap<String, SampleCase>,
    resource: String,
    #[serde(flatten)]
    periods: Periods,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Grouped {
    ready_pod_count: usize,
    unready: Vec<String>,
    missing: Vec<String>,
    ignored: Vec<String>,
}

#[test]
fn pods_are_grouped() {
    each("group_pods.json", 8, |input: &Grouping, expected: &Grouped| {
        let pods: Vec<Pod> = input.pods.iter().map(PodCase::pod).collect();
        let samples = samples(&input.metrics);
        let by_name: BTreeMap<&str, &Sample> = samples.iter().map(|s| (s.pod.as_str(), s)).collect();
        let resource = Some(input.resource.as_str()).filter(|name| !name.is_empty());
        let groups = group(&pods, &by_name, resource, &input.periods.settings(), NOW_MS);
        let sorted = |names: Vec<&str>| {
            let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            names.sort();
            names
        };
        let found = Grouped {
            ready_pod_count: groups.ready,
            unready: sorted(groups.unready),
            missing: sorted(groups.missing),
            ignored: sorted(groups.ignored),
        };
        same(&found, expected)
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestsOf {
    pods: Vec<PodCase>,
    container: String,
    pod_level_resources: bool,
    resource: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Requested {
    error: Option<String>,
    requests_milli: Option<BTreeMap<String, i64>>,
}

#[test]
fn requests_are_summed() {
    each("calculate_requests.json", 10, |input: &RequestsOf, expected: &Requested| {
        let pods: Vec<Pod> = input.pods.iter().map(PodCase::pod).collect();
        let container = Some(input.container.as_str()).filter(|name| !name.is_empty());
        let found = requests(&pods, &input.resource, container, input.pod_level_resources).ok();
        let found = found.map(|by_pod| by_pod.into_iter().map(|(pod, r)| (pod.to_owned(), r)).collect());
        let expected = expected.requests_milli.clone().filter(|_| expected.error.is_none());
        same(&found, &expected)
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RatioOf {
    metrics_milli: BTreeMap<String, i64>,
    requests_milli: Option<BTreeMap<String, i64>>,
    target_utilization: Option<i32>,
    target_usage_milli: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ratio {
    error: Option<String>,
    ratio: f64,
    utilization: Option<i32>,
    raw_average_milli: Option<i64>,
    usage_milli: Option<i64>,
}

#[test]
fn use_in_relation_to_its_target() {
    each("utilization.json", 5, |input: &RatioOf, expected: &Ratio| {
        fn borrowed(map: &BTreeMap<String, i64>) -> BTreeMap<&str, i64> {
            map.iter().map(|(k, v)| (k.as_str(), *v)).collect()
        }
        let values = borrowed(&input.metrics_milli);
        let found = match (input.target_utilization, &input.requests_milli) {
            (Some(percent), Some(requests)) => utilization(&values, &borrowed(requests), percent).ok(),
            _ => Some(average(&values, input.target_usage_milli.unwrap_or_default())),
        };
        let found = found.map(|usage| (usage.ratio, usage.utilization, usage.average_milli));
        let usage = expected.raw_average_milli.or(expected.usage_milli).unwrap_or_default();
        let failed = expected.error.is_some();
        let expected = (!failed).then_some((expected.ratio, expected.utilization, usage));
        same(&found, &expected)
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QuantityOf {
    raw_milli: i64,
    resource: String,
}

#[derive(Deserialize)]
struct QuantityText {
    format: String,
    quantity: String,
    milli: i64,
}

#[test]
fn quantities_of_a_status() {
    each("build_quantity.json", 7, |input: &QuantityOf, expected: &QuantityText| {
        let format = Format::of(&input.resource);
        let name = if format == Format::BinarySi { "BinarySI" } else { "DecimalSI" };
        same(
            &(name, text(input.raw_milli, format).as_str(), input.raw_milli),
            &(expected.format.as_str(), expected.quantity.as_str(), expected.milli),
        )
    });
}
