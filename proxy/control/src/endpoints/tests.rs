use super::*;

fn service(yaml: &str) -> Service {
    let yaml = format!("{{metadata: {{name: web, namespace: default}}, spec: {yaml}}}");
    thanos_telemetry::cli::parse_yaml(&yaml).unwrap()
}

/// A ready pod of a Deployment, with whatever `meta` and `containers` add.
fn pod(ip: &str, meta: &str, containers: &str, ready: &str) -> Pod {
    let yaml = format!(
        r#"
metadata:
  name: "web-1-{ip}"
  namespace: default
  labels: {{app: web, pod-template-hash: "1"}}
  ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: web-1, uid: u, controller: true}}]
  {meta}
spec: {{containers: {containers}}}
status: {{phase: Running, podIP: "{ip}", conditions: [{{type: Ready, status: "{ready}"}}]}}
"#
    );
    thanos_telemetry::cli::parse_yaml(&yaml).unwrap()
}

const APP: &str = "[{name: app, ports: [{containerPort: 8080, name: http}]}]";
const MESHED: &str = "[{name: app, ports: [{containerPort: 8080, name: http}]}, \
    {name: proxy, ports: [{containerPort: 4143}, {containerPort: 4191, name: admin}]}]";
const SELECTS: &str = "{selector: {app: web}, ports: [{port: 80, targetPort: http}]}";

fn resolved(service: &Service, pods: &[Pod], port: u16) -> Vec<String> {
    match Endpoints::resolve(Some(service), pods.iter(), port) {
        Endpoints::Missing => vec!["missing".into()],
        Endpoints::Known { addresses, .. } => addresses.keys().map(ToString::to_string).collect(),
    }
}

#[test]
fn ports_are_found_by_number_name_and_mesh() {
    for (spec, containers, meta, port, want) in [
        (SELECTS, APP, "", 80, "127.1.0.5:8080"),
        (SELECTS, MESHED, "", 80, "127.1.0.5:4143"),
        ("{selector: {app: web}, ports: [{port: 80, targetPort: 9090}]}", APP, "", 80, "127.1.0.5:9090"),
        ("{selector: {app: web}, ports: [{port: 80}]}", APP, "", 80, "127.1.0.5:80"),
        // not listed: itself
        (SELECTS, APP, "", 8081, "127.1.0.5:8081"),
        // the proxy's own port, and one it leaves alone
        ("{selector: {app: web}, ports: [{port: 1, targetPort: admin}]}", MESHED, "", 1, "127.1.0.5:4191"),
        (
            SELECTS,
            MESHED,
            "annotations: {config.linkerd.io/skip-inbound-ports: '1-3, 8000-8080'}",
            80,
            "127.1.0.5:8080",
        ),
        (
            SELECTS,
            MESHED,
            "annotations: {config.linkerd.io/skip-inbound-ports: 'x,9-,8081'}",
            80,
            "127.1.0.5:4143",
        ),
    ] {
        let pods = [pod("127.1.0.5", meta, containers, "True")];
        assert_eq!(resolved(&service(spec), &pods, port), [want], "{spec} {containers} {meta}");
    }
    let nameless = [pod("127.1.0.5", "", "[{name: app}]", "True")];
    assert!(resolved(&service(SELECTS), &nameless, 80).is_empty());
}

#[test]
fn only_ready_living_selected_pods_take_part() {
    let ready = pod("127.1.0.1", "", APP, "True");
    let unready = pod("127.1.0.2", "", APP, "False");
    let leaving = pod("127.1.0.3", "deletionTimestamp: '2026-01-01T00:00:00Z'", APP, "True");
    let mut other = pod("127.1.0.4", "", APP, "True");
    other.metadata.labels.as_mut().unwrap().insert("app".into(), "front".into());
    let mut done = pod("127.1.0.5", "", APP, "True");
    done.status.as_mut().unwrap().phase = Some("Succeeded".into());
    let homeless = pod("", "", APP, "True");
    let pods = [ready, unready, leaving, other, done, homeless];
    assert_eq!(resolved(&service(SELECTS), &pods, 80), ["127.1.0.1:8080"]);
    let early =
        "{selector: {app: web}, publishNotReadyAddresses: true, ports: [{port: 80, targetPort: http}]}";
    assert_eq!(resolved(&service(early), &pods, 80), ["127.1.0.1:8080", "127.1.0.2:8080"]);
    assert!(resolved(&service("{ports: [{port: 80}]}"), &pods, 80).is_empty(), "no selector selects nothing");
    assert_eq!(resolved(&service("{type: ExternalName, externalName: a.b}"), &pods, 80), ["missing"]);
    assert_eq!(Endpoints::resolve(None, pods.iter(), 80), Endpoints::Missing);
}

#[test]
fn what_is_null_missing_or_unknown_leaves_objects_readable() {
    let read = |yaml: &str| thanos_telemetry::cli::parse_yaml::<Pod>(yaml).unwrap();
    for spec in [
        "{containers: [{ports: null, lifecycle: {sleep: [1]}}], initContainers: null, volumes: no-list}",
        "{containers: null}",
        "{}",
    ] {
        let pod = read(&format!(
            "{{metadata: {{labels: {{app: web}}}}, spec: {spec}, \
             status: {{podIP: 127.1.0.5, hostIPs: 7, conditions: [{{type: Ready, status: 'True'}}]}}}}"
        ));
        let service = service("{selector: {app: web}, ports: [{port: 80, nodePort: x}], clusterIPs: 7}");
        assert_eq!(resolved(&service, &[pod], 80), ["127.1.0.5:80"], "{spec}");
    }
    let nothing_ready =
        read("{metadata: {labels: {app: web}}, status: {podIP: 127.1.0.5, conditions: null}}");
    assert!(resolved(&service("{selector: {app: web}, ports: null}"), &[nothing_ready], 80).is_empty());
}

#[test]
fn labels_are_linkerds() {
    let print =
        |labels: &LabelMap| labels.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(" ");
    let Endpoints::Known { labels, addresses } =
        Endpoints::resolve(Some(&service(SELECTS)), [pod("127.1.0.1", "", APP, "True")].iter(), 80)
    else {
        panic!("missing")
    };
    assert_eq!(print(&labels), "namespace=default service=web");
    assert_eq!(
        addresses.values().map(print).collect::<Vec<_>>(),
        ["deployment=web pod=web-1-127.1.0.1 pod_template_hash=1"]
    );
    let mut set = pod("127.1.0.1", "", APP, "True");
    let owner = &mut set.metadata.owner_references.as_mut().unwrap()[0];
    (owner.kind, owner.name) = ("StatefulSet".into(), "db".into());
    assert_eq!(pod_labels(&set)["statefulset"], "db");
    let mut run = set.clone();
    run.metadata.owner_references.as_mut().unwrap()[0].kind = "Job".into();
    let labels = pod_labels(&run);
    assert_eq!((labels["k8s_job"].as_str(), labels.get("job")), ("db", None));
    let mut bare = pod("127.1.0.1", "", APP, "True");
    bare.metadata.labels.as_mut().unwrap().remove("pod-template-hash");
    assert_eq!(pod_labels(&bare)["replicaset"], "web-1");
}

fn known(pairs: &[(&str, &str)]) -> Endpoints {
    let addresses = pairs
        .iter()
        .map(|(a, pod)| (a.parse().unwrap(), LabelMap::from([("pod".to_owned(), (*pod).to_owned())])))
        .collect();
    Endpoints::Known { labels: LabelMap::new(), addresses }
}

fn told(before: Option<&Endpoints>, now: &Endpoints) -> Vec<String> {
    let addr = |a: &linkerd2_proxy_api::net::TcpAddress| SocketAddr::try_from(*a).unwrap().to_string();
    let one = |update: Update| match update.update.unwrap() {
        update::Update::Add(set) => {
            let addrs: Vec<_> = set.addrs.iter().map(|w| addr(w.addr.as_ref().unwrap())).collect();
            format!("add {}", addrs.join(" "))
        }
        update::Update::Remove(set) => {
            format!("remove {}", set.addrs.iter().map(addr).collect::<Vec<_>>().join(" "))
        }
        update::Update::NoEndpoints(none) => format!("none, exists {}", none.exists),
    };
    now.updates_since(before).into_iter().map(one).collect()
}

#[test]
fn a_proxy_is_told_what_changed_and_never_loses_all_on_the_way() {
    let (a, b) = (("10.0.0.1:80", "a"), ("10.0.0.2:80", "b"));
    let nothing: [&str; 0] = [];
    for (before, now, want) in [
        (None, Endpoints::Missing, &["none, exists false"][..]),
        (None, known(&[]), &["none, exists true"]),
        (None, known(&[a, b]), &["add 10.0.0.1:80 10.0.0.2:80"]),
        (Some(known(&[a])), known(&[a]), &nothing),
        (Some(known(&[a])), known(&[b]), &["add 10.0.0.2:80", "remove 10.0.0.1:80"]),
        (Some(known(&[a, b])), known(&[b]), &["remove 10.0.0.1:80"]),
        (Some(known(&[a])), known(&[("10.0.0.1:80", "new")]), &["add 10.0.0.1:80"]),
        (Some(known(&[a])), known(&[]), &["none, exists true"]),
        (Some(known(&[a])), Endpoints::Missing, &["none, exists false"]),
        (Some(known(&[])), Endpoints::Missing, &["none, exists false"]),
        (Some(Endpoints::Missing), known(&[a]), &["add 10.0.0.1:80"]),
    ] {
        assert_eq!(told(before.as_ref(), &now), want, "{before:?} -> {now:?}");
    }
}
