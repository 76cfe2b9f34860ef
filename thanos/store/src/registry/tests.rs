use std::collections::BTreeMap;

use thanos_model::Labels;

use super::{Keep, Registry, Source};
use crate::endpoint::{Info, StoreInfo};

const DNS: Source = Source::Dns(0);

fn registry() -> Registry {
    Registry::new(Keep { forget_after_ms: 900_000, departed_after_ms: 0 })
}

fn list(r: &mut Registry, source: Source, found: &[(&str, &str)], now: i64) {
    let found: BTreeMap<_, _> = found.iter().map(|(k, a)| ((*k).to_owned(), a.parse().unwrap())).collect();
    r.listed(source, &found, now);
    r.sweep(now);
}

fn info(replica: &str) -> Info {
    Info {
        component: "receive".into(),
        label_sets: vec![Labels::from_pairs([("cluster", "west"), ("replica", replica)])],
        store: Some(StoreInfo { min_ms: 0, max_ms: 0, open_max_ms: i64::MAX, without_replica_labels: true }),
    }
}

fn problems(r: &Registry) -> Vec<String> {
    r.entries().filter_map(super::Entry::problem).collect()
}

#[test]
fn a_store_that_crashes_stays_expected_after_dns_drops_it() {
    let mut r = registry();
    list(&mut r, DNS, &[("r-0:1", "127.0.0.1:1")], 0);
    assert_eq!(problems(&r), ["store r-0:1 (127.0.0.1:1) was found but has not answered yet"]);
    r.answered("r-0:1", info("0"), 10_000);
    assert!(problems(&r).is_empty());
    r.failed("r-0:1", "connection refused".into(), false, 11_000);
    list(&mut r, DNS, &[], 12_000);
    assert_eq!(
        problems(&r),
        ["store r-0:1 (127.0.0.1:1, receive {cluster=\"west\", replica=\"0\"}) does not answer: \
          connection refused; last answer at 1970-01-01T00:00:10Z; no longer in discovery"]
    );
    r.sweep(911_999);
    assert_eq!(problems(&r).len(), 1);
    r.sweep(912_000);
    assert_eq!(r.entries().count(), 0, "forgotten after its time");
}

#[test]
fn a_store_that_says_goodbye_and_leaves_dns_is_let_go() {
    let mut r = registry();
    list(&mut r, DNS, &[("r-0:1", "127.0.0.1:1")], 0);
    r.answered("r-0:1", info("0"), 1);
    r.failed("r-0:1", "connection refused".into(), true, 2);
    r.sweep(2);
    assert_eq!(problems(&r).len(), 1, "it restarts as long as DNS lists it");
    list(&mut r, DNS, &[], 3);
    assert_eq!(r.entries().count(), 0);
}

#[test]
fn a_store_that_outlives_its_dns_record_is_asked_until_it_ends_and_then_let_go() {
    let mut r = registry();
    list(&mut r, DNS, &[("r-0:1", "127.0.0.1:1")], 0);
    r.answered("r-0:1", info("0"), 1);
    list(&mut r, DNS, &[], 2);
    r.answered("r-0:1", info("0"), 3);
    r.sweep(3);
    assert!(r.entries().all(super::Entry::answers));
    r.failed("r-0:1", "connection refused".into(), false, 4);
    r.sweep(4);
    assert_eq!(r.entries().count(), 0);
}

#[test]
fn a_replacement_with_the_same_labels_takes_the_place_and_a_twin_does_not() {
    let mut r = registry();
    list(&mut r, DNS, &[("127.0.0.1:1", "127.0.0.1:1"), ("127.0.0.2:1", "127.0.0.2:1")], 0);
    r.answered("127.0.0.1:1", info("0"), 5);
    r.answered("127.0.0.2:1", info("0"), 5);
    r.failed("127.0.0.1:1", "timeout".into(), false, 6);
    list(&mut r, DNS, &[("127.0.0.2:1", "127.0.0.2:1")], 7);
    r.answered("127.0.0.2:1", info("0"), 8);
    r.sweep(8);
    assert_eq!(problems(&r).len(), 1, "a twin that was there before is no replacement");
    list(&mut r, DNS, &[("127.0.0.2:1", "127.0.0.2:1"), ("127.0.0.9:1", "127.0.0.9:1")], 9);
    r.answered("127.0.0.9:1", info("0"), 10);
    r.sweep(10);
    assert!(problems(&r).is_empty());
    assert_eq!(r.entries().count(), 2);
}

#[test]
fn a_name_that_moves_to_a_new_address_is_the_same_store() {
    let mut r = registry();
    list(&mut r, DNS, &[("r-0:1", "127.0.0.1:1")], 0);
    r.answered("r-0:1", info("0"), 1);
    list(&mut r, DNS, &[("r-0:1", "127.0.0.7:1")], 2);
    assert!(
        problems(&r)[0].contains("127.0.0.7:1") && problems(&r)[0].contains("west"),
        "{:?}",
        problems(&r)
    );
    r.answered("r-0:1", info("0"), 3);
    assert!(problems(&r).is_empty());
}

#[test]
fn leaving_a_file_is_the_operators_word_and_static_endpoints_stay() {
    let mut r = registry();
    list(&mut r, Source::Static, &[("a:1", "a:1")], 0);
    list(&mut r, Source::File(0), &[("b:1", "b:1")], 0);
    r.answered("b:1", info("0"), 1);
    r.failed("a:1", "no".into(), false, 1);
    list(&mut r, Source::File(0), &[], 2);
    r.sweep(i64::MAX);
    assert_eq!(r.entries().map(|e| e.key.as_str()).collect::<Vec<_>>(), ["a:1"]);
}
