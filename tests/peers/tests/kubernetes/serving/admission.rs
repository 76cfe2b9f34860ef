//! The webhook.

use super::*;

const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

/// As in manifests/components/webhook, but for where it is: there are no Services here. And `Fail`, so that a call that
/// goes wrong is seen.
fn configuration(at: &[&Address]) -> Value {
    let webhook = |(i, at): (usize, &&Address)| {
        json!({
            "name": format!("scalingpolicies-{i}.autoscaling.gauntlet.dev"),
            "clientConfig": {"url": format!("https://{}/validate", at.port(8443))},
            "rules": [{
                "apiGroups": ["autoscaling.gauntlet.dev"], "apiVersions": ["v1alpha1"],
                "operations": ["CREATE", "UPDATE"], "resources": ["scalingpolicies"], "scope": "Namespaced",
            }, {
                "apiGroups": ["autoscaling"], "apiVersions": ["v2"],
                "operations": ["CREATE", "UPDATE"], "resources": ["horizontalpodautoscalers"], "scope": "Namespaced",
            }],
            "failurePolicy": "Fail", "matchPolicy": "Equivalent", "sideEffects": "None", "timeoutSeconds": 5,
            "admissionReviewVersions": ["v1"],
        })
    };
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "gauntlet-autoscaler"}, "webhooks": at.iter().enumerate().map(webhook).collect::<Vec<_>>(),
    })
}

/// Waits until what was created is known to the webhook: a second one on the target is refused.
async fn is_known(client: &Client, second: &Value) -> Reply {
    eventually(async || {
        let reply = create(client, &format!("{POLICIES}?dryRun=All"), second).await;
        (reply.code != 201).then_some(reply)
    })
    .await
}

pub(crate) async fn policies_are_judged(dir: &Path, binaries: Binaries) {
    let (plane, client) = stand(dir, binaries).await;
    let at = Address::claim();
    made(&client, CONFIGURATIONS, &configuration(&[&at])).await;
    // Before there is a webhook, calls fail: the tests below do see one.
    assert_eq!(create(&client, POLICIES, &policy("early", "early")).await.code, 500);
    let name = format!("--cert-name={at}");
    let mut webhook = start("webhook", "webhook", dir, &plane, &at, &[&name]);
    webhook.ready(&format!("{}/ready", at.url(9095))).await;

    eventually(async || (create(&client, POLICIES, &policy("first", "web")).await.code == 201).then_some(()))
        .await;
    let refused = is_known(&client, &policy("second", "web")).await;
    assert_eq!(refused.code, 422, "{refused:?}");
    for expected in [
        "admission webhook \"scalingpolicies-0.autoscaling.gauntlet.dev\" denied the request",
        "ScalingPolicy \"second\" has 1 problem",
        "Deployment web is already scaled by the active policy first",
        "keep one, or write mode: Shadow or Paused",
    ] {
        assert!(refused.message().contains(expected), "{}", refused.message());
    }

    let with = |path: &str, value: Value| {
        let mut object = policy("other", "api");
        *object.pointer_mut(path).unwrap() = value;
        object
    };
    // What the schema's own rules refuse never comes to the webhook; these do.
    for (object, expected) in [
        (with("/spec/metrics/0/query", json!("sum(rate(request_total[1m])")), "spec.metrics[0].query: "),
        (with("/spec/metrics/0/query", json!("vector(1)")), "reads no series"),
        (with("/spec/interval", json!("1ms")), "spec.interval: 1ms is out of range"),
        (with("/spec/metrics/0/target/averageValue", json!("0")), "spec.metrics[0].target.averageValue"),
    ] {
        let reply = create(&client, POLICIES, &object).await;
        assert_eq!(reply.code, 422, "{reply:?}");
        assert!(reply.message().contains(expected), "{}", reply.message());
    }
    let bounds = create(&client, POLICIES, &with("/spec/minReplicas", json!(21))).await;
    assert_eq!(bounds.code, 422, "{bounds:?}");
    assert!(bounds.message().contains("minReplicas must not be above maxReplicas"), "{}", bounds.message());
    // All at once.
    let mut all = policy("second", "web");
    all["spec"]["interval"] = json!("1ms");
    all["spec"]["metrics"][0]["query"] = json!("sum(");
    let reply = create(&client, POLICIES, &all).await;
    assert!(reply.message().contains("has 3 problems"), "{}", reply.message());

    // A good one is admitted, with a warning for what is only a note.
    let noted =
        create(&client, POLICIES, &with("/spec/metrics/0/query", json!("sum(job:requests:rate5m)"))).await;
    assert_eq!(noted.code, 201, "{noted:?}");
    assert!(noted.warnings.iter().any(|w| w.contains("looks recorded")), "{:?}", noted.warnings);

    // An HPA on the target.
    let hpa = json!({
        "metadata": {"name": "front"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "front"}, "maxReplicas": 3},
    });
    let hpas = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
    made(&client, hpas, &hpa).await;
    // One that comes after a policy, in whatever version.
    let late = |version: &str| {
        json!({
            "apiVersion": format!("autoscaling/{version}"), "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "late"},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 3},
        })
    };
    for version in ["v1", "v2"] {
        let reply = create(&client, &hpas.replace("v2", version), &late(version)).await;
        assert_eq!(reply.code, 422, "{reply:?}");
        let words = "Deployment web is already scaled by the active policy first";
        assert!(reply.message().contains(words), "{}", reply.message());
    }
    let refused = is_known(&client, &policy("front", "front")).await;
    assert!(
        refused.message().contains("delete the HPA front, or write mode: Shadow"),
        "{}",
        refused.message()
    );
    let mut shadow = policy("front", "front");
    shadow["spec"]["mode"] = json!("Shadow");
    made(&client, POLICIES, &shadow).await;

    // What leaves the spec as it is is never refused: `first` is broken behind the webhook's back, then labelled, given
    // a status, paused and deleted.
    let at_first = format!("{POLICIES}/first");
    send(&client, "DELETE", &format!("{CONFIGURATIONS}/gauntlet-autoscaler"), &Value::Null, None).await;
    let broken = json!({"spec": {"metrics": [{"name": "m", "query": "sum(", "target": {"type": "Value", "value": "1"}}]}});
    eventually(async || (send(&client, "PATCH", &at_first, &broken, None).await.code == 200).then_some(()))
        .await;
    made(&client, CONFIGURATIONS, &configuration(&[&at])).await;
    // The webhook looks twice a minute whether it is trusted.
    eventually(async || {
        (create(&client, &format!("{POLICIES}?dryRun=All"), &all).await.code == 422).then_some(())
    })
    .await;
    for (path, change) in [
        (at_first.clone(), json!({"metadata": {"labels": {"a": "b"}, "finalizers": ["example.com/x"]}})),
        (format!("{at_first}/status"), json!({"status": {"currentReplicas": 1}})),
        (at_first.clone(), json!({"spec": {"mode": "Paused"}})),
    ] {
        let reply = send(&client, "PATCH", &path, &change, None).await;
        assert_eq!(reply.code, 200, "{reply:?}");
    }
    let deleted = send(&client, "DELETE", &at_first, &Value::Null, None).await;
    assert_eq!(deleted.code, 200, "{deleted:?}");
    let freed = send(&client, "PATCH", &at_first, &json!({"metadata": {"finalizers": null}}), None).await;
    assert_eq!(freed.code, 200, "{freed:?}");
    assert!(webhook.terminate().await.success(), "it ends in order");
}

/// Two replicas share a Secret and are called one after the other at every request; certificates are renewed every 7 s
/// and authorities every 20 s, and no call fails.
pub(crate) async fn replicas_take_turns_unnoticed(dir: &Path, binaries: Binaries) {
    let (plane, client) = stand(dir, binaries).await;
    let (one, two) = (Address::claim(), Address::claim());
    made(&client, CONFIGURATIONS, &configuration(&[&one, &two])).await;
    let names = [format!("--cert-name={one}"), format!("--cert-name={two}")];
    let flags: Vec<&str> = names.iter().map(String::as_str).chain(SHORT).collect();
    let mut first = start("webhook-1", "webhook", dir, &plane, &one, &flags);
    let mut second = start("webhook-2", "webhook", dir, &plane, &two, &flags);
    first.ready(&format!("{}/ready", one.url(9095))).await;
    second.ready(&format!("{}/ready", two.url(9095))).await;
    let secret = "/api/v1/namespaces/default/secrets/autoscaler-webhook-cert";
    let (mut leaves, mut authorities) = (Vec::new(), Vec::new());
    let mut calls = 0;
    eventually(async || {
        let reply = create(&client, &format!("{POLICIES}?dryRun=All"), &policy("a", "a")).await;
        (reply.code == 201).then_some(())
    })
    .await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(50) {
        let reply = create(&client, &format!("{POLICIES}?dryRun=All"), &policy("a", "a")).await;
        assert_eq!(reply.code, 201, "after {:?} and {calls} calls: {reply:?}", began.elapsed());
        calls += 1;
        let data = send(&client, "GET", secret, &Value::Null, None).await.body["data"].clone();
        for (seen, key) in [(&mut leaves, "tls.crt"), (&mut authorities, "ca.key")] {
            if seen.last() != Some(&data[key]) {
                seen.push(data[key].clone());
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tracing::info!(calls, certificates = leaves.len(), authorities = authorities.len(), "renewed");
    assert!(leaves.len() >= 5 && authorities.len() >= 3, "{} and {}", leaves.len(), authorities.len());
}
