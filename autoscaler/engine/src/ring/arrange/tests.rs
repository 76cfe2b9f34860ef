use super::*;

/// A ring under test; each field may be changed before [`World::plan`].
struct World {
    pods: Vec<Pod>,
    members: Vec<Member>,
    unready: BTreeMap<String, i64>,
    factor: u32,
    replicas: i32,
    wanted: Wanted,
    shrinking_to: Option<i32>,
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
        wanted: Wanted::Present,
        shrinking_to: None,
        unchanged_ms: 0,
        now_ms: 1_000_000,
        ordered: false,
    }
}

impl World {
    fn plan(&self) -> Next {
        arrange(&View {
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
            shrinking_to: self.shrinking_to,
        })
    }

    /// Lives with the plan for a while.
    fn step(&mut self, passed_ms: i64) -> Next {
        let next = self.plan();
        let changed = addresses(&next.members) != addresses(&self.members);
        self.members.clone_from(&next.members);
        self.unready.clone_from(&next.unready_since_ms);
        self.shrinking_to = next.shrinking_to;
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
    w.wanted = Wanted::Replicas(3);
    assert_eq!(w.step(1000).write, Some(3));
    (w.replicas, w.wanted) = (3, Wanted::Present);
    w.pods.push(pod(2, false));
    let waiting = w.step(1000);
    assert_eq!((waiting.members, waiting.settled), (ring(&[0, 1]), false));
    w.pods[2].ready = true;
    assert_eq!(w.step(1000).members, ring(&[0, 1, 2]));
}

#[test]
fn the_ring_shrinks_first_and_replicas_follow_after_settling() {
    let mut w = world(4);
    w.wanted = Wanted::Replicas(2);
    let first = w.step(9_000);
    assert_eq!((first.members, first.write, first.reason), (ring(&[0, 1]), None, reasons::RING_SETTLING));
    let second = w.step(1_000);
    assert_eq!((second.write, second.settled), (None, false), "9 s of 10 s");
    assert_eq!(w.step(0).write, Some(2));
}

#[test]
fn a_change_of_mind_while_settling_brings_the_members_back() {
    let mut w = world(3);
    w.wanted = Wanted::Replicas(2);
    assert_eq!(w.step(5_000).members, ring(&[0, 1]));
    w.wanted = Wanted::Present;
    assert_eq!(w.step(1_000).members, ring(&[0, 1, 2]));
    w.wanted = Wanted::Replicas(2);
    assert_eq!(w.step(9_000).write, None, "settles anew");
}

#[test]
fn a_decision_that_is_held_while_settling_leaves_the_ring_and_its_time_as_they_are() {
    let mut w = world(3);
    w.wanted = Wanted::Replicas(2);
    assert_eq!(w.step(5_000).members, ring(&[0, 1]));
    w.wanted = Wanted::Held;
    for _ in 0..4 {
        let held = w.step(1_000);
        assert_eq!((held.members, held.write, held.reason), (ring(&[0, 1]), None, reasons::RING_HELD));
    }
    w.wanted = Wanted::Replicas(2);
    assert_eq!(w.step(1_000).write, None, "9 s of 10 s");
    assert_eq!(w.step(0).write, Some(2), "time that was held counts");
    // Held first, then content with what is there: the members come back.
    let mut w = world(3);
    w.wanted = Wanted::Replicas(2);
    w.step(5_000);
    w.wanted = Wanted::Held;
    w.step(1_000);
    w.wanted = Wanted::Present;
    assert_eq!(w.step(1_000).members, ring(&[0, 1, 2]));
}

#[test]
fn a_wish_is_kept_while_decisions_are_held_and_dropped_by_the_next_one() {
    let mut w = world(3);
    for (wanted, expected) in [
        (Wanted::Held, None),
        (Wanted::Replicas(2), Some(2)),
        (Wanted::Held, Some(2)),
        (Wanted::Held, Some(2)),
        (Wanted::Present, None),
        (Wanted::Held, None),
        (Wanted::Replicas(2), Some(2)),
        (Wanted::Replicas(4), None),
    ] {
        w.wanted = wanted;
        assert_eq!(w.step(0).shrinking_to, expected, "{wanted:?}");
    }
    // Somebody else lowered the replicas.
    w.wanted = Wanted::Replicas(2);
    w.step(0);
    (w.wanted, w.replicas) = (Wanted::Held, 2);
    assert_eq!(w.step(0).shrinking_to, None);
}

#[test]
fn new_members_join_while_a_decision_is_held_up_to_the_replication_factor() {
    let mut w = world(3);
    w.members.truncate(2);
    w.wanted = Wanted::Held;
    assert_eq!(w.step(1_000).members, ring(&[0, 1, 2]), "nobody made it smaller");
    let mut w = world(3);
    (w.members, w.wanted, w.shrinking_to) = (ring(&[0]), Wanted::Held, Some(1));
    assert_eq!(w.step(1_000).members, ring(&[0, 1]));
}

#[test]
fn a_held_decision_shrinks_nothing() {
    let mut w = world(3);
    w.pods[0].ready = false;
    w.wanted = Wanted::Replicas(2);
    assert_eq!(w.step(1_000).members, ring(&[0, 1, 2]), "a member that stays is not ready");
    w.pods[0].ready = true;
    w.wanted = Wanted::Held;
    assert_eq!(w.step(1_000).members, ring(&[0, 1, 2]));
}

#[test]
fn nothing_goes_below_the_replication_factor() {
    let mut w = world(3);
    w.wanted = Wanted::Replicas(1);
    w.step(10_000);
    let next = w.step(0);
    assert_eq!((next.members, next.write), (ring(&[0, 1]), Some(2)));
    let mut at_factor = world(2);
    at_factor.wanted = Wanted::Replicas(1);
    let next = at_factor.plan();
    assert_eq!((next.write, next.reason), (None, reasons::RING_AT_REPLICATION_FACTOR));
    assert_eq!(next.members, ring(&[0, 1]));
}

#[test]
fn the_ring_does_not_shrink_while_a_member_that_stays_is_not_ready() {
    let mut w = world(3);
    w.pods[0].ready = false;
    w.wanted = Wanted::Replicas(2);
    let next = w.step(1000);
    assert_eq!((next.members, next.write, next.reason), (ring(&[0, 1, 2]), None, reasons::RING_HELD));
    assert!(next.message.contains("127.1.0.0:10901 is not ready"), "{}", next.message);
    // Nor do replicas fall when a member fails while the ring settles.
    let mut w = world(3);
    w.wanted = Wanted::Replicas(2);
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
