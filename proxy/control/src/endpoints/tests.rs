use super::*;
use linkerd2_proxy_api::destination::update;

use crate::intern::Interner;

fn pod(name: &str) -> Arc<Pod> {
    let yaml = format!(
        "{{metadata: {{name: {name}, namespace: default, labels: {{pod-template-hash: '1'}}, ownerReferences: \
         [{{apiVersion: apps/v1, kind: ReplicaSet, name: web-1, uid: u, controller: true}}]}}, \
         spec: {{serviceAccountName: web}}}}"
    );
    let object = thanos_telemetry::cli::parse_yaml(&yaml).unwrap();
    Arc::new(Pod::new(&object, &mut Interner::default()).unwrap())
}

fn of(service: &str, pairs: &[(&str, &str)]) -> Endpoints {
    let scope = Scope { namespace: "default".into(), service: Some(service.into()) };
    let one =
        |(address, name): &(&str, &str)| Endpoint { address: address.parse().unwrap(), pod: Some(pod(name)) };
    Endpoints::known(scope, pairs.iter().map(one).collect())
}

fn known(pairs: &[(&str, &str)]) -> Endpoints {
    of("web", pairs)
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
        (Some(known(&[])), known(&[]), &nothing),
        (Some(Endpoints::Missing), Endpoints::Missing, &nothing),
        (Some(known(&[a])), known(&[b]), &["add 10.0.0.2:80", "remove 10.0.0.1:80"]),
        (Some(known(&[a, b])), known(&[b]), &["remove 10.0.0.1:80"]),
        (Some(known(&[a])), known(&[("10.0.0.1:80", "new")]), &["add 10.0.0.1:80"]),
        (Some(known(&[a])), known(&[]), &["none, exists true"]),
        (Some(known(&[a])), Endpoints::Missing, &["none, exists false"]),
        (Some(known(&[])), Endpoints::Missing, &["none, exists false"]),
        (Some(Endpoints::Missing), known(&[a]), &["add 10.0.0.1:80"]),
        // Another service behind the same address: its labels are others, of every endpoint.
        (Some(known(&[a, b])), of("other", &[a]), &["add 10.0.0.1:80", "remove 10.0.0.2:80"]),
        (Some(known(&[a])), of("other", &[]), &["none, exists true"]),
    ] {
        assert_eq!(told(before.as_ref(), &now), want, "{before:?} -> {now:?}");
    }
}

#[test]
fn one_address_is_told_once_and_many_in_several_messages() {
    let twice = known(&[("10.0.0.1:80", "b"), ("10.0.0.1:80", "a")]);
    assert_eq!(twice, known(&[("10.0.0.1:80", "a")]));
    let pod = pod("a");
    let address = |n: u32| SocketAddr::new(std::net::Ipv4Addr::from(n + 1).into(), 80);
    let list = (0..2500).map(|n| Endpoint { address: address(n), pod: Some(pod.clone()) }).collect();
    let many = Endpoints::known(Scope { namespace: "default".into(), service: None }, list);
    let sizes = |updates: Vec<Update>| -> Vec<usize> {
        let size = |u: Update| match u.update.unwrap() {
            update::Update::Add(set) => set.addrs.len(),
            update::Update::Remove(set) => set.addrs.len(),
            update::Update::NoEndpoints(_) => 0,
        };
        updates.into_iter().map(size).collect()
    };
    assert_eq!(sizes(many.updates_since(None)), [1000, 1000, 500]);
    let one = Endpoints::known(
        Scope { namespace: "default".into(), service: None },
        vec![Endpoint { address: address(7), pod: Some(pod) }],
    );
    assert_eq!(sizes(one.updates_since(Some(&many))), [1000, 1000, 499]);
}

#[test]
fn an_address_is_told_with_linkerds_labels_and_no_more_than_is_true() {
    let message = known(&[("10.0.0.1:80", "a")]).list()[0].message(false);
    let mut labels: Vec<_> = message.metric_labels.into_iter().map(|(n, v)| format!("{n}={v}")).collect();
    labels.sort();
    assert_eq!(labels, ["deployment=web", "pod=a", "pod_template_hash=1", "serviceaccount=web"]);
    assert_eq!((message.weight, message.tls_identity, message.protocol_hint), (10_000, None, None));
}
