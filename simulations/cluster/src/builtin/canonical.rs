//! One object has one form: what may be written in several ways, or left out, is stored in one.
//!
//! The original does so by reading a body into its types and writing them again: quantities get their canonical
//! spelling, what is null, or zero where zero and absent are one, goes, and structures that are always there are
//! written though empty. Two spellings of one thing are then equal, and a write of what was read changes nothing.

use serde_json::{Map, Value, json};

use super::quantity::{MALFORMED, Quantity};
use crate::types::{Field, Message, Of, Shape};

/// Before types are read: quantities as text in their canonical spelling (`cpu: 1`, `cpu: 1000m`), and text that is
/// null, which stands for empty text.
///
/// # Errors
/// The words for a quantity that is none.
pub(crate) fn spell(value: &mut Value, message: &Message) -> Result<(), String> {
    let Value::Object(map) = value else { return Ok(()) };
    for (name, below) in map {
        if let Some(field) = message.field(name) {
            spell_field(below, field)?;
        }
    }
    Ok(())
}

fn spell_field(value: &mut Value, field: &Field) -> Result<(), String> {
    match (field.shape, value) {
        (Shape::One, value) => spell_one(value, field),
        (Shape::List, Value::Array(items)) => items.iter_mut().try_for_each(|item| spell_one(item, field)),
        (Shape::Map, Value::Object(map)) => map.values_mut().try_for_each(|value| {
            if value.is_null() && field.of == Of::Text {
                *value = json!("");
            }
            spell_one(value, field)
        }),
        _ => Ok(()),
    }
}

fn spell_one(value: &mut Value, field: &Field) -> Result<(), String> {
    if field.of != Of::Quantity {
        return field.message().map_or(Ok(()), |message| spell(value, message));
    }
    let text = match &*value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Ok(()),
    };
    let mut quantity = Quantity::parse(&text).ok_or(MALFORMED)?;
    if field.shape == Shape::Map {
        quantity = quantity.to_thousandths();
    }
    *value = json!(quantity.to_string());
    Ok(())
}

/// After types are read: what is absent in one way and there in one way.
pub(crate) fn settle(value: &mut Value, message: &Message) {
    let Value::Object(map) = value else { return };
    for field in message.shown() {
        match map.get_mut(field.name) {
            Some(Value::Null) => {
                map.remove(field.name);
            }
            Some(value) => {
                settle_field(value, field);
                if !field.pointer && !field.always && is_zero(value, field) {
                    map.remove(field.name);
                }
            }
            None => {}
        }
        fill(map, field);
    }
}

fn settle_field(value: &mut Value, field: &Field) {
    let Some(message) = field.message() else { return };
    match (field.shape, value) {
        (Shape::One, value) => settle(value, message),
        (Shape::List, Value::Array(items)) => items.iter_mut().for_each(|item| settle(item, message)),
        (Shape::Map, Value::Object(map)) => map.values_mut().for_each(|value| settle(value, message)),
        _ => {}
    }
}

fn is_zero(value: &Value, field: &Field) -> bool {
    match (field.shape, value) {
        (Shape::List, Value::Array(items)) => items.is_empty(),
        (Shape::Map, Value::Object(map)) => map.is_empty(),
        (Shape::One, Value::String(text)) => matches!(field.of, Of::Text | Of::Bytes) && text.is_empty(),
        (Shape::One, Value::Number(number)) => {
            matches!(field.of, Of::Integer | Of::Float) && number.as_f64() == Some(0.0)
        }
        (Shape::One, Value::Bool(flag)) => !flag,
        _ => false,
    }
}

/// Writes what is written though it is zero.
fn fill(map: &mut Map<String, Value>, field: &Field) {
    if map.contains_key(field.name) || field.shape != Shape::One || field.pointer || field.omit_zero {
        return;
    }
    let zero = match field.of {
        Of::Message(_) => {
            let mut empty = json!({});
            settle_field(&mut empty, field);
            empty
        }
        Of::Quantity => json!("0"),
        Of::Text if field.always => json!(""),
        Of::Integer if field.always => json!(0),
        Of::Boolean if field.always => json!(false),
        _ => return,
    };
    map.insert(field.name.to_owned(), zero);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::message;

    fn canonical(kind: &str, mut value: Value) -> Value {
        let message = message(kind).unwrap();
        spell(&mut value, message).unwrap();
        settle(&mut value, message);
        value
    }

    #[test]
    fn equal_spellings_are_one() {
        for (kind, one, other) in [
            (
                "ResourceRequirements",
                json!({"limits": {"cpu": "1000m", "memory": "1024Mi"}}),
                json!({"limits": {"cpu": 1, "memory": "1Gi"}}),
            ),
            (
                "Container",
                json!({"name": "c", "resources": {}, "env": [], "args": null, "tty": false}),
                json!({"name": "c"}),
            ),
            (
                "Container",
                json!({"name": "c", "ports": [{"containerPort": 1, "hostPort": 0, "name": ""}]}),
                json!({"name": "c", "ports": [{"containerPort": 1}]}),
            ),
            (
                "PodSpec",
                json!({"containers": [], "hostNetwork": false, "nodeSelector": {}, "affinity": null}),
                json!({"containers": []}),
            ),
            (
                "ConfigMap",
                json!({"data": {}, "metadata": {"labels": {}, "creationTimestamp": null}}),
                json!({}),
            ),
            ("ConfigMap", json!({"data": {"a": null}}), json!({"data": {"a": ""}})),
            (
                "DeploymentSpec",
                json!({"minReadySeconds": 0, "paused": false, "strategy": null}),
                json!({"strategy": {}}),
            ),
            (
                "ResourceFieldSelector",
                json!({"resource": "limits.cpu", "divisor": 0}),
                json!({"resource": "limits.cpu"}),
            ),
        ] {
            assert_eq!(canonical(kind, one.clone()), canonical(kind, other), "{kind} {one}");
        }
    }

    #[test]
    fn what_means_something_stays() {
        for (kind, value) in [
            ("DeploymentSpec", json!({"replicas": 0})),
            ("DeploymentSpec", json!({"revisionHistoryLimit": 0})),
            ("PodSpec", json!({"automountServiceAccountToken": false})),
            ("PodSpec", json!({"terminationGracePeriodSeconds": 0})),
            ("Container", json!({"securityContext": {}})),
            ("Volume", json!({"emptyDir": {}})),
            ("LabelSelectorRequirement", json!({"key": ""})),
            ("EnvVar", json!({"name": "A"})),
        ] {
            let read = canonical(kind, value.clone());
            for (name, given) in value.as_object().unwrap() {
                let kept = read.get(name);
                let same = kept == Some(given) || given.is_object() && kept.is_some();
                assert!(same, "{kind}: {value} became {read}");
            }
        }
        let read = canonical("Pod", json!({"spec": {"containers": [{"name": "c"}]}}));
        assert_eq!(read["spec"]["containers"][0], json!({"name": "c", "resources": {}}));
    }

    #[test]
    fn quantities_must_be_some() {
        let message = message("ResourceRequirements").unwrap();
        for wrong in [json!("1GiB"), json!("x"), json!("")] {
            let refused = spell(&mut json!({"limits": {"memory": wrong}}), message);
            assert_eq!(refused, Err(MALFORMED.to_owned()));
        }
        let mut small = json!({"requests": {"cpu": "0.0001"}});
        spell(&mut small, message).unwrap();
        assert_eq!(small["requests"]["cpu"], "1m");
    }
}
