use axum::Router;
use axum::body::Body;
use axum::http::{Response, StatusCode as Code};
use axum::routing::post;
use proptest::prelude::*;

use super::*;

/// What a querier under test does with a request.
type Handler = fn(String) -> Response<Body>;

async fn serve(handler: Handler) -> String {
    let router = Router::new().route(
        "/prefix/api/v1/query",
        post(move |body: String| async move {
            if body.contains("query=hang") {
                std::future::pending::<()>().await;
            }
            handler(body)
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/prefix/")
}

fn respond(status: u16, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(status).body(body.into()).unwrap()
}

async fn ask(handler: Handler, query: &str) -> Outcome {
    let base = serve(handler).await;
    let querier = Prometheus::new(&base, None, 100).unwrap();
    let mut outcomes: Vec<_> =
        querier.instant_batch(1_700_000_000_500, vec![query.into()], Duration::from_secs(5)).collect().await;
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0).1
}

fn series(body: &str) -> Outcome {
    decode(StatusCode::OK, body.as_bytes(), 3)
}

#[tokio::test]
async fn a_query_is_sent_as_a_form_with_time_and_deadline() {
    let answer = ask(
        |body| {
            let fields: BTreeMap<String, String> = Url::parse(&format!("http://f/?{body}"))
                .unwrap()
                .query_pairs()
                .map(|(k, v)| (k.into_owned(), v.into_owned()))
                .collect();
            assert_eq!(fields["query"], "sum(a{b=\"c&d\"}) + 1");
            assert_eq!(fields["time"], "1700000000.500");
            assert!(fields["timeout"].ends_with("ms"), "{fields:?}");
            respond(
                200,
                r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"x":"y"},"value":[1.5,"42.5"]}]},"warnings":["half"],"infos":["fine"]}"#,
            )
        },
        "sum(a{b=\"c&d\"}) + 1",
    )
    .await
    .unwrap();
    assert_eq!(answer.warnings, ["half"]);
    assert_eq!(answer.series[0].value, Some(42.5));
    assert_eq!(answer.series[0].labels["x"], "y");
}

#[tokio::test]
async fn errors_over_the_wire_have_a_kind() {
    let big: Handler = |_| respond(200, "x".repeat(MAX_BODY_BYTES + 1));
    let error: Handler = |_| respond(500, "boom");
    let garbage: Handler = |_| respond(200, vec![0xffu8, 0, 1]);
    for (handler, query, kind, said) in [
        (big, "a", FailureKind::BadResponse, "is over"),
        (error, "a", FailureKind::Execution, "boom"),
        (garbage, "a", FailureKind::BadResponse, "not the Prometheus API's"),
    ] {
        let e = ask(handler, query).await.unwrap_err();
        assert_eq!(e.kind, kind);
        assert!(e.message.contains(said), "{e}");
    }
}

#[tokio::test]
async fn a_hanging_query_times_out_and_delays_no_other() {
    let base =
        serve(|_| respond(200, r#"{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}"#))
            .await;
    let querier = Prometheus::new(&base, None, 100).unwrap();
    let batch = vec!["hang".to_owned(), "quick".to_owned()];
    let mut outcomes = querier.instant_batch(0, batch, Duration::from_millis(400));
    let (index, first) = outcomes.next().await.unwrap();
    assert_eq!((index, first.unwrap().series[0].value), (1, Some(7.0)));
    let (index, second) = outcomes.next().await.unwrap();
    assert_eq!((index, second.unwrap_err().kind), (0, FailureKind::Timeout));
    assert!(outcomes.next().await.is_none());
}

#[tokio::test]
async fn nobody_listening_is_unreachable_and_says_why() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let querier = Prometheus::new(&base, None, 100).unwrap();
    let outcomes: Vec<_> = querier.instant_batch(0, vec!["a".into()], Duration::from_secs(5)).collect().await;
    let e = outcomes[0].1.clone().unwrap_err();
    assert_eq!(e.kind, FailureKind::Unreachable);
    assert!(e.message.contains(&base) && e.message.to_lowercase().contains("refused"), "{e}");
}

#[tokio::test]
async fn a_proxy_is_asked_with_the_whole_address() {
    let router = Router::new().fallback(|request: axum::extract::Request| async move {
        assert_eq!(request.uri().to_string(), "http://query.monitoring.svc.cluster.local:9090/api/v1/query");
        respond(200, r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#)
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let querier =
        Prometheus::new("http://query.monitoring.svc.cluster.local:9090", Some(&proxy), 100).unwrap();
    let outcomes: Vec<_> = querier.instant_batch(0, vec!["a".into()], Duration::from_secs(5)).collect().await;
    assert_eq!(outcomes[0].1, Ok(Answer::default()));
}

#[test]
fn what_the_api_says_is_understood() {
    let refused = |kind: &str| {
        let body = format!(r#"{{"status":"error","errorType":"{kind}","error":"because"}}"#);
        let e = decode(Code::BAD_REQUEST, body.as_bytes(), 3).unwrap_err();
        assert!(e.message.contains("because"));
        e.kind
    };
    assert_eq!(refused("bad_data"), FailureKind::BadQuery);
    assert_eq!(refused("timeout"), FailureKind::Timeout);
    assert_eq!(refused("execution"), FailureKind::Execution);
    let value = |text: &str| {
        let body = format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[1,"{text}"]}}]}}}}"#
        );
        series(&body).map(|a| a.series[0].value.unwrap())
    };
    assert!(value("NaN").unwrap().is_nan());
    assert_eq!(value("+Inf"), Ok(f64::INFINITY));
    assert_eq!(value("-Inf"), Ok(f64::NEG_INFINITY));
    assert_eq!(value("many").unwrap_err().kind, FailureKind::BadResponse);
    let histogram =
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#;
    assert_eq!(series(histogram).unwrap().series[0].value, None);
}

#[test]
fn what_is_not_an_answer_is_an_error() {
    let four = [r#"{"metric":{},"value":[1,"1"]}"#; 4].join(",");
    for (body, kind) in [
        (
            format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{four}]}}}}"#),
            FailureKind::ManySeries,
        ),
        (
            r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#.into(),
            FailureKind::BadResponse,
        ),
        (
            r#"{"status":"success","data":{"resultType":"string","result":[1,"a"]}}"#.into(),
            FailureKind::BadResponse,
        ),
        (r#"{"status":"success"}"#.into(), FailureKind::BadResponse),
        (
            r#"{"status":"success","data":{"resultType":"vector","result":[1]}}"#.into(),
            FailureKind::BadResponse,
        ),
        ("[]".into(), FailureKind::BadResponse),
        ("".into(), FailureKind::BadResponse),
        ("<html>".into(), FailureKind::BadResponse),
    ] {
        assert_eq!(series(&body).unwrap_err().kind, kind, "{body}");
    }
    for (status, kind) in [
        (404, FailureKind::BadResponse),
        (401, FailureKind::Other),
        (429, FailureKind::Execution),
        (503, FailureKind::Unreachable),
        (504, FailureKind::Timeout),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(decode(status, b"no", 3).unwrap_err().kind, kind, "{status}");
    }
}

#[test]
fn wrong_addresses_are_configuration_errors_that_name_the_flag() {
    for bad in ["", "query:9090", "ftp://query", "http://"] {
        let e = Prometheus::new(bad, None, 1).unwrap_err().to_string();
        assert!(e.starts_with("--query-url"), "{bad}: {e}");
    }
    let e = Prometheus::new("http://q", Some("::"), 1).unwrap_err().to_string();
    assert!(e.starts_with("--query-proxy-url"), "{e}");
}

proptest! {
    #[test]
    fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200), status in 200u16..600) {
        let _ = decode(StatusCode::from_u16(status).unwrap(), &body, 3);
    }

    #[test]
    fn nothing_like_an_answer_panics(parts in proptest::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", "\"status\"", ":", "\"success\"", ",", "\"data\"", "\"resultType\"", "\"vector\"", "\"result\"", "1", "\"1\"", "null",
    ]), 0..24)) {
        let _ = series(&parts.concat());
    }
}
