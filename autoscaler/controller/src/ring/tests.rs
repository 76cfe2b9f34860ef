use super::*;

/// A ring under test; each field may be changed before [`World::plan`].
struct World {
    pods: Vec<Pod>,
    members: Vec<Member>,
    unready: BTreeMap<String, i64>,
    factor: u32,
    replicas: i32,
    wanted: Option<i32>,
    leaving_for: Option<i32>,
    unchanged_ms: i64,
    now_ms: i64,
    ordered: bool,
}

fn address(ordinal: u32) -> String {
    format!("127.1.0.{ordinal}:10901")
}

fn pod(ordinal: u32, ready: bool) -> Pod {
    Pod { ordinal, address: Some(address(ordinal)), ready }
}

fn ring(ordinals: &[u32]) -> Vec<Member> {
    ordinals.iter().map(|o| Member { ordinal: Some(*o), address: address(*o) }).collect()
}

/// `n` ready pods, all in the ring, replication 2.
fn world(n: u32) -> World {
    World {
        pods: (0..n).map(|o| pod(o, true)).collect(),
        members: ring(&(0..n).collect::<Vec<_>>()),
        unready: BTreeMap::new(),
        factor: 2,
        replicas: n as i32,
        wanted: None,
        leaving_for: None,
        unchanged_ms: 0,
        now_ms: 1_000_000,
        ordered: false,
    }
}

impl World {
    fn plan(&self) -> Next {
        plan(&View {
            now_ms: self.now_ms,
            replication_factor: self.factor,
            settle_ms: 10_000,
            ordered_start: self.ordered,
            pods: &self.pods,
            members: &self.members,
            unchanged_ms: self.unchanged_ms,
            unready_since_ms: &self.unready,
            replicas: self.replicas,
            wanted: self.wanted,
            leaving_for: self.leaving_for,
        })
    }

    /// Lives with the plan for a while.
    fn step(&mut self, passed_ms: i64) -> Next {
        let next = self.plan();
        let changed = addresses(&next.members) != addresses(&self.members);
        self.members.clone_from(&next.members);
        self.unready.clone_from(&next.unready_since_ms);
        self.unchanged_ms = if changed { passed_ms } else { self.unchanged_ms + passed_ms };
        self.now_ms += passed_ms;
        next
    }
}

#[test]
fn nothing_to_do_is_in_sync() {
    let next = world(3).plan();
    assert_eq!((next.members, next.write, next.settled), (ring(&[0, 1, 2]), None, true));
}

#[test]
fn replicas_rise_at_once_and_members_join_when_ready() {
    let mut w = world(2);
    w.wanted = Some(3);
    assert_eq!(w.step(1000).write, Some(3));
    (w.replicas, w.wanted) = (3, None);
    w.pods.push(pod(2, false));
    let waiting = w.step(1000);
    assert_eq!((waiting.members, waiting.settled), (ring(&[0, 1]), false));
    w.pods[2].ready = true;
    assert_eq!(w.step(1000).members, ring(&[0, 1, 2]));
}

#[test]
fn the_ring_shrinks_first_and_replicas_follow_after_settling() {
    let mut w = world(4);
    w.wanted = Some(2);
    let first = w.step(9_000);
    assert_eq!((first.members, first.write, first.reason), (ring(&[0, 1]), None, reasons::RING_SETTLING));
    let second = w.step(1_000);
    assert_eq!((second.write, second.settled), (None, false), "9 s of 10 s");
    assert_eq!(w.step(0).write, Some(2));
}

#[test]
fn a_change_of_mind_while_settling_brings_the_members_back() {
    let mut w = world(3);
    w.wanted = Some(2);
    assert_eq!(w.step(5_000).members, ring(&[0, 1]));
    w.wanted = None;
    assert_eq!(w.step(1_000).members, ring(&[0, 1, 2]));
    w.wanted = Some(2);
    assert_eq!(w.step(9_000).write, None, "settles anew");
}

#[test]
fn a_held_decision_brings_no_member_back_and_takes_none_away() {
    let mut w = world(3);
    w.wanted = Some(2);
    assert_eq!(w.step(5_000).members, ring(&[0, 1]));
    // Held: the wish from before is remembered, and nothing is wanted.
    (w.wanted, w.leaving_for) = (None, Some(2));
    let next = w.step(1_000);
    assert_eq!((next.members, next.write), (ring(&[0, 1]), None));
    // Evidence is back: it settles from where it was.
    (w.wanted, w.leaving_for) = (Some(2), Some(2));
    assert_eq!(w.step(4_000).write, None, "6 s of 10");
    assert_eq!(w.step(0).write, Some(2));
    // What had not left yet does not leave for a held decision, and never below the factor.
    let mut whole = world(3);
    whole.leaving_for = Some(1);
    assert_eq!(whole.step(1_000).members, ring(&[0, 1, 2]));
    let mut factor = world(3);
    (factor.members, factor.leaving_for) = (ring(&[0]), Some(1));
    assert_eq!(factor.step(1_000).members, ring(&[0, 1]));
}

#[test]
fn nothing_goes_below_the_replication_factor() {
    let mut w = world(3);
    w.wanted = Some(1);
    w.step(10_000);
    let next = w.step(0);
    assert_eq!((next.members, next.write), (ring(&[0, 1]), Some(2)));
    let mut at_factor = world(2);
    at_factor.wanted = Some(1);
    let next = at_factor.plan();
    assert_eq!((next.write, next.reason), (None, reasons::RING_AT_REPLICATION_FACTOR));
    assert_eq!(next.members, ring(&[0, 1]));
}

#[test]
fn the_ring_does_not_shrink_while_a_member_that_stays_is_not_ready() {
    let mut w = world(3);
    w.pods[0].ready = false;
    w.wanted = Some(2);
    let next = w.step(1000);
    assert_eq!((next.members, next.write, next.reason), (ring(&[0, 1, 2]), None, reasons::RING_HELD));
    assert!(next.message.contains("127.1.0.0:10901 is not ready"), "{}", next.message);
    // Nor do replicas fall when a member fails while the ring settles.
    let mut w = world(3);
    w.wanted = Some(2);
    w.step(20_000);
    w.pods[1].ready = false;
    assert_eq!(w.step(0).write, None);
}

#[test]
fn a_short_absence_changes_nothing_and_a_long_one_evicts() {
    let mut w = world(3);
    w.pods[1].ready = false;
    for _ in 0..30 {
        assert_eq!(w.step(1000).members, ring(&[0, 1, 2]));
    }
    assert_eq!(w.step(1000).members, ring(&[0, 2]), "after the grace period");
    w.pods[1].ready = true;
    assert_eq!(w.step(1000).members, ring(&[0, 1, 2]));
}

#[test]
fn absent_members_stay_if_too_few_would_remain() {
    let mut w = world(2);
    w.pods.clear();
    for _ in 0..5 {
        assert_eq!(w.step(20_000).members, ring(&[0, 1]));
    }
}

#[test]
fn a_restarted_member_with_a_new_address_keeps_its_place() {
    let mut w = world(3);
    w.pods[1].address = Some("127.1.9.9:10901".into());
    let next = w.step(1000);
    assert_eq!(next.members[1], Member { ordinal: Some(1), address: "127.1.9.9:10901".into() });
    assert_eq!(next.members.len(), 3);
}

#[test]
fn replicas_that_somebody_else_removed_leave_the_ring_at_once() {
    let mut w = world(4);
    w.replicas = 2;
    w.pods.truncate(2);
    assert_eq!(w.step(1000).members, ring(&[0, 1]));
}

#[test]
fn a_first_ring_does_not_wait_for_readiness_but_for_enough_addresses() {
    let mut w = world(3);
    w.members.clear();
    for p in &mut w.pods {
        p.ready = false;
    }
    assert_eq!(w.plan().members, ring(&[0, 1, 2]));
    w.pods[1].address = None;
    w.pods[2].address = None;
    let next = w.plan();
    assert_eq!((next.members, next.reason), (ring(&[]), reasons::RING_UNAVAILABLE));
    w.ordered = true;
    assert_eq!(w.plan().members, ring(&[0]), "with OrderedReady the second pod waits for the first");
}

#[test]
fn a_first_ring_prefers_ready_pods() {
    let mut w = world(3);
    w.members.clear();
    w.pods[1].ready = false;
    assert_eq!(w.plan().members, ring(&[0, 2]));
}

#[test]
fn an_address_that_belongs_to_nobody_leaves_once_enough_others_are_there() {
    let mut w = world(2);
    w.members.push(Member { ordinal: None, address: "10.0.0.1:10901".into() });
    assert_eq!(w.step(1000).members.len(), 2);
    let mut alone = world(2);
    alone.members = vec![Member { ordinal: None, address: "10.0.0.1:10901".into() }];
    assert_eq!(alone.step(1000).members, ring(&[0, 1]));
}

mod file {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::super::file::{read, write};
    use super::*;

    fn spec() -> autoscaler_api::Ring {
        serde_json::from_value(serde_json::json!({"configMap": "ring"})).unwrap()
    }

    fn map(text: &str) -> ConfigMap {
        ConfigMap { data: Some([("hashrings.json".into(), text.into())].into()), ..ConfigMap::default() }
    }

    #[test]
    fn what_is_written_reads_back_and_is_thanos_format() {
        let mut map = ConfigMap::default();
        write(&mut map, &spec(), 7, &ring(&[0, 1])).unwrap();
        let current = read(&map, &spec(), &[], "receive").unwrap();
        assert_eq!((current.version, current.members), (7, ring(&[0, 1])));
        let file: serde_json::Value = serde_json::from_str(&map.data.unwrap()["hashrings.json"]).unwrap();
        let expected = serde_json::json!([{
            "hashring": "default", "endpoints": [address(0), address(1)], "algorithm": "ketama"
        }]);
        assert_eq!(file, expected);
    }

    #[test]
    fn a_file_by_somebody_else_is_adopted() {
        let map = map(r#"[{"hashring": "other", "endpoints": ["x:1"], "tenants": ["t"]},
                          {"hashring": "default", "endpoints": ["receive-3.receive:10901", {"address": "127.1.0.1:10901", "az": "a"}, "9.9.9.9:1"]}]"#);
        let current = read(&map, &spec(), &[pod(1, true)], "receive").unwrap();
        let ordinals: Vec<Option<u32>> = current.members.iter().map(|m| m.ordinal).collect();
        assert_eq!(ordinals, [Some(3), Some(1), None]);
        let mut map = map;
        write(&mut map, &spec(), 1, &ring(&[0])).unwrap();
        let text = &map.data.unwrap()["hashrings.json"];
        assert!(text.contains("\"x:1\"") && text.contains("\"t\""), "other hashrings stay: {text}");
    }

    #[test]
    fn nothing_is_no_ring_and_garbage_is_an_error() {
        assert_eq!(read(&ConfigMap::default(), &spec(), &[], "r").unwrap().members, []);
        assert_eq!(read(&map(" "), &spec(), &[], "r").unwrap().members, []);
        for garbage in ["{", "{}", "[1]", "[{\"endpoints\": [1]}]"] {
            assert!(
                read(&map(garbage), &spec(), &[], "r").unwrap_err().contains("delete the key"),
                "{garbage}"
            );
        }
        assert!(read(&map(&"x".repeat(2 << 20)), &spec(), &[], "r").unwrap_err().contains("over the limit"));
    }
}
