//! `autoscaling/v2` JSON, as Go writes it, into this crate's types.

use autoscaler_hpa::behavior::{Behavior, tolerance_of_milli};
use autoscaler_hpa::{
    Float, HpaSpec, MetricIdentifier, MetricSpec, MetricTarget, MetricTargetType, ObjectReference,
};
use serde_json::Value;

/// Seconds with a fraction, as milliseconds.
pub(crate) fn ms(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

/// A `HorizontalPodAutoscalerSpec`.
pub(crate) fn spec(json: &Value) -> HpaSpec {
    HpaSpec {
        min_replicas: integer(&json["minReplicas"]),
        max_replicas: integer(&json["maxReplicas"]).unwrap_or_default(),
        metrics: json["metrics"].as_array().map(|all| all.iter().map(metric).collect()).unwrap_or_default(),
        behavior: behavior(&json["behavior"]),
    }
}

fn metric(json: &Value) -> MetricSpec {
    let kind = text(&json["type"]);
    let body = |field: &str| {
        let body = &json[field];
        (body, text(&body["name"]), target(&body["target"]))
    };
    match kind.as_str() {
        "Resource" => {
            let (_, name, target) = body("resource");
            MetricSpec::Resource { name, target }
        }
        "ContainerResource" => {
            let (body, name, target) = body("containerResource");
            MetricSpec::ContainerResource { name, container: text(&body["container"]), target }
        }
        "Pods" => {
            let (body, _, target) = body("pods");
            MetricSpec::Pods { metric: identifier(body), target }
        }
        "Object" => {
            let (body, _, target) = body("object");
            let object = &body["describedObject"];
            let described_object =
                ObjectReference { kind: text(&object["kind"]), name: text(&object["name"]) };
            MetricSpec::Object { metric: identifier(body), described_object, target }
        }
        "External" => {
            let (body, _, target) = body("external");
            MetricSpec::External { metric: identifier(body), target }
        }
        _ => MetricSpec::Unknown { kind },
    }
}

fn identifier(body: &Value) -> MetricIdentifier {
    let metric = &body["metric"];
    let selector = metric.get("selector").map(ToString::to_string).unwrap_or_default();
    MetricIdentifier { name: text(&metric["name"]), selector }
}

fn target(json: &Value) -> MetricTarget {
    MetricTarget {
        kind: match json["type"].as_str() {
            Some("Value") => MetricTargetType::Value,
            Some("AverageValue") => MetricTargetType::AverageValue,
            _ => MetricTargetType::Utilization,
        },
        value_milli: json["value"].as_str().map(milli),
        average_value_milli: json["averageValue"].as_str().map(milli),
        average_utilization: integer(&json["averageUtilization"]),
    }
}

/// A behaviour, whose tolerances are quantities.
pub(crate) fn behavior(json: &Value) -> Option<Behavior> {
    let mut json = json.clone();
    for direction in ["scaleUp", "scaleDown"] {
        if let Some(Value::String(quantity)) = json.pointer(&format!("/{direction}/tolerance")) {
            let tolerance = tolerance_of_milli(milli(quantity));
            json[direction]["tolerance"] = Float::new(tolerance).to_string().into();
        }
    }
    serde_json::from_value(json).expect("a behaviour")
}

/// Thousandths of a quantity in its canonical form.
pub(crate) fn milli(quantity: &str) -> i64 {
    let digits = quantity.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &quantity[digits.len()..] {
        "m" => 1,
        "" => 1000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "T" => 1_000_000_000_000_000,
        "Ki" => 1000 << 10,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        "Ti" => 1000 << 40,
        other => panic!("suffix {other:?} of {quantity:?} is not known here"),
    };
    digits.parse::<i64>().expect("an integer") * factor
}

fn integer(json: &Value) -> Option<i32> {
    json.as_i64().map(|n| i32::try_from(n).expect("32 bits"))
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}
