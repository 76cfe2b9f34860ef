use super::*;
use crate::config::Config;

fn build(job: &str, labels: &[(&str, &str)]) -> Result<String, String> {
    let yaml = format!("scrape_configs: [{{job_name: j, {job}}}]");
    let config = Config::parse(&yaml, &|_| None).unwrap();
    let own = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let group = LabelMap::from([("shared".into(), "group".into())]);
    Ok(match Target::build(&config.jobs[0], &group, &own)? {
        Built::Target(t) => format!("{} {} every {}", t.url, t.labels, format_duration(t.interval)),
        Built::Dropped(_) => "dropped".into(),
    })
}

#[test]
fn labels_and_url_come_out_as_prometheus_makes_them() {
    let address = ("__address__", "10.0.0.1:81");
    for (job, labels, want) in [
        (
            "",
            &[address][..],
            r#"http://10.0.0.1:81/metrics {instance="10.0.0.1:81", job="j", shared="group"} every 1m"#,
        ),
        (
            "",
            &[address, ("shared", "own"), ("job", "k"), ("__meta_x", "y"), ("__tmp", "z")],
            r#"http://10.0.0.1:81/metrics {instance="10.0.0.1:81", job="k", shared="own"} every 1m"#,
        ),
        (
            "metrics_path: '/a?b=c', params: {d: [e, f]}",
            &[address],
            r#"http://10.0.0.1:81/a?b=c&d=e&d=f {instance="10.0.0.1:81", job="j", shared="group"} every 1m"#,
        ),
        (
            "params: {d: [e]}, relabel_configs: [{target_label: __param_d, replacement: g}, {target_label: instance, replacement: i}, {target_label: __scrape_interval__, replacement: 15s}]",
            &[address],
            r#"http://10.0.0.1:81/metrics?d=g {instance="i", job="j", shared="group"} every 15s"#,
        ),
        (
            "",
            &[("__address__", "[::1]:81")],
            r#"http://[::1]:81/metrics {instance="[::1]:81", job="j", shared="group"} every 1m"#,
        ),
        ("relabel_configs: [{action: keep, source_labels: [shared], regex: x}]", &[address], "dropped"),
    ] {
        assert_eq!(build(job, labels).unwrap(), want, "{job}");
    }
}

#[test]
fn a_target_that_cannot_be_scraped_says_why() {
    let address = ("__address__", "10.0.0.1:81");
    for (labels, wanted) in [
        (&[][..], "no address"),
        (&[("__address__", "http://a/b")], "host:port"),
        (&[("__address__", "a b:80")], "host:port"),
        (&[address, ("__scheme__", "https")], "not supported yet"),
        (&[address, ("__scrape_interval__", "5s")], "longer than"),
        (&[address, ("__scrape_interval__", "0")], "is 0"),
        (&[address, ("__scrape_timeout__", "soon")], "\"soon\""),
    ] {
        let error = build("", labels).unwrap_err();
        assert!(error.contains(wanted), "{labels:?}: {error}");
    }
}

#[test]
fn offsets_stay_inside_the_interval_and_spread() {
    let config = Config::parse("scrape_configs: [{job_name: j, scrape_interval: 1s}]", &|_| None).unwrap();
    let mut early = 0;
    for i in 0..100 {
        let own = LabelMap::from([("__address__".into(), format!("10.0.0.{i}:80"))]);
        let Ok(Built::Target(t)) = Target::build(&config.jobs[0], &LabelMap::new(), &own) else {
            panic!("{i}")
        };
        assert!(t.offset() < t.interval);
        early += usize::from(t.offset() < t.interval / 2);
    }
    assert!((30..=70).contains(&early), "{early} of 100 in the first half");
}
