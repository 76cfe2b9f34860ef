use super::*;
use crate::config::Config;
use crate::remote_write::Series;
use thanos_model::is_stale;

/// One scrape a step; `None` is a scrape that failed. Prints each step's points, sorted.
struct Bench {
    cache: SeriesCache,
    rules: Vec<Rule>,
    target: Labels,
    honor_labels: bool,
    honor_timestamps: bool,
    sample_limit: u64,
    now_ms: TimestampMs,
}

impl Bench {
    fn new() -> Self {
        Self {
            cache: SeriesCache::default(),
            rules: Vec::new(),
            target: Labels::empty(),
            honor_labels: false,
            honor_timestamps: true,
            sample_limit: 0,
            now_ms: 0,
        }
    }

    fn rules(mut self, yaml: &str) -> Self {
        let yaml = format!("scrape_configs: [{{job_name: j, metric_relabel_configs: {yaml}}}]");
        self.rules = Config::parse(&yaml, &|_| None).unwrap().jobs[0].metric_relabel.compiled.clone();
        self
    }

    fn target(mut self, labels: &[(&str, &str)]) -> Self {
        self.target = Labels::from_pairs(labels.iter().copied());
        self
    }

    fn scrape(&mut self, body: Option<&str>) -> (Vec<String>, Ingested) {
        self.now_ms += 1;
        let mutation = Mutation {
            target: &self.target,
            honor_labels: self.honor_labels,
            honor_timestamps: self.honor_timestamps,
            rules: &self.rules,
            sample_limit: self.sample_limit,
        };
        let intern = |labels| Arc::new(Series::new(labels, []));
        let out = match body {
            Some(body) => self.cache.ingest(body, Format::Text, self.now_ms, mutation, &intern),
            None => Ingested { points: self.cache.ingest_nothing(self.now_ms), ..Default::default() },
        };
        let mut points: Vec<String> = out
            .points
            .iter()
            .map(|p| {
                let value = if is_stale(p.value) { "stale".into() } else { p.value.to_string() };
                format!("{} {value} @{}", p.series.labels, p.t_ms)
            })
            .collect();
        points.sort();
        (points, out)
    }

    fn points(&mut self, body: Option<&str>) -> Vec<String> {
        self.scrape(body).0
    }
}

const NONE: [&str; 0] = [];

#[test]
fn a_series_that_vanishes_ends_once_and_may_return() {
    let mut b = Bench::new();
    assert_eq!(b.points(Some("a 1\nb 1\n")), ["a{} 1 @1", "b{} 1 @1"]);
    assert_eq!(b.points(Some("a 2\n")), ["a{} 2 @2", "b{} stale @2"]);
    assert_eq!(b.points(Some("a 3\n")), ["a{} 3 @3"]);
    assert_eq!(b.points(Some("a 4\nb 4\n")), ["a{} 4 @4", "b{} 4 @4"]);
}

#[test]
fn a_failed_scrape_ends_every_series_of_the_last_once() {
    let mut b = Bench::new();
    b.points(Some("a 1\nb 1\n"));
    assert_eq!(b.points(None), ["a{} stale @2", "b{} stale @2"]);
    assert_eq!(b.points(None), NONE);
    let (points, out) = b.scrape(Some("a 4\n"));
    assert_eq!((points, out.added), (vec!["a{} 4 @4".to_owned()], 0), "known before, so not added");
}

#[test]
fn a_body_that_breaks_half_way_is_as_good_as_none() {
    let mut b = Bench::new();
    b.points(Some("a 1\nb 1\n"));
    let (points, out) = b.scrape(Some("a 2\nc 2\nb{ 2\n"));
    assert_eq!(points, ["a{} stale @2", "b{} stale @2"]);
    assert_eq!((out.scraped, out.kept, out.added), (2, 2, 1));
    assert!(out.error.unwrap().to_string().contains("line 3"));
    assert_eq!(b.points(Some("a 3\n")), ["a{} 3 @3"]);
}

#[test]
fn an_empty_body_is_a_success_without_series() {
    let mut b = Bench::new();
    b.points(Some("a 1\n"));
    let (points, out) = b.scrape(Some(""));
    assert_eq!(points, ["a{} stale @2"]);
    assert_eq!(out.error, None);
}

#[test]
fn the_sample_limit_counts_what_rules_keep() {
    let mut b = Bench::new().rules("[{source_labels: [__name__], regex: drop.*, action: drop}]");
    b.sample_limit = 2;
    let (points, out) = b.scrape(Some("a 1\nb 1\ndropped 1\n"));
    assert_eq!(points.len(), 2);
    assert_eq!((out.scraped, out.kept, out.added), (3, 2, 2));
    let (points, out) = b.scrape(Some("a 2\nb 2\nc 2\n"));
    assert_eq!(points, ["a{} stale @2", "b{} stale @2"]);
    assert_eq!((out.scraped, out.kept, out.added), (3, 3, 0));
    assert_eq!(out.error, Some(IngestError::SampleLimit { got: 3, limit: 2 }));
}

#[test]
fn explicit_timestamps_are_kept_and_never_end() {
    let mut b = Bench::new();
    assert_eq!(b.points(Some("a 1 500\nb 1\n")), ["a{} 1 @500", "b{} 1 @1"]);
    assert_eq!(b.points(Some("a 1 500\nb 2\n")), ["b{} 2 @2"]);
    let (points, out) = b.scrape(Some("a 1 400\nb 3\n"));
    assert_eq!((points, out.out_of_order), (vec!["b{} 3 @3".to_owned()], 1));
    assert_eq!(b.points(Some("b 4\n")), ["b{} 4 @4"]);
    let mut b = Bench::new();
    b.honor_timestamps = false;
    assert_eq!(b.points(Some("a 1 500\n")), ["a{} 1 @1"]);
    assert_eq!(b.points(Some("")), ["a{} stale @2"]);
}

#[test]
fn a_series_given_twice_counts_and_is_sent_once() {
    let mut b = Bench::new();
    let (points, out) = b.scrape(Some("a{x=\"1\",y=\"2\"} 1\na{x=\"1\",y=\"2\"} 2\na{y=\"2\",x=\"1\"} 3\n"));
    assert_eq!(points, [r#"a{x="1", y="2"} 1 @1"#]);
    assert_eq!((out.scraped, out.kept, out.duplicates), (3, 3, 2));
    // The other way to write it is the same series: it did not end.
    assert_eq!(b.points(Some("a{y=\"2\",x=\"1\"} 3\n")), [r#"a{x="1", y="2"} 3 @2"#]);
}

#[test]
fn target_labels_win_or_yield() {
    let labels = &[("job", "j"), ("exported_job", "t")];
    let mut b = Bench::new().target(labels);
    assert_eq!(
        b.points(Some("a{job=\"theirs\"} 1\n")),
        [r#"a{exported_exported_job="theirs", exported_job="t", job="j"} 1 @1"#]
    );
    let mut b = Bench::new().target(labels);
    b.honor_labels = true;
    assert_eq!(b.points(Some("a{job=\"theirs\"} 1\n")), [r#"a{exported_job="t", job="theirs"} 1 @1"#]);
}

#[test]
fn rules_that_remove_the_name_fail_the_scrape() {
    let mut b = Bench::new().rules("[{action: labeldrop, regex: __name__}]");
    let (points, out) = b.scrape(Some("a{b=\"c\"} 1\n"));
    assert!(points.is_empty() && out.error.unwrap().to_string().contains("without a metric name"));
}

#[test]
fn new_rules_end_what_no_longer_comes_out() {
    let mut b = Bench::new();
    b.points(Some("a 1\nb 1\n"));
    b = Bench { cache: std::mem::take(&mut b.cache), now_ms: 1, ..Bench::new() }
        .rules("[{source_labels: [__name__], regex: b, action: drop}]");
    b.cache.forget_lines(&|labels| Arc::new(Series::new(labels, [])));
    assert_eq!(b.points(Some("a 2\nb 2\n")), ["a{} 2 @2", "b{} stale @2"]);
}

#[test]
fn failing_scrapes_do_not_grow_the_memory_without_bound() {
    let mut b = Bench::new();
    for i in 0..5_000 {
        b.scrape(Some(&format!("a{{i=\"{i}\"}} 1\nbroken{{ 1\n")));
    }
    assert!(b.cache.known.len() <= 1001, "{}", b.cache.known.len());
}
