use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parking_lot::Mutex;
use thanos_scrape::{Args, run};
use thanos_telemetry::{Context, RunError, Shutdown};
use tokio::task::JoinHandle;

use crate::receiver::{PATIENCE, Receiver, Samples};

/// A target that answers with what it was given last.
#[derive(Clone)]
struct Target {
    address: SocketAddr,
    page: Arc<Mutex<Page>>,
}

#[derive(Clone, Debug)]
enum Page {
    Text(String),
    Gzip(String),
    OpenMetrics(String),
    Broken,
}

impl Target {
    async fn start(page: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let page = Arc::new(Mutex::new(Page::Text(page.into())));
        let app = Router::new().route("/metrics", get(serve)).with_state(page.clone());
        tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        Self { address, page }
    }

    fn show(&self, page: Page) {
        *self.page.lock() = page;
    }
}

async fn serve(State(page): State<Arc<Mutex<Page>>>, headers: HeaderMap) -> Response {
    assert!(headers["accept"].to_str().unwrap().contains("application/openmetrics-text"));
    assert_eq!(headers["accept-encoding"], "gzip");
    assert!(headers.contains_key("x-prometheus-scrape-timeout-seconds"));
    let text = ("content-type", "text/plain; version=0.0.4");
    let page = page.lock().clone();
    match page {
        Page::Text(body) => ([text], body).into_response(),
        Page::OpenMetrics(body) => {
            ([("content-type", "application/openmetrics-text; version=1.0.0")], body).into_response()
        }
        Page::Gzip(body) => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(body.as_bytes()).unwrap();
            ([text, ("content-encoding", "gzip")], gzip.finish().unwrap()).into_response()
        }
        Page::Broken => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A whole scraper over a folder with its files.
struct Scraper {
    folder: tempfile::TempDir,
    receiver: Receiver,
    shutdown: Shutdown,
    task: JoinHandle<Result<(), RunError>>,
    web: String,
}

impl Scraper {
    async fn start(jobs: impl Fn(&std::path::Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let receiver = Receiver::start([]).await;
        let shutdown = Shutdown::new();
        let jobs = jobs(folder.path());
        std::fs::write(folder.path().join("prometheus.yml"), config(&receiver, &jobs)).unwrap();
        let listen_address = free_address();
        let args = Args {
            config_file: folder.path().join("prometheus.yml"),
            reload_interval: std::time::Duration::from_millis(50),
            listen_address,
            flush_deadline: PATIENCE,
        };
        let task = tokio::spawn(run(args, Context { shutdown: shutdown.clone() }));
        Self { folder, receiver, shutdown, task, web: format!("http://{listen_address}") }
    }

    fn configure(&self, jobs: &str) {
        std::fs::write(self.folder.path().join("prometheus.yml"), config(&self.receiver, jobs)).unwrap();
    }

    async fn stop(self) -> BTreeMap<String, Samples> {
        self.shutdown.start();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
        self.receiver.taken()
    }

    async fn get(&self, path: &str) -> String {
        reqwest::get(format!("{}{path}", self.web)).await.unwrap().text().await.unwrap()
    }
}

/// A port on a loopback address that no other test or process here uses: bound once, then let go.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let ip = Ipv4Addr::new(127, high | 0x80, low, NEXT.fetch_add(1, Ordering::Relaxed));
    std::net::TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap()
}

fn config(receiver: &Receiver, jobs: &str) -> String {
    format!(
        "global: {{scrape_interval: 100ms, external_labels: {{cluster: east}}}}\n\
         scrape_configs: [{jobs}]\n\
         remote_write: [{{url: '{}', queue_config: {{batch_send_deadline: 5ms}}}}]\n",
        receiver.url
    )
}

fn job(target: &Target, more: &str) -> String {
    format!(
        "{{job_name: j, static_configs: [{{targets: ['{}']}}], \
         relabel_configs: [{{target_label: instance, replacement: i}}], {more}}}",
        target.address
    )
}

fn name(metric: &str) -> String {
    format!("__name__={metric} cluster=east instance=i job=j")
}

fn last<'a>(taken: &'a BTreeMap<String, Samples>, metric: &str) -> Option<&'a str> {
    taken.get(&name(metric))?.last().map(|(_, v)| v.as_str())
}

fn stale_marks(samples: &Samples) -> usize {
    samples.iter().filter(|(_, v)| v == "stale").count()
}

#[tokio::test]
async fn series_come_vanish_return_and_a_graceful_end_writes_no_markers() {
    let target = Target::start("a 1\nb 1\n").await;
    let scraper = Scraper::start(|_| job(&target, "")).await;
    let taken = &scraper.receiver;
    taken.until("a and b", |t| last(t, "b") == Some("1") && last(t, "up") == Some("1")).await;
    target.show(Page::Gzip("a 2\n".into()));
    taken.until("b ended", |t| last(t, "b") == Some("stale") && last(t, "a") == Some("2")).await;
    target.show(Page::OpenMetrics("a 3\nb 3\n# EOF\n".into()));
    taken.until("b returned", |t| last(t, "b") == Some("3")).await;
    target.show(Page::Broken);
    taken.until("all ended", |t| ["a", "b"].iter().all(|m| last(t, m) == Some("stale"))).await;
    taken.until("down", |t| last(t, "up") == Some("0")).await;
    target.show(Page::OpenMetrics("a 4\n".into()));
    taken.until("cut off is down too", |t| t[&name("up")].iter().filter(|(_, v)| v == "0").count() > 2).await;
    target.show(Page::Text("a 5\nb 5\n".into()));
    taken.until("back", |t| last(t, "b") == Some("5") && last(t, "up") == Some("1")).await;

    let taken = scraper.stop().await;
    for metric in ["a", "b", "up"] {
        let samples = &taken[&name(metric)];
        assert!(samples.windows(2).all(|w| w[0].0 < w[1].0), "{metric} in order: {samples:?}");
        assert_ne!(last(&taken, metric), Some("stale"), "{metric}");
    }
    assert_eq!((stale_marks(&taken[&name("a")]), stale_marks(&taken[&name("b")])), (1, 2));
    assert_eq!(stale_marks(&taken[&name("up")]), 0);
    // Every scrape reports five series, at the scrape's own time.
    for metric in ["scrape_duration_seconds", "scrape_samples_scraped", "scrape_series_added"] {
        let times = |m| taken[&name(m)].iter().map(|(t, _)| *t).collect::<Vec<_>>();
        assert_eq!(times(metric), times("up"), "{metric}");
    }
    assert!(taken.contains_key(&name("scrape_samples_post_metric_relabeling")));
}

#[tokio::test]
async fn a_target_that_is_removed_ends_with_all_its_series_dated_at_its_first_missed_scrape() {
    let target = Target::start("a 1\n").await;
    let scraper = Scraper::start(|folder| {
        let file = folder.join("targets.yml");
        std::fs::write(&file, format!("[{{targets: ['{}']}}]", target.address)).unwrap();
        format!(
            "{{job_name: j, scrape_interval: 400ms, file_sd_configs: [{{files: ['{}'], refresh_interval: 100ms}}], \
             relabel_configs: [{{target_label: instance, replacement: i}}]}}",
            file.display()
        )
    })
    .await;
    scraper.receiver.until("scraped", |t| last(t, "a") == Some("1")).await;
    std::fs::write(scraper.folder.path().join("targets.yml"), "[]").unwrap();
    scraper.receiver.until("ended", |t| ["a", "up"].iter().all(|m| last(t, m) == Some("stale"))).await;
    let taken = scraper.stop().await;
    let samples = &taken[&name("a")];
    let [.., (before, _), (end, _)] = samples[..] else { panic!("{samples:?}") };
    // One interval after the last scrape, though it was written more than two after it.
    assert!((200..=700).contains(&(end - before)), "{before} {end}");
    assert_eq!(taken[&name("up")].last().unwrap().0, end);
}

#[tokio::test]
async fn a_reload_takes_what_is_right_keeps_what_is_wrong_out_and_ends_only_what_is_gone() {
    let target = Target::start("a 1\nb 1\n").await;
    let scraper = Scraper::start(|_| job(&target, "")).await;
    scraper.receiver.until("b", |t| last(t, "b") == Some("1")).await;

    scraper.configure(&job(&target, "metric_path: /x"));
    let wait = async {
        while !scraper.get("/metrics").await.contains("prometheus_config_last_reload_successful 0") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
    let scrapes = scraper.receiver.taken()[&name("up")].len();
    scraper.receiver.until("still scraping", |t| t[&name("up")].len() > scrapes + 1).await;

    let rules = "metric_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}]";
    scraper.configure(&job(&target, rules));
    scraper.receiver.until("b ended", |t| last(t, "b") == Some("stale")).await;
    scraper.configure(&job(&target, "scrape_interval: 150ms"));
    scraper.receiver.until("b is back", |t| last(t, "b") == Some("1")).await;
    let taken = scraper.stop().await;
    assert_eq!(stale_marks(&taken[&name("a")]), 0, "a went on throughout");
    assert_eq!(stale_marks(&taken[&name("up")]), 0);
    let a = &taken[&name("a")];
    assert!(a.windows(2).all(|w| w[0].0 < w[1].0), "{a:?}");
}

#[tokio::test]
async fn targets_are_shown_as_prometheus_shows_them() {
    let target = Target::start("a 1\n").await;
    let dropped = "{job_name: k, static_configs: [{targets: ['x:1']}], relabel_configs: [{action: drop}]}";
    let scraper = Scraper::start(|_| format!("{}, {dropped}", job(&target, "body_size_limit: 100B"))).await;
    scraper.receiver.until("scraped", |t| last(t, "up") == Some("1")).await;
    let targets: serde_json::Value = serde_json::from_str(&scraper.get("/api/v1/targets").await).unwrap();
    let active = &targets["data"]["activeTargets"][0];
    assert_eq!(active["health"], "up");
    assert_eq!(active["scrapeUrl"], format!("http://{}/metrics", target.address));
    assert_eq!(active["labels"], serde_json::json!({"instance": "i", "job": "j"}));
    assert_eq!(active["discoveredLabels"]["__address__"], target.address.to_string());
    assert_eq!(targets["data"]["droppedTargetCounts"], serde_json::json!({"j": 0, "k": 1}));
    assert_eq!(targets["data"]["droppedTargets"][0]["discoveredLabels"]["__address__"], "x:1");

    target.show(Page::Gzip("a".repeat(1000)));
    scraper.receiver.until("too large", |t| last(t, "up") == Some("0")).await;
    let targets = scraper.get("/api/v1/targets?state=active&scrapePool=j").await;
    assert!(targets.contains("body size limit exceeded: more than 100 bytes"), "{targets}");
    assert!(
        scraper.get("/metrics").await.contains("prometheus_target_scrapes_exceeded_body_size_limit_total")
    );
    assert_eq!(scraper.get("/-/ready").await, "ready\n");
    scraper.stop().await;
}

#[tokio::test]
async fn a_wrong_file_ends_the_start_with_its_line_before_a_port_opens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.yml");
    std::fs::write(&file, "scrape_configs:\n- job_name: a\n  bearer_token: x\n").unwrap();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let args = Args {
        config_file: file.clone(),
        reload_interval: PATIENCE,
        listen_address: taken.local_addr().unwrap(),
        flush_deadline: PATIENCE,
    };
    let error = run(args, Context { shutdown: Shutdown::new() }).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.exit_code(), 64);
    for part in [file.to_str().unwrap(), "line 3", "bearer_token", "not supported yet"] {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}
