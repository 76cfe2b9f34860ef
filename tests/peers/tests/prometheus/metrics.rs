//! Every page of ours, while there is something on it: `promtool check metrics` accepts it, and a real Prometheus
//! scrapes it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use peers::http::{client, get};
use peers::queries::instant;
use peers::traffic::now_ms;
use peers::write::push;
use peers::{World, built, until};
use simulations_cluster::{Cluster, ClusterConfig};
use thanos_model::Labels;

/// The one thing that promtool dislikes, and that stays: the name is Linkerd's.
const LINKERDS: &str = "response_latency_ms metric names should not contain abbreviated units";

/// What promtool says about a page: nothing if all is well.
fn complaints(promtool: &Path, page: &str) -> String {
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    // 3 is a matter of style.
    let parsed = matches!(out.status.code(), Some(0 | 3));
    let said: Vec<&str> = text.lines().filter(|line| *line != LINKERDS).collect();
    if parsed { said.join("\n") } else { format!("{}: {text}", out.status) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_and_prometheus_accept_every_page() {
    let Some([promtool, _]) = built(["promtool", "prometheus"]) else { return };
    let world = World::new(peers::gauntlet!());
    let cluster = ClusterConfig::new("east", world.dir().join("east"));
    let cluster = Cluster::start(cluster).await.unwrap();
    cluster.apply_yaml(&autoscaler_api::crd_yaml().unwrap()).await.unwrap();
    let kubeconfig = cluster.kubeconfig_path();
    let kubeconfig = kubeconfig.display();

    let app = world.ours("app", "app web --listen {ip}:8080", "8080/").await;
    let proxy = format!(
        "proxy sidecar --inbound-listen {{ip}}:4143 --inbound-forward {}:8080 --outbound-listen {{ip}}:4140 \
         --admin-listen {{ip}}:4191",
        app.at
    );
    let proxy = world.ours("proxy", &proxy, "4191/ready").await;
    let control =
        format!("proxy control --listen {{ip}}:8086 --admin-listen {{ip}}:9996 --kubeconfig {kubeconfig}");
    let control = world.ours("control", &control, "9996/ready").await;
    let receive = world.receive("receive", "").await;
    let query = world.query("query", &format!("--endpoint {}:10901", receive.at)).await;
    let scrape = format!(
        "global: {{scrape_interval: 100ms}}\nscrape_configs:\n- job_name: proxy\n  static_configs:\n  - targets: ['{}:4191']\n\
         remote_write:\n- url: {}/api/v1/receive\n",
        proxy.at,
        receive.url(19291)
    );
    let scrape = world.scrape("scrape", &scrape).await;
    let autoscaler = format!(
        "autoscaler run --listen-address {{ip}}:9095 --kubeconfig {kubeconfig} --query-url {}",
        query.url(9090)
    );
    let autoscaler = world.ours("autoscaler", &autoscaler, "9095/live").await;

    // Something to count: requests that are answered and one that is not, writes taken and refused, queries.
    for path in ["/", "/?x=1"] {
        let url = proxy.url(4143) + path;
        assert_eq!(client().get(url).send().await.unwrap().status(), 200);
    }
    let unknown =
        client().get(proxy.url(4140)).header("host", "nobody.default.svc.cluster.local").send().await;
    assert_eq!(unknown.unwrap().status(), 503);
    let backward =
        (Labels::from_pairs([("__name__", "backward")]), vec![(now_ms(), 1.0), (now_ms() - 1000, 1.0)]);
    push(&format!("{}/api/v1/receive", receive.url(19291)), &[backward]).await.unwrap_err();
    until("the proxy's series, stored", async || {
        let (status, body) = get(&format!("{}/api/v1/query?query=request_total", query.url(9090))).await?;
        if status == 200 && body.contains("\"direction\":\"inbound\"") { Ok(()) } else { Err(body) }
    })
    .await;
    assert_eq!(get(&format!("{}/api/v1/query?query=sum(", query.url(9090))).await.unwrap().0, 400);

    let mut wrong = Vec::new();
    let pages = [
        (&proxy, 4191),
        (&control, 9996),
        (&receive, 10902),
        (&query, 9090),
        (&scrape, 9091),
        (&autoscaler, 9095),
    ];
    for (server, port) in pages {
        let url = format!("{}/metrics", server.url(port));
        let (status, page) = get(&url).await.unwrap();
        assert_eq!(status, 200, "{url}");
        assert!(page.lines().filter(|l| !l.starts_with('#')).count() > 5, "{url} says little:\n{page}");
        let said = complaints(&promtool, &page);
        if !said.is_empty() {
            wrong.push(format!("{port}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // Prometheus asks for OpenMetrics first, promtool was shown text.
    let targets: Vec<String> = pages.iter().map(|(server, port)| format!("'{}:{port}'", server.at)).collect();
    let config = format!(
        "global: {{scrape_interval: 200ms}}\nscrape_configs:\n- job_name: all\n  static_configs: [{{targets: [{}]}}]\n",
        targets.join(", ")
    );
    let prometheus = world.prometheus("prometheus", &config, "").await;
    until("every page is scraped", async || {
        let now = now_ms() as f64 / 1000.0;
        let (_, up) =
            instant(&prometheus.url(9090), "sum(up) and min(scrape_samples_scraped) > 5", now).await?;
        if up["data"]["result"][0]["value"][1].as_str() == Some("6") { Ok(()) } else { Err(up.to_string()) }
    })
    .await;
    cluster.stop().await;
}

#[test]
fn promtool_finds_what_is_wrong() {
    let Some([promtool]) = built(["promtool"]) else { return };
    assert!(!complaints(&promtool, "# TYPE a counter\na 1\na 1\n").is_empty());
}
