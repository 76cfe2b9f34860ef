//! Death and drain.

use std::fs;

use crate::node::*;
use prost::Message;
use thanos_storepb::prompb::TimeSeries;
use thanos_storepb::storepb::writeable_store_client::WriteableStoreClient;
use thanos_storepb::storepb::{TimeSeriesTenantTuple, WriteRequest};
use tonic::Code;

#[test]
fn what_was_acknowledged_is_there_after_a_sudden_death() {
    let dir = tempfile::tempdir().unwrap();
    let start = now_ms();
    let mut node = Node::start(dir.path(), &["--tsdb.wal-fsync-interval", "1h"]);
    for round in 0..5i64 {
        for i in 0..20 {
            let t = start + round * 1000 + i;
            let batch: Vec<TimeSeries> = (0..10).map(|s| named(&format!("m{s}"), &[(t, t as f64)])).collect();
            assert_eq!(node.write(batch).0, 200);
        }
        let ports = node.kill();
        node = Node::start_on(ports, dir.path(), &[]);
        let stored = node.stored();
        assert_eq!(stored.len(), 10);
        for samples in stored.values() {
            let want: Vec<i64> =
                (0..=round).flat_map(|r| (0..20).map(move |i| start + r * 1000 + i)).collect();
            assert_eq!(samples.iter().map(|s| s.0).collect::<Vec<_>>(), want);
        }
    }
}

#[test]
fn damage_to_the_log_is_shown_and_the_rest_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let t = now_ms();
    let node = Node::start(dir.path(), &[]);
    node.write(vec![named("first", &[(t, 1.0)])]);
    let ports = node.kill();
    let first = fs::read_dir(dir.path().join("wal")).unwrap().map(|e| e.unwrap().path()).min().unwrap();
    let mut node = Node::start_on(ports, dir.path(), &[]);
    node.write(vec![named("second", &[(t, 1.0)])]);
    let ports = node.kill();
    let mut bytes = fs::read(&first).unwrap();
    bytes[20] ^= 1;
    fs::write(&first, bytes).unwrap();
    node = Node::start_on(ports, dir.path(), &[]);
    assert_eq!(node.metric("prometheus_tsdb_wal_corruptions_total"), 1.0);
    assert_eq!(node.stored().into_keys().collect::<Vec<_>>(), ["second"]);
}

#[test]
fn a_second_process_on_the_same_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Node::start(dir.path(), &[]);
    let second = Node::refused(dir.path(), &[]);
    assert_eq!(second.exit_code(), 64);
    assert!(second.to_string().contains("--tsdb.path"), "{second}");
}

#[test]
fn shutdown_drains_and_keeps_what_it_took() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let t = now_ms();
    assert_eq!(node.write(vec![named("m", &[(t, 1.0)])]).0, 200);
    // A querier's connection, open and idle, does not hold it up.
    let idle = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let channel = idle.block_on(async {
        let channel = node.channel();
        let mut client = thanos_storepb::infopb::info_client::InfoClient::new(channel.clone());
        client.info(thanos_storepb::infopb::InfoRequest {}).await.unwrap();
        channel
    });
    let ports = node.stop();
    drop(channel);
    let node = Node::start_on(ports, dir.path(), &[]);
    assert_eq!(node.stored()["m"], [(t, 1.0)]);
}

#[test]
fn garbage_over_grpc_is_an_answer_not_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let t = now_ms();
    let wire = |series: TimeSeries| bytes::Bytes::from(series.encode_to_vec());
    let tuple = |tenant: &str, series| TimeSeriesTenantTuple {
        timeseries: vec![wire(series)],
        tenant: tenant.into(),
    };
    client().block_on(async {
        let mut replica = WriteableStoreClient::new(node.channel());
        for (request, code) in [
            (
                WriteRequest { replica: -1, tenant: "t".into(), ..Default::default() },
                Some(Code::InvalidArgument),
            ),
            (
                WriteRequest { timeseries: vec![wire(named("m", &[(t, 1.0)]))], ..Default::default() },
                Some(Code::InvalidArgument),
            ),
            (
                WriteRequest {
                    timeseries_tenant_data: vec![
                        tuple("t", series(&[], &[(t, 1.0)])),
                        tuple("u", named("ok", &[(t, 1.0)])),
                    ],
                    replica: i64::MAX,
                    ..Default::default()
                },
                Some(Code::InvalidArgument),
            ),
            (
                WriteRequest {
                    timeseries: vec![wire(named("ok", &[(i64::MIN, 1.0)]))],
                    tenant: "u".into(),
                    ..Default::default()
                },
                Some(Code::AlreadyExists),
            ),
            (
                WriteRequest {
                    timeseries: vec![bytes::Bytes::from_static(b"no series")],
                    tenant: "u".into(),
                    ..Default::default()
                },
                Some(Code::InvalidArgument),
            ),
            (WriteRequest { tenant: "t".into(), ..Default::default() }, None),
        ] {
            let got = replica.remote_write(request.clone()).await.err().map(|s| s.code());
            assert_eq!(got, code, "{request:?}");
        }
    });
    assert_eq!(node.stored().into_keys().collect::<Vec<_>>(), ["ok"]);
}

/// A peer of Thanos' own compresses what it sends with snappy. Written by hand: tonic's client cannot.
#[test]
fn a_copy_compressed_with_snappy_is_taken() {
    use std::io::Write;

    use prost::Message;
    use tower::{Service, ServiceExt};

    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[]);
    let t = now_ms();
    let message = WriteRequest {
        timeseries: vec![named("m", &[(t, 1.0)]).encode_to_vec().into()],
        tenant: "t".into(),
        replica: 1,
        ..Default::default()
    };
    let mut compressor = snap::write::FrameEncoder::new(Vec::new());
    compressor.write_all(&message.encode_to_vec()).unwrap();
    let body = compressor.into_inner().unwrap();
    let framed = [&[1][..], &(body.len() as u32).to_be_bytes(), &body].concat();
    let request =
        http::Request::post(format!("http://{}/thanos.WriteableStore/RemoteWrite", node.ports.grpc))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-encoding", "snappy")
            .body(tonic::body::Body::new(http_body_util::Full::new(bytes::Bytes::from(framed))))
            .unwrap();
    client().block_on(async {
        let mut channel = node.channel();
        let response = channel.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let headers = response.headers().clone();
        let trailers =
            http_body_util::BodyExt::collect(response.into_body()).await.unwrap().trailers().cloned();
        let status = trailers.unwrap_or(headers);
        assert_eq!(status["grpc-status"], "0", "{status:?}");
    });
    assert_eq!(node.stored()["m"], [(t, 1.0)]);
}
