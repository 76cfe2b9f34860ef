//! The dashboard in a browser, against this API over series in memory.

use std::net::SocketAddr;

use axum::Router;
use axum::response::Html;
use tokio::process::Command;

use super::*;

/// A scrape each 2 s for 5 minutes, up to a little after now: a browser takes its time.
const SCRAPES: i64 = 150;
const EVERY_MS: i64 = 2000;
/// Checks of the pages' pure parts.
const MODULES: &str = include_str!("../../../../ui/tests/modules.js");

fn series(labels: &[(&str, &str)], value: impl Fn(i64) -> f64) -> Series {
    let last = crate::api::now_ms() + 30_000;
    let samples =
        (0..SCRAPES).map(|i| Sample::float(last - (SCRAPES - 1 - i) * EVERY_MS, value(i))).collect();
    Series { labels: Labels::from_pairs(labels.iter().copied()), samples }
}

/// What the proxies and the controller of two clusters say: `front` calls `web`, and in west `web` fails.
fn two_clusters() -> Memory {
    let mut all = Vec::new();
    for cluster in ["east", "west"] {
        for (pod, deployment) in [("front-abcde12345-abcde", "front"), ("web-abcde12345-abcde", "web")] {
            let own =
                [("cluster", cluster), ("namespace", "default"), ("deployment", deployment), ("pod", pod)];
            let inbound = |more: &[(&'static str, &'static str)]| {
                [&own[..], &[("direction", "inbound")], more].concat()
            };
            all.push(series(&[&own[..], &[("__name__", "up")]].concat(), |_| 1.0));
            all.push(series(&inbound(&[("__name__", "request_total")]), |i| i as f64 * 20.0));
            let class = if (cluster, deployment) == ("west", "web") { "failure" } else { "success" };
            let class = [("__name__", "response_total"), ("classification", class)];
            all.push(series(&inbound(&class), |i| i as f64 * 20.0));
            for le in ["50", "100", "+Inf"] {
                let bucket = [("__name__", "response_latency_ms_bucket"), ("le", le)];
                all.push(series(&inbound(&bucket), |i| if le == "50" { 0.0 } else { i as f64 * 20.0 }));
            }
            if deployment == "front" {
                let to = [("direction", "outbound"), ("dst_deployment", "web"), ("dst_namespace", "default")];
                all.push(series(&[&own[..], &to, &[("__name__", "request_total")]].concat(), |i| {
                    i as f64 * 20.0
                }));
            }
        }
        let policy =
            [("target_cluster", cluster), ("cluster", "east"), ("namespace", "default"), ("policy", "web")];
        for (name, before, after) in [
            ("desired_replicas", 2.0, 7.0),
            ("current_replicas", 2.0, 7.0),
            ("evidence_sufficient", 1.0, 0.0),
        ] {
            let name = format!("gauntlet_autoscaler_{name}");
            let labels = [&policy[..], &[("__name__", name.as_str())]].concat();
            all.push(series(&labels, |i| if i < SCRAPES / 2 { before } else { after }));
        }
        let target =
            [("__name__", "gauntlet_autoscaler_target_info"), ("kind", "Deployment"), ("name", "web")];
        all.push(series(&[&policy[..], &target].concat(), |_| 1.0));
        let raised = [("cause", "AboveTarget"), ("limited_by", "ScaleUpLimit")];
        let writes =
            [&policy[..], &raised, &[("__name__", "gauntlet_autoscaler_scale_writes_total")]].concat();
        all.push(series(&writes, |i| f64::from(i >= SCRAPES / 2)));
        let held = [
            ("__name__", "gauntlet_autoscaler_decision_info"),
            ("cause", "InsufficientEvidence"),
            ("limited_by", "InsufficientEvidence"),
            ("evidence", "ClustersMissing"),
        ];
        all.push(series(&[&policy[..], &held].concat(), |_| 1.0));
    }
    for s in &mut all {
        s.labels = Labels::from_pairs(s.labels.iter().map(|l| (l.name.to_string(), l.value.to_string())));
    }
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    Memory { series: Arc::new(all), ..Memory::default() }
}

async fn serve(memory: &Memory) -> SocketAddr {
    let mut api = api(memory, 20);
    let limits = Limits {
        timeout: Duration::from_secs(10),
        max_samples: 10_000_000,
        max_memory_bytes: 1 << 30,
        ..(*api.limits).clone()
    };
    api.limits = Arc::new(limits);
    let modules = Router::new()
        .route(
            "/modules.js",
            axum::routing::get(async || ([(header::CONTENT_TYPE, "text/javascript")], MODULES)),
        )
        .route(
            "/modules",
            axum::routing::get(async || {
                Html(r#"<p id="outcome">did not run</p><script type="module" src="/modules.js"></script>"#)
            }),
        );
    let app = router(api).merge(thanos_ui::router()).merge(modules);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// The page's elements after its scripts ran, or `None` where there is no Chromium.
async fn dom(address: SocketAddr, path: &str) -> Option<String> {
    let profile = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".into()));
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        // A page's own clock: it ends once nothing is under way, however slow the machine.
        "--virtual-time-budget=3000",
        "--window-size=390,844",
        "--dump-dom",
    ]);
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    command.arg(format!("http://{address}{path}"));
    let running = command.kill_on_drop(true).output();
    match tokio::time::timeout(Duration::from_secs(60), running).await.unwrap() {
        Ok(out) => Some(String::from_utf8(out.stdout).unwrap()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => panic!("chromium: {e}"),
    }
}

#[tokio::test]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
async fn pages_show_what_the_api_says() {
    let queries = "/ui/#/query?expr=sum(up)%20by%20(cluster)";
    for (path, mood, shown, hidden) in [
        ("/modules", Mood::Good, &["passed "][..], "is not"),
        (
            "/ui/#/overview?range=5m",
            Mood::Good,
            &["west / default", "failing", " of 2 answer", "0.00%", "99.5 ms"],
            "No answer",
        ),
        ("/ui/#/topology", Mood::Good, &["clients", "default/front → default/web", "10 / s"], "No answer"),
        (
            "/ui/#/scaling?range=5m",
            Mood::Good,
            &[
                "Deployment web",
                "2 → 7",
                "the metrics ask for more; cut by the scale-up rate",
                "west / default",
                "evidence insufficient: holds",
                "the evidence does not suffice to lower",
                "a cluster has no samples",
            ],
            "No answer",
        ),
        ("/ui/#/stores", Mood::Good, &["1 of 2 do not answer", "cluster=west", ">down<"], "No answer"),
        (queries, Mood::Good, &["{cluster=\"east\"}", "2 series"], "alert"),
        (queries, Mood::Warns, &["Incomplete answer", "connection refused", "2 series"], "alert"),
        ("/ui/#/query?expr=sum(", Mood::Good, &["alert", "bad_data", "parse error"], "series in"),
        ("/ui/#/query?expr=absent_here", Mood::Good, &["Empty result"], "alert"),
        ("/ui/#/overview", Mood::Fails, &["No answer", "no store could answer: a:1"], "healthy"),
        (
            "/ui/#/scaling",
            Mood::Warns,
            &["Incomplete answer", "connection refused", "Deployment web"],
            "No answer",
        ),
    ] {
        let memory = two_clusters();
        *memory.mood.lock() = mood;
        let address = serve(&memory).await;
        let Some(page) = dom(address, path).await else {
            assert!(std::env::var_os("CI").is_none(), "no chromium: install it, or set CHROMIUM to one");
            eprintln!("skipped: no chromium here; set CHROMIUM to one");
            return;
        };
        for text in shown {
            assert!(page.contains(text), "{path}: {text} is missing in {page}");
        }
        assert!(!page.contains(hidden), "{path}: {hidden} is in {page}");
    }
}
