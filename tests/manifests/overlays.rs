//! Two clusters: either goes on while the other is away.

use std::collections::BTreeMap;

use serde_json::Value;
use thanos_telemetry::cli::parse_yaml_documents;

const CLUSTERS: [&str; 2] = ["east", "west"];

fn read(path: &str) -> Value {
    let text = std::fs::read_to_string(super::root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    parse_yaml_documents(&text).unwrap_or_else(|e| panic!("{path}: {e}")).remove(0)
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Arguments that an overlay adds, by Deployment.
fn added_arguments(overlay: &Value) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for patch in overlay["patches"].as_array().into_iter().flatten() {
        let operations: Vec<Value> =
            parse_yaml_documents(patch["patch"].as_str().expect("a patch")).expect("YAML");
        let operations = operations.iter().flat_map(|o| o.as_array().cloned().unwrap_or_default());
        let added = operations.filter(|o| o["path"].as_str().is_some_and(|p| p.ends_with("/args/-")));
        let name = patch["target"]["name"].as_str().unwrap_or_default();
        found
            .entry(name.to_owned())
            .or_default()
            .extend(added.map(|o| o["value"].as_str().unwrap_or_default().to_owned()));
    }
    found
}

#[test]
fn each_of_two_clusters_goes_on_alone() {
    for cluster in CLUSTERS {
        let folder = format!("manifests/overlays/two-clusters/{cluster}");
        let overlay = read(&format!("{folder}/kustomization.yaml"));
        assert_eq!(strings(&overlay["resources"]), ["../../../base"], "{cluster}");
        assert_eq!(strings(&overlay["components"]), ["../../../components/local-view"], "{cluster}");
        let text = overlay.to_string();
        assert!(!text.contains("$patch"), "{cluster} lacks something that the other has");

        // Its controller acts here, by the pod's own credentials, and nowhere else.
        let added = added_arguments(&overlay);
        assert_eq!(added["autoscaler"], ["--kubeconfig=/etc/kube/config", &format!("--context={cluster}")]);
        let kubeconfig = read(&format!("{folder}/kubeconfig.yaml"));
        assert_eq!(kubeconfig["contexts"].as_array().map(Vec::len), Some(1));
        assert_eq!(kubeconfig["contexts"][0]["name"], cluster);
        assert_eq!(kubeconfig["clusters"][0]["cluster"]["server"], "https://kubernetes.default.svc");
        let user = &kubeconfig["users"][0]["user"];
        assert!(user["tokenFile"].is_string() && user.as_object().is_some_and(|u| u.len() == 1), "{user}");

        // Its querier asks the other's local view, which asks no querier.
        let others: Vec<&&str> = CLUSTERS.iter().filter(|c| **c != cluster).collect();
        let endpoints: Vec<String> =
            others.iter().map(|c| format!("--endpoint=query-{c}.example.internal:10901")).collect();
        assert_eq!(added["query"], endpoints);
        let literals = overlay["configMapGenerator"][0]["literals"].clone();
        assert_eq!(strings(&literals), [format!("CLUSTER={cluster}")]);
    }
    let local = read("manifests/components/local-view/query-local.yaml");
    let args = local["spec"]["template"]["spec"]["containers"][0]["args"].clone();
    let endpoints: Vec<&str> = strings(&args).into_iter().filter(|a| a.starts_with("--endpoint=")).collect();
    assert_eq!(endpoints, ["--endpoint=dnssrv+_grpc._tcp.receive.gauntlet-system.svc.cluster.local"]);
}

#[test]
fn people_have_policies_by_the_clusters_own_roles_and_no_one_writes_status() {
    let text =
        std::fs::read_to_string(super::root().join("manifests/base/autoscaler/users.yaml")).expect("a file");
    let roles: Vec<Value> = parse_yaml_documents(&text).expect("YAML");
    let mut reads = 0;
    for role in &roles {
        let labels = role["metadata"]["labels"].as_object().expect("labels");
        let views = labels.contains_key("rbac.authorization.k8s.io/aggregate-to-view");
        for rule in role["rules"].as_array().expect("rules") {
            let verbs = strings(&rule["verbs"]);
            let only_reads = verbs.iter().all(|v| ["get", "list", "watch"].contains(v));
            reads += usize::from(only_reads);
            assert!(only_reads || !views, "who may view may not write: {rule}");
            let status = strings(&rule["resources"]).contains(&"scalingpolicies/status");
            assert!(only_reads || !status, "{rule}");
        }
    }
    assert!(reads > 0);
}

#[test]
fn the_controllers_pods_and_calls_have_a_priority_that_is_there() {
    let text = std::fs::read_to_string(super::root().join("manifests/base/autoscaler/priority.yaml"))
        .expect("a file");
    let objects: Vec<Value> = parse_yaml_documents(&text).expect("YAML");
    let named = |kind: &str| -> Vec<String> {
        let of_kind = objects.iter().filter(|o| o["kind"] == kind);
        of_kind.map(|o| o["metadata"]["name"].as_str().expect("a name").to_owned()).collect()
    };
    let autoscaler = read("manifests/base/autoscaler/autoscaler.yaml");
    let class = autoscaler["spec"]["template"]["spec"]["priorityClassName"].as_str().expect("a class");
    assert_eq!(named("PriorityClass"), [class]);
    // `leader-election` is every API server's own.
    let levels = [named("PriorityLevelConfiguration"), vec!["leader-election".to_owned()]].concat();
    for schema in objects.iter().filter(|o| o["kind"] == "FlowSchema") {
        let level = schema["spec"]["priorityLevelConfiguration"]["name"].as_str().expect("a level");
        assert!(levels.iter().any(|l| l == level), "{level}");
        for subject in schema["spec"]["rules"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|r| r["subjects"].as_array())
            .flatten()
        {
            assert_eq!(
                subject["serviceAccount"]["name"],
                autoscaler["spec"]["template"]["spec"]["serviceAccountName"]
            );
        }
    }
    assert_eq!(named("FlowSchema").len(), 2);
}
