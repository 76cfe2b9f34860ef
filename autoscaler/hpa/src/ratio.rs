//! Use in relation to its target, with upstream's truncations, and what is near enough to leave alone.

use std::collections::BTreeMap;

/// How far the ratio of use to target may be from one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerances {
    /// Downwards.
    pub down: f64,
    /// Upwards.
    pub up: f64,
}

impl Tolerances {
    /// `1 - down ≤ ratio ≤ 1 + up`, computed like this: `|ratio - 1|` rounds differently at the edges. NaN is not
    /// within.
    ///
    /// Upstream: `replica_calculator.go`, `Tolerances.isWithin`.
    #[must_use]
    pub fn contain(self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}

/// What a value as a whole asks for, before it is a number of replicas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Asked {
    /// It is near enough to its target.
    Nothing,
    /// The pods that are ready, times this.
    TimesReady(f64),
    /// So many replicas, whole.
    Replicas(f64),
}

/// What a value asks for as a whole: its ratio to the target, of the pods that are ready. From zero replicas it is the
/// ratio itself, without tolerance.
///
/// Upstream: `replica_calculator.go`, `getUsageRatioReplicaCount`.
#[must_use]
pub fn whole(usage_milli: i64, target_milli: i64, current: i32, tolerances: Tolerances) -> Asked {
    let ratio = usage_milli as f64 / target_milli as f64;
    if current == 0 {
        Asked::Replicas(ratio.ceil())
    } else if tolerances.contain(ratio) {
        Asked::Nothing
    } else {
        Asked::TimesReady(ratio)
    }
}

/// Replicas, whole, that a value asks for which is shared by `status_replicas` pods; `None` where it is near enough to
/// its target.
///
/// Upstream: `replica_calculator.go`, `GetExternalPerPodMetricReplicas` and `GetObjectPerPodMetricReplicas`.
#[must_use]
pub fn shared(
    usage_milli: i64,
    target_milli: i64,
    status_replicas: i32,
    tolerances: Tolerances,
) -> Option<f64> {
    let (usage, target) = (usage_milli as f64, target_milli as f64);
    let is_near = tolerances.contain(usage / (target * f64::from(status_replicas)));
    (!is_near).then(|| (usage / target).ceil())
}

/// Use of the pods that were counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Use ÷ target.
    pub ratio: f64,
    /// Percent of the request, truncated to an integer before `ratio` is taken, and to 32 bits.
    pub utilization: Option<i32>,
    /// Thousandths by pod, truncated before `ratio` is taken, except with `utilization`.
    pub average_milli: i64,
}

/// Use of all pods that have both a value and a request, in percent of the requests. Sums wrap at 64 bits.
///
/// # Errors
///
/// The requests are zero in total.
///
/// Upstream: `metrics/utilization.go`, `GetResourceUtilizationRatio`.
pub fn utilization(
    values: &BTreeMap<&str, i64>,
    requests: &BTreeMap<&str, i64>,
    target_percent: i32,
) -> Result<Usage, String> {
    let (mut used, mut requested, mut pods) = (0i64, 0i64, 0i64);
    for (pod, value) in values {
        if let Some(request) = requests.get(pod) {
            used = used.wrapping_add(*value);
            requested = requested.wrapping_add(*request);
            pods += 1;
        }
    }
    if requested == 0 {
        return Err("the pods with samples request nothing; set requests, or use averageValue".to_owned());
    }
    let percent = used.wrapping_mul(100).wrapping_div(requested) as i32;
    Ok(Usage {
        ratio: f64::from(percent) / f64::from(target_percent),
        utilization: Some(percent),
        average_milli: used.checked_div(pods).unwrap_or_default(),
    })
}

/// Use by pod in thousandths. The sum wraps at 64 bits. Without values there is none, and the ratio is NaN or zero.
///
/// Upstream: `metrics/utilization.go`, `GetMetricUsageRatio`.
#[must_use]
pub fn average(values: &BTreeMap<&str, i64>, target_milli: i64) -> Usage {
    let used = values.values().fold(0i64, |sum, value| sum.wrapping_add(*value));
    let average_milli = used.checked_div(values.len() as i64).unwrap_or_default();
    Usage { ratio: average_milli as f64 / target_milli as f64, utilization: None, average_milli }
}
