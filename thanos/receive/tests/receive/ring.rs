//! Several nodes and the file that binds them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::node::*;

struct Ring {
    dir: tempfile::TempDir,
    nodes: Vec<Option<Node>>,
    gone: BTreeMap<usize, Ports>,
    replication_factor: String,
}

impl Ring {
    fn start(nodes: usize, replication_factor: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut ring = Self {
            dir,
            nodes: (0..nodes).map(|_| None).collect(),
            gone: (0..nodes).map(|i| (i, Ports::open())).collect(),
            replication_factor: replication_factor.to_string(),
        };
        let addresses: Vec<String> = ring.gone.values().map(|p| p.grpc.to_string()).collect();
        write_ring(&ring.file(), &addresses);
        for i in 0..nodes {
            ring.revive(i);
        }
        ring
    }

    fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("hashrings.json")
    }

    fn node(&self, i: usize) -> &Node {
        self.nodes[i].as_ref().unwrap()
    }

    fn kill(&mut self, i: usize) {
        self.gone.insert(i, self.nodes[i].take().unwrap().kill());
    }

    fn revive(&mut self, i: usize) {
        let ports = self.gone.remove(&i).unwrap();
        let local = ports.grpc.to_string();
        let file = self.file();
        let flags = [
            "--receive.hashrings-file",
            file.to_str().unwrap(),
            "--receive.local-endpoint",
            &local,
            "--receive.replication-factor",
            &self.replication_factor,
        ];
        let node = Node::start_on(ports, &self.dir.path().join(i.to_string()), &flags);
        until("the ring is read", || node.metric("thanos_receive_config_last_reload_successful") == 1.0);
        self.nodes[i] = Some(node);
    }

    /// By series, its newest sample on any node.
    fn newest(&self) -> BTreeMap<String, i64> {
        let mut out: BTreeMap<String, i64> = BTreeMap::new();
        for (name, samples) in self.nodes.iter().flatten().flat_map(Node::stored) {
            let newest = out.entry(name).or_insert(i64::MIN);
            *newest = samples.iter().map(|s| s.0).fold(*newest, i64::max);
        }
        out
    }

    /// By series, the nodes that hold it.
    fn holders(&self) -> BTreeMap<String, Vec<usize>> {
        let mut out: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (i, node) in self.nodes.iter().enumerate() {
            for name in node.as_ref().map(Node::stored).unwrap_or_default().into_keys() {
                out.entry(name).or_default().push(i);
            }
        }
        out
    }
}

fn write_ring(file: &Path, addresses: &[String]) {
    let json = serde_json::json!([{"hashring": "test", "endpoints": addresses, "algorithm": "ketama"}]);
    let next = file.with_extension("next");
    fs::write(&next, json.to_string()).unwrap();
    fs::rename(next, file).unwrap();
}

fn batch(from: usize, count: usize, t: i64) -> Vec<thanos_storepb::prompb::TimeSeries> {
    (from..from + count).map(|i| named(&format!("m{i:04}"), &[(t, i as f64)])).collect()
}

#[test]
fn two_copies_of_each_series_survive_the_loss_of_a_node() {
    let mut ring = Ring::start(3, 2);
    let t = now_ms();
    assert_eq!(ring.node(0).write(batch(0, 200, t)).0, 200);
    let holders = ring.holders();
    assert_eq!(holders.len(), 200);
    assert!(holders.values().all(|nodes| nodes.len() == 2), "{holders:?}");
    for i in 0..3 {
        let here = holders.values().filter(|nodes| nodes.contains(&i)).count();
        assert!((80..=190).contains(&here), "node {i} has {here} of 200");
    }
    assert_eq!(ring.node(0).metric("thanos_receive_hashring_nodes{name=\"test\"}"), 3.0);
    assert_eq!(ring.node(0).metric("thanos_receive_hashring_missing_copies"), 0.0);

    // A node dies: every series still has a copy, writes succeed at any other, nothing stored is lost.
    ring.kill(1);
    assert_eq!(ring.holders().len(), 200);
    assert_eq!(ring.node(2).write(batch(0, 200, t + 1000)).0, 200);
    assert_eq!(ring.node(0).write(batch(200, 50, t + 1000)).0, 200);
    let newest = ring.newest();
    assert_eq!(newest.len(), 250);
    assert!(newest.values().all(|newest| *newest == t + 1000), "{newest:?}");
    // It comes back with what it had, and takes its part again.
    ring.revive(1);
    let back = ring.node(1).stored();
    assert!(back.len() >= 80 && back.values().all(|s| s[0].0 == t));
    let mut later = t + 2000;
    until("forwarding resumes", || {
        later += 1;
        assert_eq!(ring.node(0).write(batch(0, 250, later)).0, 200);
        ring.node(1).stored().values().all(|s| s.len() > 1)
    });
}

#[test]
fn three_copies_need_two_and_a_refused_write_may_be_repeated() {
    let mut ring = Ring::start(3, 3);
    let t = now_ms();
    ring.kill(2);
    assert_eq!(ring.node(0).write(batch(0, 20, t)).0, 200);
    ring.kill(1);
    let (code, why) = ring.node(0).write(batch(0, 20, t + 1));
    assert_eq!(code, 503);
    assert!(why.contains("20 of 20 series are on fewer than 2 of 3 replicas"), "{why}");
    // What is new here is stored here in spite of it; repeated when the others are back, it is recognised.
    ring.revive(1);
    ring.revive(2);
    // Two of three are enough for a 200, and a replica just back may not be asked yet.
    until("repeated writes reach all", || {
        ring.node(0).write(batch(0, 20, t + 1)).0 == 200
            && ring.holders().values().all(|nodes| nodes.len() == 3)
    });
    assert!(ring.node(0).metric(r#"thanos_receive_forward_requests_total{result="error"}"#) >= 1.0);
}

#[test]
fn conflicts_of_all_copies_are_final() {
    let ring = Ring::start(2, 2);
    let t = now_ms();
    assert_eq!(ring.node(0).write(batch(0, 10, t)).0, 200);
    let (code, why) = ring.node(1).write(batch(0, 10, t - 1));
    assert_eq!(code, 409, "{why}");
    assert!(why.contains("out of order"), "{why}");
}

#[test]
fn a_ring_changes_under_way_and_a_bad_file_changes_nothing() {
    let mut ring = Ring::start(3, 2);
    let addresses: Vec<String> = (0..3).map(|i| ring.node(i).ports.grpc.to_string()).collect();
    let t = now_ms();
    // Fewer nodes than copies: one copy is better than none.
    write_ring(&ring.file(), &addresses[..1]);
    until("it is read", || ring.node(2).metric("thanos_receive_hashring_missing_copies") == 1.0);
    assert_eq!(ring.node(2).write(batch(0, 30, t)).0, 200);
    assert!(ring.holders().values().all(|nodes| nodes == &[0]), "node 2 only routes");

    fs::write(ring.file(), "[{\"endpoints\": 3}]").unwrap();
    until("it is refused", || ring.node(2).metric("thanos_receive_config_last_reload_successful") == 0.0);
    assert_eq!(ring.node(2).write(batch(0, 30, t + 1)).0, 200);
    fs::remove_file(ring.file()).unwrap();
    let errors = ring.node(2).metric("thanos_receive_hashrings_file_errors_total");
    until("it is missed", || {
        ring.node(2).metric("thanos_receive_hashrings_file_errors_total") > errors + 1.0
    });
    assert_eq!(ring.node(2).write(batch(0, 30, t + 2)).0, 200);

    write_ring(&ring.file(), &addresses);
    for i in 0..3 {
        until("it is whole", || ring.node(i).metric("thanos_receive_hashring_missing_copies") == 0.0);
    }
    assert_eq!(ring.node(2).write(batch(30, 30, t + 3)).0, 200);
    assert!(ring.holders().iter().filter(|(n, _)| n.as_str() >= "m0030").all(|(_, nodes)| nodes.len() == 2));
    ring.kill(0);
}

#[test]
fn nodes_that_disagree_about_the_ring_do_not_send_in_circles() {
    let ring = Ring::start(2, 1);
    let addresses: Vec<String> = (0..2).map(|i| ring.node(i).ports.grpc.to_string()).collect();
    // Each says that the other holds everything.
    let other = ring.dir.path().join("other.json");
    write_ring(&ring.file(), &addresses[1..]);
    write_ring(&other, &addresses[..1]);
    until("node 0 reads it", || ring.node(0).metric("thanos_receive_hashring_nodes{name=\"test\"}") == 1.0);
    let dir = tempfile::tempdir().unwrap();
    let router = Node::start(dir.path(), &["--receive.hashrings-file", other.to_str().unwrap()]);
    until("the router reads it", || router.metric("thanos_receive_config_last_reload_successful") == 1.0);
    assert_eq!(router.write(batch(0, 10, now_ms())).0, 200);
    assert_eq!(ring.node(0).stored().len(), 10, "stored where it arrived, though its ring says node 1");
    assert_eq!(ring.node(1).stored().len(), 0);
}

#[test]
fn before_the_first_ring_copies_are_taken_and_writes_wait() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hashrings.json");
    fs::write(&file, "").unwrap();
    let ports = Ports::open();
    let local = ports.grpc.to_string();
    let flags = ["--receive.hashrings-file", file.to_str().unwrap(), "--receive.local-endpoint", &local];
    let node = Node::start_on(ports, dir.path(), &flags);
    let body = || snappy(&request(batch(0, 1, now_ms())));
    let (code, why) = node.post(HEADERS, body());
    assert_eq!(code, 503, "{why}");
    assert!(why.contains("hashring file"), "{why}");
    assert_eq!(node.post(&[("thanos-replica", "1")], body()).0, 200, "a copy is taken");
    write_ring(&file, &[local]);
    until("the ring is read", || node.post(HEADERS, body()).0 == 200);
}
