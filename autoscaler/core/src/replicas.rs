//! From one metric's value to replicas: upstream's arithmetic by [`autoscaler_hpa::ratio`], and its answer only where
//! that is safe. Values and targets are integer thousandths, ratios are 64-bit floats of them.

use autoscaler_hpa::ratio::{Asked, Tolerances, shared, whole};

use crate::input::Scale;
use crate::policy::Target;

/// What one value asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Close enough to the target: leave things alone.
    WithinTolerance,
    /// This many.
    Replicas(i32),
    /// The ratio would multiply ready replicas, and there are none.
    NoneReady,
}

/// What a value asks for. `ready` is how many replicas were ready on average while the value was measured; upstream
/// takes those that are ready now, and so multiplies what the value has raised already.
///
/// It departs from upstream in three more ways: a ratio does not multiply zero ready replicas, or an outage of readiness
/// would scale down to the minimum ([`Answer::NoneReady`]); what is within tolerance is left to the caller, for whom it
/// is what is ordered and not what is there; and casts saturate.
#[must_use]
pub fn replicas(
    value_milli: i64,
    target: Target,
    scale: &Scale,
    ready: f64,
    tolerances: Tolerances,
) -> Answer {
    let asked = match target {
        // It asks for nothing.
        Target::None => Asked::Nothing,
        Target::Value { value_milli: target_milli } => {
            whole(value_milli, target_milli, scale.spec_replicas, tolerances)
        }
        Target::AverageValue { average_value_milli: target_milli } => {
            let asked = shared(value_milli, target_milli, scale.status_replicas, tolerances);
            asked.map_or(Asked::Nothing, Asked::Replicas)
        }
        // Of pods alone, which are not of one value.
        Target::Utilization { .. } => return Answer::NoneReady,
    };
    match asked {
        Asked::Nothing => Answer::WithinTolerance,
        Asked::TimesReady(_) if ready <= 0.0 => Answer::NoneReady,
        Asked::TimesReady(ratio) => Answer::Replicas((ratio * ready).ceil() as i32),
        Asked::Replicas(replicas) => Answer::Replicas(replicas as i32),
    }
}

/// The value per replica, rounded up, in thousandths: what a status shows for an average. Saturates where
/// there are no replicas.
#[must_use]
pub fn average_milli(value_milli: i64, status_replicas: i32) -> i64 {
    if value_milli == 0 {
        return 0;
    }
    (value_milli as f64 / f64::from(status_replicas)).ceil() as i64
}

/// A finite value in thousandths, rounded to the nearest, saturating; but what is above zero stays above
/// zero, so that a trickle of demand does not scale to nothing.
#[must_use]
pub fn to_milli(value: f64) -> i64 {
    let milli = (value * 1000.0).round() as i64;
    if milli == 0 && value > 0.0 { 1 } else { milli }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_PERCENT: Tolerances = Tolerances { down: 0.1, up: 0.1 };

    fn scale(spec: i32, status: i32, ready: i32) -> Scale {
        Scale { spec_replicas: spec, status_replicas: status, ready_replicas: ready }
    }

    #[test]
    fn edges_that_upstream_leaves_undefined() {
        let value = Target::Value { value_milli: 1 };
        let average = Target::AverageValue { average_value_milli: 1 };
        for (milli, target, scale, expected) in [
            (i64::MAX, value, scale(1, 1, i32::MAX), Answer::Replicas(i32::MAX)),
            (i64::MAX, average, scale(1, 1, 1), Answer::Replicas(i32::MAX)),
            // No replicas in the status: the ratio is infinite or NaN, never within.
            (5, average, scale(3, 0, 0), Answer::Replicas(5)),
            (0, average, scale(3, 0, 0), Answer::Replicas(0)),
            (5, value, scale(3, 3, 0), Answer::NoneReady),
            (1, value, scale(3, 3, 0), Answer::WithinTolerance),
            (3, value, scale(0, 0, 0), Answer::Replicas(3)),
        ] {
            assert_eq!(
                replicas(milli, target, &scale, f64::from(scale.ready_replicas), TEN_PERCENT),
                expected,
                "{milli} {target:?} {scale:?}"
            );
        }
    }

    #[test]
    fn milli_rounds_but_keeps_a_trickle() {
        for (value, milli) in [
            (8.6, 8600),
            (0.07, 70),
            (1.0014, 1001),
            (1e-9, 1),
            (0.0, 0),
            (1e300, i64::MAX),
            (-1e300, i64::MIN),
        ] {
            assert_eq!(to_milli(value), milli, "{value}");
        }
        assert_eq!(average_milli(8600, 3), 2867);
        assert_eq!(average_milli(1, 0), i64::MAX);
        assert_eq!(average_milli(0, 0), 0);
    }
}
