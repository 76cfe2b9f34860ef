use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use thanos_model::Labels;
use thanos_scrape::config::Config;
use thanos_scrape::metrics::Metrics;
use thanos_scrape::remote_write::{Point, Series, Sink};

use crate::receiver::{Answer, PATIENCE, Receiver};

struct Sender {
    sink: Sink,
    registry: thanos_telemetry::Metrics,
    series: Vec<Arc<Series>>,
}

impl Sender {
    fn new(url: &str, rest: &str, queue: &str, series: usize) -> Self {
        let yaml = format!(
            "global: {{external_labels: {{cluster: east, s: never}}}}\n\
             remote_write: [{{url: '{url}/api/v1/receive', remote_timeout: 1s, {rest} queue_config: \
             {{min_backoff: 1ms, max_backoff: 5ms, batch_send_deadline: 10ms, {queue}}}}}]"
        );
        let config = Config::parse(&yaml, &|_| None).unwrap();
        let mut registry = Registry::default();
        let sink = Sink::start(&config, &Metrics::register(&mut registry)).unwrap();
        let name = |i| sink.series(Labels::from_pairs([("__name__", "m".to_owned()), ("s", format!("{i}"))]));
        let series = (0..series).map(name).collect();
        Self { sink, registry: thanos_telemetry::Metrics::new(registry), series }
    }

    /// One sample for every series at time and value `t`.
    fn append(&self, t: i64) {
        let point = |series: &Arc<Series>| Point { series: series.clone(), t_ms: t, value: t as f64 };
        self.sink.append(&self.series.iter().map(point).collect::<Vec<_>>());
    }

    /// Sum of a counter over its series whose line holds `part`.
    fn count(&self, name: &str, part: &str) -> u64 {
        let text = self.registry.encode(None).1;
        let lines = text.lines().filter(|l| l.starts_with(name) && l.contains(part));
        lines.map(|l| l.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
    }
}

fn key(i: usize) -> String {
    format!("__name__=m cluster=east s={i}")
}

#[tokio::test]
async fn nothing_is_lost_or_reordered_while_the_receiver_fails_limits_and_hangs() {
    use Answer::{Hang, Status, TryLater};
    let receiver = Receiver::start([Status(500), TryLater, Hang, Status(200), Status(503), TryLater]).await;
    let sender = Sender::new(&receiver.url, "", "max_shards: 3, max_samples_per_send: 50", 20);
    for t in 0..100 {
        sender.append(t);
    }
    sender.sink.flush(PATIENCE).await;
    let taken = receiver.taken();
    assert_eq!(taken.len(), 20);
    let all: Vec<_> = (0..100).map(|t| (t, t.to_string())).collect();
    for i in 0..20 {
        assert_eq!(taken[&key(i)], all, "series {i}");
    }
    assert!(sender.count("prometheus_remote_storage_samples_retried_total", "") > 0);
    assert_eq!(sender.count("prometheus_remote_storage_samples_failed_total", ""), 0);
    assert_eq!(sender.count("prometheus_remote_storage_samples_dropped_total", ""), 0);
    assert_eq!(sender.count("prometheus_remote_storage_samples_pending", ""), 0);
}

#[tokio::test]
async fn requests_speak_the_protocol_directly_and_through_a_proxy() {
    let receiver = Receiver::start([]).await;
    let sender = Sender::new(&receiver.url, "headers: {X-Extra: yes},", "", 1);
    sender.append(1);
    sender.sink.flush(PATIENCE).await;
    let rest = "snappy application/x-protobuf 0.1.0";
    assert_eq!(receiver.lines(), [format!("POST /api/v1/receive {rest} yes")]);

    let proxy = Receiver::start([]).await;
    let through = format!("proxy_url: '{}',", proxy.url);
    let sender = Sender::new("http://receive.monitoring.svc.cluster.local:19291", &through, "", 1);
    sender.append(1);
    sender.sink.flush(PATIENCE).await;
    let target = "http://receive.monitoring.svc.cluster.local:19291/api/v1/receive";
    assert_eq!(proxy.lines(), [format!("POST {target} {rest} -")]);
    assert_eq!(proxy.taken()[&key(0)], [(1, "1".to_owned())]);
}

#[tokio::test]
async fn what_the_receiver_will_never_take_is_dropped_and_counted_and_the_rest_goes_on() {
    let receiver = Receiver::start([Answer::Status(409)]).await;
    let sender = Sender::new(&receiver.url, "", "max_shards: 1, max_samples_per_send: 2", 2);
    sender.append(1);
    sender.append(2);
    sender.sink.flush(PATIENCE).await;
    assert_eq!(receiver.taken()[&key(0)], [(2, "2".to_owned())]);
    assert_eq!(sender.count("prometheus_remote_storage_samples_failed_total", ""), 2);
    assert_eq!(sender.count("prometheus_remote_storage_samples_retried_total", ""), 0);
}

#[tokio::test]
async fn a_full_queue_gives_up_its_oldest_samples_and_says_how_many() {
    let receiver = Receiver::start([]).await;
    receiver.always(Answer::Status(503));
    let sender = Sender::new(&receiver.url, "", "max_shards: 1, max_samples_per_send: 10, capacity: 50", 1);
    for t in 0..10 {
        sender.append(t);
    }
    // The first batch is on its way: it is no longer in the queue.
    receiver.requests(1).await;
    for t in 10..200 {
        sender.append(t);
    }
    receiver.always(Answer::Status(200));
    sender.sink.flush(PATIENCE).await;
    let times: Vec<i64> = receiver.taken()[&key(0)].iter().map(|(t, _)| *t).collect();
    let newest: Vec<i64> = (150..200).collect();
    assert!(times.is_sorted() && times.ends_with(&newest), "{times:?}");
    let dropped = sender.count("prometheus_remote_storage_samples_dropped_total", "queue_full");
    assert_eq!(times.len() as u64 + dropped, 200);
}

#[tokio::test]
async fn a_receiver_that_hangs_cannot_hold_up_the_end() {
    let receiver = Receiver::start([]).await;
    receiver.always(Answer::Hang);
    let sender = Sender::new(&receiver.url, "", "max_shards: 1, max_samples_per_send: 4", 1);
    for t in 0..10 {
        sender.append(t);
    }
    receiver.requests(1).await;
    let flush = sender.sink.flush(Duration::from_millis(100));
    tokio::time::timeout(PATIENCE, flush).await.unwrap();
    assert_eq!(sender.count("prometheus_remote_storage_samples_dropped_total", "shutdown"), 10);
}

#[tokio::test]
async fn old_samples_are_left_out_and_rules_apply() {
    let receiver = Receiver::start([]).await;
    let rules = "write_relabel_configs: [{source_labels: [s], regex: '0', action: drop}, \
                 {target_label: via, replacement: us}],";
    let sender = Sender::new(&receiver.url, rules, "sample_age_limit: 1h", 2);
    sender.append(1);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    sender.append(now);
    sender.sink.flush(PATIENCE).await;
    let taken = receiver.taken();
    assert_eq!(
        taken.into_iter().collect::<Vec<_>>(),
        [("__name__=m cluster=east s=1 via=us".to_owned(), vec![(now, now.to_string())])]
    );
    assert_eq!(sender.count("prometheus_remote_storage_samples_dropped_total", "too_old"), 1);
    assert_eq!(sender.count("prometheus_remote_storage_samples_dropped_total", "dropped_series"), 2);
}
