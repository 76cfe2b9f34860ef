use thanos_model::{MatchOp, Matcher};

use super::*;

fn written(query: &str) -> Vec<String> {
    Query::parse(query).unwrap().selectors().iter().map(ToString::to_string).collect()
}

#[test]
fn selectors_come_in_reading_order_each_once_with_the_time_that_they_look_at() {
    let cases: &[(&str, &[&str])] = &[
        (
            r#"sum(rate(request_total{deployment="web",direction="inbound"}[30s]))"#,
            &[r#"request_total{deployment="web",direction="inbound"}"#],
        ),
        ("up", &["up"]),
        (r#"sum(a{x!="1",y=~"b|c",z!~"d.*"}) / sum(b)"#, &[r#"a{x!="1",y=~"b|c",z!~"d.*"}"#, "b"]),
        ("a + a", &["a"]),
        ("a offset 5m + a", &["a offset 5m", "a"]),
        ("rate(a[1m] offset -1m)", &["a offset -1m"]),
        ("rate(a[1m] offset (1m + 30s))", &["a offset 1m30s"]),
        ("a @ 1700000000.5", &["a @ 1700000000.500"]),
        ("a @ -1.5", &["a @ -1.500"]),
        ("a @ end()", &["a"]),
        ("max_over_time(rate(a[1m] offset 1m)[10m:1m] offset 5m)", &["a offset 6m"]),
        ("max_over_time(rate(a[1m] offset 1m)[10m:1m] @ 100 offset 5m)", &["a @ 100.000 offset 6m"]),
        ("max_over_time((a @ 50 offset 1m)[10m:1m] @ 100 offset 5m)", &["a @ 50.000 offset 1m"]),
        ("topk(scalar(n), a)", &["n", "a"]),
        (r#"{__name__=~"a|b"}"#, &[r#"{__name__=~"a|b"}"#]),
        (r#"{__name__=~"a|b",__name__!="c"}"#, &[r#"{__name__=~"a|b",__name__!="c"}"#]),
        (
            r#"{"http.requests", "the.label"="v\"w\\"}"#,
            &[r#"{__name__="http.requests","the.label"="v\"w\\"}"#],
        ),
        (r"x{status=~`5\d\d`}", &[r#"x{status=~"5\\d\\d"}"#]),
        (r#"sum{a="b"}"#, &[r#"{__name__="sum",a="b"}"#]),
        ("vector(5) and hour() > 8", &[]),
        ("histogram_quantile(0.99, sum by (le) (rate(h_bucket[1m])))", &["h_bucket"]),
    ];
    for (query, expected) in cases {
        assert_eq!(written(query), *expected, "{query}");
        for selector in written(query) {
            assert_eq!(written(&selector), [selector.as_str()], "{query}");
        }
    }
}

#[test]
fn a_selector_is_written_with_more_conditions_and_for_other_times() {
    let query = Query::parse(r#"rate(a{b="c"}[1m] offset 1m) / rate({"d.e"}[1m] @ 60)"#).unwrap();
    let [a, d] = query.selectors() else { panic!("two selectors") };
    let pods = Matcher::new("pod", MatchOp::Regex, "web-[a-z0-9]+-.{5}").unwrap();
    assert_eq!(
        a.clone().with(pods.clone()).offset(-30_000).to_string(),
        r#"a{b="c",pod=~"web-[a-z0-9]+-.{5}"} offset 30s"#
    );
    assert_eq!(a.clone().offset(-60_000).to_string(), r#"a{b="c"}"#);
    assert_eq!(a.clone().offset(-90_000).at(1_500).to_string(), r#"a{b="c"} @ 1.500 offset -30s"#);
    assert_eq!(
        d.clone().with(pods).with(Matcher::new("x.y", MatchOp::NotEqual, "\n").unwrap()).to_string(),
        r#"{__name__="d.e",pod=~"web-[a-z0-9]+-.{5}","x.y"!="\n"} @ 60.000"#
    );
}

#[test]
fn a_selector_can_stand_alone() {
    for text in ["up", "a{b=\"c\"} @ 5.000 offset -1m", "{__name__=~\"a.*\"}"] {
        assert_eq!(SeriesSelector::parse(text).unwrap().to_string(), text);
    }
    for text in ["rate(a[5m])", "a[5m]", "a + b", "1", "a smoothed"] {
        let error = SeriesSelector::parse(text).expect_err(text).to_string();
        assert!(error.contains("no series selector alone"), "{text}: {error}");
    }
    assert!(SeriesSelector::parse("a{").unwrap_err().to_string().contains("never closed, at column 2"));
}

#[test]
fn ages_count_from_the_time_that_a_selector_looks_at() {
    let reference = |query: &str| Query::parse(query).unwrap().selectors()[0].reference_ms(1_000_000);
    assert_eq!(reference("a"), 1_000_000);
    assert_eq!(reference("a offset 1m"), 940_000);
    assert_eq!(reference("a offset -1m"), 1_060_000);
    assert_eq!(reference("a @ 500 offset 1m"), 440_000);
}

#[test]
fn the_window_is_the_longest_way_back() {
    for (query, window_ms, shortest_range_ms) in [
        ("sum(a)", 0, None),
        ("sum(rate(a[30s]))", 30_000, Some(30_000)),
        ("sum(rate(a[30s])) / sum(rate(b[1m]))", 60_000, Some(30_000)),
        ("max_over_time(sum(rate(a[30s]))[5m:1s]) + rate(b[1m] offset 1h)", 330_000, Some(30_000)),
        ("rate(a[1m+30s])", 90_000, Some(90_000)),
        ("vector(1)", 0, None),
    ] {
        let query = Query::parse(query).unwrap();
        assert_eq!(
            (query.window_ms(), query.shortest_range_ms()),
            (window_ms, shortest_range_ms),
            "{}",
            query.text()
        );
    }
}

#[test]
fn what_a_value_can_do_without_is_told_apart() {
    let optional = |query: &str| -> Vec<bool> {
        Query::parse(query).unwrap().selectors().iter().map(SeriesSelector::is_optional).collect()
    };
    for (query, expected) in [
        ("(sum(rate(errors[5m])) or vector(0)) / sum(rate(requests[5m]))", &[true, false][..]),
        ("a or b", &[true, true]),
        ("a and b", &[false, false]),
        ("a unless b", &[false, true]),
        ("a + (a or b)", &[false, true]),
        ("(a or b) + a", &[false, true]),
        ("absent(a) or vector(1)", &[true]),
        ("sum(absent_over_time(a[5m])) + b", &[true, false]),
        ("a + fill_right(0) b", &[false, true]),
        ("a + fill(0) b", &[true, true]),
    ] {
        assert_eq!(optional(query), expected, "{query}");
    }
}

#[test]
fn recorded_series_are_known_by_their_colon() {
    let query = Query::parse("job:rps:rate5m + sum(a) / job:rps:rate5m + {__name__=\"b:c\"}").unwrap();
    assert_eq!(query.recorded(), ["job:rps:rate5m", "b:c"]);
    let query =
        Query::parse("sum(vllm:num_requests_waiting) + sum(llamacpp:requests_deferred) + vllms:x").unwrap();
    assert_eq!(query.recorded(), ["vllms:x"], "inference servers name their own metrics so");
    assert_eq!(query.value_type(), ValueType::Vector);
    assert_eq!(Query::parse("1 + time()").unwrap().value_type(), ValueType::Scalar);
}

#[test]
fn a_selector_knows_which_clusters_it_can_see() {
    let admits =
        |query: &str, cluster: &str| Query::parse(query).unwrap().selectors()[0].admits("cluster", cluster);
    assert!(admits("a", "east") && admits("a{cluster=~\"east|west\"}", "west"));
    assert!(!admits("a{cluster=\"east\"}", "west") && !admits("a{cluster!=\"west\"}", "west"));
}

#[test]
fn another_time_is_written_into_the_text() {
    for (query, expected) in [
        ("x", "x @ 1.500"),
        ("x offset 5m", "x @ 1.500 offset 5m"),
        ("x[5m]", ""),
        ("sum(rate(x{a=\"b\"}[5m]offset 1m))", "sum(rate(x{a=\"b\"}[5m] @ 1.500 offset 1m))"),
        ("{a=\"b\"}and y", "{a=\"b\"} @ 1.500 and y @ 1.500"),
        ("x @ 7", "x @ 7"),
        ("x @ start() offset 1m", "x @ 1.500 offset 1m"),
        ("x @end()and y", "x @1.500 and y @ 1.500"),
        ("rate(x[5m] anchored)", "rate(x[5m] @ 1.500 anchored)"),
        ("max_over_time(rate(x[1m])[5m:1s])", "max_over_time(rate(x[1m])[5m:1s] @ 1.500)"),
        ("max_over_time(x[5m:1s] offset 1m)", "max_over_time(x[5m:1s] @ 1.500 offset 1m)"),
        ("max_over_time(x[5m:1s] @ 3)", "max_over_time(x[5m:1s] @ 3)"),
        (
            "sum_over_time((max_over_time(x[5m:] offset 1m) - time() + start())[9m:])",
            "sum_over_time((max_over_time(x[5m:] offset 1m) - time() + (1.500))[9m:] @ 1.500)",
        ),
        ("sum_over_time((x @ end())[9m:] @ start())", "sum_over_time((x @ 1.500)[9m:] @ 1.500)"),
        ("time() - x", "(1.500) - x @ 1.500"),
        ("(hour() > 8) and month(x)", "(hour(vector(1.500)) > 8) and month(x @ 1.500)"),
        ("timestamp(x)", "timestamp(x @ 1.500)"),
        ("timestamp((x))", "timestamp((x @ 1.500))"),
        ("-timestamp(-x)", "-(timestamp(-x @ 1.500) * 0 + 1.500)"),
        ("predict_linear(x[5m], 60 * 2)", "predict_linear(x[5m] @ 1.500, ((60 * 2) - (time() - 1.500)))"),
        (
            "predict_linear(x[5m], (time()))",
            "predict_linear(x[5m] @ 1.500, ((((1.500))) - (time() - 1.500)))",
        ),
        ("x # a note\n+ y", "x @ 1.500 + y @ 1.500"),
        ("#a\nx#b", " x @ 1.500 "),
        ("time(#a\n) + hour(#b\n)", "(1.500) + hour( vector(1.500))"),
        ("vector(1)", "vector(1)"),
    ] {
        let Ok(query) = Query::parse(query) else {
            assert_eq!(expected, "", "{query}");
            continue;
        };
        assert_eq!(query.at(1500), expected, "{}", query.text());
        Query::parse(&query.at(-1500)).unwrap_or_else(|e| panic!("{}: {e}", query.at(-1500)));
    }
}

#[test]
fn a_text_with_holes_is_the_text_for_each_time() {
    let query = Query::parse("rate(x[1m]) + time()").unwrap();
    let pieces: Vec<&str> = query.pinned().pieces().collect();
    assert_eq!(pieces, ["rate(x[1m] @ ", ") + (", ")"]);
    assert_eq!(query.at(-1), "rate(x[1m] @ -0.001) + (-0.001)");
    assert_eq!(Query::parse("vector(1)").unwrap().pinned().pieces().len(), 1);
}

#[test]
fn a_query_may_stand_inside_of_another() {
    let query = Query::parse("# all\nsum(x{a=\"#\"}) # of them").unwrap();
    assert_eq!(query.text(), "# all\nsum(x{a=\"#\"}) # of them");
    assert_eq!(query.expression(), " sum(x{a=\"#\"}) ");
    assert!(Query::parse(&format!("vector(scalar({}))", query.expression())).is_ok());
    assert_eq!(query.at(1), " sum(x{a=\"#\"} @ 0.001) ");
}

#[test]
fn what_is_wrong_is_named_and_placed() {
    let nested = "(".repeat(400);
    let minus = "-".repeat(400) + "1";
    let chain = vec!["1"; 400].join(" or ");
    for (query, expected) in [
        ("", "is empty"),
        (" # nothing", "no expression found in input"),
        ("sum(rate(a[5m])", "the '(' is never closed, at column 4"),
        ("sum(a))", "the ')' closes nothing, at column 7"),
        ("sum(a]", "the ']' does not close the '(', at column 6"),
        ("a{b=\"c}", "the string is never closed, at column 5"),
        ("a +\n  sum(b", "the '(' is never closed, at line 2, column 6"),
        ("sum(a b)", "unexpected \"b\", at column 7"),
        ("sum(a) b", "unexpected \"b\", at column 8"),
        ("5m smoothed", "unexpected \"smoothed\", at column 4"),
        ("a + * b", "unexpected \"*\", at column 5"),
        ("rate(a[5m]) +", "unexpected end of input, at column 14"),
        ("é{} + *", "at column 1"),
        ("sum(a, )", "trailing commas"),
        ("up[1e30]", "duration out of range: \"1e30\", at column 4"),
        ("rate(up[1e+30])", "duration out of range: \"1e+30\", at column 9"),
        ("rate(up[Inf])", "duration out of range: \"Inf\", at column 9"),
        ("max_over_time(up[5m:1e30])", "at column 21"),
        ("up offset - NaN", "at column 13"),
        ("up offset 0xffffffffffffffffff", "at column 11"),
        ("rate(up[5m-5m])", "duration must be greater than 0, at column 9"),
        ("max_over_time(up[step()])", "duration must be greater than 0, at column 18"),
        ("up[5m]", "gives a range of samples; wrap it"),
        ("\"up\"", "gives a string"),
        ("a{b=\"1\" or c=\"2\"}", "unexpected \"or\" in label matching"),
        ("1 + frobnicate(a)", "unknown function with name 'frobnicate', at column 5"),
        ("rate(a)", "expected type"),
        ("abs(rate(a[5m]) + sum(1))", "expected type"),
        ("limitk(a, b)", "got instant vector, at column 8"),
        ("a + info(b)", "info() is not supported yet, at column 5"),
        ("{}", "non-empty matcher"),
        ("x + {a=~\".*\"}", "non-empty matcher, at column 5"),
        ("x + {a=~\"(\"}", "at column 5"),
        (&nested, "nests deeper than 64 brackets, at column 65"),
        (&minus, "more than 200 operators, at column 201"),
        (&chain, "more than 200"),
    ] {
        let error = Query::parse(query).expect_err(query).to_string();
        assert!(error.contains(expected), "{query}: {error}");
    }
    assert!(Query::parse(&"a".repeat(70_000)).unwrap_err().to_string().contains("longer"));
}

#[test]
fn a_query_of_very_many_selectors_is_refused() {
    let sum = |n: usize| (0..n).map(|i| format!("m{i}")).collect::<Vec<_>>().join("+");
    assert!(Query::parse(&sum(64)).is_ok());
    let error = Query::parse(&sum(150)).unwrap_err().to_string();
    assert!(error.contains("more than 64 different selectors"), "{error}");
}
