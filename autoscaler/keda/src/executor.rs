//! What KEDA does to the scale itself: from and to zero, or the idle count.

use serde::{Deserialize, Serialize};

use crate::scaled_object::ScaledObject;

/// The target as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Replicas that are ordered.
    pub replicas: i32,
    /// Pods that run and are ready.
    pub ready_pods: i32,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Nothing,
    /// Nothing but to remember that there was activity now.
    Active,
    /// Write these replicas, and remember the activity if that succeeds.
    Activate(i32),
    /// Write these replicas.
    Deactivate(i32),
}

/// What is to be done, and the reasons of the conditions `Active` and `Ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What is to be done.
    pub step: Step,
    /// `ScalerActive`, `ScalerNotActive`, `ScalerCooldown`; `ScaledObjectPaused` is a condition of its own.
    pub active: &'static str,
    /// `ScaledObjectReady`, `PartialTriggerError`, `TriggerError`.
    pub ready: &'static str,
}

/// Decides from whether any trigger is active, and whether any failed.
///
/// Upstream: `pkg/scaling/executor/scale_scaledobjects.go`, `RequestScale`.
#[must_use]
pub fn decide(
    object: &ScaledObject,
    last_active_ms: Option<i64>,
    (active, error): (bool, bool),
    replicas: i32,
    now_ms: i64,
) -> Verdict {
    let verdict = |step, active, ready| Verdict { step, active, ready };
    let (is_ready, min) = ("ScaledObjectReady", object.min_replica_count.unwrap_or(0));
    if object.paused {
        return verdict(Step::Nothing, "ScaledObjectPaused", is_ready);
    }
    let idle = object.idle_replica_count;
    if active || object.force_activation {
        let too_few = (idle.is_some() && replicas < min) || replicas == 0;
        let (step, ready) = match (too_few, error) {
            (true, _) if object.paused_scale_out => (Step::Nothing, is_ready),
            (true, _) => (Step::Activate(min.max(1)), is_ready),
            (false, true) => (Step::Nothing, "PartialTriggerError"),
            (false, false) => (Step::Active, is_ready),
        };
        return verdict(step, "ScalerActive", ready);
    }
    let above_idle = idle.is_some_and(|idle| replicas > idle) || (replicas > 0 && min == 0);
    match object.fallback {
        Some(fallback) if error && fallback.replicas != 0 => {
            verdict(Step::Nothing, "ScalerNotActive", is_ready)
        }
        None if error => verdict(Step::Nothing, "ScalerNotActive", "TriggerError"),
        _ if above_idle && object.paused_scale_in => verdict(Step::Nothing, "ScalerNotActive", is_ready),
        _ if above_idle && !is_cool(object, last_active_ms, now_ms) => {
            verdict(Step::Nothing, "ScalerCooldown", is_ready)
        }
        _ if above_idle => verdict(Step::Deactivate(idle.unwrap_or(min)), "ScalerNotActive", is_ready),
        _ if idle.is_none() && replicas < min => verdict(Step::Deactivate(min), "ScalerNotActive", is_ready),
        _ => verdict(Step::Nothing, "ScalerNotActive", is_ready),
    }
}

/// Whether the last activity is longer ago than the cool-down.
fn is_cool(object: &ScaledObject, last_active_ms: Option<i64>, now_ms: i64) -> bool {
    let (since, period) = match last_active_ms {
        Some(at) => (at, object.cooldown_ms()),
        None => (object.created_ms, object.initial_cooldown_ms()),
    };
    since.saturating_add(period) < now_ms
}
