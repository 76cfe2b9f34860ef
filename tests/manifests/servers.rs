//! What the API server calls: where it is told to call is where something listens, and what its roles name is what the
//! program uses.

use serde_json::{Value, json};

fn all(component: &str) -> Vec<Value> {
    let folder = std::path::Path::new("manifests/components").join(component);
    super::documents().into_iter().filter(|(path, _)| path.starts_with(&folder)).map(|(_, d)| d).collect()
}

fn one<'a>(all: &'a [Value], kind: &str) -> &'a Value {
    let mut found = all.iter().filter(|d| d["kind"] == kind);
    let one = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "two of {kind}");
    one
}

/// A Service's port leads to a port of the Deployment that it selects.
fn leads_somewhere(all: &[Value], name: &Value, port: &Value) {
    let service = one(all, "Service");
    assert_eq!(&service["metadata"]["name"], name);
    let target = &service["spec"]["ports"]
        .as_array()
        .expect("ports")
        .iter()
        .find(|p| &p["port"] == port)
        .expect("the port")["targetPort"];
    let deployment = one(all, "Deployment");
    assert_eq!(service["spec"]["selector"], deployment["spec"]["template"]["metadata"]["labels"]);
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let open =
        container["ports"].as_array().expect("ports").iter().find(|p| &p["name"] == target).expect("a port");
    let args = super::strings(&container["args"]);
    let flag = format!("--secure-listen-address=0.0.0.0:{}", open["containerPort"]);
    assert!(args.contains(&flag), "{flag}: {args:?}");
    let called = format!("--cert-name={}.gauntlet-system.svc", name.as_str().expect("a name"));
    assert!(args.contains(&called), "{called}: {args:?}");
}

/// Names of what may be read and written of one resource.
fn named(all: &[Value], kind: &str, resource: &str) -> Vec<Value> {
    let rules = one(all, kind)["rules"].as_array().expect("rules").clone();
    let of = rules.into_iter().filter(|r| r["resources"][0] == resource && !r["resourceNames"].is_null());
    of.map(|r| json!([r["resourceNames"][0], r["verbs"]])).collect()
}

#[test]
fn the_webhook_is_called_where_it_listens_and_stands_in_nobody_s_way() {
    let all = all("webhook");
    let configuration = one(&all, "ValidatingWebhookConfiguration");
    let name = &configuration["metadata"]["name"];
    let mut judged = Vec::new();
    for webhook in configuration["webhooks"].as_array().expect("webhooks") {
        let service = &webhook["clientConfig"]["service"];
        leads_somewhere(&all, &service["name"], &service["port"]);
        assert_eq!(
            (&service["namespace"], &service["path"]),
            (&json!("gauntlet-system"), &json!("/validate"))
        );
        assert_eq!(webhook["failurePolicy"], "Ignore");
        assert_eq!(webhook["sideEffects"], "None");
        assert!(webhook["timeoutSeconds"].as_i64().is_some_and(|s| s <= 5));
        assert_eq!(webhook["rules"].as_array().expect("rules").len(), 1);
        let rule = &webhook["rules"][0];
        assert_eq!(rule["operations"], json!(["CREATE", "UPDATE"]));
        let text = |key: &str| match rule[key].as_array().map(Vec::as_slice) {
            Some([only]) => only.as_str().unwrap_or_default().to_owned(),
            _ => panic!("one of {key}: {rule}"),
        };
        judged.push([text("apiGroups"), text("apiVersions"), text("resources")]);
    }
    // Anything more, a status above all, would cost a call each few seconds an object.
    let expected = [
        [autoscaler_api::GROUP, autoscaler_api::VERSION, "scalingpolicies"],
        ["autoscaling", "v2", "horizontalpodautoscalers"],
    ];
    assert_eq!(judged, expected);
    let may = json!(["get", "update"]);
    assert_eq!(name, "gauntlet-autoscaler", "the default of --webhook-configuration");
    assert_eq!(named(&all, "ClusterRole", "validatingwebhookconfigurations"), [json!([name, may])]);
    assert_eq!(named(&all, "Role", "secrets"), [json!(["autoscaler-webhook-cert", may])]);
}

#[test]
fn external_metrics_are_asked_where_they_are_served() {
    let all = all("external-metrics");
    let api = one(&all, "APIService");
    let spec = &api["spec"];
    leads_somewhere(&all, &spec["service"]["name"], &spec["service"]["port"]);
    let (group, version) =
        (spec["group"].as_str().expect("a group"), spec["version"].as_str().expect("a version"));
    assert_eq!(api["metadata"]["name"], format!("{version}.{group}"));
    assert_eq!((group, version), ("external.metrics.k8s.io", "v1beta1"));
    assert!(spec["insecureSkipTLSVerify"].is_null(), "the caBundle is written instead");
    let may = json!(["get", "update"]);
    assert_eq!(named(&all, "ClusterRole", "apiservices"), [json!([api["metadata"]["name"], may])]);
    assert_eq!(
        named(&all, "ClusterRole", "configmaps"),
        [json!(["extension-apiserver-authentication", ["get"]])]
    );
    assert_eq!(named(&all, "Role", "secrets"), [json!(["autoscaler-external-metrics-cert", may])]);
}
