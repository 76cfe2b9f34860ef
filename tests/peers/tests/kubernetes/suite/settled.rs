//! One object has one form: equal spellings are no change, and what may be left out is filled in.

use serde_json::{Value, json};

use super::objects::deployment;
use crate::subject::Subject;

fn container(object: &Value) -> &Value {
    &object["spec"]["template"]["spec"]["containers"][0]
}

pub(crate) async fn defaults_are_written(s: Subject) {
    let mut object = deployment("d");
    object["spec"]["template"]["spec"]["containers"][0] = json!({"name": "c", "image": "i:1",
        "ports": [{"containerPort": 80}], "readinessProbe": {"httpGet": {"port": 80}}});
    let made = s.post(&s.apps("deployments"), &object).await.body;
    let c = container(&made);
    for (field, expected) in [
        ("terminationMessagePath", json!("/dev/termination-log")),
        ("terminationMessagePolicy", json!("File")),
        ("imagePullPolicy", json!("IfNotPresent")),
        ("resources", json!({})),
        ("ports", json!([{"containerPort": 80, "protocol": "TCP"}])),
        (
            "readinessProbe",
            json!({"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1,
                "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}),
        ),
    ] {
        assert_eq!(c[field], expected, "{field}: {c}");
    }
    let pod = &made["spec"]["template"]["spec"];
    for (field, expected) in [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("securityContext", json!({})),
        ("terminationGracePeriodSeconds", json!(30)),
    ] {
        assert_eq!(pod[field], expected, "{field}");
    }
    let strategy =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
    assert_eq!(made["spec"]["strategy"], strategy);
    let service = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}});
    let made = s.post(&s.core("services"), &service).await.body;
    assert_eq!(made["spec"]["ports"], json!([{"port": 80, "protocol": "TCP", "targetPort": 80}]));
    assert_eq!(
        (&made["spec"]["type"], &made["spec"]["sessionAffinity"]),
        (&json!("ClusterIP"), &json!("None"))
    );
    assert_eq!(made["spec"]["internalTrafficPolicy"], "Cluster");
}

pub(crate) async fn equal_spellings_are_no_change(s: Subject) {
    let mut object = deployment("d");
    object["spec"]["template"]["spec"]["containers"][0]["resources"] =
        json!({"limits": {"cpu": 1, "memory": "1024Mi"}, "requests": {"cpu": "0.5"}});
    let made = s.post(&s.apps("deployments"), &object).await.body;
    let resources = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}});
    assert_eq!(container(&made)["resources"], resources, "{made}");
    let path = s.apps("deployments/d");
    let spec = |pod: Value| json!({"spec": {"template": {"spec": pod}}});
    let respelled = json!([{"name": "c", "image": "shell", "env": [], "args": null, "stdin": false,
        "resources": {"limits": {"cpu": "1000m", "memory": "1Gi"}, "requests": {"cpu": "500m"}}}]);
    for (how, patch) in [
        ("merge", spec(json!({"containers": respelled}))),
        ("strategic", spec(json!({"containers": respelled}))),
        (
            "merge",
            spec(json!({"hostNetwork": false, "nodeSelector": {}, "securityContext": {}, "volumes": null})),
        ),
        ("merge", json!({"spec": {"minReadySeconds": 0, "paused": false}})),
    ] {
        let same = s.patch(how, &path, &patch).await.body;
        assert_eq!(same["metadata"]["generation"], 1, "{how} {patch}: {same}");
        assert_eq!(same["spec"], made["spec"], "{how} {patch}");
    }
    let changed = s.patch("merge", &path, &json!({"spec": {"revisionHistoryLimit": 0}})).await.body;
    assert_eq!(changed["metadata"]["generation"], 2, "zero is a value where a type says so");
}

pub(crate) async fn secrets_take_text(s: Subject) {
    let secret =
        json!({"metadata": {"name": "x"}, "data": {"a": "MQ==", "b": "Mg=="}, "stringData": {"b": "two"}});
    let path = s.core("secrets/x");
    let read = json!({"a": "MQ==", "b": "dHdv"});
    let made = s.post(&s.core("secrets"), &secret).await.body;
    assert_eq!((&made["data"], made.get("stringData")), (&read, None), "{made}");
    assert_eq!(s.get(&path).await.body["data"], read);
    for (how, patch, value) in [
        ("merge", json!({"stringData": {"c": "3"}}), "Mw=="),
        ("strategic", json!({"stringData": {"c": "4"}}), "NA=="),
        ("json", json!([{"op": "add", "path": "/stringData", "value": {"c": "5"}}]), "NQ=="),
    ] {
        let patched = s.patch(how, &path, &patch).await.body;
        assert_eq!(
            (&patched["data"]["c"], patched.get("stringData")),
            (&json!(value), None),
            "{how}: {patched}"
        );
    }
    let mut put = s.get(&path).await.body;
    put["stringData"] = json!({"c": "6"});
    let put = s.put(&path, &put).await.body;
    assert_eq!((&put["data"]["c"], put.get("stringData")), (&json!("Ng=="), None));
}

pub(crate) async fn leases_say_which_version_they_replace(s: Subject) {
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", s.namespace);
    let path = format!("{leases}/l");
    let lease = |holder: &str| json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": holder}});
    let made = s.put(&path, &lease("a")).await;
    assert_eq!(made.code, 201, "an update makes it: {made:?}");
    let refused = s.put(&path, &lease("b")).await;
    let (code, _, message) = refused.status();
    assert!(code == 422 && message.contains("metadata.resourceVersion: Invalid value"), "{message}");
    let mut next = lease("b");
    next["metadata"]["resourceVersion"] = made.body["metadata"]["resourceVersion"].clone();
    assert_eq!(s.put(&path, &next).await.code, 200);
}
