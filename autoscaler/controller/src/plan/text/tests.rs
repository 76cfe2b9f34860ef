use proptest::prelude::*;

use super::*;

const START: WindowStart = WindowStart { at_ms: 1_699_999_968_250, back_ms: 2_500 };

fn text(query: &str, pods: Option<&str>) -> QueryText {
    let query = Query::parse(query).unwrap();
    let labels = Labels { cluster: "cluster", pod: "pod", pods };
    let window_ms = query.window_ms();
    let evidence = EvidenceSpec { max_age_ms: 20_000, window_ms, ..EvidenceSpec::default() };
    QueryText::new(&query, query.selectors(), &labels, &evidence)
}

#[test]
fn one_query_has_both_values_and_all_that_is_known_of_their_samples() {
    let text = text("sum(rate(a[30s]))", Some("web-[0-9]+"));
    assert_eq!(
        text.at(1_700_000_000_500, Some(1_699_999_998_250), &[START]),
        [r#"label_replace(sum(rate(a[30s])), "__part__", "now", "", "")
or label_replace(max by (cluster) (timestamp(a offset -30s)), "__part__", "new0", "", "")
or label_replace(min by (cluster) (timestamp(a offset -30s) > 1699999980.500), "__part__", "old0", "", "")
or label_replace(count by (cluster) (count by (cluster, pod) (timestamp(a{pod=~"web-[0-9]+"} offset -30s) > 1699999980.500)), "__part__", "pod0", "", "")
or label_replace(count by (cluster) (max by (cluster, pod) (timestamp(a{pod!=""} offset -30s)) <= 1699999980.500), "__part__", "sil0", "", "")
or label_replace(sum(rate(a[30s] @ 1699999998.250)), "__part__", "at", "", "")
or label_replace(count by (cluster) (count_over_time(a[2500ms] @ 1699999968.250)), "__part__", "beg0-0", "", "")
or label_replace(count by (cluster) (count_over_time(a[2500ms] @ 1699999968.250) and (timestamp(a offset -30s) > 1699999980.500) unless count_over_time(a[2500ms] @ 1699999998.250)), "__part__", "brk0-0", "", "")"#]
    );
    assert!(!text.at(1_700_000_000_500, None, &[])[0].contains("\"at\""));
}

#[test]
fn a_scalar_is_made_a_vector_and_a_fixed_time_stays() {
    assert_eq!(
        text("vector(5) and hour() > 8", None).at(1_000, None, &[START]),
        ["label_replace(vector(5) and hour() > 8, \"__part__\", \"now\", \"\", \"\")"]
    );
    let scalar =
        text("scalar(sum(a @ 500 offset 1m)) # so far", None).at(1_700_000_000_000, Some(1_000), &[START]);
    let lines: Vec<&str> = scalar[0].lines().collect();
    assert!(lines[0].starts_with("label_replace(vector(scalar(sum(a @ 500 offset 1m))"), "{}", lines[0]);
    assert!(lines[1].contains("max by (cluster) (timestamp(a @ 500.000 offset 1m))"), "{}", lines[1]);
    assert!(lines[2].contains("timestamp(a @ 500.000 offset 1m) > 420.000)"), "{}", lines[2]);
    assert!(lines[3].contains("vector(scalar(sum(a @ 500 offset 1m))"), "{}", lines[3]);
}

#[test]
fn pods_of_some_time_before_are_not_asked_for() {
    assert!(!text("sum(a offset 1h)", Some("web-.+")).at(0, None, &[])[0].contains("pod0"));
    assert!(text("sum(a offset 10s)", Some("web-.+")).at(0, None, &[])[0].contains("pod0"));
}

#[test]
fn series_are_counted_where_the_window_of_a_selector_begins() {
    let again = WindowStart { at_ms: 1_000, back_ms: 0 };
    let [query] = text("sum(rate(a[30s] offset 5s)) / sum(b @ 7)", None)
        .at(0, None, &[START, again])
        .try_into()
        .expect("one query");
    let counts: Vec<&str> = query.lines().filter(|line| line.contains("beg")).collect();
    assert_eq!(
        counts,
        [
            r#"or label_replace(count by (cluster) (count_over_time(a[2500ms] @ 1699999963.250)), "__part__", "beg0-0", "", "")"#,
            r#"or label_replace(count by (cluster) (count_over_time(a[1ms] @ -4.000)), "__part__", "beg1-0", "", "")"#,
        ]
    );
    let broken: Vec<&str> = query.lines().filter(|line| line.contains("brk")).collect();
    assert_eq!(
        broken,
        [
            r#"or label_replace(count by (cluster) (count_over_time(a[1ms] @ -4.000) and (timestamp(a offset -25s) > -25.000) unless count_over_time(a[2500ms] @ 1699999963.250)), "__part__", "brk1-0", "", "")"#
        ]
    );
}

#[test]
fn what_is_too_long_for_one_query_is_asked_in_several_that_are_promql() {
    let sum = |n: usize| (0..n).map(|i| format!("m{i}")).collect::<Vec<_>>().join(" + ");
    assert_eq!(text(&sum(10), None).at(0, Some(0), &[]).len(), 1);
    let queries = text(&sum(60), Some("web-.+")).at(0, Some(0), &[]);
    assert!((2..=5).contains(&queries.len()), "{}", queries.len());
    for query in queries {
        thanos_promql_syntax::parse(&query, INSTANT).unwrap_or_else(|e| panic!("{e}: {query}"));
    }
}

#[test]
fn parts_are_read_as_they_were_written() {
    for part in [
        Part::Now,
        Part::At,
        Part::New(0),
        Part::Old(12),
        Part::Pods(3),
        Part::Silent(63),
        Part::Start(1, 7),
        Part::Broken(1, 63),
    ] {
        assert_eq!(Part::read(&part.code()), Some(part));
    }
    for code in ["", "new", "newx", "att", "beg", "beg1", "beg1-", "brk-1", "🦀🦀🦀🦀"] {
        assert_eq!(Part::read(code), None, "{code}");
    }
}

proptest! {
    /// Whatever a policy's query is, what is asked is PromQL.
    #[test]
    fn every_text_is_promql(
        query in prop::sample::select(vec![
            "sum(a)", "a", "-a", "1 + 2", "time()", "sum(rate(a{b=~`c|\"`}[30s] offset 5m)) # comment", "a or b",
            "max_over_time(rate(a[1m] @ 100)[10m:1m])", "topk(scalar(n), a)", "{\"http.requests\", \"the.label\"=\"v\"}",
            "a unless on (x) b > bool 3", "histogram_quantile(0.99, sum by (le) (rate(h_bucket[1m])))",
        ]),
        now_ms in -10_000_000_000i64..4_000_000_000_000,
        settled_ms in proptest::option::of(-10_000_000_000i64..4_000_000_000_000),
        starts in prop::collection::vec((-10_000_000_000i64..4_000_000_000_000, 0..100_000_000i64), 0..3),
    ) {
        let starts: Vec<_> = starts.into_iter().map(|(at_ms, back_ms)| WindowStart { at_ms, back_ms }).collect();
        for asked in text(query, Some("web-[a-z0-9]{1,10}-[a-z0-9]{5}")).at(now_ms, settled_ms, &starts) {
            let parsed = Query::parse(&asked);
            prop_assert!(parsed.is_ok(), "{}: {:?}", asked, parsed);
        }
    }
}
