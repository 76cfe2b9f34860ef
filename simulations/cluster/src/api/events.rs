//! Events have two groups and one store: core/v1's form is kept, events.k8s.io/v1 is converted.

use serde_json::{Value, json};

use crate::object;

/// (core/v1, events.k8s.io/v1)
const FIELDS: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

pub(crate) fn from_core(event: &Value) -> Value {
    let mut event = event.clone();
    let map = object::map_mut(&mut event);
    for (core, new) in FIELDS {
        if let Some(value) = map.remove(*core) {
            map.insert((*new).to_owned(), value);
        }
    }
    map.insert("apiVersion".into(), json!("events.k8s.io/v1"));
    event
}

pub(crate) fn to_core(mut event: Value) -> Value {
    let map = object::map_mut(&mut event);
    for (core, new) in FIELDS {
        if let Some(value) = map.remove(*new) {
            map.insert((*core).to_owned(), value);
        }
    }
    map.insert("apiVersion".into(), json!("v1"));
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let core = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "message": "m",
            "involvedObject": {"kind": "Pod"}, "reason": "R", "reportingComponent": "c", "count": 2});
        let new = from_core(&core);
        assert_eq!(new["note"], "m");
        assert_eq!(new["regarding"]["kind"], "Pod");
        assert_eq!(to_core(new), core);
    }
}
