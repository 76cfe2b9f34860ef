//! What remote write takes, and how it says no.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::node::*;
use thanos_storepb::prompb::{Histogram, TimeSeries};

#[test]
fn what_is_written_is_read_back_with_external_labels() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let t = now_ms();
    assert_eq!(node.write(vec![named("up", &[(t - 1000, 1.0), (t, 2.0)])]), (200, String::new()));
    let got =
        node.series(select(&[(thanos_storepb::storepb::label_matcher::Type::Eq, "__name__", "up")])).unwrap();
    assert_eq!(got.len(), 1);
    let (labels, samples) = &got[0];
    assert_eq!(labels.to_string(), r#"up{cluster="east", job="test", tenant_id="default-tenant"}"#);
    assert_eq!(samples, &[(t - 1000, 1.0), (t, 2.0)]);
    assert_eq!(node.metric(r#"prometheus_tsdb_head_samples_appended_total{type="float"}"#), 2.0);
    // The same again, as after an answer that was lost: fine, and not counted twice.
    assert_eq!(node.write(vec![named("up", &[(t - 1000, 1.0), (t, 2.0)])]).0, 200);
    assert_eq!(node.metric(r#"prometheus_tsdb_head_samples_appended_total{type="float"}"#), 2.0);
    assert_eq!(node.metric("thanos_receive_repeated_samples_total"), 2.0);
    assert_eq!(node.metric(r#"thanos_receive_write_samples_sum{code="200",tenant="default-tenant"}"#), 4.0);
    node.stop();
}

#[test]
fn tenants_are_kept_apart_by_their_label() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let t = now_ms();
    let body = || snappy(&request(vec![named("up", &[(t, 1.0)])]));
    for tenant in ["a", "b"] {
        assert_eq!(node.post(&[("thanos-tenant", tenant)], body()).0, 200);
    }
    let (code, why) = node.post(&[("thanos-tenant", "../x")], body());
    assert_eq!(code, 400);
    assert!(why.contains("not a tenant"), "{why}");
    let sets = node.info().unwrap().label_sets;
    let tenants: Vec<_> = sets.iter().map(|s| s.labels[1].value.as_str()).collect();
    assert_eq!(tenants, ["a", "b"]);
    let eq = thanos_storepb::storepb::label_matcher::Type::Eq;
    assert_eq!(node.series(select(&[(eq, "tenant_id", "b")])).unwrap().len(), 1);
}

#[test]
fn bad_requests_say_what_is_wrong_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--receive.limits.request-size-bytes", "20000", "--receive.limits.request-series", "50"];
    let node = Node::start(dir.path(), &[&flags[..], &["--receive.limits.request-samples", "80"]].concat());
    let t = now_ms();
    let fine = request(vec![named("fine", &[(t, 1.0)])]);
    let truncated = snappy(&fine)[..20].to_vec();
    let many = |n: usize| (0..n).map(|i| named(&format!("m{i}"), &[(t, 1.0)])).collect::<Vec<_>>();
    let bomb = snappy(&vec![0u8; 1 << 20]);
    assert!(bomb.len() > 20_000);
    let zip_bomb = {
        // Claims 4 GiB in its first bytes.
        let mut b = vec![0xff, 0xff, 0xff, 0xff, 0x0f];
        b.extend([0; 20]);
        b
    };
    // Two bytes a series or label on the wire, fifty and more in memory.
    let hollow = snappy(&[0x0a, 0x00].repeat(40));
    let hollow_labels = {
        let labels = [0x0a, 0x00].repeat(9000);
        let mut raw = vec![0x0a];
        prost::encoding::encode_varint(labels.len() as u64, &mut raw);
        raw.extend(labels);
        snappy(&raw)
    };
    let v2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let with = |name, value| vec![(name, value)];
    for (case, headers, body, code, part) in [
        ("json", with("content-type", "application/json"), snappy(&fine), 415, "application/json"),
        ("version 2", with("content-type", v2), snappy(&fine), 415, "proto=prometheus.WriteRequest"),
        ("gzip", with("content-encoding", "gzip"), snappy(&fine), 415, "send snappy"),
        ("not snappy", HEADERS.to_vec(), b"hello, receiver".to_vec(), 400, "snappy"),
        ("truncated", HEADERS.to_vec(), truncated, 400, "snappy"),
        ("not protobuf", HEADERS.to_vec(), snappy(b"\xff\xff\xff"), 400, "prometheus.WriteRequest"),
        ("large", HEADERS.to_vec(), vec![0; 20_001], 413, "20000 bytes"),
        ("large inside", HEADERS.to_vec(), zip_bomb, 413, "decompressed"),
        ("many series", HEADERS.to_vec(), snappy(&request(many(51))), 413, "51 series"),
        (
            "many samples",
            HEADERS.to_vec(),
            snappy(&request(vec![named("a", &[(t, 1.0); 81])])),
            413,
            "81 samples",
        ),
        ("hollow labels", HEADERS.to_vec(), hollow_labels, 413, "bytes of memory"),
        ("hollow series", HEADERS.to_vec(), hollow, 400, "no labels"),
        ("bad copy", with("thanos-replica", "x"), snappy(&fine), 400, "not a number"),
    ] {
        let (got, why) = node.post(&headers, body);
        assert_eq!(got, code, "{case}: {why}");
        assert!(why.contains(part), "{case}: {why}");
    }
    assert_eq!(node.stored().len(), 0);
    assert_eq!(node.write(many(50)).0, 200);
    assert_eq!(node.stored().len(), 50);
}

#[test]
fn one_bad_series_is_named_and_its_neighbours_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let t = now_ms();
    node.write(vec![named("old", &[(t, 1.0)])]);
    let histogram =
        TimeSeries { histograms: vec![Histogram::default()], ..named("with_histogram", &[(t, 1.0)]) };
    for (i, (bad, code, part)) in [
        (
            series(&[("b", "1"), ("a", "2")], &[(t, 1.0)]),
            400,
            r#"labels not sorted in series {b="1", a="2"}"#,
        ),
        (series(&[("a", "1"), ("a", "2")], &[(t, 1.0)]), 400, "duplicate label name"),
        (series(&[("", "1")], &[(t, 1.0)]), 400, "empty label name"),
        (series(&[("a", "")], &[(t, 1.0)]), 400, "empty label value"),
        (series(&[], &[(t, 1.0)]), 400, "no labels"),
        (histogram, 400, "1 native histogram samples in series"),
        (named("old", &[(t, 2.0)]), 409, r#"{__name__="old", job="test"} at"#),
        (named("old", &[(t - 1, 2.0)]), 409, "out of order"),
        (named("old", &[(t + 3_600_000, 2.0)]), 409, "too far in the future"),
        (named("old", &[(t - 4_000_000, 2.0)]), 409, "out of bounds"),
    ]
    .into_iter()
    .enumerate()
    {
        let good = named(&format!("good{i}"), &[(t, 1.0)]);
        let (got, why) = node.write(vec![bad, good]);
        assert_eq!(got, code, "{why}");
        assert!(why.contains(part), "{why}");
        assert!(node.stored().contains_key(&format!("good{i}")), "{part}");
    }
    assert_eq!(node.stored()["with_histogram"], [(t, 1.0)]);
    assert_eq!(node.metric(r#"prometheus_tsdb_out_of_order_samples_total{type="float"}"#), 1.0);
    assert_eq!(node.metric(r#"prometheus_tsdb_out_of_bound_samples_total{type="float"}"#), 2.0);
}

#[test]
fn too_many_at_once_are_told_to_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--receive.limits.max-concurrency", "1"]);
    // Holds the only turn: announces a body and does not send it.
    let mut slow = TcpStream::connect(node.ports.remote_write).unwrap();
    slow.write_all(
        b"POST /api/v1/receive HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\nexpect: 100-continue\r\n\r\n",
    )
    .unwrap();
    // The server asks for the body once the handler reads it, so from here on the turn is taken.
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    let (code, why) = node.write(vec![named("up", &[(now_ms(), 1.0)])]);
    assert_eq!(code, 429, "{why}");
    drop(slow);
    until("the turn is free again", || node.write(vec![named("up", &[(now_ms(), 1.0)])]).0 == 200);
}
