//! Fallbacks: errors are counted, and from the threshold on replaced by a value that asks for the replicas wanted.

use autoscaler_hpa::MetricTargetType;
use autoscaler_hpa::amd64::integer;

use crate::executor::Target;
use crate::prometheus::Reading;
use crate::quantity::milli;
use crate::scaled_object::{Fallback, FallbackBehavior, PrometheusTrigger};

/// What a trigger says, errors replaced where that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Thousandths for the HPA.
    pub milli: i64,
    /// Whether the trigger is active.
    pub active: bool,
    /// Whether this is a fallback; it counts as activity.
    pub fallback: bool,
}

/// Told instead of an error, for a formula to see as nothing.
const PLACEHOLDER_MILLI: i64 = -1000;

/// Counts a failure or forgets them, and tells what is told.
///
/// # Errors
///
/// The trigger's own error: without a fallback, up to the threshold, and where no fallback can be computed.
///
/// Upstream: `pkg/fallback/fallback.go`, `GetMetricsWithFallback`.
pub fn tell(
    fallback: Option<&Fallback>,
    failures: &mut i32,
    trigger: &PrometheusTrigger,
    reading: Result<Reading, String>,
    target: Option<Target>,
) -> Result<Told, String> {
    let fallback = fallback.filter(|f| f.failure_threshold >= 0 && f.replicas >= 0);
    let (why, fallback) = match (reading, fallback) {
        (Ok(Reading { milli, active }), fallback) => {
            if fallback.is_some() {
                *failures = 0;
            }
            return Ok(Told { milli, active, fallback: false });
        }
        (Err(why), None) => return Err(why),
        (Err(why), Some(fallback)) => (why, fallback),
    };
    *failures = failures.saturating_add(1);
    if *failures <= fallback.failure_threshold {
        return Err(why);
    }
    if fallback.behavior == FallbackBehavior::ScalingModifiers {
        return Ok(Told { milli: PLACEHOLDER_MILLI, active: false, fallback: false });
    }
    let milli = value(fallback, trigger, target).ok_or(why)?;
    Ok(Told { milli, active: true, fallback: true })
}

/// The value that makes the HPA ask for the fallback's replicas.
///
/// Upstream: `pkg/fallback/fallback.go`, `doFallback`.
fn value(fallback: &Fallback, trigger: &PrometheusTrigger, target: Option<Target>) -> Option<i64> {
    let own = fallback.replicas;
    let current = target.map(|target| target.replicas);
    let mut replicas = f64::from(match fallback.behavior {
        FallbackBehavior::Static | FallbackBehavior::ScalingModifiers => own,
        FallbackBehavior::CurrentReplicas => current?,
        FallbackBehavior::CurrentReplicasIfHigher => current?.max(own),
        FallbackBehavior::CurrentReplicasIfLower => current?.min(own),
    });
    if trigger.metric_type == MetricTargetType::Value {
        let ready = target?.ready_pods;
        if ready == 0 {
            return None;
        }
        replicas /= f64::from(ready);
    }
    let threshold = milli(trigger.threshold) as f64 * 1e-3;
    Some(integer(threshold * 1000.0 * replicas))
}
