use proptest::prelude::*;

use super::*;
use crate::query::Query;

/// What mutated queries are made from, and what may be put into them.
const VALID: [&str; 12] = [
    "sum(rate(http_requests_total{code=~\"5..\",job!~`a|b`}[5m] offset 1m)) by (job) / 2",
    "max_over_time(rate(x{a='b'}[1m] anchored)[10m:30s] @ end() offset -1h)",
    "histogram_quantile(0.9, sum by (le) (rate(h_bucket[1m+step()])))",
    "a + on (x, y) group_left (z) b unless ignoring (q) c or vector(0)",
    "topk(3, {__name__=~\"a|b\",\"u.v\"=\"w\"} @ 1.5e3 > bool 0x1f)",
    "predict_linear(x[5m:], -(1 + 2) * time()) ^ -1 % 1_000",
    "label_replace(up, \"a\", \"$1\", \"b\", \"(.*)\") # note\nand hour() > 8",
    "- -x * +y offset -(1h/2) atan2 -1",
    "count_values without () (\"v\", anchored{smoothed=\"1\"})",
    "absent_over_time(x[5m] smoothed @ start())",
    "a + fill_left (1) fill_right (-2) b",
    "h </ 5 == quantile(NaN, Inf + sum)",
];

const SCRAPS: [&str; 36] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "@",
    "offset",
    "by",
    "on",
    "or",
    "-",
    "+",
    "</",
    "=~",
    "!~",
    "\"",
    "`",
    "'",
    "\\",
    "#",
    "\n",
    "1e30",
    "0x",
    "5m",
    "Inf",
    "é",
    "\u{0}",
    "anchored",
    "start()",
    "time()",
    "bool",
    "_",
    "9999999999y",
];

#[test]
fn what_is_valid_is_read_whole() {
    for query in VALID {
        parse(query, None).unwrap_or_else(|e| panic!("{query}: {e}"));
    }
}

#[test]
fn matchers_are_those_that_were_written() {
    let parsed = parse(r#"{"a.b", c=~`\d+`, d!~"x\"", anchored!='1'}"#, None).unwrap();
    let crate::ast::Kind::Selector(selector, _) = parsed.root.kind else { panic!("a selector") };
    assert_eq!(selector.to_string(), r#"{__name__="a.b",c=~"\\d+",d!~"x\"",anchored!="1"}"#);
    assert!(selector.matchers[1].matches("12") && !selector.matchers[1].matches("a"));
}

#[test]
fn the_longest_chains_allowed_do_not_overflow_the_stack() {
    use crate::guard::{MAX_NESTING, MAX_OPERATORS};
    for query in [
        format!("1{}", "^1".repeat(MAX_OPERATORS)),
        format!("x{}", " or x".repeat(MAX_OPERATORS)),
        format!("{}up", "-".repeat(MAX_OPERATORS)),
        format!("{}up{}", "topk(1,".repeat(MAX_NESTING), ")".repeat(MAX_NESTING)),
    ] {
        let query = Query::parse(&query).unwrap_or_else(|e| panic!("{query}: {e}"));
        assert!(Query::parse(&query.at(0)).is_ok());
    }
}

#[test]
fn operators_are_bounded_where_they_nest_and_in_all() {
    let group = |n: usize| format!("({})", vec!["x"; n].join(" or "));
    let groups = |n: usize, of: usize| vec![group(of); n].join(" or ");
    assert!(parse(&groups(30, 30), None).is_ok());
    for (query, expected) in [
        (groups(3, 200), "query chains more than 200 operators"),
        (format!("x{} or {}", " or x".repeat(100), group(101)), "query chains more than 200 operators"),
        (format!("({}){}", group(101), " or x".repeat(101)), "query chains more than 200 operators"),
        (groups(11, 101), "query has more than 1000 operators"),
    ] {
        assert_eq!(parse(&query, None).unwrap_err().message, expected);
    }
}

/// Whatever happened, the answer is sound.
fn sound(text: &str) -> Result<(), TestCaseError> {
    if let Err(e) = parse(text, None) {
        let ends = e.span.map_or(0, |s| s.end.max(s.start));
        prop_assert!(ends <= text.len(), "{text:?}: {e:?} is outside");
        prop_assert_eq!(e.place.is_some(), e.span.is_some());
    }
    let Ok(query) = Query::parse(text) else { return Ok(()) };
    for time in [-1, 0, 1_700_000_000_123] {
        let at = query.at(time);
        let pinned = Query::parse(&at);
        prop_assert!(pinned.is_ok(), "{text:?} gave {at:?}: {pinned:?}");
        let pinned = pinned.unwrap();
        prop_assert_eq!(pinned.value_type(), query.value_type());
        // These count from the time of the evaluation.
        if !["timestamp", "predict_linear"].iter().any(|f| at.contains(f)) {
            prop_assert_eq!(pinned.at(5), at.clone(), "{} still depends on the time", at);
        }
    }
    for selector in query.selectors() {
        let text = selector.clone().offset(-30_000).to_string();
        let again = Query::parse(&text);
        prop_assert!(again.is_ok(), "{text:?}: {again:?}");
        prop_assert_eq!(again.unwrap().selectors()[0].offset_ms(), selector.offset_ms() - 30_000);
    }
    Ok(())
}

fn mutated() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), prop::sample::select(&SCRAPS[..]), 0..3_usize);
    (prop::sample::select(&VALID[..]), prop::collection::vec(edit, 0..4)).prop_map(|(query, edits)| {
        let mut text: Vec<char> = query.chars().collect();
        for (at, scrap, remove) in edits {
            let at = at.index(text.len() + 1);
            let until = (at + remove).min(text.len());
            text.splice(at..until, scrap.chars());
        }
        text.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        sound(&text)?;
    }

    #[test]
    fn no_mutated_query_panics(text in mutated()) {
        sound(&text)?;
    }

    #[test]
    fn no_joined_queries_panic(a in mutated(), b in mutated(), between in prop::sample::select(&SCRAPS[..])) {
        sound(&format!("{a} {between} {b}"))?;
    }

    #[test]
    fn any_number_in_a_durations_place_is_read_or_refused(n in any::<f64>(), place in 0..5) {
        let n = if place == 4 { format!("{n:e}") } else { format!("{n}") };
        for q in [format!("up[{n}]"), format!("up offset {n}"), format!("up offset -{n}"), format!("up[1m:{n}]"), format!("up @ {n}")] {
            sound(&q)?;
        }
    }
}
