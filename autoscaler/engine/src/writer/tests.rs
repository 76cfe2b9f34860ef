use proptest::prelude::*;

use super::*;

fn writer(limits: Limits) -> Writer<&'static str, i32> {
    Writer::new(limits)
}

fn free() -> Limits {
    Limits { per_second: 1_000, burst: 1_000, in_flight: 100, events_max: 10 }
}

fn sent(writer: &mut Writer<&'static str, i32>, now_ms: u64, from_id: u64) -> Vec<(&'static str, i32)> {
    let mut id = from_id;
    std::iter::from_fn(|| {
        id += 1;
        writer.next(now_ms, id).map(|s| (s.key, s.write))
    })
    .collect()
}

#[test]
fn raises_go_before_lowerings_before_statuses_before_events_before_refreshes() {
    let mut w = writer(free());
    for (class, key) in [
        (Class::Refresh, "refresh"),
        (Class::Event, "event"),
        (Class::Status, "status"),
        (Class::Lower, "lower"),
        (Class::Raise, "raise"),
    ] {
        assert!(w.push(class, key, 0));
    }
    let keys: Vec<&str> = sent(&mut w, 0, 0).into_iter().map(|(k, _)| k).collect();
    assert_eq!(keys, ["raise", "lower", "status", "event", "refresh"]);
}

#[test]
fn the_newest_replaces_what_waits_and_one_is_in_flight() {
    let mut w = writer(free());
    w.push(Class::Lower, "web", 3);
    w.push(Class::Lower, "queue", 1);
    w.push(Class::Lower, "web", 2);
    assert_eq!(sent(&mut w, 0, 0), [("web", 2), ("queue", 1)], "and keeps its place");
    w.push(Class::Lower, "web", 1);
    w.push(Class::Raise, "web", 9);
    assert_eq!(sent(&mut w, 0, 10), []);
    assert_eq!(w.next_ms(0), None, "nothing but an answer helps");
    assert_eq!(w.done(0, 1, Ended::Served), Some("web"));
    assert_eq!(sent(&mut w, 0, 20), [("web", 9)]);
    assert_eq!(w.done(0, 1, Ended::Served), None, "told twice");
}

#[test]
fn what_is_taken_back_is_not_sent() {
    let mut w = writer(free());
    w.push(Class::Lower, "web", 3);
    w.push(Class::Event, "event", 0);
    w.push(Class::Status, "status", 0);
    assert_eq!(w.cancel(&"web"), Some(3));
    w.retain(|k, _| *k != "status");
    assert_eq!(sent(&mut w, 0, 0), [("event", 0)]);
    assert_eq!(w.next_ms(0), None);
}

#[test]
fn the_bucket_limits_the_rate_and_says_when_the_next_may_go() {
    let mut w = Writer::new(Limits { per_second: 10, burst: 2, in_flight: 100, events_max: 10 });
    for key in 0..5 {
        w.push(Class::Status, key, ());
    }
    let mut id = 0;
    let mut next = |w: &mut Writer<i32, ()>, now| {
        id += 1;
        w.next(now, id).map(|s| s.key)
    };
    assert_eq!([next(&mut w, 5), next(&mut w, 5), next(&mut w, 5)], [Some(0), Some(1), None]);
    assert_eq!(w.next_ms(5), Some(105));
    assert_eq!(next(&mut w, 104), None);
    w.push(Class::Raise, 9, ());
    assert_eq!([next(&mut w, 105), next(&mut w, 105)], [Some(9), None], "the raise has the next token");
    assert_eq!([next(&mut w, 10_000), next(&mut w, 10_000), next(&mut w, 10_000)], [Some(2), Some(3), None]);
}

#[test]
fn a_busy_server_is_left_alone_for_as_long_as_it_says_or_twice_as_long_each_time() {
    let mut w = writer(free());
    let mut round = |now: u64, id: u64, retry_after_ms| {
        w.push(Class::Raise, "web", 1);
        assert_eq!(w.next(now, id).map(|s| s.id), Some(id), "{now}");
        w.done(now, id, Ended::Busy { retry_after_ms });
        w.push(Class::Raise, "web", 1);
        w.next_ms(now)
    };
    assert_eq!(round(0, 1, Some(1_500)), Some(1_500));
    assert_eq!(round(1_500, 2, None), Some(1_900));
    assert_eq!(round(1_900, 3, None), Some(2_700));
    assert_eq!(round(2_700, 4, Some(3_600_000)), Some(32_700), "within reason");
    w.next(40_000, 5);
    w.done(40_000, 5, Ended::Served);
    w.push(Class::Raise, "web", 1);
    assert_eq!(w.next_ms(40_000), Some(40_000));
}

#[test]
fn an_object_that_is_refused_rests_by_itself() {
    let mut w = writer(free());
    w.push(Class::Raise, "bad", 1);
    assert_eq!(w.next(0, 1).map(|s| s.key), Some("bad"));
    w.push(Class::Raise, "bad", 2);
    w.done(0, 1, Ended::Busy { retry_after_ms: Some(10_000) });
    w.push(Class::Lower, "good", 3);
    assert_eq!(w.next_ms(0), Some(0));
    assert_eq!(sent(&mut w, 0, 10), [("good", 3)]);
    assert_eq!((w.next_ms(0), w.paused_until_ms(Class::Raise, &"good")), (Some(10_000), 0));
    w.push(Class::Lower, "bad", 4);
    assert_eq!(sent(&mut w, 9_999, 20), [], "whatever is wanted of it");
    assert_eq!(sent(&mut w, 10_000, 30), [("bad", 4)]);
}

#[test]
fn a_server_that_refuses_different_objects_is_tried_by_one_at_a_time_until_it_serves() {
    let mut w = writer(free());
    for key in ["a", "b", "c"] {
        w.push(Class::Raise, key, 0);
    }
    assert_eq!(sent(&mut w, 0, 0).len(), 3);
    w.push(Class::Raise, "d", 0);
    w.push(Class::Raise, "e", 0);
    for id in 1..=3 {
        w.done(0, id, Ended::Busy { retry_after_ms: Some(20_000) });
    }
    assert_eq!((sent(&mut w, 199, 10), w.next_ms(199)), (vec![], Some(200)));
    assert_eq!(sent(&mut w, 200, 20), [("d", 0)]);
    w.done(200, 21, Ended::Busy { retry_after_ms: None });
    assert_eq!(w.next_ms(200), Some(600), "twice as long");
    assert_eq!(sent(&mut w, 600, 30), [("e", 0)]);
    w.done(600, 31, Ended::Served);
    for key in ["f", "g"] {
        w.push(Class::Raise, key, 0);
    }
    assert_eq!(sent(&mut w, 600, 40).len(), 2, "it has time again");
}

#[test]
fn events_and_reads_that_are_refused_stop_nothing_else() {
    let mut w = writer(free());
    let keys = ["e1", "e2", "e3", "e4", "r1", "r2", "r3", "r4"];
    for (i, key) in keys.into_iter().enumerate() {
        w.push(if i < 4 { Class::Event } else { Class::Read }, key, 0);
    }
    assert_eq!(sent(&mut w, 0, 0).len(), 8);
    for id in 1..=8 {
        w.done(0, id, Ended::Busy { retry_after_ms: Some(9_000) });
    }
    w.push(Class::Event, "e5", 0);
    w.push(Class::Status, "s", 0);
    w.push(Class::Status, "t", 0);
    assert_eq!(sent(&mut w, 0, 10), [("s", 0), ("t", 0)], "events rest together");
    assert_eq!(sent(&mut w, 9_000, 20), [("e5", 0)]);
}

#[test]
fn slow_statuses_leave_half_of_the_way_to_replicas() {
    let mut w = Writer::new(Limits { per_second: 1_000, burst: 1_000, in_flight: 4, events_max: 10 });
    for key in 0..10 {
        w.push(Class::Status, key, ());
    }
    let sent: Vec<i32> = (0..4).filter_map(|id| w.next(0, id).map(|s| s.key)).collect();
    assert_eq!(sent, [0, 1]);
    w.push(Class::Raise, 100, ());
    w.push(Class::Lower, 101, ());
    w.push(Class::Lower, 102, ());
    let sent: Vec<i32> = (10..14).filter_map(|id| w.next(0, id).map(|s| s.key)).collect();
    assert_eq!(sent, [100, 101]);
}

#[test]
fn reads_that_hang_keep_neither_statuses_nor_a_try_of_the_server_waiting() {
    let mut w = Writer::new(Limits { per_second: 1_000, burst: 1_000, in_flight: 8, events_max: 10 });
    for key in 0..10 {
        w.push(Class::Read, key, ());
        w.push(Class::Status, 100 + key, ());
    }
    let first: Vec<i32> = (0..9).filter_map(|id| w.next(0, id).map(|s| s.key)).collect();
    assert_eq!(first, [0, 1, 100, 101]);
    // Two reads hang on while three writes are refused.
    w.push(Class::Raise, 200, ());
    assert_eq!(w.next(0, 20).map(|s| s.key), Some(200));
    for id in [2, 3, 20] {
        assert!(w.done(0, id, Ended::Busy { retry_after_ms: None }).is_some());
    }
    w.push(Class::Raise, 201, ());
    w.push(Class::Raise, 202, ());
    assert_eq!((w.next(200, 30).map(|s| s.key), w.next(200, 31)), (Some(201), None));
}

#[test]
fn events_are_bounded() {
    let mut w = Writer::new(Limits { events_max: 2, ..Limits::default() });
    assert!(w.push(Class::Event, 1, ()) && w.push(Class::Event, 2, ()));
    assert!(!w.push(Class::Event, 3, ()));
    w.next(0, 1);
    assert!(w.push(Class::Event, 3, ()));
}

proptest! {
    /// No more in flight than allowed, one an object, no more than the bucket gives, and everything is sent once.
    #[test]
    fn budgets_hold_and_everything_is_sent(steps in prop::collection::vec((0_u8..9, 0_u32..6, 0_u64..50), 1..300)) {
        let limits = Limits { per_second: 100, burst: 3, in_flight: 3, events_max: 100 };
        let mut w = Writer::new(limits);
        let (mut now, mut id, mut flight, mut count) = (0, 0, BTreeMap::new(), 0_u64);
        for (what, key, passed) in steps {
            now += passed;
            match what {
                0..=4 => drop(w.push(CLASSES[what as usize], key, ())),
                5 => drop(w.cancel(&key)),
                8 => drop(w.push(Class::Refresh, key, ())),
                6 => if let Some((id, _)) = flight.pop_first() {
                    let ended = w.done(now, id, Ended::Busy { retry_after_ms: None });
                    prop_assert!(ended.is_some());
                },
                _ => if let Some((id, _)) = flight.pop_first() {
                    prop_assert!(w.done(now, id, Ended::Served).is_some());
                },
            }
            loop {
                id += 1;
                let Some(start) = w.next(now, id) else { break };
                prop_assert!(!flight.values().any(|k| *k == start.key), "two in flight of {}", start.key);
                flight.insert(start.id, start.key);
                count += 1;
            }
            prop_assert!(flight.len() <= 3 && count <= 3 + now / 10);
        }
        for _ in 0..1_000 {
            while let Some((id, _)) = flight.pop_first() {
                w.done(now, id, Ended::Served);
            }
            match w.next_ms(now) {
                None => break,
                Some(at) => now = at,
            }
            id += 1;
            let start = w.next(now, id);
            prop_assert!(start.is_some(), "it said that something could be sent at {now}");
            flight.extend(start.map(|s| (s.id, s.key)));
        }
        prop_assert_eq!(w.load().0, 0);
    }
}
