use super::*;

/// A Deployment that may go to zero, with a metric beside a formula.
fn with(change: impl FnOnce(&mut Value)) -> ScalingPolicy {
    policy(|s| {
        s["scaleTargetRef"]["kind"] = json!("Deployment");
        s.as_object_mut().unwrap().remove("ring");
        s["minReplicas"] = json!(0);
        s["maxReplicas"] = json!(20);
        s["zero"] = json!({"cooldown": "2m", "initialCooldown": "10m"});
        s["metrics"] = json!([
            {"name": "queue", "query": "sum(queue)", "activation": "5",
             "target": {"type": "AverageValue", "averageValue": "50"}},
            {"name": "workers-busy", "query": "sum(busy)"},
        ]);
        s["formula"] = json!({"expression": "queue + metrics[\"workers-busy\"] * 2", "activation": "10",
                              "target": {"type": "AverageValue", "averageValue": "20"}});
        s["schedules"] = json!([
            {"name": "office", "timeZone": "Europe/Berlin", "start": "0 8 * * 1-5", "end": "0 18 * * 1-5",
             "minReplicas": 5},
            {"name": "night", "start": "0 22 * * *", "end": "0 6 * * *", "maxReplicas": 3},
        ]);
        s["pause"] = json!({"scaleDown": true});
        s["onDelete"] = json!("Restore");
        change(s);
    })
}

#[test]
fn all_of_it_together_is_sound() {
    let policy = with(|_| {});
    assert_eq!(validate(&policy), []);
    assert_eq!(policy.spec.schedules[1].time_zone, "UTC");
    let document = serde_json::to_value(&policy).unwrap();
    assert_eq!(crate::schema::check(&document), []);
    assert_eq!(serde_json::from_value::<ScalingPolicy>(document).unwrap(), policy);
}

#[test]
fn each_contradiction_of_the_terms_is_named_with_its_cure() {
    let schedule = |s: &mut Value, key: &str, value: Value| s["schedules"][0][key] = value;
    let cases: Vec<(ScalingPolicy, &str)> = vec![
        (
            with(|s| {
                s["onDelete"] = json!("Restore");
                s["ring"] = json!({"configMap": "ring", "address": "{pod}:10901", "replicationFactor": 1});
            }),
            "spec.onDelete: Restore would change a ring's replicas without its members",
        ),
        (
            with(|s| s["minReplicas"] = json!(1)),
            "spec.zero: says how the last replica goes, but minReplicas is 1; write minReplicas: 0, or remove zero",
        ),
        (with(|s| s["maxReplicas"] = json!(0)), "spec.maxReplicas: 0 is below 1; write 1 or more"),
        (
            with(|s| s["zero"]["cooldown"] = json!("2d")),
            "spec.zero.cooldown: 2d is out of range; write a duration from 0s to 1d",
        ),
        (with(|s| s["zero"]["initialCooldown"] = json!("soon")), "spec.zero.initialCooldown: not a duration"),
        (
            with(|s| s["metrics"][0]["activation"] = json!("-1")),
            "spec.metrics[0].activation: -1 is out of range; write a quantity of 0 or more",
        ),
        (
            with(|s| s["metrics"][1]["activation"] = json!("1")),
            "spec.metrics[1].activation: is of no account, since the metric has no target and asks for nothing by itself; write spec.formula.activation",
        ),
        (
            policy(|s| s["minReplicas"] = json!(0)),
            "spec.minReplicas: 0 would leave a ring without members; write at least ring.replicationFactor",
        ),
        (
            with(|s| schedule(s, "name", json!("night"))),
            "spec.schedules[1].name: \"night\" is empty or used twice",
        ),
        (
            with(|s| schedule(s, "start", json!("0 8 * *"))),
            "spec.schedules[0].start: it has 4 fields and not 5",
        ),
        (
            with(|s| schedule(s, "end", json!("0 25 * * *"))),
            "spec.schedules[0].end: hour \"25\" is not understood: \"25\" is not from 0 to 23; write five fields",
        ),
        (
            with(|s| schedule(s, "end", json!("0 8 * * 1-5"))),
            "spec.schedules[0].end: it comes whenever start does; let it come later",
        ),
        (
            with(|s| schedule(s, "timeZone", json!("Berlin"))),
            "spec.schedules[0].timeZone: \"Berlin\" is unknown; write a name of the IANA",
        ),
        (
            with(|s| schedule(s, "minReplicas", Value::Null)),
            "spec.schedules[0]: changes nothing; write minReplicas, maxReplicas or both",
        ),
        (
            with(|s| schedule(s, "maxReplicas", json!(4))),
            "spec.schedules[0].minReplicas: 5 is above its maxReplicas 4; swap",
        ),
        (
            with(|s| schedule(s, "minReplicas", json!(21))),
            "spec.schedules[0].minReplicas: 21 is not from 0 to spec.maxReplicas 20, which schedules do not go beyond; raise",
        ),
        (
            with(|s| {
                s["minReplicas"] = json!(4);
                s.as_object_mut().unwrap().remove("zero");
            }),
            "spec.schedules[1].maxReplicas: 3 is below spec.minReplicas 4, which schedules do not go beyond; lower",
        ),
        (
            with(|s| s["pause"] = json!({"replicas": 21})),
            "spec.pause.replicas: 21 is out of range; write a number from 0 to 20",
        ),
        (
            with(|s| {
                s["pause"] = json!({"replicas": 3});
                s["mode"] = json!("Paused");
            }),
            "spec.pause.replicas: asks for 3 replicas, but mode Paused keeps those that are there; write mode: Active",
        ),
        (
            policy(|s| s["pause"] = json!({"replicas": 1})),
            "spec.pause.replicas: 1 is below ring.replicationFactor 2; keep",
        ),
        (
            with(|s| s["formula"]["expression"] = json!("queue +")),
            "spec.formula.expression: column 8: here stands the end, and not a number",
        ),
        (
            with(|s| s["formula"]["expression"] = json!("queue - workers")),
            "spec.formula.expression: column 9: there is no metric \"workers\"; the policy has queue, workers-busy",
        ),
        (
            with(|s| s["formula"]["expression"] = json!("queue * 2")),
            "spec.metrics[1].target: is missing, and the formula does not read \"workers-busy\"; say",
        ),
        (
            with(|s| s["formula"]["target"] = json!({"type": "Value"})),
            "spec.formula.target.value: is missing for type Value",
        ),
        (
            with(|s| s["formula"]["activation"] = json!("many")),
            "spec.formula.activation: \"many\" is not a quantity",
        ),
        (
            with(|s| drop(s.as_object_mut().unwrap().remove("formula"))),
            "spec.metrics[1].target: is missing, and there is no formula that reads \"workers-busy\"; say",
        ),
    ];
    for (policy, expected) in cases {
        let problems: Vec<String> = validate(&policy).iter().map(ToString::to_string).collect();
        assert!(problems.iter().any(|p| p.contains(expected)), "{expected}: {problems:?}");
    }
}
