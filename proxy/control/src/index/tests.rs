use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher::Event;

use super::*;

fn parse<T: serde::de::DeserializeOwned>(yaml: &str) -> T {
    thanos_telemetry::cli::parse_yaml(yaml).unwrap()
}

fn pod(name: &str, ip: &str) -> Pod {
    parse(&format!(
        "{{metadata: {{name: {name}, namespace: default, labels: {{app: web}}}}, spec: {{containers: []}}, \
         status: {{podIP: {ip}, conditions: [{{type: Ready, status: 'True'}}]}}}}"
    ))
}

fn web() -> Service {
    parse("{metadata: {name: web, namespace: default}, spec: {selector: {app: web}, ports: [{port: 80}]}}")
}

fn authority(port: u16) -> Authority {
    Authority { service: "web".into(), namespace: "default".into(), port }
}

fn index() -> (Index, Writer<Service>, Writer<Pod>) {
    let (services, service_writer) = reflector::store();
    let (pods, pod_writer) = reflector::store();
    let metrics = Metrics::register(&mut prometheus_client::registry::Registry::default());
    (Index::new(services, pods, metrics), service_writer, pod_writer)
}

#[tokio::test]
async fn followers_see_services_and_pods_come_and_go() {
    let (index, mut services, mut pods) = index();
    let mut web80 = index.follow(&authority(80)).unwrap();
    assert_eq!(**web80.borrow_and_update(), Endpoints::Missing);

    services.apply_watcher_event(&Event::Apply(web()));
    pods.apply_watcher_event(&Event::Apply(pod("a", "127.1.0.1")));
    index.refresh();
    assert!(web80.has_changed().unwrap());
    assert_eq!(web80.borrow_and_update().len(), 1);

    // Nothing that concerns it: not woken.
    index.refresh();
    assert!(!web80.has_changed().unwrap());

    pods.apply_watcher_event(&Event::Delete(pod("a", "127.1.0.1")));
    index.refresh();
    assert!(web80.borrow_and_update().is_empty());
    services.apply_watcher_event(&Event::Delete(web()));
    index.refresh();
    assert_eq!(**web80.borrow_and_update(), Endpoints::Missing);
}

#[tokio::test]
async fn what_nobody_follows_is_forgotten() {
    let (index, ..) = index();
    drop(index.follow(&authority(80)).unwrap());
    let kept = index.follow(&authority(81)).unwrap();
    index.refresh();
    assert_eq!(index.followed.lock().len(), 1);
    drop(kept);
}

#[tokio::test]
async fn an_api_server_that_is_away_changes_nothing() {
    let (index, mut services, mut pods) = index();
    services.apply_watcher_event(&Event::Apply(web()));
    pods.apply_watcher_event(&Event::Apply(pod("a", "127.1.0.1")));
    let mut web80 = index.follow(&authority(80)).unwrap();
    // It returns: a new list begins, and counts only once it is whole.
    pods.apply_watcher_event(&Event::Init);
    pods.apply_watcher_event(&Event::InitApply(pod("b", "127.1.0.2")));
    index.refresh();
    assert!(!web80.has_changed().unwrap());
    pods.apply_watcher_event(&Event::InitDone);
    index.refresh();
    let now = web80.borrow_and_update().clone();
    assert!(matches!(&*now, Endpoints::Known { addresses, .. }
        if addresses.keys().map(ToString::to_string).eq(["127.1.0.2:80"])));
}
