//! What a metric of each type may say: exactly one thing to measure, and a target that fits.

use super::{Problem, quantity, source};
use crate::{EmptyMeans, Metric, MetricTarget, MetricTargetType, MetricType};

/// Judges `metric` but for its name and its evidence's forms.
pub(super) fn validate(metric: &Metric, at: &str, found: &mut Vec<Problem>) {
    let type_ = metric.type_;
    let body = [
        ("query", !metric.query.is_empty(), metric.has_query()),
        ("target", metric.target.is_some(), metric.has_query()),
        ("resource", metric.resource.is_some(), type_ == MetricType::Resource),
        ("containerResource", metric.container_resource.is_some(), type_ == MetricType::ContainerResource),
    ];
    for (field, _, _) in body.iter().filter(|(_, is_there, belongs)| *is_there && !belongs) {
        found.push(Problem::new(
            format!("{at}.{field}"),
            format!("does not belong to type {type_:?}"),
            format!("remove it, or write {}", types_with(field)),
        ));
    }
    match type_ {
        MetricType::Query | MetricType::Pods => query(metric, at, found),
        MetricType::Resource => match &metric.resource {
            Some(resource) => {
                name(&format!("{at}.resource.name"), &resource.name, found);
                target(&resource.target, &format!("{at}.resource.target"), type_, found);
            }
            None => missing(&format!("{at}.resource"), "{name: cpu, target: …}", found),
        },
        MetricType::ContainerResource => match &metric.container_resource {
            Some(resource) => {
                name(&format!("{at}.containerResource.name"), &resource.name, found);
                name(&format!("{at}.containerResource.container"), &resource.container, found);
                target(&resource.target, &format!("{at}.containerResource.target"), type_, found);
            }
            None => {
                missing(&format!("{at}.containerResource"), "{name: cpu, container: app, target: …}", found)
            }
        },
    }
    if !metric.has_query() {
        without_effect(metric, at, found);
    }
}

fn types_with(field: &str) -> &'static str {
    match field {
        "resource" => "type: Resource",
        "containerResource" => "type: ContainerResource",
        _ => "type: Query or Pods",
    }
}

fn query(metric: &Metric, at: &str, found: &mut Vec<Problem>) {
    if metric.query.trim().is_empty() {
        found.push(Problem::new(format!("{at}.query"), "is empty", "write a PromQL expression"));
    }
    if let Some(s) = &metric.source {
        source::validate(s, &format!("{at}.source"), found);
    }
    match &metric.target {
        Some(t) => target(t, &format!("{at}.target"), metric.type_, found),
        // Without one a query may still be read by a formula, which is judged with that.
        None if metric.type_ == MetricType::Query => {}
        None => missing(&format!("{at}.target"), "{type: AverageValue, averageValue: \"50\"}", found),
    }
}

fn missing(field: &str, example: &str, found: &mut Vec<Problem>) {
    found.push(Problem::new(field, "is missing", format!("write for example {example}")));
}

fn name(field: &str, text: &str, found: &mut Vec<Problem>) {
    let strange = |c: char| !(c.is_ascii_alphanumeric() || "-_./".contains(c));
    if text.is_empty() || text.contains(strange) {
        let example = if field.ends_with("container") { "app" } else { "cpu" };
        found.push(Problem::new(
            field,
            format!("{text:?} names nothing"),
            format!("write for example {example}"),
        ));
    }
}

/// Judges what a metric of `type_` is held to.
pub(super) fn target(target: &MetricTarget, at: &str, type_: MetricType, found: &mut Vec<Problem>) {
    use MetricTargetType as Type;
    let (takes, words): (&[Type], _) = match type_ {
        MetricType::Query => (&[Type::Value, Type::AverageValue], "Value or AverageValue"),
        MetricType::Pods => (&[Type::AverageValue], "AverageValue"),
        MetricType::Resource | MetricType::ContainerResource => {
            (&[Type::Utilization, Type::AverageValue], "Utilization or AverageValue")
        }
    };
    if !takes.contains(&target.type_) {
        let message = format!("{:?} is not for type {type_:?}", target.type_);
        found.push(Problem::new(format!("{at}.type"), message, format!("write {words}")));
        return;
    }
    let fields = [
        (Type::Value, "value", target.value.is_some()),
        (Type::AverageValue, "averageValue", target.average_value.is_some()),
        (Type::Utilization, "averageUtilization", target.average_utilization.is_some()),
    ];
    let Some((_, own, is_there)) = fields.iter().find(|(type_, ..)| *type_ == target.type_) else { return };
    for (_, other, _) in fields.iter().filter(|(type_, _, is_there)| *is_there && *type_ != target.type_) {
        let message = format!("has {other}, but its type is {:?}", target.type_);
        found.push(Problem::new(at, message, format!("keep {own} only")));
    }
    if !is_there {
        let example = if *own == "averageUtilization" { "70" } else { "\"50\"" };
        found.push(Problem::new(
            format!("{at}.{own}"),
            format!("is missing for type {:?}", target.type_),
            format!("write for example {example}"),
        ));
    }
    let value = match target.type_ {
        Type::Value => target.value.as_ref(),
        Type::AverageValue => target.average_value.as_ref(),
        Type::Utilization => None,
    };
    if let Some(q) = value {
        quantity(&format!("{at}.{own}"), q, 1, i64::MAX, "above zero", found);
    }
    if let Some(percent) = target.average_utilization.filter(|percent| *percent < 1) {
        found.push(Problem::new(
            format!("{at}.averageUtilization"),
            format!("{percent} is out of range"),
            "write a percentage above zero",
        ));
    }
}

/// What speaks of series says nothing of `metrics.k8s.io`.
fn without_effect(metric: &Metric, at: &str, found: &mut Vec<Problem>) {
    let evidence = &metric.evidence;
    for (field, is_there) in [
        ("source", metric.source.is_some()),
        ("evidence.clusters", !evidence.clusters.is_empty()),
        ("evidence.forgetClusters", evidence.forget_clusters.is_some()),
        ("evidence.selectors", !evidence.selectors.is_empty()),
        ("evidence.window", evidence.window.is_some()),
        ("evidence.emptyMeans", evidence.empty_means == Some(EmptyMeans::Zero)),
    ] {
        if is_there {
            found.push(Problem::new(
                format!("{at}.{field}"),
                "has no effect: resources are read from metrics.k8s.io of the target's own cluster",
                "remove it",
            ));
        }
    }
}
