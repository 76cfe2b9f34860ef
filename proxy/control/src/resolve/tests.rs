use kube::runtime::watcher::Event;

use super::*;
use crate::authority::{Client, Names};

/// A cluster out of objects in YAML, told apart by what their specs have.
fn cluster(pods: &[String], services: &[&str], slices: &[&str]) -> State {
    fn read<T: serde::de::DeserializeOwned>(yaml: &str) -> T {
        thanos_telemetry::cli::parse_yaml(yaml).unwrap()
    }
    let (mut state, mut changes) = (State::default(), Vec::new());
    pods.iter().for_each(|p| state.pod(Event::Apply(read(p)), &mut changes));
    services.iter().for_each(|s| state.service(Event::Apply(read(s)), &mut changes));
    slices.iter().for_each(|s| state.slice(Event::Apply(read(s)), &mut changes));
    state
}

/// A ready pod `web-LAST` at 127.1.0.LAST.
fn pod(last: u8, meta: &str, spec: &str, status: &str) -> String {
    format!(
        "{{metadata: {{name: web-{last}, namespace: default, labels: {{app: web}}, {meta}}}, \
         spec: {{containers: [{{name: app, ports: [{{containerPort: 8080, name: http}}]}}], {spec}}}, \
         status: {{podIP: 127.1.0.{last}, conditions: [{{type: Ready, status: 'True'}}], {status}}}}}"
    )
}

fn parsed(text: &str) -> Names {
    Names::parse(text, Client::parse("ns:default").ns.as_deref(), &["cluster.local".into()]).unwrap()
}

fn get(state: &State, text: &str) -> String {
    let names = parsed(text);
    let target = names.candidates.iter().find(|t| exists(state, t)).or(names.candidates.last()).unwrap();
    match endpoints(state, target) {
        Endpoints::Missing => "missing".to_owned(),
        known => known.list().iter().map(|e| e.address.to_string()).collect::<Vec<_>>().join(" "),
    }
}

const WEB: &str = "{metadata: {name: web, namespace: default}, spec: {selector: {app: web}, clusterIP: 10.0.0.1, \
    clusterIPs: [10.0.0.1, 'fd00::1'], ports: [{port: 80, targetPort: http}, {port: 81, targetPort: 9090}, \
    {port: 82}, {port: 83, targetPort: absent}, {port: 53, targetPort: 5353, protocol: UDP}]}}";

#[test]
fn names_and_addresses_find_services_and_pods() {
    let second = pod(2, "", "hostname: second, subdomain: web", "podIPs: [{ip: 127.1.0.2}, {ip: 'fd00::2'}]");
    let state = cluster(&[pod(1, "", "", ""), second], &[WEB], &[]);
    for (text, want) in [
        ("web.default.svc.cluster.local", "127.1.0.1:8080 127.1.0.2:8080"),
        ("web", "127.1.0.1:8080 127.1.0.2:8080"),
        ("web:81", "127.1.0.1:9090 127.1.0.2:9090"),
        ("web.default:82", "127.1.0.1:82 127.1.0.2:82"),
        ("web:83", ""),
        // A port that is not listed, or not of TCP, stands for itself.
        ("web:7", "127.1.0.1:7 127.1.0.2:7"),
        ("web:53", "127.1.0.1:53 127.1.0.2:53"),
        ("other", "missing"),
        ("web.other", "missing"),
        // Pods by name.
        ("web-1.web.default.svc.cluster.local:80", "127.1.0.1:8080"),
        ("web-1.web.default", "127.1.0.1:8080"),
        ("web-1.web:81", "127.1.0.1:9090"),
        ("second.web", "127.1.0.2:8080"),
        ("web-3.web.default.svc.cluster.local", ""),
        ("web-1.other.default.svc.cluster.local", "missing"),
        // Addresses.
        ("10.0.0.1:80", "127.1.0.1:8080 127.1.0.2:8080"),
        ("[fd00::1]:81", "127.1.0.1:9090 127.1.0.2:9090"),
        ("127.1.0.1:9090", "127.1.0.1:9090"),
        ("[fd00::2]:80", "[fd00::2]:80"),
        ("127.1.0.9:80", "missing"),
    ] {
        assert_eq!(get(&state, text), want, "{text}");
    }
}

#[test]
fn only_ready_living_selected_pods_take_part() {
    let unready = "conditions: [{type: Ready, status: 'False'}]";
    let leaving = "deletionTimestamp: '2026-01-01T00:00:00Z'";
    let pods = [
        pod(1, "", "", ""),
        pod(2, "", "", "").replace("status: 'True'", "status: 'False'"),
        pod(3, leaving, "", ""),
        pod(4, "", "", "").replace("app: web}", "app: front}"),
        pod(5, "", "", "phase: Succeeded"),
        pod(6, "", "", "").replace("127.1.0.6", "''"),
        pod(7, "", "", "").replace("namespace: default", "namespace: other"),
    ];
    let early = WEB.replace("spec: {", "spec: {publishNotReadyAddresses: true, ");
    let no_selector = "{metadata: {name: web, namespace: default}, spec: {ports: [{port: 80}]}}";
    let alias = "{metadata: {name: web, namespace: default}, spec: {type: ExternalName, externalName: a.b}}";
    for (service, want) in [
        (WEB, "127.1.0.1:8080"),
        (&early, "127.1.0.1:8080 127.1.0.2:8080"),
        (no_selector, ""),
        (alias, "missing"),
        ("{metadata: {name: web, namespace: default}}", "missing"),
    ] {
        assert_eq!(get(&cluster(&pods, &[service], &[]), "web"), want, "{service}");
    }
    // Who names a pod's address means that pod, as long as it can answer.
    let state = cluster(&pods, &[WEB], &[]);
    for (text, want) in
        [("127.1.0.2:1", "127.1.0.2:1"), ("127.1.0.3:1", "127.1.0.3:1"), ("127.1.0.5:1", "missing")]
    {
        assert_eq!(get(&state, text), want, "{text} {unready}");
    }
}

#[test]
fn a_sidecar_is_addressed_for_the_port_that_it_forwards() {
    let mesh = "initContainers: [{name: proxy, restartPolicy: Always, ports: [{containerPort: 4143, name: mesh}], \
                args: ['--inbound-listen=$(POD_IP):4143', '--inbound-forward=127.0.0.1:8080']}]";
    let meshed = WEB.replace("{port: 82}", "{port: 82, targetPort: mesh}");
    let state = cluster(&[pod(1, "", mesh, "podIPs: [{ip: 127.1.0.1}, {ip: 'fd00::2'}]")], &[&meshed], &[]);
    for (text, want) in [
        ("web", "127.1.0.1:4143"),
        ("web:82", "127.1.0.1:4143"),
        ("web:81", "127.1.0.1:9090"),
        ("127.1.0.1:8080", "127.1.0.1:4143"),
        ("127.1.0.1:9090", "127.1.0.1:9090"),
        // It listens at the first address.
        ("[fd00::2]:8080", "[fd00::2]:8080"),
        ("web-1.web", "127.1.0.1:4143"),
    ] {
        assert_eq!(get(&state, text), want, "{text}");
    }
    let opaque =
        meshed.replace("name: web,", "name: web, annotations: {config.linkerd.io/opaque-ports: '80'},");
    assert_eq!(get(&cluster(&[pod(1, "", mesh, "")], &[&opaque], &[]), "web"), "127.1.0.1:8080");
}

#[test]
fn services_without_selector_have_what_slices_say() {
    let service =
        "{metadata: {name: db, namespace: default}, spec: {ports: [{port: 5432, name: sql}, {port: 80}]}}";
    let slice = "{metadata: {name: db-1, namespace: default, labels: {kubernetes.io/service-name: db}}, \
        addressType: IPv4, ports: [{name: sql, port: 15432}, {name: u, port: 1, protocol: UDP}], endpoints: [\
        {addresses: [192.0.2.1, 192.0.2.9], hostname: db-0}, {addresses: [192.0.2.2], conditions: {ready: false}}, \
        {addresses: [192.0.2.3], conditions: {ready: true, terminating: true}}, {addresses: [db.example]}, {}, \
        {addresses: [192.0.2.4], conditions: {ready: true}}]}";
    let more = "{metadata: {name: db-2, namespace: default, labels: {kubernetes.io/service-name: db}}, \
        ports: [{port: 8080}], endpoints: [{addresses: ['2001:db8::1']}]}";
    let other = "{metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}, \
        ports: [{port: 8080}], endpoints: [{addresses: [192.0.2.7]}]}";
    let state = cluster(&[pod(1, "", "", "")], &[service, WEB], &[slice, more, other, "{}", "{ports: null}"]);
    for (text, want) in [
        ("db:5432", "192.0.2.1:15432 192.0.2.4:15432"),
        ("db:80", "[2001:db8::1]:8080"),
        ("db-0.db:5432", "192.0.2.1:15432"),
        ("db-7.db.default.svc.cluster.local:5432", ""),
        // One with a selector has its pods alone.
        ("web", "127.1.0.1:8080"),
    ] {
        assert_eq!(get(&state, text), want, "{text}");
    }
}

#[test]
fn a_nodes_address_is_the_pods_that_declares_the_port() {
    let here = |name: u8, port: &str| {
        pod(name, "", "hostNetwork: true", "")
            .replace(&format!("podIP: 127.1.0.{name}"), "podIP: 192.0.2.1")
            .replace("8080", port)
    };
    let state = cluster(&[here(1, "9100"), here(2, "9200")], &[], &[]);
    let name = |port: u16| {
        let target = Target::Address(SocketAddr::new("192.0.2.1".parse().unwrap(), port));
        endpoints(&state, &target).list().first().map(|e| e.pod.as_ref().unwrap().name.to_string())
    };
    assert_eq!([9100, 9200, 22].map(name), [Some("web-1".into()), Some("web-2".into()), None]);
}

#[test]
fn profiles_say_what_a_target_is() {
    let opaque = "annotations: {config.linkerd.io/opaque-ports: '82,http'}";
    let service = WEB.replace(
        "namespace: default",
        "namespace: default, annotations: {config.linkerd.io/opaque-ports: '81'}",
    );
    let pods = [pod(1, "", "", ""), pod(2, opaque, "", "")];
    let state = cluster(&pods, &[&service], &[]);
    let print = |text: &str| {
        let target = parsed(text).candidates.pop().unwrap();
        let told = profile(&state, &target, &"cluster.local".into()).message();
        let budget = told.retry_budget.unwrap();
        assert_eq!(
            (budget.retry_ratio, budget.min_retries_per_second, budget.ttl.unwrap().seconds),
            (0.2, 10, 10)
        );
        let endpoint = told.endpoint.map(|e| {
            let address = SocketAddr::try_from(e.addr.unwrap()).unwrap();
            assert_eq!(e.metric_labels["namespace"], "default");
            format!(" at {address} {}", e.metric_labels["pod"])
        });
        let kind = if told.opaque_protocol { " opaque" } else { "" };
        format!("{}{}{kind}", told.fully_qualified_name, endpoint.unwrap_or_default())
    };
    for (text, want) in [
        ("web.default.svc.cluster.local", "web.default.svc.cluster.local"),
        ("web", "web.default.svc.cluster.local"),
        ("web:81", "web.default.svc.cluster.local opaque"),
        // The annotation replaces the ports that are opaque without one.
        ("web:5432", "web.default.svc.cluster.local"),
        ("other:80", ""),
        ("other:5432", " opaque"),
        ("10.0.0.1:80", "web.default.svc.cluster.local"),
        ("[fd00::1]:81", "web.default.svc.cluster.local opaque"),
        ("127.1.0.1:8080", " at 127.1.0.1:8080 web-1"),
        ("127.1.0.1:3306", " at 127.1.0.1:3306 web-1 opaque"),
        ("127.1.0.2:8080", " at 127.1.0.2:8080 web-2 opaque"),
        ("127.1.0.2:3306", " at 127.1.0.2:3306 web-2"),
        ("web-1.web.default.svc.cluster.local", " at 127.1.0.1:8080 web-1"),
        ("web-2.web.default.svc.cluster.local", " at 127.1.0.2:8080 web-2 opaque"),
        ("web-7.web.default.svc.cluster.local", ""),
        ("192.0.2.1:80", ""),
        ("192.0.2.1:3306", " opaque"),
    ] {
        assert_eq!(print(text), want, "{text}");
    }
    let target = parsed("web:81").candidates.pop().unwrap();
    let parent = profile(&state, &target, &"cluster.local".into()).message().parent_ref.unwrap();
    assert!(format!("{parent:?}").contains("name: \"web\", namespace: \"default\", section: \"\", port: 81"));
}
