//! Two that scale one target are told, and neither writes.

use autoscaler_core::Mode;
use autoscaler_engine::objects::{ConfigMap, Name, RingTerms, Terms};
use autoscaler_engine::{Config, Event};

use crate::world::{Ask, World, key, name, terms};

fn world(policies: &[&str]) -> World {
    let mut w = World::new(Config::default());
    w.target("web", 2);
    for policy in policies {
        w.policy(policy, terms("web"));
        w.asks.insert((*policy).into(), Ask::Value(400.0, 10));
    }
    w
}

fn autoscaler(w: &mut World, name_: &str, target: Option<&str>) {
    let event = Event::HorizontalPodAutoscaler { name: name(name_), target: target.map(key) };
    w.tell(0, event);
}

#[test]
fn two_active_policies_on_one_target_write_nothing_until_one_goes() {
    let mut w = world(&["first", "second"]);
    w.run(5_000);
    for (policy, other) in [("first", "second"), ("second", "first")] {
        let said = w.condition(policy, "AbleToScale");
        assert!(said.starts_with("False AmbiguousTarget") && said.contains(other), "{said}");
    }
    assert_eq!(w.scales("web"), []);
    w.gone("second");
    w.run(50);
    assert_eq!(w.replicas("web"), 8, "at once");
}

#[test]
fn a_policy_that_cannot_be_followed_or_does_not_write_is_no_rival() {
    let mut shadow = terms("web");
    shadow.policy.mode = Mode::Shadow;
    let mut paused = terms("web");
    paused.policy.mode = Mode::Paused;
    let mut greedy = terms("web");
    greedy.questions = vec![Default::default(); 33];
    let others: [Result<Terms, String>; 4] =
        [Err("spec.maxReplicas: 20 is below minReplicas 30".into()), Ok(shadow), Ok(paused), Ok(greedy)];
    for other in others {
        let mut w = world(&["web"]);
        w.seen("other", other.clone());
        w.run(1_500);
        assert_eq!(w.replicas("web"), 8, "{other:?}");
    }
}

#[test]
fn an_autoscaler_on_the_same_target_holds_an_active_policy_and_is_named() {
    let mut w = world(&["web"]);
    autoscaler(&mut w, "web-hpa", Some("web"));
    w.run(3_000);
    let said = w.condition("web", "AbleToScale");
    assert!(
        said.starts_with("False AmbiguousTarget") && said.contains("HorizontalPodAutoscaler web-hpa"),
        "{said}"
    );
    assert_eq!(w.scales("web"), []);
    // A shadow may watch what an autoscaler does.
    let mut shadow = terms("web");
    shadow.policy.mode = Mode::Shadow;
    w.policy("web", shadow);
    w.run(1_500);
    assert_eq!(w.status("web").desired_replicas, Some(8));
    w.policy("web", terms("web"));
    w.run(1_500);
    assert_eq!(w.scales("web"), []);
    autoscaler(&mut w, "web-hpa", Some("other"));
    w.run(50);
    assert_eq!(w.replicas("web"), 8, "at once");
}

#[test]
fn an_autoscaler_that_a_list_does_not_have_is_gone() {
    let mut w = world(&["web"]);
    autoscaler(&mut w, "web-hpa", Some("web"));
    w.run(2_000);
    w.tell(0, Event::HorizontalPodAutoscalersListed { cluster: 0, names: Vec::<Name>::new() });
    w.run(50);
    assert_eq!(w.replicas("web"), 8);
}

#[test]
fn two_policies_that_keep_one_ring_are_told() {
    let mut w = World::new(Config::default());
    for target in ["one", "two"] {
        w.target(target, 2);
        let mut terms = terms(target);
        let spec = serde_json::json!({"configMap": "ring", "replicationFactor": 1});
        terms.ring = Some(RingTerms { spec: serde_json::from_value(spec).unwrap(), settle_ms: 0 });
        w.policy(target, terms);
        w.asks.insert(target.into(), Ask::Value(400.0, 10));
    }
    w.run(3_000);
    for (policy, other) in [("one", "two"), ("two", "one")] {
        let said = w.condition(policy, "AbleToScale");
        assert!(said.starts_with("False AmbiguousTarget") && said.contains(other), "{said}");
    }
    assert_eq!((w.scales("one"), w.scales("two")), (vec![], vec![]));
    assert_eq!(w.maps, std::collections::BTreeMap::<Name, ConfigMap>::new());
}

#[test]
fn nothing_is_decided_before_it_is_known_who_else_there_is() {
    for known in [true, false] {
        let mut w = World::new(Config::default());
        w.processes[0].engine = autoscaler_engine::Engine::new(Config::default());
        w.fence(0, 0, Some(u64::MAX));
        w.target("web", 2);
        w.policy("web", terms("web"));
        w.asks.insert("web".into(), Ask::Value(400.0, 10));
        w.run(5_000);
        assert_eq!(w.queries, 0);
        w.tell(0, Event::PoliciesListed { cluster: 0, names: vec![name("web")] });
        w.run(5_000);
        assert_eq!(w.queries, 0, "an autoscaler may be there");
        if known {
            w.tell(0, Event::HorizontalPodAutoscalersFailed { cluster: 0 });
        } else {
            // Nobody tells of any: in the end it goes on without.
            w.run(5_000);
        }
        w.run(1_100);
        assert_eq!(w.replicas("web"), 8, "{known}");
    }
}
