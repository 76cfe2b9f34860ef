use super::*;

fn evidence(query: &str) -> Vec<String> {
    parse(query).unwrap().selectors.iter().map(|s| s.newest_sample_query("cluster")).collect()
}

#[test]
fn evidence_queries_follow_the_selectors() {
    let cases: &[(&str, &[&str])] = &[
        (
            r#"sum(rate(request_total{deployment="web"}[30s])) / sum(b offset 5m)"#,
            &[
                r#"max by (cluster) (timestamp(request_total{deployment="web"}))"#,
                "max by (cluster) (timestamp(b offset 5m))",
            ],
        ),
        ("a @ 1700000000.5", &["max by (cluster) (timestamp(a @ 1700000000.500))"]),
        (
            r#"{"http.requests", "the.label"="v\"w\\"}"#,
            &[r#"max by (cluster) (timestamp({__name__="http.requests","the.label"="v\"w\\"}))"#],
        ),
        // What the querier takes, a policy may ask.
        (r"sum(rate(a{b=~`5\d\d`}[1m]))", &[r#"max by (cluster) (timestamp(a{b=~"5\\d\\d"}))"#]),
        ("rate(a[5m+1m] anchored)", &["max by (cluster) (timestamp(a))"]),
        ("vector(5) and hour() > 8", &[]),
    ];
    for (query, expected) in cases {
        assert_eq!(evidence(query), *expected, "{query}");
        for derived in evidence(query) {
            parse(&derived).unwrap_or_else(|e| panic!("{derived}: {e}"));
        }
    }
}

#[test]
fn what_is_wrong_is_named_and_placed() {
    let error = parse("sum(rate(a[5m])").unwrap_err();
    assert_eq!(error, "the '(' is never closed, at column 4");
}
