use proptest::prelude::*;

use thanos_promql_syntax::{MAX_NESTING, MAX_OPERATORS, Query};

use super::*;

fn error(query: &str) -> String {
    parse(query).map(|_| String::from("parsed")).unwrap_or_else(|e| e.to_string())
}

#[test]
fn a_selector_prints_as_a_query_that_reads_back() {
    let plan =
        parse(r#"rate(up{a="x\"\n",b=~"c.*"}[5m] @ 10 offset -1h) + {"d.e"="f", g!="h"} @ end()"#).unwrap();
    let printed: Vec<String> = plan.selectors().iter().map(Selector::to_string).collect();
    assert_eq!(
        printed,
        [r#"{__name__="up",a="x\"\n",b=~"c.*"}[5m] @ 10.000 offset -1h"#, r#"{"d.e"="f",g!="h"} @ end()"#]
    );
    for (text, selector) in printed.iter().zip(plan.selectors()) {
        assert_eq!(parse(text).unwrap().selectors(), std::slice::from_ref(selector));
        let age = parse(&selector.timestamp_query()).unwrap();
        assert_eq!(age.selectors()[0].matchers, selector.matchers);
    }
}

#[test]
fn refuses_with_a_reason() {
    for (query, want) in [
        ("up[1e30]", "duration out of range"),
        ("up offset Inf", "duration out of range"),
        ("up offset -NaN", "duration out of range"),
        ("up[1h5000000000ms]", "duration out of range"),
        (r#"up{a="b" or c="d"}"#, "unexpected \"or\""),
        (r#"{a=~".*"}"#, "at least one non-empty matcher"),
        ("exp(-Inf)", "expected type instant vector in call to function \"exp\", got scalar"),
        ("limitk(up, up)", "expected type scalar"),
        ("nope(up)", "unknown function"),
        ("up @ 1e18", "out of bounds"),
        ("1 +", "parse error"),
        ("", "parse error"),
    ] {
        assert!(error(query).contains(want), "{query}: {}", error(query));
    }
    assert!(error(&"(".repeat(5000)).contains("nests deeper"));
    assert!(error(&format!("1{}", "+1".repeat(5000))).contains("operators"));
    assert!(error(&format!("1{}", " ".repeat(100_000))).contains("longer"));
}

#[test]
fn the_longest_chains_allowed_do_not_overflow_the_stack() {
    assert!(parse(&format!("1{}", "^1".repeat(MAX_OPERATORS))).is_ok());
    assert!(parse(&format!("{}up", "-".repeat(MAX_OPERATORS))).is_ok());
    assert!(parse(&format!("up{}", "[1m:1s]".repeat(2))).is_err());
    let n = MAX_NESTING;
    assert!(parse(&format!("{}up{}", "topk(1,".repeat(n), ")".repeat(n))).is_ok());
}

const PIECES: [&str; 60] = [
    "up",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ":",
    ",",
    "=",
    "=~",
    "!=",
    "\"a\"",
    "'.*'",
    "`x",
    "\"\\",
    "5m",
    "1e30",
    "0x",
    "0x1f",
    "08",
    "1.5",
    ".",
    "Inf",
    "NaN",
    "offset",
    "@",
    "start()",
    "end",
    "-",
    "+",
    "*",
    "/",
    "</",
    "==",
    "bool",
    "on",
    "ignoring",
    "group_left",
    "fill",
    "(a)",
    "sum",
    "by",
    "topk",
    "rate",
    "exp",
    "absent",
    "histogram_quantile",
    "or",
    "and",
    "unless",
    "9999999999y",
    "1h1h",
    "#",
    "\n",
    "é",
    "\u{0}",
    "smoothed",
    "step()",
    "__name__",
];

/// Whether the engine takes it as an instant query for numbers.
fn engine_takes(text: &str) -> bool {
    let plan = parse(text).and_then(|plan| plan.bound(Steps::instant(0)).map(Cow::into_owned));
    plan.is_ok_and(|plan| matches!(plan.value_type(), ValueType::Scalar | ValueType::Vector))
}

fn same_verdict(text: &str) -> Result<(), TestCaseError> {
    let query = Query::parse(text);
    prop_assert_eq!(query.is_ok(), engine_takes(text), "{}: {:?} {:?}", text, query.err(), parse(text).err());
    Ok(())
}

#[test]
fn every_function_of_the_grammar_is_known_or_refused_by_name() {
    for query in ["info(up)", "start_timestamp(up)", "integral(up[5m])"] {
        assert!(matches!(parse(query), Err(QueryError::Unsupported { .. })), "{query}: {}", error(query));
        assert!(Query::parse(query).is_err(), "{query}");
    }
}

#[test]
fn a_policy_takes_what_the_engine_takes() {
    for query in [
        "sum(rate(http_requests_total{status=~`5\\d\\d`}[1m]))",
        "rate(x[5m+1m])",
        "rate(x[5m] anchored)",
        "anchored + smoothed{anchored=\"x\"} + sum by (smoothed) (x)",
        "x > 1_000",
        "x[5m]",
        "max_over_time(x[step()])",
        "max_over_time(x[1m+step()])",
        "x offset (1m-range())",
        "\"x\"",
        "x{a=~`[[]`}",
        "x{a=~\"(\"}",
        "x{a=~\"\"}",
        "{a!~\"x\"}",
    ] {
        same_verdict(query).unwrap();
    }
}

proptest! {
    #[test]
    fn a_policy_takes_any_mix_that_the_engine_takes(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..14), space in any::<bool>()) {
        same_verdict(&pieces.join(if space { " " } else { "" }))?;
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_mix_of_promql_panics(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..14), space in any::<bool>()) {
        let _ = parse(&pieces.join(if space { " " } else { "" }));
    }

    #[test]
    fn any_number_in_a_durations_place_is_read_or_refused(n in any::<f64>(), place in 0..5) {
        let n = if place == 4 { format!("{n:e}") } else { format!("{n}") };
        for q in [format!("up[{n}]"), format!("up offset {n}"), format!("up offset -{n}"), format!("up[1m:{n}]"), format!("up @ {n}")] {
            let _ = parse(&q);
        }
    }
}
