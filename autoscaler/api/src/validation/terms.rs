//! Zero, schedules, pauses, formulas.

use std::collections::BTreeSet;

use autoscaler_formula::Formula;

use super::metric::target;
use super::{Problem, duration, quantity, within};
use crate::{FormulaMetric, Metric, MetricType, Mode, OnDelete, ScalingPolicySpec, Schedule};

pub(super) fn validate(spec: &ScalingPolicySpec, found: &mut Vec<Problem>) {
    zero(spec, found);
    schedules(spec, found);
    pause(spec, found);
    if spec.on_delete == OnDelete::Restore && spec.ring.is_some() {
        let message = "Restore would change a ring's replicas without its members, and lose what they hold";
        found.push(Problem::new("spec.onDelete", message, "write Keep"));
    }
    match &spec.formula {
        Some(formula) => formula_metric(formula, spec, found),
        None => {
            for (i, metric) in spec
                .metrics
                .iter()
                .enumerate()
                .filter(|(_, metric)| metric.held_to().is_none() && metric.type_ == MetricType::Query)
            {
                let message = format!("is missing, and there is no formula that reads {:?}", metric.name);
                let fix = "say what a value of it asks for, or write spec.formula";
                found.push(Problem::new(format!("spec.metrics[{i}].target"), message, fix));
            }
        }
    }
}

fn zero(spec: &ScalingPolicySpec, found: &mut Vec<Problem>) {
    if let Some(zero) = &spec.zero {
        duration("spec.zero.cooldown", &zero.cooldown, 0, 86_400_000, found);
        if let Some(initial) = &zero.initial_cooldown {
            duration("spec.zero.initialCooldown", initial, 0, 86_400_000, found);
        }
        if spec.min_replicas > 0 {
            found.push(Problem::new(
                "spec.zero",
                format!("says how the last replica goes, but minReplicas is {}", spec.min_replicas),
                "write minReplicas: 0, or remove zero",
            ));
        }
    }
    for (i, metric) in spec.metrics.iter().enumerate() {
        let Some(activation) = &metric.activation else { continue };
        let field = format!("spec.metrics[{i}].activation");
        quantity(&field, activation, 0, i64::MAX, "of 0 or more", found);
        if metric.held_to().is_none() {
            let message = "is of no account, since the metric has no target and asks for nothing by itself";
            found.push(Problem::new(field, message, "write spec.formula.activation"));
        }
    }
    let by_pod = |metric: &Metric| metric.type_ != MetricType::Query;
    if spec.min_replicas == 0 && !spec.metrics.is_empty() && spec.metrics.iter().all(by_pod) {
        let message = "0 leaves no pods to measure, and every metric is measured by pod";
        found.push(Problem::new(
            "spec.minReplicas",
            message,
            "add a query for the whole target, or write 1 or more",
        ));
    }
    if spec.min_replicas == 0 && spec.ring.is_some() {
        let (message, fix) =
            ("0 would leave a ring without members", "write at least ring.replicationFactor");
        found.push(Problem::new("spec.minReplicas", message, fix));
    }
}

fn schedules(spec: &ScalingPolicySpec, found: &mut Vec<Problem>) {
    let mut names = BTreeSet::new();
    for (i, schedule) in spec.schedules.iter().enumerate() {
        let at = format!("spec.schedules[{i}]");
        if schedule.name.is_empty() || !names.insert(schedule.name.as_str()) {
            let message = format!("{:?} is empty or used twice", schedule.name);
            found.push(Problem::new(format!("{at}.name"), message, "give each schedule its own name"));
        }
        if let Err(why) =
            autoscaler_schedule::Schedule::parse(&schedule.start, &schedule.end, &schedule.time_zone)
        {
            let (field, message, fix) = why.parts();
            found.push(Problem::new(format!("{at}.{field}"), message, fix));
        }
        bounds(schedule, spec, &at, found);
    }
}

fn bounds(schedule: &Schedule, spec: &ScalingPolicySpec, at: &str, found: &mut Vec<Problem>) {
    let (min, max) = (schedule.min_replicas, schedule.max_replicas);
    let (least, most) = (spec.min_replicas, spec.max_replicas);
    if min.is_none() && max.is_none() {
        found.push(Problem::new(at, "changes nothing", "write minReplicas, maxReplicas or both"));
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        let message = format!("{min} is above its maxReplicas {max}");
        found.push(Problem::new(format!("{at}.minReplicas"), message, "swap or change them"));
    }
    if let Some(min) = min.filter(|min| !(0..=most).contains(min)) {
        let message =
            format!("{min} is not from 0 to spec.maxReplicas {most}, which schedules do not go beyond");
        found.push(Problem::new(
            format!("{at}.minReplicas"),
            message,
            "raise spec.maxReplicas, or change it",
        ));
    }
    if let Some(max) = max.filter(|max| *max < least) {
        let message = format!("{max} is below spec.minReplicas {least}, which schedules do not go beyond");
        found.push(Problem::new(
            format!("{at}.maxReplicas"),
            message,
            "lower spec.minReplicas, or change it",
        ));
    }
}

fn pause(spec: &ScalingPolicySpec, found: &mut Vec<Problem>) {
    let Some(replicas) = spec.pause.and_then(|pause| pause.replicas) else { return };
    within("spec.pause.replicas", replicas, 0, spec.max_replicas.max(0), found);
    if spec.mode == Mode::Paused {
        let message = format!("asks for {replicas} replicas, but mode Paused keeps those that are there");
        found.push(Problem::new("spec.pause.replicas", message, "write mode: Active, or remove it"));
    }
    if let Some(ring) = spec.ring.as_ref().filter(|ring| replicas < ring.replication_factor) {
        let message = format!("{replicas} is below ring.replicationFactor {}", ring.replication_factor);
        found.push(Problem::new(
            "spec.pause.replicas",
            message,
            "keep as many replicas as copies of each sample",
        ));
    }
}

fn formula_metric(formula: &FormulaMetric, spec: &ScalingPolicySpec, found: &mut Vec<Problem>) {
    target(&formula.target, "spec.formula.target", MetricType::Query, found);
    if let Some(activation) = &formula.activation {
        quantity("spec.formula.activation", activation, 0, i64::MAX, "of 0 or more", found);
    }
    let field = "spec.formula.expression";
    let expression = match Formula::compile(&formula.expression) {
        Ok(expression) => expression,
        Err(why) => {
            let fix = "write for example max(queue, requests / 2)";
            found.push(Problem::new(field, why.to_string(), fix));
            return;
        }
    };
    for mention in expression.metrics() {
        let read = spec.metrics.iter().find(|metric| metric.name == mention.name);
        if let Some(metric) = read.filter(|metric| metric.type_ != MetricType::Query) {
            let message = format!(
                "column {}: {:?} is measured by pod and has no one value",
                mention.column, metric.name
            );
            found.push(Problem::new(field, message, "read metrics with a query for the whole target"));
        }
        if read.is_none() {
            let names: Vec<&str> = spec.metrics.iter().map(|metric| metric.name.as_str()).collect();
            let message = format!("column {}: there is no metric {:?}", mention.column, mention.name);
            found.push(Problem::new(field, message, format!("the policy has {}", names.join(", "))));
        }
    }
    for (i, metric) in spec.metrics.iter().enumerate() {
        if metric.type_ == MetricType::Query && metric.target.is_none() && !expression.reads(&metric.name) {
            let message = format!("is missing, and the formula does not read {:?}", metric.name);
            let fix = "say what a value of it asks for, read it in spec.formula, or remove the metric";
            found.push(Problem::new(format!("spec.metrics[{i}].target"), message, fix));
        }
    }
}
