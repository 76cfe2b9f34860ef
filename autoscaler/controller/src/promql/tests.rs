use proptest::prelude::*;

use super::*;

fn evidence(query: &str) -> Vec<String> {
    parse(query).unwrap().selectors.iter().map(|s| s.newest_sample_query("cluster")).collect()
}

#[test]
fn evidence_queries_follow_the_selectors() {
    let cases: &[(&str, &[&str])] = &[
        (
            r#"sum(rate(request_total{deployment="web",direction="inbound"}[30s]))"#,
            &[r#"max by (cluster) (timestamp(request_total{deployment="web",direction="inbound"}))"#],
        ),
        ("up", &["max by (cluster) (timestamp(up))"]),
        (
            r#"sum(a{x!="1",y=~"b|c",z!~"d.*"}) / sum(b)"#,
            &[
                r#"max by (cluster) (timestamp(a{x!="1",y=~"b|c",z!~"d.*"}))"#,
                "max by (cluster) (timestamp(b))",
            ],
        ),
        ("a + a", &["max by (cluster) (timestamp(a))"]),
        (
            "a offset 5m + a",
            &["max by (cluster) (timestamp(a offset 5m))", "max by (cluster) (timestamp(a))"],
        ),
        ("rate(a[1m] offset -1m)", &["max by (cluster) (timestamp(a offset -1m))"]),
        ("a @ 1700000000.5", &["max by (cluster) (timestamp(a @ 1700000000.500))"]),
        ("a @ end()", &["max by (cluster) (timestamp(a))"]),
        (
            "max_over_time(rate(a[1m] offset 1m)[10m:1m] offset 5m)",
            &["max by (cluster) (timestamp(a offset 6m))"],
        ),
        (
            "max_over_time(rate(a[1m] offset 1m)[10m:1m] @ 100 offset 5m)",
            &["max by (cluster) (timestamp(a @ 100.000 offset 6m))"],
        ),
        (
            "max_over_time((a @ 50 offset 1m)[10m:1m] @ 100 offset 5m)",
            &["max by (cluster) (timestamp(a @ 50.000 offset 1m))"],
        ),
        ("topk(scalar(n), a)", &["max by (cluster) (timestamp(n))", "max by (cluster) (timestamp(a))"]),
        (r#"{__name__=~"a|b"}"#, &[r#"max by (cluster) (timestamp({__name__=~"a|b"}))"#]),
        (
            r#"{"http.requests", "the.label"="v\"w\\"}"#,
            &[r#"max by (cluster) (timestamp({__name__="http.requests","the.label"="v\"w\\"}))"#],
        ),
        ("vector(5) and hour() > 8", &[]),
        (
            "histogram_quantile(0.99, sum by (le) (rate(h_bucket[1m])))",
            &["max by (cluster) (timestamp(h_bucket))"],
        ),
    ];
    for (query, expected) in cases {
        assert_eq!(evidence(query), *expected, "{query}");
    }
}

#[test]
fn every_evidence_query_is_itself_promql() {
    for query in [r#"{"http.requests", "the.label"="v\"w\\"}"#, "a{b=~\"c\"} offset 5m", "a @ 1.5 offset -3s"]
    {
        for derived in evidence(query) {
            parse(&derived).unwrap_or_else(|e| panic!("{derived}: {e}"));
        }
    }
}

#[test]
fn ages_count_from_the_time_that_the_selector_looks_at() {
    let reference = |query: &str| parse(query).unwrap().selectors[0].reference_ms(1_000_000);
    assert_eq!(reference("a"), 1_000_000);
    assert_eq!(reference("a offset 1m"), 940_000);
    assert_eq!(reference("a offset -1m"), 1_060_000);
    assert_eq!(reference("a @ 500 offset 1m"), 440_000);
}

#[test]
fn the_window_is_the_longest_way_back() {
    for (query, window_ms) in [
        ("sum(a)", 0),
        ("sum(rate(a[30s]))", 30_000),
        ("sum(rate(a[30s])) / sum(rate(b[1m]))", 60_000),
        ("max_over_time(sum(rate(a[30s]))[5m:1s]) + rate(b[1m] offset 1h)", 330_000),
        ("vector(1)", 0),
    ] {
        assert_eq!(parse(query).unwrap().window_ms, window_ms, "{query}");
    }
}

#[test]
fn what_is_wrong_is_named_and_placed() {
    let deep = "(".repeat(400);
    let minus = "-".repeat(400) + "1";
    let chain = vec!["1"; 400].join(" or ");
    let cases = [
        ("", "is empty"),
        ("sum(rate(a[5m])", "the '(' at column 4 is never closed"),
        ("sum(a))", "the ')' at column 7 closes nothing"),
        ("sum(a]", "the ']' at column 6 does not close the '(' at column 4"),
        ("a{b=\"c}", "the string that opens at column 5 is never closed"),
        ("a +\n  sum(b", "the '(' at line 2, column 6 is never closed"),
        ("up[1e30]", "1e30 at column 4 is no duration"),
        ("rate(up[1e+30])", "1e+30 at column 9 is no duration"),
        ("rate(up[Inf])", "Inf at column 9 is no duration"),
        ("max_over_time(up[5m:1e30])", "5m:1e30 at column 18 is no duration"),
        ("up offset Inf", "Inf at column 11 is no duration"),
        ("up offset - NaN", "NaN at column 13 is no duration"),
        ("up offset 0xffffffffffffffffff", "is no duration"),
        ("up[5m]", "gives a range of samples; wrap it"),
        ("\"up\"", "gives a string"),
        ("a{b=\"1\" or c=\"2\"}", "has `or` between label matchers"),
        ("frobnicate(a)", "frobnicate"),
        ("sum(a b)", ""),
        ("{}", "non-empty matcher"),
        (&deep, "more than 300 operators and brackets, at column 301"),
        (&minus, "more than 300"),
        (&chain, "more than 300"),
    ];
    for (query, expected) in cases {
        let error = parse(query).expect_err(query);
        assert!(error.contains(expected), "{query}: {error}");
    }
    assert!(parse(&"a".repeat(20_000)).unwrap_err().contains("over the limit"));
    let unknown = parse("1 + frobnicate(a)").unwrap_err();
    assert!(unknown.contains("at column 5"), "{unknown}");
}

#[test]
fn a_query_of_very_many_selectors_is_refused() {
    let sum = |n: usize| (0..n).map(|i| format!("m{i}")).collect::<Vec<_>>().join("+");
    assert!(parse(&sum(64)).is_ok());
    assert!(parse(&sum(65)).unwrap_err().contains("more than 64 different selectors"));
}

#[test]
fn a_selector_knows_which_clusters_it_can_see() {
    let admits = |query: &str, cluster: &str| parse(query).unwrap().selectors[0].admits("cluster", cluster);
    assert!(admits("a", "east") && admits("a{cluster=~\"east|west\"}", "west"));
    assert!(!admits("a{cluster=\"east\"}", "west") && !admits("a{cluster!=\"west\"}", "west"));
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn nothing_like_promql_panics(parts in proptest::collection::vec(prop::sample::select(vec![
        "up", "sum", "(", ")", "[", "]", "{", "}", "5m", "1e30", "Inf", "NaN", "-", "offset", "@", ":", "by", "\"x\"", "=", "0x1p",
        "rate", " ", ",", "1", "0", ".", "e", "9999999999999999999y", "start()", "'", "\\", "#", "\n", "or",
    ]), 0..12)) {
        let text: String = parts.concat();
        if let Ok(query) = parse(&text) {
            for selector in &query.selectors {
                let derived = selector.newest_sample_query("cluster");
                prop_assert!(parse(&derived).is_ok(), "{text} gave {derived}");
            }
        }
    }
}
