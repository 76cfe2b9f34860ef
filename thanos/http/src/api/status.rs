//! `/status/buildinfo` and Thanos' `/stores`.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Api, ok};
use crate::json::success;

/// `GET /api/v1/status/buildinfo`
pub(super) async fn buildinfo() -> Response {
    let data = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "application": "Gauntlet",
    });
    ok(success(&data.to_string(), &BTreeSet::new(), &BTreeSet::new()))
}

/// What this querier holds none of, answered as by a Prometheus that has none: clients ask for it as they start.
pub(super) fn none(data: &'static str) -> Response {
    ok(success(data, &BTreeSet::new(), &BTreeSet::new()))
}

/// `GET /api/v1/stores`: by component, as Thanos; one that never answered is `unknown`.
pub(super) async fn stores(State(api): State<Api>) -> Response {
    let mut by_component: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for status in api.backend.stores() {
        let info = status.info.as_ref();
        let component = info.map(|i| i.component.clone()).filter(|c| !c.is_empty());
        let sets = info.map(|i| &i.label_sets).into_iter().flatten();
        let labels = |set: &thanos_model::Labels| -> Value {
            set.iter()
                .map(|l| (l.name.to_string(), Value::from(&*l.value)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let time = |ms: i64| Timestamp::from_millisecond(ms).map(|t| t.to_string());
        let store = info.and_then(|i| i.store);
        by_component.entry(component.unwrap_or_else(|| "unknown".into())).or_default().push(json!({
            "name": status.name,
            "address": status.address,
            "lastCheck": status.last_check_ms.and_then(|ms| time(ms).ok()),
            "lastError": status.problem,
            "labelSets": sets.map(labels).collect::<Vec<_>>(),
            "minTime": store.map_or(0, |s| s.min_ms),
            "maxTime": store.map_or(0, |s| s.max_ms),
        }));
    }
    let data = serde_json::to_value(by_component).unwrap_or_default();
    ok(success(&data.to_string(), &BTreeSet::new(), &BTreeSet::new()))
}
