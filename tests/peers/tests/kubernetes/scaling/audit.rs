//! What the API server's audit log says of who did what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Service accounts, and the manifests that say what they may do.
const ROLES: [(&str, &str); 3] = [
    ("gauntlet-system:autoscaler", include_str!("../../../../../manifests/base/autoscaler/rbac.yaml")),
    ("monitoring:scrape", include_str!("../../../../../manifests/base/scrape/rbac.yaml")),
    ("mesh:destination", include_str!("../../../../../manifests/components/mesh/rbac.yaml")),
];

/// What is needed, but not in what is done here: a target that no watch has told of in time is read, and resource
/// metrics and finalizers are of policies that have such.
const SELDOM: [(&str, &str, &str); 4] = [
    ("apps", "deployments", "get"),
    ("apps", "statefulsets", "get"),
    ("metrics.k8s.io", "pods", "list"),
    ("autoscaling.gauntlet.dev", "scalingpolicies", "patch"),
];

/// Group, resource with its subresource, verb.
type Act = (String, String, String);

fn read(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap();
    // The last line may be half written.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn act(event: &Value) -> Act {
    let about = &event["objectRef"];
    let resource = match about["subresource"].as_str() {
        Some(below) => format!("{}/{below}", text(&about["resource"])),
        None => text(&about["resource"]),
    };
    (text(&about["apiGroup"]), resource, text(&event["verb"]))
}

fn is_scale_write(event: &Value) -> bool {
    let (_, resource, verb) = act(event);
    resource.ends_with("/scale") && matches!(verb.as_str(), "update" | "patch")
}

fn received(event: &Value) -> Option<Timestamp> {
    event["requestReceivedTimestamp"].as_str()?.parse().ok()
}

/// Which of our service accounts asked.
fn ours(event: &Value) -> Option<&'static str> {
    let account = event["user"]["username"].as_str()?.strip_prefix("system:serviceaccount:")?;
    ROLES.iter().map(|(name, _)| *name).find(|name| *name == account)
}

/// The pods whose tokens wrote a scale between two times.
pub(super) fn scale_writers(log: &Path, from: Timestamp, to: Timestamp) -> BTreeSet<String> {
    let within = |event: &&Value| received(event).is_some_and(|at| at >= from && at < to);
    let pod = |event: &Value| text(&event["user"]["extra"]["authentication.kubernetes.io/pod-name"][0]);
    read(log).iter().filter(within).filter(|e| is_scale_write(e)).map(pod).collect()
}

/// Our parts were allowed all that they tried. A server that starts refuses for seconds what it has no roles for yet,
/// though it says that it is ready.
pub(super) fn refused_nothing(log: &Path, started: Option<Timestamp>) {
    let starting = |event: &Value| {
        started.zip(received(event)).is_some_and(|(start, at)| {
            at >= start && at.duration_since(start) < SignedDuration::from_secs(15)
        })
    };
    let refused: Vec<_> = read(log)
        .iter()
        .filter(|event| event["responseStatus"]["code"] == 403 && !starting(event))
        .filter_map(|event| Some((ours(event)?, act(event), received(event))))
        .collect();
    assert!(refused.is_empty(), "refused: {refused:#?}");
}

/// Each of our parts was refused nothing, and used all that its roles allow.
pub(super) fn roles_fit(log: &Path) {
    refused_nothing(log, None);
    let mut done: BTreeMap<&str, BTreeSet<Act>> = BTreeMap::new();
    for event in read(log) {
        if let Some(account) = ours(&event) {
            done.entry(account).or_default().insert(act(&event));
        }
    }
    for (account, manifest) in ROLES {
        let did = done.remove(account).unwrap_or_default();
        let may = allowed(manifest);
        let is_seldom = |act: &&Act| SELDOM.contains(&(&act.0, &act.1, &act.2));
        let unused: Vec<_> = may.difference(&did).filter(|act| !is_seldom(act)).collect();
        assert!(unused.is_empty(), "{account} never did what it may: {unused:#?}");
    }
}

/// All that a manifest's roles allow, where they are bound to somebody.
fn allowed(manifest: &str) -> BTreeSet<Act> {
    let mut acts = BTreeSet::new();
    let documents = manifest.split("\n---\n").map(|text| thanos_telemetry::cli::parse_yaml(text).unwrap());
    let documents: Vec<Value> = documents.collect();
    let is_bound = |role: &Value| {
        documents
            .iter()
            .any(|d| d["roleRef"]["kind"] == role["kind"] && d["roleRef"]["name"] == role["metadata"]["name"])
    };
    for document in documents.iter().filter(|document| is_bound(document)) {
        for rule in document["rules"].as_array().into_iter().flatten() {
            let list = |key: &str| rule[key].as_array().cloned().unwrap_or_default();
            for (group, resource) in list("apiGroups")
                .iter()
                .flat_map(|g| list("resources").into_iter().map(move |r| (g.clone(), r)))
            {
                acts.extend(list("verbs").iter().map(|verb| (text(&group), text(&resource), text(verb))));
            }
        }
    }
    acts
}
