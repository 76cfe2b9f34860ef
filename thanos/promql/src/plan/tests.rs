use proptest::prelude::*;

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
    assert!(parse(&format!("1{}", "^1".repeat(guard::MAX_OPERATORS))).is_ok());
    assert!(parse(&format!("{}up", "-".repeat(guard::MAX_OPERATORS))).is_ok());
    assert!(parse(&format!("up{}", "[1m:1s]".repeat(2))).is_err());
    let n = guard::MAX_NESTING;
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

proptest! {
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
