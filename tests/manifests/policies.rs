//! Policies that are ready to use: each is on its page to the letter, `check` has nothing to say of it, and the scenario
//! that proves it has a policy of the same shape.

use std::path::PathBuf;

use serde_json::Value;
use thanos_telemetry::cli::parse_yaml_documents;

use super::{alerts, root};

/// Policy, page below docs/policies, and the scenario whose policy has its shape.
const READY: [(&str, &str, Option<&str>); 8] = [
    ("grpc", "grpc", Some("grpc-service")),
    ("http-in-flight", "http", Some("http-service")),
    ("http-requests", "http", None),
    ("linkerd-http", "linkerd", None),
    ("llama-cpp", "inference", None),
    ("queue-kafka", "queues", None),
    ("queue-rabbitmq", "queues", Some("queue-worker")),
    ("vllm", "inference", Some("inference-server")),
];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn yaml(path: &str) -> Value {
    parse_yaml_documents(&read(path)).unwrap_or_else(|e| panic!("{path}: {e}")).remove(0)
}

fn policy(name: &str) -> PathBuf {
    PathBuf::from(format!("manifests/policies/{name}.yaml"))
}

#[test]
fn every_policy_has_its_page_and_its_line_in_the_table() {
    let files = std::fs::read_dir(root().join("manifests/policies")).expect("a folder");
    let mut found: Vec<String> = files
        .map(|f| f.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, READY.map(|(name, ..)| name));
    let table = read("docs/policies/README.md");
    for (name, page, scenario) in READY {
        let text = read(&policy(name).to_string_lossy());
        let page = read(&format!("docs/policies/{page}.md"));
        assert!(
            page.contains(&format!("```yaml\n{text}```")),
            "docs/policies/{page}.md has another {name} than the file"
        );
        assert!(
            table.contains(&format!("(../../manifests/policies/{name}.yaml)")),
            "docs/policies/README.md: {name}"
        );
        if let Some(scenario) = scenario {
            assert!(page.contains(&format!("gauntlet run {scenario}")), "docs/policies: {name}: {scenario}");
        }
    }
}

#[test]
fn check_has_nothing_to_say_of_any() {
    for (name, ..) in READY {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_gauntlet"))
            .args(["autoscaler", "check"])
            .arg(root().join(policy(name)))
            .output()
            .expect("the binary runs");
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert_eq!(said, "1 policy: no problems\n", "{name}");
    }
}

/// What is left of a query without matchers, ranges and spaces: what it does, with which metrics.
fn shape(query: &str) -> String {
    let mut left = String::new();
    let mut until = None;
    for c in query.chars() {
        match (until, c) {
            (Some(end), c) if c == end => until = None,
            (Some(_), _) => {}
            (None, '{') => until = Some('}'),
            (None, '[') => until = Some(']'),
            (None, c) if c.is_whitespace() => {}
            (None, c) => left.push(c),
        }
    }
    left
}

/// What has to be alike: all but names, numbers and times.
fn essence(policy: &Value) -> Vec<String> {
    let keys = |value: &Value| -> Vec<String> {
        let keys = value.as_object().into_iter().flatten().map(|(key, _)| key.clone());
        keys.filter(|key| !["maxAge", "clusters"].contains(&key.as_str())).collect()
    };
    let mut all = Vec::new();
    for metric in policy["spec"]["metrics"].as_array().into_iter().flatten() {
        let query = shape(metric["query"].as_str().unwrap_or_default());
        let (name, target) = (&metric["name"], &metric["target"]["type"]);
        let (evidence, fallback) = (keys(&metric["evidence"]), &metric["fallback"]["behavior"]);
        all.push(format!("{name}: {query}, {target}, {evidence:?}, {fallback}"));
    }
    for direction in ["scaleUp", "scaleDown"] {
        let rules = &policy["spec"]["behavior"][direction];
        let kinds: Vec<String> =
            rules["policies"].as_array().into_iter().flatten().map(|p| p["type"].to_string()).collect();
        all.push(format!("{direction}: {:?}, {kinds:?}", keys(rules)));
    }
    all
}

#[test]
fn the_scenario_that_proves_a_policy_has_one_of_its_shape() {
    assert_eq!(shape("sum(rate(a{b=\"c\"}[5s])) +\n d"), "sum(rate(a))+d");
    for (name, _, scenario) in READY {
        let Some(scenario) = scenario else { continue };
        let tried = yaml(&format!("simulations/scenarios/{scenario}.yaml"))["policies"][0]["inline"].clone();
        let ready = yaml(&policy(name).to_string_lossy());
        assert_eq!(essence(&tried), essence(&ready), "{scenario} and {name}");
    }
}

fn query(policy_name: &str, metric: &str) -> String {
    let policy = yaml(&policy(policy_name).to_string_lossy());
    let metrics = policy["spec"]["metrics"].as_array().expect("metrics").clone();
    let found =
        metrics.iter().find(|m| m["name"] == metric).unwrap_or_else(|| panic!("{policy_name}: no {metric}"));
    found["query"].as_str().expect("a query").to_owned()
}

/// Policy and metric, series a sample each ten seconds, and the value, if there is one.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)], Option<f64>);

const LAG: &str = r#"kafka_consumergroup_lag{consumergroup="orders",topic="orders",partition="0"}"#;
const LAG_1: &str = r#"kafka_consumergroup_lag{consumergroup="orders",topic="orders",partition="1"}"#;
const LAG_TWICE: &str =
    r#"kafka_consumergroup_lag{consumergroup="orders",topic="orders",partition="1",pod="other"}"#;
const PARTITIONS: &str = r#"kafka_topic_partitions{topic="orders"}"#;

const CASES: &[Case] = &[
    (
        "linkerd-http",
        "requests",
        &[
            (
                r#"request_total{namespace="default",deployment="web",direction="inbound",srv_port="8080"}"#,
                "0+100x20",
            ),
            (
                r#"request_total{namespace="default",deployment="web",direction="inbound",route_name="probe"}"#,
                "0+10x20",
            ),
            (
                r#"request_total{namespace="default",deployment="web",direction="inbound",srv_port="4191"}"#,
                "0+10x20",
            ),
            (r#"request_total{namespace="default",deployment="api",direction="inbound"}"#, "0+10x20"),
        ],
        Some(10.0),
    ),
    (
        "linkerd-http",
        "in-flight",
        &[(
            r#"response_latency_ms_sum{namespace="default",deployment="web",direction="inbound",status_code="200"}"#,
            "0+25000x20",
        )],
        Some(2.5),
    ),
    (
        "queue-rabbitmq",
        "backlog",
        &[
            (r#"rabbitmq_detailed_queue_messages{vhost="/",queue="jobs"}"#, "70x20"),
            (r#"rabbitmq_detailed_queue_messages{vhost="/",queue="mail"}"#, "5x20"),
            (r#"rabbitmq_detailed_queue_messages_ready{vhost="/",queue="jobs"}"#, "60x20"),
        ],
        Some(70.0),
    ),
    (
        "queue-rabbitmq",
        "arrivals",
        &[
            (
                r#"rabbitmq_detailed_queue_messages_published_total{queue_vhost="/",queue="jobs",channel="1"}"#,
                "0+30x20",
            ),
            (
                r#"rabbitmq_detailed_queue_messages_published_total{queue_vhost="/",queue="jobs",channel="2"}"#,
                "0+20x20",
            ),
            (
                r#"rabbitmq_detailed_queue_messages_published_total{queue_vhost="/",queue="mail",channel="2"}"#,
                "0+50x20",
            ),
        ],
        Some(5.0),
    ),
    (
        "queue-kafka",
        "arrivals",
        &[
            (r#"kafka_topic_partition_current_offset{topic="orders",partition="0"}"#, "0+30x20"),
            (r#"kafka_topic_partition_current_offset{topic="orders",partition="0",pod="other"}"#, "0+30x20"),
            (r#"kafka_topic_partition_current_offset{topic="orders",partition="1"}"#, "0+20x20"),
            (PARTITIONS, "2x20"),
        ],
        Some(5.0),
    ),
    // An empty queue is zero; one that nobody shows is nothing.
    (
        "queue-rabbitmq",
        "backlog",
        &[(r#"rabbitmq_detailed_queue_messages{vhost="/",queue="jobs"}"#, "0x20")],
        Some(0.0),
    ),
    (
        "queue-rabbitmq",
        "backlog",
        &[(r#"rabbitmq_detailed_queue_messages{vhost="/",queue="mail"}"#, "5x20")],
        None,
    ),
    ("queue-kafka", "lag", &[(LAG, "30x20"), (LAG_1, "12x20"), (PARTITIONS, "2x20")], Some(42.0)),
    // No offset committed; two exporters; a partition that is not on the page.
    ("queue-kafka", "lag", &[(LAG, "30x20"), (LAG_1, "-1x20"), (PARTITIONS, "2x20")], Some(30.0)),
    (
        "queue-kafka",
        "lag",
        &[(LAG, "30x20"), (LAG_1, "12x20"), (LAG_TWICE, "14x20"), (PARTITIONS, "2x20")],
        Some(44.0),
    ),
    ("queue-kafka", "lag", &[(LAG, "30x20"), (PARTITIONS, "2x20")], None),
    ("queue-kafka", "lag", &[(LAG, "30x20"), (LAG_1, "12x20")], None),
    (
        "vllm",
        "requests",
        &[
            (r#"vllm:num_requests_running{namespace="default",model_name="llm",pod="a"}"#, "16x20"),
            (r#"vllm:num_requests_waiting{namespace="default",model_name="llm",pod="a"}"#, "7x20"),
            (r#"vllm:num_requests_running{namespace="default",model_name="llm",pod="b"}"#, "3x20"),
            (r#"vllm:num_requests_waiting{namespace="default",model_name="llm",pod="b"}"#, "0x20"),
            (r#"vllm:num_requests_running{namespace="default",model_name="other",pod="c"}"#, "9x20"),
        ],
        Some(26.0),
    ),
    (
        "vllm",
        "kv-cache",
        &[
            (r#"vllm:kv_cache_usage_perc{namespace="default",model_name="llm",pod="a"}"#, "0.5x20"),
            (r#"vllm:kv_cache_usage_perc{namespace="default",model_name="llm",pod="b"}"#, "0.75x20"),
        ],
        Some(1.25),
    ),
    (
        "llama-cpp",
        "requests",
        &[
            (r#"llamacpp:requests_processing{namespace="default",service="llm",pod="a"}"#, "4x20"),
            (r#"llamacpp:requests_deferred{namespace="default",service="llm",pod="a"}"#, "2x20"),
        ],
        Some(6.0),
    ),
];

#[test]
fn each_query_counts_what_its_page_says() {
    for (policy, metric, series, wanted) in CASES {
        let values = alerts::values(&query(policy, metric), series);
        assert_eq!(values, wanted.iter().copied().collect::<Vec<f64>>(), "{policy}, {metric}: {series:?}");
    }
}
