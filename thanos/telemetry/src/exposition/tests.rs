use proptest::prelude::*;

use super::*;

fn rows(body: &str, format: Format) -> Result<Vec<String>, ParseError> {
    let samples = parse_all(body, format, Limits::default())?;
    Ok(samples
        .into_iter()
        .map(|(labels, v, t)| format!("{labels} {v}{}", t.map(|t| format!(" @{t}")).unwrap_or_default()))
        .collect())
}

#[test]
fn text_0_0_4_reads_as_prometheus_reads_it() {
    let body = r#"
# HELP go_gc_seconds A summary.
# TYPE go_gc_seconds summary
go_gc_seconds{quantile="0"} 4.9351e-05
go_gc_seconds{ quantile = "0.25" , } 7.424100000000001e-05
go_gc_seconds_count 99
# TYPE lat histogram
lat_bucket{le="1"} 3
lat_bucket{le="2500000",path="a\\b\"c\nd\q"} 4
	lat_bucket{le="+Inf"}5 1520879607789
#comment without a space
weird:name{__x="}, {"} NaN
# TYPE other gauge
other{le="1"} -Inf -1
{"http.status",utf8="ü","a.b"="c"} +Inf"#;
    assert_eq!(
        rows(body, Format::Text).unwrap(),
        [
            r#"go_gc_seconds{quantile="0.0"} 0.000049351"#,
            r#"go_gc_seconds{quantile="0.25"} 0.00007424100000000001"#,
            "go_gc_seconds_count{} 99",
            r#"lat_bucket{le="1.0"} 3"#,
            r#"lat_bucket{le="2.5e+06", path="a\\b\"c\nd\\q"} 4"#,
            r#"lat_bucket{le="+Inf"} 5 @1520879607789"#,
            r#"weird:name{__x="}, {"} NaN"#,
            r#"other{le="1"} -inf @-1"#,
            r#"http.status{a.b="c", utf8="ü"} inf"#,
        ]
    );
}

#[test]
fn openmetrics_reads_seconds_exemplars_and_wants_its_end() {
    let body = "# TYPE foo counter\n# UNIT foo_seconds seconds\n# HELP foo x\n\
        foo_total{a=\"1\"} 17.0 1520879607.789 # {id=\"}# x\"} 1.2 3\nfoo_created 1520872607.123\n# EOF\n";
    assert_eq!(
        rows(body, Format::OpenMetrics).unwrap(),
        [r#"foo_total{a="1"} 17 @1520879607789"#, "foo_created{} 1520872607.123"]
    );
    for (body, line, wanted) in [
        ("a 1\n", 1, "# EOF"),
        ("", 1, "# EOF"),
        ("a 1\n\n# EOF\n", 2, "blank"),
        ("# EOF\na 1\n", 2, "after # EOF"),
        ("# hello\n# EOF\n", 1, "no comments"),
        ("# TYPE a untyped\n# EOF\n", 1, "untyped"),
        ("# UNIT a seconds\n# EOF\n", 1, "_seconds"),
        ("# UNIT seconds seconds\n# EOF\n", 1, "_seconds"),
        ("a 1 NaN\n# EOF\n", 1, "timestamp"),
    ] {
        let error = rows(body, Format::OpenMetrics).unwrap_err();
        assert!(error.line == line && error.message.contains(wanted), "{body:?}: {error}");
    }
}

#[test]
fn an_error_names_its_line() {
    for (bad, wanted) in [
        ("a", "no value"),
        ("a{} ", "no value"),
        ("a x", "\"x\""),
        ("a 1_000", "1_000"),
        ("a 0x1p-2", "0x1p-2"),
        ("a 1e999", "1e999"),
        ("a 1 1.5", "1.5"),
        ("a 1 2 3", "\"3\""),
        ("a{b=\"c} 1", "not closed"),
        ("a{b=\"c\\\"} 1", "not closed"),
        ("a{b=c} 1", "quoted label value"),
        ("a{b=\"c\" d=\"e\"} 1", ", or }"),
        ("a{b} 1", "="),
        ("a{b=\"c\"", ", or }"),
        ("a{9=\"c\"} 1", "label name"),
        ("a-b 1", "blank"),
        ("{a=\"b\"} 1", "0 metric names"),
        ("a{\"b\"} 1", "2 metric names"),
        ("a{b=\"1\",b=\"2\"} 1", "twice"),
        ("a{__name__=\"b\"} 1", "twice"),
        ("9a 1", "metric name"),
        ("# TYPE a nonsense", "nonsense"),
        ("# TYPE a", "TYPE needs"),
    ] {
        let error = rows(&format!("ok 1\n{bad}\n"), Format::Text).unwrap_err();
        assert!(error.line == 2 && error.message.contains(wanted), "{bad:?}: {error}");
    }
}

#[test]
fn limits_hold() {
    let limits = Limits { line_bytes: 20, labels: 2, samples: 2 };
    for (body, wanted) in [
        ("a 1\nb 1\nc 1\n", "line 3: more than 2 samples"),
        ("a{b=\"1\",c=\"2\"} 1\n", "line 1: more than 2 labels"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaa 1\n", "line 1: line is 27 bytes"),
    ] {
        let error = parse_all(body, Format::Text, limits).unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{error}");
    }
}

#[test]
fn no_target_can_forge_a_staleness_marker() {
    let mut parser = Parser::new("a NaN\n", Format::Text, Limits::default());
    let value = parser.next().unwrap().unwrap().value;
    assert!(value.is_nan() && !thanos_model::is_stale(value));
    assert!(parser.next().is_none());
}

#[test]
fn bounds_are_written_as_go_writes_them() {
    for (value, text) in [
        (0.0, "0.0"),
        (1.0, "1.0"),
        (-1.0, "-1.0"),
        (2.5, "2.5"),
        (100_000.0, "100000.0"),
        (123_456.0, "123456.0"),
        (1e6, "1e+06"),
        (0.0001, "0.0001"),
        (0.000_012_34, "1.234e-05"),
        (-2_500_000.0, "-2.5e+06"),
        (f64::INFINITY, "+Inf"),
    ] {
        assert_eq!(float::openmetrics(value), text);
    }
}

#[test]
fn content_types() {
    assert_eq!(Format::from_content_type(crate::metrics::TEXT), Some(Format::Text));
    assert_eq!(Format::from_content_type(crate::metrics::OPENMETRICS), Some(Format::OpenMetrics));
    assert_eq!(Format::from_content_type("text/html"), None);
}

proptest! {
    #[test]
    fn garbage_never_panics(body in "\\PC*", openmetrics: bool) {
        let format = if openmetrics { Format::OpenMetrics } else { Format::Text };
        let _ = parse_all(&body, format, Limits::default());
    }

    #[test]
    fn near_misses_never_panic(body in r#"([a-z:_{}=",\\ \t\n#0-9.éN]|# TYPE|# EOF|NaN){0,60}"#, openmetrics: bool) {
        let format = if openmetrics { Format::OpenMetrics } else { Format::Text };
        let _ = parse_all(&body, format, Limits::default());
    }

    #[test]
    fn any_label_value_comes_back(value in "[^\n]*", name in "[a-z_][a-z0-9_]{0,5}") {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
        let body = format!("m{{{name}=\"{escaped}\"}} 1\n");
        let rows = parse_all(&body, Format::Text, Limits::default()).unwrap();
        prop_assert_eq!(rows[0].0.get(&name), value);
    }
}

#[test]
fn what_our_own_processes_expose_reads_back_in_both_formats() {
    use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram, info::Info};
    let mut registry = prometheus_client::registry::Registry::default();
    let hits = Family::<Vec<(String, String)>, Counter>::default();
    hits.get_or_create(&vec![("path".into(), "a\\b\"c\nd".into())]).inc();
    registry.register("hits", "Hits", hits);
    let seconds = Histogram::new([0.5, 1.0]);
    seconds.observe(0.7);
    registry.register("took_seconds", "Took", seconds);
    registry.register("build", "Build", Info::new(vec![("version", "1")]));
    let metrics = crate::Metrics::new(registry);
    for (accept, format) in
        [(None, Format::Text), (Some("application/openmetrics-text"), Format::OpenMetrics)]
    {
        let mut rows = rows(&metrics.encode(accept).1, format).unwrap();
        rows.sort();
        assert_eq!(
            rows,
            [
                r#"build_info{version="1"} 1"#,
                r#"hits_total{path="a\\b\"c\nd"} 1"#,
                r#"took_seconds_bucket{le="+Inf"} 1"#,
                r#"took_seconds_bucket{le="0.5"} 0"#,
                r#"took_seconds_bucket{le="1.0"} 1"#,
                "took_seconds_count{} 1",
                "took_seconds_sum{} 0.7",
            ],
            "{format:?}"
        );
    }
}
