use super::*;

fn terms() -> RingTerms {
    let spec = serde_json::json!({"configMap": "ring", "replicationFactor": 2});
    RingTerms { spec: serde_json::from_value(spec).unwrap(), settle_ms: 10_000 }
}

fn pods(n: u32) -> Vec<objects::Pod> {
    let pod =
        |o| objects::Pod { name: format!("receive-{o}"), ip: Some(format!("127.1.0.{o}")), ready: true };
    (0..n).map(pod).collect()
}

fn map(version: &str, order: &Order) -> ConfigMap {
    ConfigMap {
        resource_version: version.into(),
        data: [("hashrings.json".into(), order.text.clone())].into(),
        notes: Some(order.notes.clone()),
    }
}

fn look(memory: &mut Memory, map: Option<&ConfigMap>, n: u32, wanted: Wanted, now_ms: u64) -> Next {
    let target = Target { spec_replicas: n.cast_signed(), ..Target::default() };
    let pods = pods(n);
    let sight = Sight { map: Some(map), pods: Some(&pods), target: &target, name: "receive" };
    memory.consider(&terms(), sight, wanted, now_ms, true)
}

#[test]
fn one_write_is_on_its_way_and_replicas_wait_until_it_is_seen_and_settled() {
    let mut memory = Memory::default();
    let first = look(&mut memory, None, 3, Wanted::Present, 0).order.unwrap();
    assert_eq!(first.resource_version, None);
    assert_eq!(look(&mut memory, None, 3, Wanted::Present, 100).order, None, "it is on its way");
    let three = map("7", &first);
    let seen = look(&mut memory, Some(&three), 3, Wanted::Present, 200);
    assert_eq!((seen.order, seen.settled, seen.status.unwrap().version), (None, true, 1));

    let smaller = look(&mut memory, Some(&three), 3, Wanted::Replicas(2), 1_000);
    assert_eq!(smaller.write, None);
    let order = smaller.order.unwrap();
    assert_eq!(order.resource_version.as_deref(), Some("7"));
    memory.ended(true);
    for now_ms in [1_100, 20_000] {
        let unseen = look(&mut memory, Some(&three), 3, Wanted::Replicas(2), now_ms);
        assert_eq!((unseen.order, unseen.write, unseen.settled), (None, None, false), "the watch is behind");
    }
    let two = map("8", &order);
    assert_eq!(look(&mut memory, Some(&two), 3, Wanted::Replicas(2), 21_000).write, None);
    assert_eq!(look(&mut memory, Some(&two), 3, Wanted::Replicas(2), 30_999).write, None);
    assert_eq!(look(&mut memory, Some(&two), 3, Wanted::Replicas(2), 31_000).write, Some(2));
}

#[test]
fn a_write_that_failed_is_ordered_again() {
    let mut memory = Memory::default();
    assert!(look(&mut memory, None, 3, Wanted::Present, 0).order.is_some());
    memory.ended(false);
    assert!(look(&mut memory, None, 3, Wanted::Present, 100).order.is_some());
}

#[test]
fn what_is_not_listed_lets_replicas_rise_and_not_fall() {
    let target = Target { spec_replicas: 3, ..Target::default() };
    let sight = Sight { map: None, pods: None, target: &target, name: "receive" };
    for (wanted, write) in [(4, Some(4)), (2, None)] {
        let next = Memory::default().consider(&terms(), sight, Wanted::Replicas(wanted), 0, true);
        assert_eq!((next.write, next.order, next.reason), (write, None, reasons::RING_UNAVAILABLE));
    }
}

#[test]
fn a_shadow_orders_nothing() {
    let target = Target { spec_replicas: 3, ..Target::default() };
    let pods = pods(3);
    let sight = Sight { map: Some(None), pods: Some(&pods), target: &target, name: "receive" };
    assert_eq!(Memory::default().consider(&terms(), sight, Wanted::Present, 0, false).order, None);
}
