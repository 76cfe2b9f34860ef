//! From use to replicas, for each kind of metric.
//!
//! ```text
//!  Resource, ContainerResource, Pods   by_pod    ⌈ratio × pods that count⌉, unready and missing pods filled in
//!  Object, External: Value             by_value  ⌈ratio × ready pods⌉; from zero ⌈ratio⌉
//!  Object, External: AverageValue      by_share  ⌈value ÷ target⌉, within tolerance status.replicas
//! ```

use std::collections::BTreeMap;

use crate::amd64::integer;
use crate::grouping::group;
use crate::pod::Pod;
use crate::ratio::{Asked, Tolerances, Usage, average, shared, utilization, whole};
use crate::sample::Sample;
use crate::settings::Settings;

/// What every metric of one sync has in common.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The controller's settings.
    pub settings: &'a Settings,
    /// Distances from the target that are left alone.
    pub tolerances: Tolerances,
    /// Pods under the target's selector.
    pub pods: &'a [Pod],
    /// When the sync happens.
    pub now_ms: i64,
}

/// What pods' values are compared to.
#[derive(Clone, Debug)]
pub enum PodTarget<'a> {
    /// Percent of each pod's request.
    Utilization {
        /// The percentage.
        percent: i32,
        /// The requests, see [`requests`](crate::pod::requests); what is wrong with them is told only once there
        /// are values to compare.
        requests: Result<BTreeMap<&'a str, i64>, String>,
    },
    /// Thousandths by pod.
    Average {
        /// The thousandths.
        milli: i64,
    },
}

impl PodTarget<'_> {
    fn usage(&self, values: &BTreeMap<&str, i64>) -> Result<Usage, String> {
        match self {
            Self::Utilization { percent, requests } => {
                utilization(values, requests.as_ref().map_err(Clone::clone)?, *percent)
            }
            Self::Average { milli } => Ok(average(values, *milli)),
        }
    }

    /// What a pod without a sample is taken to use when replicas would be lowered: its target, but at least all
    /// that it requested.
    fn assumed(&self, pod: &str) -> i64 {
        match self {
            Self::Utilization { percent, requests } => {
                let request = requests.as_ref().ok().and_then(|r| r.get(pod)).copied().unwrap_or_default();
                request.wrapping_mul(i64::from((*percent).max(100))) / 100
            }
            Self::Average { milli } => *milli,
        }
    }
}

/// Replicas from values by pod, and the use that was seen: of the pods that count, before any is filled in.
///
/// 1. Values of ignored and unready pods are dropped. Without missing pods, nor unready ones that could be filled
///    in, the ratio is multiplied by the pods that count, which may be fewer than there are replicas.
/// 2. Else missing pods are filled in against the direction, and unready ones with nothing when raising. If the
///    new ratio is within tolerance or says the other direction, or the product goes against it, replicas stay.
///
/// # Errors
///
/// No pods, no values of pods that count, or no requests.
///
/// Upstream: `replica_calculator.go`, `GetResourceReplicas` and `calcPlainMetricReplicas`.
pub fn by_pod(
    at: &Circumstances<'_>,
    samples: &[Sample],
    resource: Option<&str>,
    current: i32,
    target: &PodTarget<'_>,
) -> Result<(i32, Usage), String> {
    if at.pods.is_empty() {
        return Err("the target's selector selects no pods".to_owned());
    }
    let by_name: BTreeMap<&str, &Sample> = samples.iter().map(|s| (s.pod.as_str(), s)).collect();
    let groups = group(at.pods, &by_name, resource, at.settings, at.now_ms);
    let mut values: BTreeMap<&str, i64> = by_name.iter().map(|(name, s)| (*name, s.value_milli)).collect();
    for name in groups.ignored.iter().chain(&groups.unready) {
        values.remove(name);
    }
    if values.is_empty() {
        return Err("no pod that counts has a sample; they may be unready".to_owned());
    }
    let seen = target.usage(&values)?;
    let fill_unready = !groups.unready.is_empty() && seen.ratio > 1.0;
    if !fill_unready && groups.missing.is_empty() {
        let replicas = if at.tolerances.contain(seen.ratio) {
            current
        } else {
            integer((seen.ratio * groups.ready as f64).ceil())
        };
        return Ok((replicas, seen));
    }
    for name in &groups.missing {
        if seen.ratio < 1.0 {
            values.insert(name, target.assumed(name));
        } else if seen.ratio > 1.0 {
            values.insert(name, 0);
        }
    }
    if fill_unready {
        values.extend(groups.unready.iter().map(|name| (*name, 0)));
    }
    let filled = target.usage(&values)?.ratio;
    let turned = (seen.ratio < 1.0 && filled > 1.0) || (seen.ratio > 1.0 && filled < 1.0);
    if at.tolerances.contain(filled) || turned {
        return Ok((current, seen));
    }
    let replicas: i32 = integer((filled * values.len() as f64).ceil());
    let against = (filled < 1.0 && replicas > current) || (filled > 1.0 && replicas < current);
    Ok((if against { current } else { replicas }, seen))
}

/// Replicas from a value as a whole: the ratio times the pods that are ready, deleted ones included. From zero
/// replicas the ratio itself, without tolerance, and then what does not fit 32 bits is not capped.
///
/// # Errors
///
/// There are replicas but no pods.
///
/// Upstream: `replica_calculator.go`, `getUsageRatioReplicaCount`.
pub fn by_value(
    at: &Circumstances<'_>,
    usage_milli: i64,
    target_milli: i64,
    current: i32,
) -> Result<i32, String> {
    let ratio = match whole(usage_milli, target_milli, current, at.tolerances) {
        Asked::Replicas(replicas) => return Ok(integer(replicas)),
        Asked::Nothing => return Ok(current),
        Asked::TimesReady(ratio) => ratio,
    };
    if at.pods.is_empty() {
        return Err("the target's selector selects no pods".to_owned());
    }
    let ready = at.pods.iter().filter(|pod| pod.is_ready()).count();
    let product = ratio * ready as f64;
    Ok(if product > f64::from(i32::MAX) { i32::MAX } else { integer(product.ceil()) })
}

/// Replicas from a value that is shared by `status_replicas` pods, and each one's share in thousandths. Within
/// tolerance `status_replicas` itself, which may be fewer than are ordered. `External` metrics are capped where
/// they do not fit; `Object` metrics are not.
///
/// Upstream: `replica_calculator.go`, `GetExternalPerPodMetricReplicas` and `GetObjectPerPodMetricReplicas`.
#[must_use]
pub fn by_share(
    tolerances: Tolerances,
    usage_milli: i64,
    target_milli: i64,
    status_replicas: i32,
    external: bool,
) -> (i32, i64) {
    let replicas = match shared(usage_milli, target_milli, status_replicas, tolerances) {
        None => status_replicas,
        Some(wanted) if external && wanted > f64::from(i32::MAX) => i32::MAX,
        Some(wanted) => integer(wanted),
    };
    let (usage, pods) = (usage_milli as f64, f64::from(status_replicas));
    let share = if external && usage >= i64::MAX as f64 { i64::MAX } else { integer((usage / pods).ceil()) };
    (replicas, share)
}

/// Sum of all series for a value as a whole: stops at the largest integer, wraps at the smallest.
///
/// Upstream: `replica_calculator.go`, `GetExternalMetricReplicas`.
#[must_use]
pub fn total(values_milli: &[i64]) -> i64 {
    let mut sum = 0i64;
    for &value in values_milli {
        if value > 0 && sum.checked_add(value).is_none() {
            return i64::MAX;
        }
        sum = sum.wrapping_add(value);
    }
    sum
}

/// Sum of all series for a shared value: a sum that becomes negative, be it by one negative series, is taken for
/// an overflow and is the largest integer.
///
/// Upstream: `replica_calculator.go`, `GetExternalPerPodMetricReplicas`.
#[must_use]
pub fn shared_total(values_milli: &[i64]) -> i64 {
    let mut sum = 0i64;
    for &value in values_milli {
        sum = sum.wrapping_add(value);
        if sum < 0 {
            return i64::MAX;
        }
    }
    sum
}
