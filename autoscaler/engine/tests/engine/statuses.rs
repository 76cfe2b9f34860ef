//! Statuses: soon for what matters, seldom for what drifts, never with what no longer holds, never too large.

use autoscaler_core::{ClusterSamples, Float, Mode, Observation, Reading, Samples, SelectorSamples};
use autoscaler_engine::objects::{Pod, Question, RingTerms, Terms};
use autoscaler_engine::{Config, Event};

use crate::world::{Ask, World, key, metric, name, terms};

fn statuses(w: &World, policy: &str) -> Vec<u64> {
    w.statuses.iter().filter(|(_, p)| *p == name(policy)).map(|(at, _)| *at).collect()
}

fn world() -> World {
    let mut w = World::new(Config::default());
    w.target("web", 2);
    w.policy("web", terms("web"));
    w
}

#[test]
fn what_matters_is_written_within_a_second_and_what_drifts_once_in_a_refresh() {
    let mut w = world();
    w.asks.insert("web".into(), Ask::Value(100.0, 10));
    w.run(5_000);
    let before = statuses(&w, "web").len();
    w.run(30_000);
    let drift = statuses(&w, "web").len() - before;
    assert!((5..=7).contains(&drift), "{drift}");
    w.asks.insert("web".into(), Ask::Value(400.0, 10));
    while w.replicas("web") == 2 {
        w.run(10);
    }
    let scaled_ms = w.now_ms;
    w.run(1_100);
    assert_eq!(w.status("web").current_replicas, Some(8), "{scaled_ms}");
}

#[test]
fn a_status_says_when_its_metrics_were_evaluated() {
    let mut w = world();
    w.asks.insert("web".into(), Ask::Value(100.0, 10));
    w.run(10_000);
    let evaluated = |w: &World| w.status("web").last_evaluation_time.as_ref().map(|t| t.0.as_millisecond());
    let first = evaluated(&w).unwrap();
    w.run(10_000);
    let second = evaluated(&w).unwrap();
    assert!((second - first - 10_000).abs() <= 6_000, "{first} {second}");
    assert!(!w.status("web").metrics.is_empty());
}

#[test]
fn a_policy_at_a_tenth_of_a_second_writes_at_most_one_status_a_second() {
    let mut w = world();
    let mut quick = terms("web");
    quick.interval_ms = 100;
    w.policy("web", quick);
    for n in 0..100 {
        w.asks.insert("web".into(), Ask::Value(f64::from(100 + 300 * (n / 7 % 2)), 10));
        w.run(100);
    }
    let times = statuses(&w, "web");
    assert!(times.windows(2).all(|t| t[1] - t[0] >= 1_000), "{times:?}");
    assert!(times.len() >= 6, "{times:?}");
}

#[test]
fn a_status_that_could_not_be_written_is_written_later() {
    let mut w = world();
    w.run(3_000);
    let seen = w.policies.remove(&name("web")).unwrap();
    w.asks.insert("web".into(), Ask::Value(400.0, 10));
    w.run(3_000);
    w.policies.insert(name("web"), seen);
    w.run(3_000);
    assert_eq!(w.status("web").desired_replicas, Some(8));
}

#[test]
fn what_no_longer_holds_is_not_said() {
    let kinds =
        |w: &World| -> Vec<String> { w.status("web").conditions.iter().map(|c| c.type_.clone()).collect() };
    let healthy = || {
        let mut w = world();
        w.run(3_000);
        assert_eq!(kinds(&w), ["AbleToScale", "ScalingActive", "ScalingLimited", "EvidenceSufficient"]);
        assert_eq!(w.status("web").metrics.len(), 1);
        w
    };
    let mut invalid = healthy();
    invalid.seen("web", Err("spec.maxReplicas: 1 is below minReplicas 2".into()));
    let mut unreadable = healthy();
    unreadable.targets.clear();
    unreadable.broadcast(&key("web"), None);
    let mut ambiguous = healthy();
    ambiguous.policy("other", terms("web"));
    for (mut w, left) in [(invalid, "ScalingActive"), (unreadable, "AbleToScale"), (ambiguous, "AbleToScale")]
    {
        w.run(3_000);
        assert_eq!(kinds(&w), [left]);
        let status = w.status("web");
        assert_eq!((status.metrics.len(), status.desired_replicas), (0, None), "{left}");
        assert!(w.condition("web", left).starts_with("False"), "{left}");
        assert!(status.memory.is_some(), "{left}: rates are not forgotten");
    }
}

#[test]
fn a_status_has_a_bound_whatever_a_querier_and_a_user_write() {
    let mut w = World::new(Config::default());
    w.target("web", 2);
    let mut terms = terms("web");
    let clusters: Vec<String> = (0..64).map(|n| format!("{n:03}{}", "→".repeat(83))).collect();
    terms.policy.metrics = (0..32)
        .map(|n| {
            let mut metric = metric(&format!("m{n}{}", "x".repeat(60)));
            metric.evidence.clusters = clusters.iter().map(|c| c.as_str().into()).collect();
            metric
        })
        .collect();
    terms.questions = vec![Question { weight: 1, ..Question::default() }; 32];
    w.policy("web", terms);
    w.asks.insert("web".into(), Ask::Hang);
    w.run(1_000);
    for number in 1..=200 {
        let seen = |cluster: &String| ClusterSamples {
            cluster: cluster.as_str().into(),
            newest_ms: 0,
            slowest_ms: None,
            pods: 0,
            silent_pods: 0,
        };
        let clusters = clusters.iter().map(seen).collect();
        let observation = Observation {
            name: autoscaler_core::Name::default(),
            newest: Reading::Value(Float::new(f64::MAX)),
            settled: None,
            samples: Samples::Seen(vec![SelectorSamples {
                selector: "x".into(),
                pinned: false,
                scope: Default::default(),
                clusters,
            }]),
            starts: Vec::new(),
            warnings: vec!["w→".repeat(16_384); 8],
            incomplete: None,
        };
        w.tell(0, Event::Answer { query: number, observation });
        w.run(5);
    }
    w.run(3_000);
    let status = w.status("web");
    assert_eq!(status.metrics.len(), 32);
    assert!(status.metrics.iter().any(|m| !m.warnings.is_empty()));
    let bytes = serde_json::to_vec(status).unwrap().len();
    assert!(bytes < 256 << 10, "{bytes} bytes");
    assert!(w.notes.iter().all(|(_, n)| n.note.len() <= 1_000));
}

#[test]
fn a_fast_descent_is_a_few_events() {
    let mut w = world();
    let mut exact = terms("web");
    exact.policy.defaults.tolerance = Float::new(0.0);
    w.policy("web", exact);
    w.target("web", 20);
    for n in 0..40 {
        w.asks.insert("web".into(), Ask::Value(50.0 * f64::from(20 - n / 2), 10));
        w.run(1_000);
    }
    let changes = w.scales("web").len();
    assert!(changes > 10, "{changes}");
    let told: Vec<&str> = w
        .notes
        .iter()
        .filter(|(_, n)| n.reason == "SuccessfulRescale")
        .map(|(_, n)| n.note.as_str())
        .collect();
    assert!(told.len() < changes, "{told:#?}");
    assert!(told.iter().any(|n| n.contains("changes from")), "{told:#?}");
}

/// Members first, replicas second, from what watches tell; a query that fails while the ring settles costs nothing.
#[test]
fn a_ring_settles_before_replicas_fall_and_a_failed_query_moves_no_member() {
    let mut w = World::new(Config::default());
    w.pods = (0..3)
        .map(|n| Pod { name: format!("receive-{n}"), ip: Some(format!("10.0.0.{n}")), ready: true })
        .collect();
    w.target("receive", 3);
    let mut terms = terms("receive");
    let spec = serde_json::json!({"configMap": "ring", "replicationFactor": 2});
    terms.ring = Some(RingTerms { spec: serde_json::from_value(spec).unwrap(), settle_ms: 10_000 });
    w.policy("receive", terms);
    w.asks.insert("receive".into(), Ask::Value(150.0, 10));
    w.run(4_000);
    assert!(w.condition("receive", "RingSettled").starts_with("True RingInSync"));
    w.asks.insert("receive".into(), Ask::Value(100.0, 10));
    let rings = |w: &World| w.status("receive").ring.as_ref().map(|r| r.version);
    while rings(&w) == Some(1) {
        w.run(100);
        assert!(w.now_ms < 20_000);
    }
    let shrunk_ms = w.now_ms;
    w.asks.insert("receive".into(), Ask::Fail(autoscaler_core::FailureKind::Unreachable));
    w.run(3_000);
    w.asks.insert("receive".into(), Ask::Value(100.0, 10));
    while w.replicas("receive") == 3 {
        w.run(100);
        assert!(w.now_ms < 40_000);
    }
    let took = w.now_ms - shrunk_ms;
    assert!((8_000..13_000).contains(&took), "{took} ms");
    w.run(2_000);
    assert_eq!(rings(&w), Some(2), "written twice: first, and smaller");
    // A shadow leaves it alone.
    let mut shadow = Terms::clone(w.policies[&name("receive")].terms.as_ref().unwrap());
    shadow.policy.mode = Mode::Shadow;
    w.policy("receive", shadow);
    w.pods.pop();
    w.run(2_000);
    assert_eq!(rings(&w), Some(2));
}
