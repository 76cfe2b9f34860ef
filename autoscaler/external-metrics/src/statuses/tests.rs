use proptest::prelude::*;
use serde_json::json;

use super::*;

/// 2026-01-01T00:00:00Z.
const NOON_MS: i64 = 1_767_225_600_000;

fn policy(status: Json) -> Json {
    json!({
        "metadata": {"namespace": "shop", "name": "web", "generation": 3},
        "spec": {"interval": "5s", "metrics": [{"name": "requests"}, {"name": "latency"}]},
        "status": status,
    })
}

fn status(metric: Json) -> Json {
    json!({"observedGeneration": 3, "lastEvaluationTime": "2026-01-01T00:00:00Z", "metrics": [metric]})
}

fn sound() -> Json {
    json!({"name": "requests", "value": "120.5", "age": "2s500ms", "sufficient": true})
}

fn ask(policy: &Json, now_ms: i64) -> Result<Value, Why> {
    let mut statuses = Statuses::new(10_000);
    statuses.all([policy]);
    statuses.get("shop", "web", "requests", now_ms)
}

#[test]
fn a_sound_and_fresh_value_is_given_with_the_time_of_its_samples() {
    let value = ask(&policy(status(sound())), NOON_MS + 15_000).unwrap();
    assert_eq!(value, Value { milli: 120_500, at_ms: NOON_MS - 2_500 });
}

#[test]
fn whatever_is_in_doubt_is_no_value_and_says_which_doubt() {
    let with = |key: &str, value: Json| {
        let mut metric = sound();
        metric[key] = value;
        policy(status(metric))
    };
    let changed = |path: &str, value: Json| {
        let mut object = policy(status(sound()));
        *object.pointer_mut(path).unwrap() = value;
        object
    };
    for (what, object, now_ms, code, expected) in [
        ("late", policy(status(sound())), NOON_MS + 15_001, 503, "15s1ms ago, and 15s are allowed"),
        ("ahead", policy(status(sound())), NOON_MS - 10_001, 503, "10s1ms ahead of the clock"),
        (
            "doubted",
            {
                let mut object = with("sufficient", json!(false));
                object["status"]["metrics"][0]["message"] =
                    json!("cluster west is missing (look at its scraper)");
                object
            },
            NOON_MS,
            503,
            "insufficient: cluster west is missing (look at its scraper)",
        ),
        ("no value", with("value", Json::Null), NOON_MS, 503, "gave no value"),
        ("NaN", with("value", json!("NaN")), NOON_MS, 503, "NaN is none"),
        ("Inf", with("value", json!("+Inf")), NOON_MS, 503, "+Inf is none"),
        ("too large", with("value", json!("1e30")), NOON_MS, 503, "1e30 is none"),
        ("other spec", changed("/metadata/generation", json!(4)), NOON_MS, 503, "has not evaluated"),
        ("no time", changed("/status/lastEvaluationTime", Json::Null), NOON_MS, 503, "has not evaluated"),
        ("never", policy(Json::Null), NOON_MS, 503, "has not evaluated"),
        ("unreadable", policy(json!({"metrics": 1})), NOON_MS, 503, "has not evaluated"),
        (
            "no such metric",
            changed("/spec/metrics", json!([{"name": "other"}])),
            NOON_MS,
            404,
            "it has other",
        ),
        ("no such policy", changed("/metadata/name", json!("other")), NOON_MS, 404, "no such ScalingPolicy"),
    ] {
        let why = ask(&object, now_ms).unwrap_err();
        assert_eq!(why.code().0, code, "{what}");
        assert!(why.to_string().contains(expected), "{what}: {why}");
    }
    let unknown = Statuses::new(0).get("shop", "web", "requests", 0).unwrap_err();
    assert_eq!((unknown.code().0, &unknown), (503, &Why::NotListed));
}

#[test]
fn a_newer_value_raises_and_does_not_lower() {
    for (newest, expected) in [("130", 130_000), ("90", 120_500), ("NaN", 120_500)] {
        let mut metric = sound();
        metric["newest"] = json!(newest);
        assert_eq!(ask(&policy(status(metric)), NOON_MS).unwrap().milli, expected, "{newest}");
    }
}

#[test]
fn policies_are_found_by_their_metrics() {
    let mut statuses = Statuses::new(0);
    statuses.all([&policy(Json::Null)]);
    let mut other = policy(Json::Null);
    other["metadata"]["name"] = json!("api");
    statuses.put(&other);
    assert_eq!(statuses.policies_with("shop", "requests"), ["api", "web"]);
    statuses.remove("shop", "api");
    assert_eq!(statuses.policies_with("shop", "requests"), ["web"]);
    statuses.remove("shop", "web");
    assert!(statuses.policies.is_empty());
}

proptest! {
    /// The headline: no value leaves unless everything that the controller said of it is sound and lately said.
    #[test]
    fn a_value_is_sufficient_fresh_and_of_this_spec(
        sufficient in any::<bool>(),
        since_ms in -30_000_i64..60_000,
        generation in 2_i64..5,
        value in prop_oneof![any::<f64>().prop_map(|v| v.to_string()), Just("x".to_owned()), (-1e6..1e6).prop_map(|v: f64| v.to_string())],
    ) {
        let mut object = policy(status(json!({"name": "requests", "value": value, "sufficient": sufficient})));
        object["metadata"]["generation"] = json!(generation);
        if let Ok(given) = ask(&object, NOON_MS + since_ms) {
            prop_assert!(sufficient && generation == 3 && (-AHEAD_MS..=15_000).contains(&since_ms));
            let true_value: f64 = value.parse().expect("a number");
            prop_assert!((given.milli as f64 / 1000.0 - true_value).abs() <= 0.0005 + true_value.abs() * 1e-12);
        }
    }
}
