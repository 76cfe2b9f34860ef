//! Metrics of pods: who is asked, how often, and what happens where nobody answers.

use autoscaler_core::pods::{ConditionStatus, Container, PodPhase, PodResources, ReadyCondition};
use autoscaler_core::{Compatibility, MetricKind, MetricSpec, Pod, Pods, Target};
use autoscaler_engine::Config;
use autoscaler_engine::objects::Terms;
use autoscaler_pods::PodMetrics;

use crate::world::{Ask, WALL_MS, World, metric, terms};

fn resource(name: &str, percent: i32) -> MetricSpec {
    let mut spec = metric(name);
    spec.kind = MetricKind::Resource { resource: name.into() };
    spec.target = Target::Utilization { average_utilization: percent };
    spec.evidence.max_age_ms = 60_000;
    spec.evidence.clusters.clear();
    spec
}

fn with(metrics: Vec<MetricSpec>) -> Terms {
    let mut terms = terms("web");
    terms.questions = vec![terms.questions[0].clone(); metrics.len()];
    terms.policy.metrics = metrics;
    terms
}

fn pods(count: usize) -> Pods {
    let pod = |index: usize| {
        let requests_milli = [("cpu", 100), ("memory", 1_000_000)].map(|(k, v)| (k.to_owned(), v)).into();
        let containers = vec![Container { name: "app".into(), requests_milli }];
        Pod {
            name: format!("web-{index}"),
            phase: PodPhase::Running,
            start_ms: Some(WALL_MS - 3_600_000),
            ready: Some(ReadyCondition { status: ConditionStatus::True, transition_ms: WALL_MS - 3_500_000 }),
            resources: PodResources { containers, ..PodResources::default() }.into(),
            ..Pod::default()
        }
    };
    Pods::of((0..count).map(pod).collect())
}

fn usage(count: usize, cpu_milli: i64, at_ms: i64) -> Vec<PodMetrics> {
    let used = |index: usize| PodMetrics {
        pod: format!("web-{index}"),
        at_ms,
        window_ms: 500,
        containers: vec![(
            "app".into(),
            [("cpu".to_owned(), cpu_milli), ("memory".to_owned(), 100_000)].into(),
        )],
    };
    (0..count).map(used).collect()
}

fn world(metrics: Vec<MetricSpec>) -> World {
    let mut world = World::new(Config::default());
    world.seen = pods(2);
    world.target("web", 2);
    world.policy("web", with(metrics));
    world
}

#[test]
fn two_resources_are_one_read_a_second_and_scale_up_and_down() {
    let mut w = world(vec![resource("cpu", 50), resource("memory", 50)]);
    w.usage = Some(Ok(usage(2, 200, WALL_MS)));
    w.run(2_500);
    assert_eq!(w.replicas("web"), 8);
    assert!(w.usage_reads.len() <= 4, "{:?}", w.usage_reads);
    assert!(w.usage_reads.iter().all(|(_, selector)| selector == "app=web"));
    w.usage = Some(Ok(usage(2, 20, w.now().wall_ms)));
    w.run(4_000);
    // 20 % against 50 %, of the eight that are ready.
    assert_eq!(w.replicas("web"), 4);
    assert_eq!(w.queries, 0, "no querier was asked");
    for decision in &w.status("web").last_decisions {
        assert!(autoscaler_core::replay(w.records[&decision.digest].as_bytes()).unwrap().identical);
    }
}

#[test]
fn without_answers_the_condition_names_the_cure_and_nobody_else_waits() {
    let mut w = world(vec![resource("cpu", 50)]);
    w.target("other", 2);
    w.policy("other", terms("other"));
    w.asks.insert("other".into(), Ask::Value(400.0, 10));
    // It hangs.
    w.run(8_000);
    assert_eq!((w.replicas("web"), w.replicas("other")), (2, 8));
    let said = w.condition("web", "ScalingActive");
    assert!(said.starts_with("False FailedGetResourceMetric"), "{said}");
    w.usage = Some(Err("the API server does not serve it".to_owned()));
    // The read that hangs is over by its deadline, and a status is at most a refresh old.
    w.run(15_000);
    let said = w.condition("web", "ScalingActive");
    assert!(
        said.contains("the API server does not serve it") && said.contains("install metrics-server"),
        "{said}"
    );
    w.usage = Some(Ok(usage(2, 200, w.now().wall_ms)));
    w.run(4_000);
    assert_eq!(w.replicas("web"), 8);
}

#[test]
fn compatible_policies_see_pods_as_well() {
    let mut terms = with(vec![resource("cpu", 50)]);
    terms.policy.compatibility = Compatibility::Hpa;
    let mut w = World::new(Config::default());
    w.seen = pods(2);
    w.usage = Some(Ok(usage(2, 200, WALL_MS)));
    w.target("web", 2);
    w.policy("web", terms);
    w.run(2_500);
    assert_eq!(w.replicas("web"), 8);
    let said = w.condition("web", "EvidenceSufficient");
    assert!(said.starts_with("True EvidenceNotJudged"), "{said}");
}
