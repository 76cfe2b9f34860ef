//! Nothing that is wrong with a querier lowers replicas, and what is wrong is said.

use crate::api::{Api, DEPLOYMENTS, POLICIES};
use crate::querier::Say;
use crate::world::World;

#[tokio::test]
async fn whatever_the_querier_does_wrong_becomes_a_condition_and_changes_nothing() {
    // The true demand would be for one replica of eight.
    let cases = [
        (Say::NotANumber, "ScalingActive", "False FailedGetExternalMetric", "NaN"),
        (Say::Many(3), "ScalingActive", "False FailedGetExternalMetric", "3 series"),
        (Say::Nothing, "ScalingActive", "False FailedGetExternalMetric", "no series"),
        (Say::Status(500), "ScalingActive", "False FailedGetExternalMetric", "boom"),
        (Say::Refuse, "ScalingActive", "False FailedGetExternalMetric", "1:5: parse error"),
        (Say::Garbage, "ScalingActive", "False FailedGetExternalMetric", "not the Prometheus API's"),
        (Say::Huge, "ScalingActive", "False FailedGetExternalMetric", "is over"),
        (Say::Hang, "ScalingActive", "False FailedGetExternalMetric", "no answer in time"),
        (Say::Warned(50.0), "EvidenceSufficient", "False QueryWarnings", "No StoreAPIs matched"),
        (Say::Partial(50.0), "EvidenceSufficient", "False QueryWarnings", "its answer is partial"),
        (Say::Value(-50.0), "EvidenceSufficient", "False NegativeValue", "negative"),
    ];
    let runs = cases.map(async |(say, condition, starts, names)| {
        let web = format!("{DEPLOYMENTS}/web");
        let world = World::new(say.clone()).await;
        world.deployment("web", 8);
        world.policy("web", |_| {});
        let controller = world.controller(&[]);
        let said = world.api.until_condition("web", condition, starts).await;
        assert!(said.contains(names), "{say:?}: {said}");
        world.api.until_condition("web", "EvidenceSufficient", "False").await;
        world.several_evaluations("web").await;
        assert_eq!(world.api.order(), Vec::<String>::new(), "{say:?}");
        // The same querier, right again, does lower.
        world.querier.say(Say::Value(50.0));
        world.api.until("1 replica", |_| (world.replicas(&web) == 1).then_some(())).await;
        controller.stop().await;
    });
    futures::future::join_all(runs).await;
}

#[tokio::test]
async fn a_lost_or_stale_cluster_holds_and_may_still_raise() {
    let cases = [
        (vec![("east", 0.1)], "ClustersMissing", "cluster west has no sample"),
        (vec![("east", 0.1), ("west", 60.0)], "StaleSamples", "cluster west's newest sample is"),
        (vec![("east", -30.0), ("west", 0.1)], "StaleSamples", "in the future"),
    ];
    let runs = cases.map(async |(clusters, reason, names)| {
        let web = format!("{DEPLOYMENTS}/web");
        let world = World::new(Say::Value(200.0)).await;
        world.deployment("web", 8);
        world.querier.clusters(&clusters);
        world.policy("web", |_| {});
        let controller = world.controller(&[]);
        let said = world.api.until_condition("web", "EvidenceSufficient", &format!("False {reason}")).await;
        assert!(said.contains(names), "{said}");
        let hold = |api: &Api| {
            let last = api.get(&format!("{POLICIES}/web"))?["status"]["lastDecisions"][0].clone();
            let limit = last["limits"][0].as_str()?.starts_with("InsufficientEvidence");
            (limit && last["from"] == 8 && last["to"] == 8).then_some(())
        };
        world.api.until("the hold among the decisions", hold).await;
        world.several_evaluations("web").await;
        assert_eq!(world.api.order(), Vec::<String>::new(), "held on half the answer");
        world.querier.say(Say::Value(500.0));
        world.api.until("10 replicas", |_| (world.replicas(&web) == 10).then_some(())).await;
        world.querier.say(Say::Value(200.0));
        world.several_evaluations("web").await;
        assert_eq!(world.replicas(&web), 10);
        controller.stop().await;
    });
    futures::future::join_all(runs).await;
}

#[tokio::test]
async fn a_query_that_is_no_promql_is_named_and_never_sent() {
    let world = World::new(Say::Value(50.0)).await;
    world.deployment("web", 8);
    world.policy("web", |spec| spec["metrics"][0]["query"] = "sum(rate(request_total[1s])".into());
    let controller = world.controller(&[]);
    let said = world.api.until_condition("web", "ScalingActive", "False FailedGetExternalMetric").await;
    assert!(said.contains("the '(' is never closed, at column 4"), "{said}");
    world.several_evaluations("web").await;
    assert_eq!(world.querier.asked(), 0);
    assert_eq!(world.api.order(), Vec::<String>::new());
    controller.stop().await;
}

#[tokio::test]
async fn an_unreachable_querier_holds() {
    let world = World::new(Say::Value(50.0)).await;
    world.deployment("web", 8);
    world.policy("web", |_| {});
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let controller = world.controller_with_querier(&nobody.replace("http://", "http://me:hunter2@"));
    let said = world.api.until_condition("web", "ScalingActive", "False FailedGetExternalMetric").await;
    assert!(said.contains("cannot reach") && said.contains(&nobody), "{said}");
    let policy = world.api.get(&format!("{POLICIES}/web")).unwrap().to_string();
    assert!(!policy.contains("hunter2"), "{policy}");
    world.several_evaluations("web").await;
    assert_eq!(world.api.order(), Vec::<String>::new());
    controller.stop().await;
}

#[tokio::test]
async fn a_policy_of_many_queries_that_hang_starves_no_other() {
    let world = World::new(Say::Hang).await;
    world.deployment("web", 8);
    world.deployment("steady", 1);
    // First in the alphabet, and due at the same instants.
    world.policy("aslow", |spec| {
        let metric = |i: usize| {
            let mut metric = spec["metrics"][0].clone();
            metric["name"] = format!("m{i}").into();
            metric["query"] = format!("sum(rate(request_total[200ms])) + {i}").into();
            metric
        };
        spec["metrics"] = (0..32).map(metric).collect();
    });
    world.policy("steady", |spec| {
        spec["scaleTargetRef"]["name"] = "steady".into();
        spec["metrics"][0]["query"] = "max(timestamp(vector(1)))".into();
    });
    world.querier.clusters(&[("east", 0.0)]);
    let controller = world.controller(&["--query-timeout", "19s"]);
    let steady = format!("{DEPLOYMENTS}/steady");
    world.api.until("20 replicas", |_| (world.replicas(&steady) == 20).then_some(())).await;
    assert_eq!(world.replicas(&format!("{DEPLOYMENTS}/web")), 8);
    controller.crash().await;
}

#[tokio::test]
async fn one_slow_policy_delays_no_other() {
    let world = World::new(Say::Hang).await;
    world.deployment("web", 8);
    world.deployment("steady", 1);
    world.policy("web", |_| {});
    world.policy("steady", |spec| {
        spec["scaleTargetRef"]["name"] = "steady".into();
        spec["metrics"][0]["query"] = "max(timestamp(vector(1)))".into();
    });
    // The fake answers anything with a timestamp in it at once, with one series per cluster.
    world.querier.clusters(&[("east", 0.0)]);
    let controller = world.controller(&["--query-timeout", "19s"]);
    world.several_evaluations("steady").await;
    let web = world.api.get(&format!("{POLICIES}/web")).unwrap();
    assert!(web["status"].is_null(), "still waiting for its query: {web}");
    controller.crash().await;
}
