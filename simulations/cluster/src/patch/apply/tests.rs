use super::*;

fn manager(name: &str, operation: &'static str) -> Manager {
    Manager { name: name.into(), operation, subresource: String::new() }
}

fn typing() -> Typing<'static> {
    Typing::of_kind("Deployment")
}

fn deployment(replicas: Option<i64>, containers: Value) -> Value {
    let mut d = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"template": {"spec": {"containers": containers}}}});
    if let Some(n) = replicas {
        d["spec"]["replicas"] = json!(n);
    }
    d
}

#[test]
fn what_is_no_longer_applied_goes_and_what_others_own_stays() {
    let two = json!([{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]);
    let first =
        apply(None, &deployment(Some(2), two), typing(), &manager("x", "Apply"), false, "t", Value::clone)
            .unwrap();
    let one = json!([{"name": "a", "image": "2"}]);
    let second = apply(
        Some(&first),
        &deployment(None, one.clone()),
        typing(),
        &manager("x", "Apply"),
        false,
        "t",
        Value::clone,
    )
    .unwrap();
    assert_eq!(object::at(&second, &["spec", "replicas"]), None, "owned by nobody else");
    assert_eq!(object::list(&second, &["spec", "template", "spec", "containers"]), one.as_array().unwrap());

    // An updater scales: the replicas are now its own, and an apply without them leaves them.
    let mut scaled = first.clone();
    scaled["spec"]["replicas"] = json!(9);
    track_update(Some(&first), &mut scaled, typing(), &manager("scaler", "Update"), "t");
    let third = apply(
        Some(&scaled),
        &deployment(None, one.clone()),
        typing(),
        &manager("x", "Apply"),
        false,
        "t",
        Value::clone,
    )
    .unwrap();
    assert_eq!(object::int(&third, &["spec", "replicas"]), Some(9));

    // Wanting another value is a conflict, which force settles.
    let wants = deployment(Some(3), one);
    let refused =
        apply(Some(&scaled), &wants, typing(), &manager("x", "Apply"), false, "t", Value::clone).unwrap_err();
    assert_eq!((refused.code, refused.reason), (409, "Conflict"));
    assert!(refused.message.contains("\"scaler\" using apps/v1 at t: .spec.replicas"), "{}", refused.message);
    let forced =
        apply(Some(&scaled), &wants, typing(), &manager("x", "Apply"), true, "t", Value::clone).unwrap();
    assert_eq!(object::int(&forced, &["spec", "replicas"]), Some(3));
    assert!(!forced["metadata"]["managedFields"].to_string().contains("scaler"), "it owns nothing any more");
}

#[test]
fn applying_the_same_twice_changes_nothing() {
    let wanted = deployment(Some(2), json!([{"name": "a", "ports": [{"containerPort": 80}]}]));
    let mut first = apply(None, &wanted, typing(), &manager("x", "Apply"), false, "t", Value::clone).unwrap();
    // The server's defaults are nobody's.
    first["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = json!("TCP");
    let second =
        apply(Some(&first), &wanted, typing(), &manager("x", "Apply"), false, "t", Value::clone).unwrap();
    assert_eq!(first, second);
}
