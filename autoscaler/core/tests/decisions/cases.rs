//! Single decisions that once went wrong, each in few words; and as they were recorded then.

use autoscaler_core::{LimitKind, Recorded, Replay, explain, replay};
use serde_json::{Value, json};

/// A record of version 1: eight replicas, one metric with a window, both clusters a second old.
fn record(change: impl Fn(&mut Value)) -> Value {
    let now = 1_800_000_000_000_i64;
    let mut record = json!({
        "version": 1,
        "input": {
            "nowMs": now,
            "policy": {
                "minReplicas": 1, "maxReplicas": 100, "behavior": null, "mode": "Active", "intervalMs": 1000,
                "metrics": [{
                    "name": "requests", "fallback": null,
                    "target": {"type": "AverageValue", "averageValueMilli": 10000},
                    "evidence": {"maxAgeMs": 20000, "clusters": ["east", "west"], "windowMs": 30000},
                }],
                "defaults": {
                    "tolerance": "0.1", "downscaleWindowMs": 300_000, "scaleUpLimitFactor": 2,
                    "scaleUpLimitMinimum": 4,
                },
            },
            "scale": {"specReplicas": 8, "statusReplicas": 8, "readyReplicas": 8},
            "observations": [{
                "name": "requests", "reading": {"value": "40"}, "seriesCount": 1,
                "newestSampleAgeMs": {"east": 1000, "west": 1000}, "warnings": [],
            }],
            "history": {
                "recommendations": [], "scaleUpEvents": [], "scaleDownEvents": [], "insufficientSinceMs": {},
                "support": {
                    "clockMs": 200_000, "decidedMs": now - 1000,
                    "asked": [{"untilMs": 200_000, "replicas": 4}],
                },
            },
        },
        "decision": {
            "desiredReplicas": 0, "write": null, "cause": "as it was told", "limits": [], "conditions": [],
            "metrics": [], "history": {},
        },
    });
    change(&mut record["input"]);
    record
}

fn read(record: &Value) -> Replay {
    replay(&serde_json::to_vec(record).expect("JSON")).expect("a record")
}

/// What is written, and the first doubt.
fn decided(record: &Value) -> (Option<i32>, String) {
    let replayed = read(record);
    let Recorded::Older(older) = &replayed.recorded else { panic!("it is of version 1") };
    assert_eq!((older.version, older.cause.as_str(), replayed.identical), (1, "as it was told", false));
    assert!(!explain(&replayed.input, &replayed.decision).is_empty());
    let doubts = replayed.decision.metrics[0].evidence.doubts().first().map(ToString::to_string);
    (replayed.decision.write, doubts.unwrap_or_default())
}

#[test]
fn sound_evidence_lowers() {
    assert_eq!(decided(&record(|_| ())), (Some(4), String::new()));
}

#[test]
fn a_cluster_that_lags_within_max_age_does_not_lower() {
    let lags = record(|input| {
        input["observations"][0]["reading"] = json!({"value": "54"});
        input["observations"][0]["newestSampleAgeMs"]["west"] = json!(20_000);
        input["history"]["recommendations"] = json!([{"atMs": 1_799_999_600_000_i64, "replicas": 8}]);
        input["history"]["support"]["asked"] =
            json!([{"untilMs": 140_000, "replicas": 8}, {"untilMs": 200_000, "replicas": 6}]);
    });
    let words = "cluster west's samples end 20s before the evaluation, more than 3s, so its value is too low";
    assert_eq!(decided(&lags), (None, words.to_owned()));
}

#[test]
fn an_info_is_no_warning_and_a_warning_of_the_query_is_no_gap() {
    let said = |text: &str| record(|input| input["observations"][0]["warnings"] = json!([text]));
    let info = "PromQL info: metric might not be a counter, name does not end in _total: \"requests\"";
    assert_eq!(decided(&said(info)), (Some(4), String::new()));
    let (write, doubt) = decided(&said("PromQL warning: bucket label \"le\" is missing"));
    assert_eq!(write, None);
    assert!(doubt.starts_with("the querier said of the query:"), "{doubt}");
}

#[test]
fn evidence_that_was_not_obtained_begins_no_gap() {
    let lost = record(|input| {
        input["policy"]["metrics"][0]["evidence"]["windowMs"] = json!(300_000);
        input["observations"][0]["newestSampleAgeMs"] = json!({"east": null, "west": null});
        input["observations"][0]["warnings"] =
            json!(["no evidence from max by (cluster) (timestamp(x)): timed out"]);
    });
    let (write, doubt) = decided(&lost);
    assert_eq!(write, None);
    assert!(doubt.contains("could not be asked for") && doubt.contains("timed out"), "{doubt}");
    let next = record(|input| {
        input["policy"]["metrics"][0]["evidence"]["windowMs"] = json!(300_000);
        input["history"]["insufficientSinceMs"] = json!({"requests": 1_799_999_999_000_i64});
        input["history"]["refillingSinceMs"] = json!({"requests": null});
    });
    assert_eq!(decided(&next), (Some(4), String::new()));
}

#[test]
fn a_gap_that_lasted_is_waited_for() {
    for (insufficient_s, refilling) in [(60, Value::Null), (60, json!(1_799_999_990_000_i64))] {
        let gap = record(|input| {
            let since_ms = 1_800_000_000_000_i64 - insufficient_s * 1000;
            input["history"]["insufficientSinceMs"] = json!({"requests": since_ms});
            input["history"]["refillingSinceMs"] = json!({ "requests": refilling });
            input["history"]["support"]["asked"] = json!([{"untilMs": 200_000, "replicas": 8}]);
        });
        let replayed = read(&gap);
        let limit = &replayed.decision.limits[0];
        assert_eq!((replayed.decision.write, limit.kind), (None, LimitKind::EvidenceTooShort));
        assert!(limit.wait.is_some_and(|wait| wait.left_ms >= 19_000), "{limit:?}");
    }
}

#[test]
fn a_static_fallback_does_not_fire_while_samples_are_fresh() {
    let fallback = record(|input| {
        let metric = &mut input["policy"]["metrics"][0];
        metric["evidence"]["windowMs"] = json!(300_000);
        metric["fallback"] = json!({"afterMs": 180_000, "replicas": 10, "behavior": "Static"});
        input["policy"]["behavior"] = json!({"scaleUp": null, "scaleDown": {
            "stabilizationWindowSeconds": 60, "selectPolicy": null, "policies": null, "tolerance": null}});
        input["scale"] = json!({"specReplicas": 30, "statusReplicas": 30, "readyReplicas": 30});
        input["observations"][0]["reading"] = json!({"value": "300"});
        input["history"]["insufficientSinceMs"] = json!({"requests": 1_799_999_800_000_i64});
        input["history"]["refillingSinceMs"] = json!({"requests": 1_799_999_801_000_i64});
        input["history"]["support"]["asked"] = json!([{"untilMs": 200_000, "replicas": 30}]);
    });
    assert_eq!(decided(&fallback), (None, String::new()));
}

#[test]
fn a_rollouts_surge_orders_nothing() {
    let surge = record(|input| {
        input["policy"]["maxReplicas"] = json!(200);
        input["scale"] = json!({"specReplicas": 100, "statusReplicas": 115, "readyReplicas": 105});
        input["observations"][0]["reading"] = json!({"value": "1050"});
        input["history"]["support"]["asked"] = json!([{"untilMs": 200_000, "replicas": 100}]);
    });
    assert_eq!(decided(&surge), (None, String::new()));
}

#[test]
fn a_series_without_a_cluster_label_has_no_name_in_sentences() {
    let unnamed = record(|input| {
        input["policy"]["metrics"][0]["evidence"]["clusters"] = json!([]);
        input["observations"][0]["newestSampleAgeMs"] = json!({"": 30_000});
    });
    assert_eq!(decided(&unnamed), (None, "its newest sample is 30s old, more than 20s".to_owned()));
}
