//! What comes back: bounds, packing, servers that are slow or break off.

use std::io::Write;

use autoscaler_core::FailureKind;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::server::{Reply, Server, ask, ask_source, response, source};
use autoscaler_querier::Prometheus;

fn packed(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

const SCALAR: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}"#;

#[tokio::test]
async fn a_packed_answer_is_read() {
    let server =
        Server::start(|_| response("200 OK", "content-encoding: gzip\r\n", &packed(SCALAR.as_bytes()))).await;
    assert_eq!(ask_source(&source(&[&server.url])).await.unwrap().series[0].value, Some(7.0));
}

#[tokio::test]
async fn a_body_is_bounded_packed_and_unpacked() {
    // A gibibyte of blanks in a mebibyte.
    let bomb = packed(&vec![b' '; 1 << 26]);
    assert!(bomb.len() < 1 << 17);
    let zip = "content-encoding: gzip\r\n";
    for (headers, body, said) in [
        ("", vec![b'x'; 5 << 20], "the answer is over 2310144 bytes; aggregate"),
        (zip, bomb, "the answer is over 2310144 bytes"),
        (zip, SCALAR.as_bytes().to_vec(), "the answer cannot be unpacked: "),
        (zip, packed(SCALAR.as_bytes())[..20].to_vec(), "the answer cannot be unpacked: "),
        ("content-encoding: br\r\n", SCALAR.as_bytes().to_vec(), "packed otherwise than by gzip"),
    ] {
        let server = Server::start(move |_| response("200 OK", headers, &body)).await;
        let error = ask_source(&source(&[&server.url])).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::BadResponse);
        assert!(error.message.contains(said), "{error}");
    }
}

#[tokio::test]
async fn a_bound_follows_the_series_that_are_allowed() {
    let element = format!(r#"{{"metric":{{"a":"{}"}},"value":[1,"1"]}}"#, "x".repeat(1_900));
    let elements = vec![element; 3_000].join(",");
    let body = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{elements}]}}}}"#);
    let server = Server::start(move |_| response("200 OK", "", body.as_bytes())).await;
    let mut s = source(&[&server.url]);
    assert!(ask_source(&s).await.unwrap_err().message.contains("is over"));
    s.max_series = 3_000;
    assert_eq!(ask_source(&s).await.unwrap().series.len(), 3_000);
}

#[tokio::test]
async fn a_server_that_hangs_costs_the_deadline_and_no_more() {
    let server = Server::start(|_| Reply::Hang).await;
    let querier = Prometheus::new(&source(&[&server.url])).unwrap();
    let began = std::time::Instant::now();
    let error = ask(&querier, 200).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Timeout);
    assert!(
        error.message.contains("gave no answer in time") && error.message.contains(&server.url),
        "{error}"
    );
    assert!((200..5_000).contains(&began.elapsed().as_millis()));
}

#[tokio::test]
async fn a_body_that_never_ends_costs_the_deadline_too() {
    let server =
        Server::start(|_| Reply::Cut(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec())).await;
    let error = ask_source(&source(&[&server.url])).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Unreachable, "{error}");
    let server =
        Server::start(|_| Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec())).await;
    let error = ask(&Prometheus::new(&source(&[&server.url])).unwrap(), 200).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Timeout, "{error}");
}
