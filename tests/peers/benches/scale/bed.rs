//! All that a run stands on: the load, what it goes through, who scrapes that, and the rows.

use kube::Client;
use peers::{Binaries, ControlPlane, Server, World, built};
use serde_json::Value;
use simulations_cluster::{Cluster, ClusterConfig};
use tempfile::TempDir;

use crate::Outcome;
use crate::adapter::Adapter;
use crate::load::Load;
use crate::rows::{Kind, QUERY, RATES, Row};

/// Of one run. What is first ends first.
pub(crate) struct Bed {
    pub(crate) rows: Vec<Row>,
    pub(crate) load: Option<Load>,
    pub(crate) adapter: Option<Adapter>,
    pub(crate) prometheus: Option<Server>,
    proxy: Server,
    embedded: Option<Cluster>,
    others: Vec<Server>,
    planes: Vec<ControlPlane>,
    world: World,
    _programs: TempDir,
}

impl Bed {
    pub(crate) async fn start(kinds: &[Kind]) -> Outcome<Self> {
        // Controllers are started again and again, of one build even if a newer one comes meanwhile.
        let programs = tempfile::tempdir()?;
        let gauntlet = programs.path().join("gauntlet");
        std::fs::copy(peers::gauntlet!(), &gauntlet)?;
        let world = World::new(&gauntlet.to_string_lossy());
        let app = world.ours("app", "app web --listen {ip}:8080 --service-time 1ms", "8080/").await;
        let flags = format!(
            "proxy sidecar --inbound-listen {{ip}}:4143 --inbound-forward {}:8080 --admin-listen {{ip}}:4191",
            app.at
        );
        let proxy = world.ours("proxy", &flags, "4191/ready").await;
        let load = Load::start(proxy.url(4143), RATES.0);
        let mut bed = Self {
            rows: Vec::new(),
            load: Some(load),
            adapter: None,
            prometheus: None,
            proxy,
            embedded: None,
            others: vec![app],
            planes: Vec::new(),
            world,
            _programs: programs,
        };
        if built(["prometheus"]).is_some() {
            bed.prometheus = Some(bed.world.prometheus("prometheus", &scrape_config(&bed.proxy), "").await);
        }
        if kinds.contains(&Kind::A) {
            bed.embedded().await?;
        }
        let on_one: Vec<Kind> = kinds.iter().copied().filter(|k| !matches!(k, Kind::A | Kind::B2)).collect();
        if !on_one.is_empty() {
            bed.real(&on_one).await?;
        }
        // A controller takes every policy of its API server: where its querier is another, so is the API server.
        if kinds.contains(&Kind::B2) {
            bed.real(&[Kind::B2]).await?;
        }
        bed.rows.sort_by_key(|row| row.kind.name());
        Ok(bed)
    }

    async fn embedded(&mut self) -> Outcome<()> {
        let config = ClusterConfig::new("east", self.world.dir().join("east")).program("shell", "/bin/sh");
        let cluster = Cluster::start(config).await?;
        let receive = self.world.receive("receive", "").await;
        let config = format!(
            "{}remote_write:\n- url: {}/api/v1/receive\n  remote_timeout: 3s\n  queue_config: {{max_shards: 1, \
             max_samples_per_send: 2000, batch_send_deadline: 200ms, capacity: 500000}}\n",
            scrape_config(&self.proxy),
            receive.url(19291)
        );
        let scrape = self.world.scrape("scrape", &config).await;
        let flags = format!("--endpoint {}:10901 --query.replica-label replica", receive.at);
        let query = self.world.query("query", &flags).await;
        let row =
            Row::ours(Kind::A, &self.world, &cluster.client(), &cluster.kubeconfig_path(), &query.url(9090))
                .await?;
        self.rows.push(row);
        self.others.extend([receive, scrape, query]);
        self.embedded = Some(cluster);
        Ok(())
    }

    async fn real(&mut self, kinds: &[Kind]) -> Outcome<()> {
        let binaries = Binaries::find().ok_or("the control plane is not built")?;
        let prometheus = self.prometheus.as_ref().ok_or("Prometheus is not built")?;
        let url = prometheus.url(9090);
        let dir = self.world.dir().join(format!("plane-{}", kinds[0].name()));
        let mut plane = ControlPlane::start(&dir, binaries).await;
        let every_second = ["--horizontal-pod-autoscaler-sync-period=1s"];
        let flags = if kinds.contains(&Kind::C2) { &every_second[..] } else { &[] };
        plane.start_manager_with(flags).await;
        let (client, kubeconfig): (Client, _) = (plane.client().await, plane.admin_kubeconfig());
        for &kind in kinds {
            let row = match kind {
                Kind::B2 => {
                    let sidecar = self.world.thanos_sidecar("sidecar", prometheus).await;
                    let flags = format!("--endpoint={}:10901 --query.replica-label=replica", sidecar.at);
                    let query = self.world.thanos_query("thanos-query", &flags).await;
                    let row = Row::ours(kind, &self.world, &client, &kubeconfig, &query.url(9090)).await?;
                    self.others.extend([sidecar, query]);
                    row
                }
                Kind::C | Kind::C2 => {
                    self.adapter = Some(Adapter::start(&client, url.clone(), QUERY.to_owned()).await?);
                    Row::theirs(kind, &client).await?
                }
                Kind::A | Kind::B | Kind::B3 => {
                    Row::ours(kind, &self.world, &client, &kubeconfig, &url).await?
                }
            };
            self.rows.push(row);
        }
        self.planes.push(plane);
        Ok(())
    }

    /// Ends the run; the load must have been what it was said to be.
    pub(crate) async fn stop(mut self) -> Outcome<()> {
        if let Some(load) = self.load.take() {
            let sent = load.stop().await?;
            let (_, page) = peers::http::get(&format!("{}/metrics", self.proxy.url(4191))).await?;
            let counted: f64 = page
                .lines()
                .filter(|l| l.starts_with("request_total{") && l.contains("direction=\"inbound\""))
                .filter_map(|l| l.rsplit_once(' ')?.1.parse::<f64>().ok())
                .sum();
            if counted != sent as f64 {
                return Err(format!("sent {sent} requests, the proxy counted {counted}").into());
            }
        }
        self.rows.clear();
        if let Some(cluster) = self.embedded.take() {
            cluster.stop().await;
        }
        Ok(())
    }
}

/// The same for both who scrape; the cluster is a label of the target because external labels are not in a Prometheus'
/// own answers.
fn scrape_config(proxy: &Server) -> String {
    format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 900ms, external_labels: {{replica: a}}}}\n\
         scrape_configs:\n- job_name: linkerd-proxy\n  static_configs:\n  - targets: ['{}:4191']\n    \
         labels: {{cluster: east, deployment: web}}\n",
        proxy.at
    )
}

/// The value of an instant query that has one, now.
pub(crate) async fn ask(client: &reqwest::Client, url: &str, query: &str) -> Result<f64, String> {
    let request = client.get(format!("{url}/api/v1/query")).query(&[("query", query)]);
    let answer: Value =
        request.send().await.map_err(|e| e.to_string())?.json().await.map_err(|e| e.to_string())?;
    let value = answer["data"]["result"][0]["value"][1].as_str().and_then(|v| v.parse().ok());
    value.ok_or_else(|| answer.to_string())
}
