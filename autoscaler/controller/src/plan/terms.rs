//! What a spec says beyond its metrics, in the decision's own types.

use autoscaler_api as api;
use autoscaler_api::{Problem, ScalingPolicySpec};
use autoscaler_core as core;
use autoscaler_engine::objects::Scheduled;
use autoscaler_schedule::Schedule;

use super::duration_ms;

pub(super) fn schedules(spec: &ScalingPolicySpec) -> Result<Vec<Scheduled>, Problem> {
    let read = |(i, schedule): (usize, &api::Schedule)| {
        let parsed = Schedule::parse(&schedule.start, &schedule.end, &schedule.time_zone);
        let schedule_of = parsed.map_err(|why| {
            let (field, message, fix) = why.parts();
            Problem::new(format!("spec.schedules[{i}].{field}"), message, fix)
        })?;
        let bounds = core::InForce {
            name: schedule.name.as_str().into(),
            min_replicas: schedule.min_replicas,
            max_replicas: schedule.max_replicas,
        };
        Ok(Scheduled { schedule: schedule_of, bounds })
    };
    spec.schedules.iter().enumerate().map(read).collect()
}

/// The way to zero where `minReplicas` is 0, with the cool-down that nobody has to write; `created_ms` is when the
/// policy was, in milliseconds since the epoch.
pub(super) fn zero(spec: &ScalingPolicySpec, created_ms: Option<i64>) -> Result<Option<core::Zero>, Problem> {
    if spec.min_replicas > 0 {
        return Ok(None);
    }
    let zero = spec.zero.clone().unwrap_or_default();
    let cooldown_ms = duration_ms("spec.zero.cooldown", &zero.cooldown)?;
    let initial_ms = match &zero.initial_cooldown {
        Some(initial) => Some(duration_ms("spec.zero.initialCooldown", initial)?),
        None => None,
    };
    let not_before_ms =
        created_ms.zip(initial_ms).map(|(at_ms, initial_ms)| at_ms.saturating_add(initial_ms));
    Ok(Some(core::Zero { cooldown_ms, not_before_ms }))
}

pub(super) fn pause(spec: &ScalingPolicySpec) -> core::Pause {
    let pause = spec.pause.unwrap_or_default();
    core::Pause { scale_up: pause.scale_up, scale_down: pause.scale_down, replicas: pause.replicas }
}

pub(super) fn formula(spec: &ScalingPolicySpec) -> Result<Option<core::FormulaSpec>, Problem> {
    let Some(formula) = &spec.formula else { return Ok(None) };
    let expression = core::Formula::compile(&formula.expression).map_err(|why| {
        let fix = "write for example max(queue, requests / 2)";
        Problem::new("spec.formula.expression", why.to_string(), fix)
    })?;
    Ok(Some(core::FormulaSpec {
        expression,
        target: super::target(&formula.target, "spec.formula.target")?,
        activation_milli: activation(formula.activation.as_ref(), "spec.formula.activation")?,
    }))
}

pub(super) fn activation(quantity: Option<&api::Quantity>, field: &str) -> Result<i64, Problem> {
    let milli = quantity.map(api::Quantity::milli).transpose();
    milli.map(Option::unwrap_or_default).map_err(|e| Problem::new(field, e, "write for example \"5\""))
}
