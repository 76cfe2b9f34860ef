//! Requests of pods, where recorded cases do not reach: which containers count, and what one pod without one does.

use std::collections::BTreeMap;
use std::sync::Arc;

use autoscaler_hpa::metrics::compute_one;
use autoscaler_hpa::pod::{ResourceList, requests};
use autoscaler_hpa::ratio::Tolerances;
use autoscaler_hpa::replicas::Circumstances;
use autoscaler_hpa::{
    Answer, Container, InitContainer, MetricSpec, MetricTarget, Pod, PodPhase, PodResources, Sample, Scale,
    Settings,
};

fn list(of: &[(&str, i64)]) -> ResourceList {
    of.iter().map(|(resource, milli)| ((*resource).to_owned(), *milli)).collect()
}

fn container(name: &str, requests: &[(&str, i64)]) -> Container {
    Container { name: name.to_owned(), requests_milli: list(requests) }
}

fn pod(name: &str, resources: PodResources) -> Pod {
    Pod { name: name.to_owned(), phase: PodPhase::Running, resources: Arc::new(resources), ..Pod::default() }
}

#[test]
fn what_a_pod_requests() {
    let init = |requests: &[(&str, i64)], restartable| InitContainer {
        container: container("init", requests),
        restartable,
    };
    let bare = PodResources {
        containers: vec![container("app", &[("cpu", 100)]), container("proxy", &[("cpu", 50)])],
        init_containers: vec![init(&[("cpu", 30)], true), init(&[("cpu", 900)], false)],
        overhead_milli: list(&[("cpu", 7)]),
        ..PodResources::default()
    };
    let whole = |requests| PodResources { requests_milli: list(requests), ..bare.clone() };
    let lacking = PodResources { init_containers: vec![init(&[], true)], ..bare.clone() };
    let light = PodResources { init_containers: vec![init(&[("cpu", 30)], true)], ..whole(&[("memory", 1)]) };
    for (name, resources, resource, container, enabled, expected) in [
        ("containers and sidecars, no overhead", &bare, "cpu", None, true, Some(180)),
        ("one container", &bare, "cpu", Some("proxy"), true, Some(50)),
        ("one sidecar", &bare, "cpu", Some("init"), true, Some(30)),
        ("no such container", &bare, "cpu", Some("nobody"), true, None),
        ("nothing of the resource", &bare, "memory", None, true, None),
        ("a sidecar without a request", &lacking, "cpu", None, true, None),
        ("the pod's own, and overhead", &whole(&[("cpu", 400)]), "cpu", None, true, Some(407)),
        ("the same, gate off", &whole(&[("cpu", 400)]), "cpu", None, false, Some(180)),
        ("the same, one container", &whole(&[("cpu", 400)]), "cpu", Some("app"), true, Some(100)),
        // What the second init container needs beside the sidecar, and overhead.
        ("set for another resource", &whole(&[("memory", 1)]), "cpu", None, true, Some(937)),
        ("the same, running needs more", &light, "cpu", None, true, Some(187)),
        ("set for none that a pod can have", &whole(&[("gpu", 1)]), "cpu", None, true, Some(180)),
    ] {
        let pods = [pod("a", resources.clone())];
        let found = requests(&pods, resource, container, enabled).ok();
        assert_eq!(found, expected.map(|milli| BTreeMap::from([("a", milli)])), "{name}");
    }
}

/// Even a failed one, whose use counts nowhere.
#[test]
fn one_pod_without_a_request_fails_the_utilization_of_all() {
    let of =
        |requests| PodResources { containers: vec![container("app", requests)], ..PodResources::default() };
    let failed = |requests| Pod { phase: PodPhase::Failed, ..pod("b", of(requests)) };
    let target = MetricTarget { average_utilization: Some(50), ..MetricTarget::default() };
    let spec = MetricSpec::Resource { name: "memory".to_owned(), target };
    let sample = Sample { pod: "a".to_owned(), value_milli: 80, at_ms: 0, window_ms: 0 };
    let answer = Answer::Pods(vec![sample]);
    let settings = Settings::default();
    let compute = |pods: &[Pod]| {
        let tolerances = Tolerances { down: 0.1, up: 0.1 };
        let at = Circumstances { settings: &settings, tolerances, pods, now_ms: 0 };
        let scale = Scale { spec_replicas: 1, status_replicas: 1 };
        compute_one(&at, &spec, &answer, scale).map(|(replicas, _)| replicas)
    };
    let running = || pod("a", of(&[("memory", 100)]));
    assert_eq!(compute(&[running(), failed(&[("memory", 100)])]), Ok(2));
    let error = compute(&[running(), failed(&[])]).unwrap_err();
    assert!(error.contains("container app of pod b"), "{error}");
}
