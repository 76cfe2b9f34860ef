use super::*;

fn parse(yaml: &str) -> Result<Config, String> {
    Config::parse(yaml, &|name| (name == "POD_IP").then(|| "127.1.0.9".into()))
}

#[test]
fn a_prometheus_file_reads_with_prometheus_defaults() {
    let config = parse(
        r"
global:
  scrape_interval: 1s
  evaluation_interval: 1m
  external_labels: {cluster: east, ip: '${POD_IP}', price: '$$5'}
scrape_configs:
- job_name: pods
  kubernetes_sd_configs:
  - role: pod
    namespaces: {names: [default]}
    selectors: [{role: pod, label: app=web}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
  - {action: labelmap, regex: __meta_kubernetes_pod_label_(.+)}
- job_name: slow
  scrape_interval: 2m
  scrape_timeout: 90s
  body_size_limit: 10MB
  params: {match: [a, b]}
  static_configs: [{targets: ['127.0.0.1:9090'], labels: {a: b}}]
remote_write:
- url: http://receive:19291/api/v1/receive
  proxy_url: http://$(POD_IP):4140
  headers: {THANOS-TENANT: a}
  queue_config: {max_shards: 2, batch_send_deadline: 500ms}
",
    )
    .unwrap();
    assert_eq!(config.external_labels.to_string(), r#"{cluster="east", ip="127.1.0.9", price="$5"}"#);
    let [pods, slow] = &config.jobs[..] else { panic!("two jobs") };
    assert_eq!((pods.scrape_interval.as_secs(), pods.scrape_timeout.as_secs()), (1, 1));
    assert_eq!(
        (pods.metrics_path.as_str(), pods.honor_timestamps, pods.relabel.compiled.len()),
        ("/metrics", true, 2)
    );
    assert_eq!((slow.scrape_timeout.as_secs(), slow.body_size_limit_bytes), (90, 10 << 20));
    let remote = &config.remotes[0];
    assert_eq!(remote.proxy_url.as_ref().unwrap().to_string(), "http://127.1.0.9:4140/");
    assert_eq!((remote.queue.max_shards, remote.queue.max_samples_per_send), (2, 2_000));
    assert_eq!(remote.remote_timeout.as_secs(), 30);
}

#[test]
fn passwords_and_tokens_are_not_printed() {
    let config = parse(
        "remote_write:\n- url: http://me:hunter2@a/?token=hunter2\n  proxy_url: http://me:hunter2@p\n  headers: \
         {Authorization: Bearer hunter2}\n",
    )
    .unwrap();
    assert_eq!(config.remotes[0].url.to_string(), "http://a/?token=…");
    assert!(!format!("{config:?}").contains("hunter2"));
    for yaml in [
        "remote_write: [{url: 'ftp://me:hunter2@a'}]",
        "remote_write: [{url: 'http://me:hunter2@${A'}]",
        "remote_write: [{url: 'http://a', proxy_url: 'http://me:hunter2@a:port'}]",
        "remote_write:\n- url: http://me:hunter2@a\n  bogus: 1\n",
        "remote_write:\n- url: http://me:hunter2@a\n  headers: [Bearer hunter2]\n",
    ] {
        let error = parse(yaml).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn what_is_wrong_is_named_in_one_line_with_its_fix() {
    let job = |rest: &str| format!("scrape_configs:\n- job_name: a\n  {rest}\n");
    let remote = |rest: &str| format!("remote_write:\n- url: http://a/\n  {rest}\n");
    for (yaml, wanted) in [
        ("scrapeconfigs: []\n".to_owned(), &["scrapeconfigs", "line 1"][..]),
        ("rule_files: [a]\n".into(), &["rule_files", "not supported yet", "line 1"]),
        (job("basic_auth: {}"), &["basic_auth", "not supported yet", "line 3"]),
        (job("metric_path: /x"), &["metric_path", "line 3"]),
        (job("scheme: https"), &["scrape_configs[0].scheme", "not supported yet"]),
        (job("scrape_interval: 5"), &["\"5\"", "30s", "line 3"]),
        (job("scrape_interval: 1ms"), &["scrape_configs[0].scrape_interval", "10ms"]),
        (job("scrape_timeout: 2m"), &["scrape_configs[0].scrape_timeout", "1m"]),
        (job("body_size_limit: lots"), &["scrape_configs[0].body_size_limit", "10MB"]),
        (
            job("kubernetes_sd_configs: [{role: node}]"),
            &["kubernetes_sd_configs[0].role", "not supported yet"],
        ),
        (job("file_sd_configs: [{files: [a.txt]}]"), &["file_sd_configs[0].files", ".json"]),
        (job("relabel_configs: [{action: hashmod, target_label: a}]"), &["relabel_configs[0]", "modulus"]),
        (job("") + "- job_name: a\n", &["scrape_configs[1].job_name", "twice"]),
        ("global: {external_labels: {a: '${NOPE}'}}".into(), &["external_labels.a", "NOPE"]),
        ("global: {external_labels: {a: '${NOPE'}}".into(), &["external_labels.a", "does not close"]),
        ("remote_write: [{url: 'ftp://a'}]".into(), &["remote_write[0].url", "ftp"]),
        ("remote_write: [{url: receive}]".into(), &["remote_write[0].url", "is not an http(s) URL"]),
        (remote("headers: {Content-Type: a}"), &["remote_write[0].headers", "content-type"]),
        (remote("queue_config: {capacity: 1}"), &["remote_write[0].queue_config.capacity"]),
        (remote("queue_config: {min_shards: 1}"), &["min_shards", "not supported yet"]),
        (remote("") + "  name: a\n- {url: 'http://b', name: a}\n", &["remote_write[1].name", "twice"]),
    ] {
        let error = parse(&yaml).unwrap_err();
        assert!(!error.contains('\n'), "{error}");
        for part in wanted {
            assert!(error.contains(part), "{yaml}\n{part:?} is missing in: {error}");
        }
    }
}
