//! Cases of one metric: what is asked of the calculator, what a metrics API says, and what comes out.

use std::collections::BTreeMap;

use autoscaler_hpa::{Answer, MetricIdentifier, MetricSpec, MetricTarget, MetricTargetType, ObjectReference};
use serde::Deserialize;

use super::cases::{Periods, PodCase, SampleCase, samples};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Calculation {
    pub(crate) function: String,
    pub(crate) current_replicas: Option<i32>,
    pub(crate) status_replicas: Option<i32>,
    target_utilization: Option<i32>,
    pub(crate) target_usage_milli: Option<i64>,
    pub(crate) tolerance_up: f64,
    pub(crate) tolerance_down: f64,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    container: String,
    pub(crate) pods: Vec<PodCase>,
    pub(crate) metric_call: CallCase,
    #[serde(flatten)]
    pub(crate) periods: Periods,
}

/// An answer of a metrics API, as upstream's tests have it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallCase {
    kind: String,
    error: Option<String>,
    #[serde(default)]
    pods: BTreeMap<String, SampleCase>,
    value_milli: Option<i64>,
    #[serde(default)]
    values_milli: Vec<i64>,
}

impl CallCase {
    pub(crate) fn answer(&self) -> Answer {
        match (&self.error, self.kind.as_str()) {
            (Some(why), _) => Answer::Failed(why.clone()),
            (None, "Object") => Answer::Object(self.value_milli.unwrap_or_default()),
            (None, "External") => Answer::External(self.values_milli.clone()),
            (None, _) => Answer::Pods(samples(&self.pods)),
        }
    }

    /// As one value, for who asks for one: an object's, or the sum of all series'.
    pub(crate) fn sum_milli(&self) -> Result<i64, String> {
        match self.answer() {
            Answer::Failed(why) => Err(why),
            Answer::Object(milli) => Ok(milli),
            Answer::External(values) => Ok(values.iter().fold(0, |sum: i64, v| sum.saturating_add(*v))),
            Answer::Pods(_) => Err("values of pods".to_owned()),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Calculated {
    pub(crate) error: Option<String>,
    pub(crate) replicas: Option<i32>,
    pub(crate) usage_milli: Option<i64>,
    pub(crate) utilization: Option<i32>,
}

impl Calculation {
    pub(crate) fn spec(&self) -> MetricSpec {
        let whole = matches!(self.function.as_str(), "GetObjectMetricReplicas" | "GetExternalMetricReplicas");
        let target = MetricTarget {
            kind: if whole { MetricTargetType::Value } else { MetricTargetType::AverageValue },
            value_milli: self.target_usage_milli.filter(|_| whole),
            average_value_milli: self.target_usage_milli.filter(|_| !whole),
            average_utilization: self.target_utilization,
        };
        let (name, metric) = (self.resource.clone(), MetricIdentifier::default());
        match self.function.as_str() {
            "GetResourceReplicas" if self.container.is_empty() => MetricSpec::Resource { name, target },
            "GetResourceReplicas" => {
                MetricSpec::ContainerResource { name, container: self.container.clone(), target }
            }
            "GetMetricReplicas" => MetricSpec::Pods { metric, target },
            f if f.starts_with("GetObject") => {
                MetricSpec::Object { metric, described_object: ObjectReference::default(), target }
            }
            f if f.starts_with("GetExternal") => MetricSpec::External { metric, target },
            other => panic!("{other} is not known here"),
        }
    }
}
