use proptest::prelude::*;

use super::*;

fn decode(status: u16, body: &str) -> Said {
    let scrubber = Scrubber::new(["hunter2-hunter2".into()]);
    Decoder { scrubber: &scrubber, max_series: 3 }
        .decode(StatusCode::from_u16(status).unwrap(), body.as_bytes())
}

fn answer(body: &str) -> Answer {
    match decode(200, body) {
        Said::Answered(Ok(answer)) => answer,
        other => panic!("{body}: {other:?}"),
    }
}

fn vector(elements: &str, more: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{elements}]}}{more}}}"#)
}

const ONE: &str = r#"{"metric":{"a":"b"},"value":[1700000000.5,"42.5"]}"#;

#[test]
fn vectors_and_scalars_are_read_wherever_their_type_stands() {
    let answers = [
        vector(ONE, ""),
        format!(r#"{{"data":{{"result":[{ONE}],"resultType":"vector"}},"status":"success"}}"#),
        vector(ONE, r#","stats":{"seriesFetched":"1"},"trace":[{}]"#),
    ];
    for body in answers {
        let answer = answer(&body);
        assert_eq!(answer.series.len(), 1);
        assert_eq!(answer.series[0].labels["a"], "b");
        assert_eq!(answer.series[0].value, Some(42.5));
        assert_eq!(answer.reservations().count(), 0);
    }
    let scalar = answer(r#"{"status":"success","data":{"resultType":"scalar","result":[1700000000,"7"]}}"#);
    assert_eq!(scalar.series, [Series { labels: Default::default(), value: Some(7.0) }]);
    assert_eq!(answer(&vector("", "")).series, []);
    assert_eq!(answer(r#"{"status":"success","data":{"resultType":"vector","result":null}}"#).series, []);
}

#[test]
fn values_are_go_floats_and_histograms_have_none() {
    let value = |text: &str| {
        let body = vector(&format!(r#"{{"metric":{{}},"value":[1,"{text}"]}}"#), "");
        match decode(200, &body) {
            Said::Answered(answer) => answer.map(|a| a.series[0].value.unwrap()),
            other => panic!("{other:?}"),
        }
    };
    assert!(value("NaN").unwrap().is_nan());
    for (text, number) in [("+Inf", f64::INFINITY), ("-Inf", f64::NEG_INFINITY), ("1e+06", 1e6), ("-0", 0.0)]
    {
        assert_eq!(value(text), Ok(number), "{text}");
    }
    assert_eq!(value("many").unwrap_err().kind, FailureKind::BadResponse);
    let histogram = vector(r#"{"metric":{},"histogram":[1,{"count":"3","buckets":[[0,"1","2","3"]]}]}"#, "");
    assert_eq!(answer(&histogram).series[0].value, None);
}

/// What servers say against their own answers, and what they say beside them.
#[test]
fn every_servers_way_of_saying_incomplete_is_kept_and_infos_are_dropped() {
    let partial = "the server says that its answer is partial";
    for (server, more, warnings, incomplete) in [
        ("VictoriaMetrics cluster, a vmstorage away", r#","isPartial":true"#, &[][..], Some(partial)),
        ("VictoriaMetrics cluster, whole", r#","isPartial":false"#, &[], None),
        ("isPartial null", r#","isPartial":null"#, &[], None),
        (
            "Thanos, a store away",
            r#","warnings":["No StoreAPIs matched for this query"]"#,
            &["No StoreAPIs matched for this query"],
            None,
        ),
        (
            "Cortex, a zone away",
            r#","warnings":["Query result may contain partial data."]"#,
            &["Query result may contain partial data."],
            None,
        ),
        (
            "the same among infos",
            r#","infos":["Query result may contain partial data."]"#,
            &[],
            Some("Query result may contain partial data."),
        ),
        (
            "Prometheus 3, annotations",
            r#","warnings":["PromQL warning: x"],"infos":["PromQL info: metric might not be a counter"]"#,
            &["PromQL warning: x"],
            None,
        ),
        ("null warnings", r#","warnings":null,"infos":null"#, &[], None),
        ("empty ones", r#","warnings":[],"infos":[]"#, &[], None),
    ] {
        let answer = answer(&vector(ONE, more));
        assert_eq!(answer.warnings, warnings, "{server}");
        assert_eq!(answer.incomplete.as_deref(), incomplete, "{server}");
        assert_eq!(answer.series[0].value, Some(42.5), "{server}");
    }
}

/// Sources: Prometheus `web/api/v1/api.go`, Thanos `pkg/api/api.go`, Mimir `pkg/api/error`, VictoriaMetrics
/// `app/vmselect/prometheus/error_response.qtpl`; gateways of Google and Amazon as they answer.
#[test]
fn every_servers_refusal_has_a_kind_its_words_and_a_cure() {
    use FailureKind::{BadQuery, BadResponse, Execution, Other, Timeout, Unreachable};
    let api =
        |kind: &str, error: &str| format!(r#"{{"status":"error","errorType":"{kind}","error":"{error}"}}"#);
    let answered = true;
    for (server, status, body, kind, said, stays) in [
        (
            "Prometheus",
            400,
            api("bad_data", "1:5: parse error"),
            BadQuery,
            "refused: 1:5: parse error",
            answered,
        ),
        ("Prometheus", 422, api("execution", "too many samples"), Execution, "too many samples", answered),
        ("Prometheus", 503, api("timeout", "query timed out"), Timeout, "query timed out", answered),
        ("Prometheus", 503, api("canceled", "query was canceled"), Timeout, "was canceled", answered),
        ("Prometheus", 500, api("internal", "disk on fire"), Execution, "cannot answer: disk on fire", false),
        ("Prometheus", 503, "Service Unavailable".into(), Unreachable, "Service Unavailable", false),
        ("Thanos", 422, api("execution", "expanding series: rpc error"), Execution, "rpc error", answered),
        ("Thanos", 500, api("internal", "no store"), Execution, "no store", false),
        ("Mimir", 401, "no org id\n".into(), Other, "name the tenant (tenant, --query-tenant)", answered),
        ("Mimir", 429, api("too_many_requests", "the limit"), Execution, "refused: the limit", answered),
        ("Mimir", 422, api("execution", "err-mimir-max-chunks-per-query"), Execution, "err-mimir", answered),
        ("Mimir", 503, api("unavailable", "no querier"), Execution, "cannot answer: no querier", false),
        ("VictoriaMetrics", 422, api("422", "cannot parse query"), BadQuery, "cannot parse query", answered),
        ("VictoriaMetrics", 422, api("422", "limits"), Execution, "refused: limits", answered),
        ("VictoriaMetrics", 400, api("400", "bad arg"), BadQuery, "bad arg", answered),
        (
            "VictoriaMetrics",
            503,
            api("503", "all vmstorage nodes are unavailable"),
            Execution,
            "vmstorage",
            false,
        ),
        ("number", 503, r#"{"status":"error","errorType":503,"error":"x"}"#.into(), Execution, "x", false),
        (
            "vmauth",
            401,
            "missing 'Authorization' request header".into(),
            Other,
            "check the source's token, user, certificate and tenant",
            answered,
        ),
        (
            "GMP",
            403,
            r#"{"error":{"code":403,"message":"Permission denied","status":"PERMISSION_DENIED"}}"#.into(),
            Other,
            "403 Forbidden: \"PERMISSION_DENIED: Permission denied\"; check the source's token",
            answered,
        ),
        ("GMP", 400, api("bad_data", "invalid parameter"), BadQuery, "invalid parameter", answered),
        (
            "AMP",
            403,
            r#"{"message":"Missing Authentication Token"}"#.into(),
            Other,
            "403 Forbidden: \"Missing Authentication Token\"; check",
            answered,
        ),
        ("AMP", 429, r#"{"message":"Rate exceeded"}"#.into(), Execution, "lengthen intervals", false),
        (
            "Azure",
            401,
            r#"{"error":"invalid_token","message":"expired"}"#.into(),
            Other,
            "invalid_token: expired",
            answered,
        ),
        (
            "a gateway with the form",
            403,
            r#"{"status":"error","error":"denied"}"#.into(),
            Other,
            "denied",
            answered,
        ),
        ("a proxy", 502, "<html>Bad Gateway</html>".into(), Unreachable, "Bad Gateway", false),
        ("a proxy", 504, "".into(), Timeout, "504 Gateway Timeout", false),
        ("a proxy", 302, "to http://sso/".into(), Other, "redirects are not followed", answered),
        ("a web server", 404, "<html>".into(), BadResponse, "check the address", answered),
        ("a web server", 200, "<html>".into(), BadResponse, "not the Prometheus API's", answered),
        ("something", 200, "[]".into(), BadResponse, "not the Prometheus API's", answered),
        ("something", 200, "".into(), BadResponse, "not the Prometheus API's", answered),
        ("something", 200, r#"{"status":"success"}"#.into(), BadResponse, "it has no data", answered),
        ("something", 500, r#"{"status":"success"}"#.into(), Execution, "500", false),
    ] {
        let (error, known) = match decode(status, &body) {
            Said::Answered(Err(error)) => (error, true),
            Said::Silent(error) => (error, false),
            Said::Answered(Ok(answer)) => panic!("{server} {status} {body}: {answer:?}"),
        };
        assert_eq!((error.kind, known), (kind, stays), "{server} {status} {body}: {error}");
        assert!(error.message.contains(said), "{server} {status}: {error}");
    }
}

#[test]
fn what_is_no_vector_or_scalar_is_said() {
    let four = [ONE; 4].join(",");
    for (body, kind, said) in [
        (vector(&four, ""), FailureKind::ManySeries, "4 series, over the limit of 3"),
        (
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]}}"#.into(),
            FailureKind::BadResponse,
            "it returned ranges",
        ),
        (
            r#"{"status":"success","data":{"resultType":"string","result":[1,"a"]}}"#.into(),
            FailureKind::BadResponse,
            "it returned a string",
        ),
        (vector("1", ""), FailureKind::BadResponse, "no series in a vector"),
        (
            r#"{"status":"success","data":{"resultType":"scalar","result":[1]}}"#.into(),
            FailureKind::BadResponse,
            "a scalar is",
        ),
    ] {
        match decode(200, &body) {
            Said::Answered(Err(e)) => {
                assert_eq!(e.kind, kind, "{body}");
                assert!(e.message.contains(said), "{e}");
            }
            other => panic!("{body}: {other:?}"),
        }
    }
}

#[test]
fn what_is_over_a_bound_is_counted_or_cut_and_not_kept() {
    for (there, max_series, refused) in
        [(3, 3, false), (4, 3, true), (ITEMS_MAX, ITEMS_MAX, false), (ITEMS_MAX + 7, ITEMS_MAX, true)]
    {
        let body = vector(&vec![ONE; there].join(","), "");
        let scrubber = Scrubber::default();
        match (Decoder { scrubber: &scrubber, max_series }).decode(StatusCode::OK, body.as_bytes()) {
            Said::Answered(Ok(answer)) => assert_eq!((answer.series.len(), refused), (there, false)),
            Said::Answered(Err(e)) => {
                assert!(refused && e.message.starts_with(&format!("{there} series")), "{e}");
            }
            other => panic!("{other:?}"),
        }
    }
    let warnings = vec![format!("\"{}\"", "w".repeat(5_000)); 500].join(",");
    let answer = answer(&vector(ONE, &format!(r#","warnings":[{warnings}]"#)));
    assert_eq!(answer.warnings.len(), 32);
    assert!(answer.warnings.iter().all(|w| w.chars().count() == QUOTE_CHARS_MAX + 1));
}

#[test]
fn secrets_that_servers_quote_are_taken_out_even_where_a_text_is_cut() {
    let secret = "hunter2-hunter2";
    let long = format!("{}{secret}", "x".repeat(QUOTE_CHARS_MAX - 5));
    for text in [format!("invalid token {secret}"), long] {
        for (status, body) in [
            (401, text.clone()),
            (400, format!(r#"{{"status":"error","errorType":"bad_data","error":"{text}"}}"#)),
            (403, format!(r#"{{"message":"{text}"}}"#)),
            (200, vector(ONE, &format!(r#","warnings":["{text}"]"#))),
            (200, vector(ONE, &format!(r#","infos":["partial data: {text}"]"#))),
            (200, vector(&format!(r#"{{"value":[1,"{text}"]}}"#), "")),
            (200, format!(r#"{{"status":"success","data":"{text}"}}"#)),
            (200, format!(r#"{{"status":"success","data":{{"resultType":"{text}","result":[]}}}}"#)),
        ] {
            let said = format!("{:?}", decode(status, &body));
            assert!(!said.contains("hunter"), "{status} {body}: {said}");
        }
    }
}

proptest! {
    #[test]
    fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200), status in 200u16..600) {
        let scrubber = Scrubber::default();
        let _ = Decoder { scrubber: &scrubber, max_series: 3 }.decode(StatusCode::from_u16(status).unwrap(), &body);
    }

    #[test]
    fn nothing_like_an_answer_panics(parts in proptest::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", "\"status\"", ":", "\"success\"", ",", "\"data\"", "\"resultType\"", "\"vector\"", "\"result\"",
        "1", "\"1\"", "null", "\"warnings\"", "\"isPartial\"", "true", "\"metric\"", "\"value\"", "-1.5e3",
    ]), 0..32)) {
        let _ = decode(200, &parts.concat());
    }
}
