use std::collections::BTreeSet;

use super::ketama::Sections;
use super::*;
use proptest::prelude::*;

fn endpoints(names: &[&str]) -> Vec<Endpoint> {
    names.iter().map(|n| Endpoint { address: (*n).into(), az: String::new() }).collect()
}

/// The answers of Thanos' own `TestKetamaHashringGet` (10 sections a node).
#[test]
fn ketama_places_series_where_thanos_does() {
    for (nodes, pod, copy, want) in [
        (&["node-1", "node-2", "node-3"][..], "nginx", 0, "node-2"),
        (&["node-1", "node-2", "node-3"], "nginx", 1, "node-1"),
        (&["node-1", "node-2", "node-3"], "nginx", 2, "node-3"),
        (&["node-1", "node-3", "node-2"], "nginx", 2, "node-3"),
        (&["node-0", "node-1", "node-2", "node-3"], "nginx", 0, "node-2"),
        (&["node-1", "node-2", "node-3", "node-4"], "nginx", 0, "node-2"),
        (&["node-1", "node-2", "node-3"], "thanos", 0, "node-3"),
    ] {
        let endpoints = endpoints(nodes);
        let sections = Sections::new(&endpoints, 10, copy + 1);
        let got = sections.nodes(series_hash("tenant", [("pod", pod)].into_iter()))[copy];
        assert_eq!(endpoints[got as usize].address, want, "{nodes:?} {pod} copy {copy}");
    }
}

fn ring(json: &str, replication_factor: usize) -> Hashrings {
    Hashrings::parse(json, Algorithm::Ketama, replication_factor).unwrap()
}

#[test]
fn the_file_form_of_thanos_is_read() {
    let h = ring(
        r#"[{"hashring":"a","tenants":["x","y"],"endpoints":["h1:1",{"address":"h2:1","az":"z"}],"future_key":1},
            {"tenants":["p-*"],"tenant_matcher_type":"glob","endpoints":["h3:1"]},
            {"endpoints":["h4:1"],"algorithm":"hashmod"}]"#,
        2,
    );
    let first = |tenant| h.ring(tenant).unwrap().endpoints()[0].address.clone();
    assert_eq!([first("y"), first("p-1"), first("q")], ["h1:1", "h3:1", "h4:1"]);
    assert_eq!(h.rings().map(Ring::copies).collect::<Vec<_>>(), [2, 1, 1]);
    assert!(ring(r#"[{"tenants":["x"],"endpoints":["h1:1"]}]"#, 1).ring("y").is_none());
}

#[test]
fn a_bad_file_says_what_is_wrong() {
    for (json, part) in [
        ("", "empty"),
        ("[]", "empty"),
        ("null", "empty"),
        ("{}", "not a hashring configuration"),
        (r#"[{"hashring":"r"}]"#, "\"r\": it has 0 endpoints"),
        (r#"[{"endpoints":["a:1","a:1"]}]"#, "listed twice"),
        (r#"[{"endpoints":["not an address"]}]"#, "not HOST:PORT"),
        (r#"[{"endpoints":[{"address":"a:1","az":"z"}],"algorithm":"hashmod"}]"#, "zones"),
        (r#"[{"endpoints":["a:1"],"algorithm":"rendezvous"}]"#, "rendezvous"),
        (r#"[{"endpoints":["a:1"],"shuffle_sharding_config":{"shard_size":2}}]"#, "not supported yet"),
    ] {
        let e = Hashrings::parse(json, Algorithm::Ketama, 1).unwrap_err().to_string();
        assert!(e.contains(part), "{json}: {e}");
    }
}

#[test]
fn hashmod_counts_on_from_the_sorted_nodes() {
    let h = Hashrings::parse(r#"[{"endpoints":["c:1","a:1","b:1"]}]"#, Algorithm::Hashmod, 2).unwrap();
    let r = h.ring("t").unwrap();
    let of = |hash: u64| r.nodes(hash).map(|n| r.endpoints()[n].address.as_str()).collect::<Vec<_>>();
    assert_eq!(of(0), ["a:1", "b:1"]);
    assert_eq!(of(5), ["c:1", "a:1"]);
    // Thanos adds first and wraps here, to the same node twice.
    assert_eq!(of(u64::MAX), ["a:1", "b:1"]);
}

#[test]
fn uneven_zones_end() {
    let mut e = endpoints(&["a", "b", "c", "d"]);
    for (node, az) in e.iter_mut().zip(["1", "2", "2", "2"]) {
        node.az = az.into();
    }
    let sections = Sections::new(&e, 50, 4);
    for hash in (0..64).map(|s| 1u64 << s) {
        assert_eq!(sections.nodes(hash).iter().collect::<BTreeSet<_>>().len(), 4);
        let zones: BTreeSet<_> = sections.nodes(hash)[..2].iter().map(|n| &e[*n as usize].az).collect();
        assert_eq!(zones.len(), 2, "the first two copies are in two zones");
    }
}

proptest! {
    #[test]
    fn copies_are_on_different_nodes_and_a_new_node_only_takes(nodes in 1usize..7, copies in 1usize..4, hashes in prop::collection::vec(any::<u64>(), 20)) {
        let names: Vec<String> = (0..=nodes).map(|i| format!("10.0.0.{i}:10901")).collect();
        let all: Vec<Endpoint> = names.iter().map(|n| Endpoint { address: n.clone(), az: String::new() }).collect();
        let before = Ring::new("r".into(), all[..nodes].to_vec(), Algorithm::Ketama, copies);
        let after = Ring::new("r".into(), all.clone(), Algorithm::Ketama, copies);
        for hash in hashes {
            let old: BTreeSet<usize> = before.nodes(hash).collect();
            let new: BTreeSet<usize> = after.nodes(hash).collect();
            prop_assert_eq!(old.len(), copies.min(nodes));
            prop_assert_eq!(new.len(), copies.min(nodes + 1));
            // Nodes that were there before get nothing new, unless a copy more is now possible.
            if copies <= nodes {
                prop_assert!(new.difference(&old).all(|n| *n == nodes));
            }
        }
    }

    #[test]
    fn no_file_panics(json in "\\PC{0,200}") {
        let _ = Hashrings::parse(&json, Algorithm::Ketama, 3);
    }
}
