//! The controller scales from a real Prometheus that scrapes our proxy, and lowers nothing while it is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use peers::http::{client, get_json};
use peers::{World, built, until};
use simulations_cluster::{Cluster, ClusterConfig};

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: gauntlet
        command: [gauntlet, app, web]
        args: ["--listen=$(POD_IP):8080", --linger=0s]
        env: [{name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
"#;

const POLICY: &str = r#"
apiVersion: autoscaling.gauntlet.dev/v1alpha1
kind: ScalingPolicy
metadata: {name: web, namespace: default}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 1
  maxReplicas: 5
  interval: 500ms
  metrics:
  - name: requests
    query: sum(rate(request_total{deployment="web",direction="inbound"}[2s]))
    target: {type: AverageValue, averageValue: "10"}
    evidence: {maxAge: 2s, clusters: [east]}
  behavior:
    scaleUp: {stabilizationWindowSeconds: 0}
    scaleDown:
      stabilizationWindowSeconds: 0
      policies: [{type: Percent, value: 100, periodSeconds: 1}]
"#;

/// `spec.replicas` of the Deployment.
async fn replicas(cluster: &Cluster) -> Result<u64, String> {
    let url = format!("{}/apis/apps/v1/namespaces/default/deployments/web", cluster.api_url());
    let (status, object) = get_json(&url).await?;
    object["spec"]["replicas"].as_u64().ok_or_else(|| format!("{status}: {object}"))
}

async fn until_replicas(cluster: &Cluster, what: &str, fits: impl Fn(u64) -> bool) {
    until(what, async || {
        let n = replicas(cluster).await?;
        if fits(n) { Ok(()) } else { Err(format!("{n} replicas")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_controller_scales_from_prometheus_and_lowers_nothing_without_it() {
    let Some([_]) = built(["prometheus"]) else { return };
    let world = World::new(peers::gauntlet!());
    let config = ClusterConfig::new("east", world.dir().join("east")).program("gauntlet", peers::gauntlet!());
    let cluster = Cluster::start(config).await.unwrap();
    cluster.apply_yaml(&autoscaler_api::crd_yaml().unwrap()).await.unwrap();
    cluster.apply_yaml(DEPLOYMENT).await.unwrap();

    let app = world.ours("app", "app web --listen {ip}:8080 --service-time 1ms", "8080/").await;
    let flags = format!(
        "proxy sidecar --inbound-listen {{ip}}:4143 --inbound-forward {}:8080 --admin-listen {{ip}}:4191",
        app.at
    );
    let proxy = world.ours("proxy", &flags, "4191/ready").await;
    // External labels are not in a Prometheus' own answers, so the cluster is a label of the target.
    let config = format!(
        "global: {{scrape_interval: 250ms}}\nscrape_configs:\n- job_name: proxy\n  static_configs:\n  \
         - targets: ['{}:4191']\n    labels: {{cluster: east, deployment: web}}\n",
        proxy.at
    );
    let mut prometheus = world.prometheus("prometheus", &config, "").await;
    let flags = format!(
        "autoscaler run --listen-address {{ip}}:9095 --kubeconfig {} --context east --query-url {} --query-timeout 1s",
        cluster.kubeconfig_path().display(),
        prometheus.url(9090)
    );
    let _autoscaler = world.ours("autoscaler", &flags, "9095/live").await;

    // Milliseconds between requests.
    let pause = Arc::new(AtomicU64::new(200));
    let load = tokio::spawn({
        let (url, pause) = (proxy.url(4143), pause.clone());
        async move {
            let client = client();
            loop {
                tokio::spawn(client.get(&url).send());
                tokio::time::sleep(Duration::from_millis(pause.load(Ordering::Relaxed))).await;
            }
        }
    });
    cluster.apply_yaml(POLICY).await.unwrap();
    until_replicas(&cluster, "5 requests a second need one replica", |n| n == 1).await;
    // On a busy machine fewer come through; 30 would be enough.
    pause.store(10, Ordering::Relaxed);
    until_replicas(&cluster, "100 requests a second need more", |n| n >= 3).await;

    // The load goes, but nobody can know.
    prometheus.kill();
    pause.store(200, Ordering::Relaxed);
    let before = replicas(&cluster).await.unwrap();
    let looks = Duration::from_secs(4);
    let start = tokio::time::Instant::now();
    while start.elapsed() < looks {
        assert!(replicas(&cluster).await.unwrap() >= before, "lowered without a metric");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    prometheus.again().await;
    until_replicas(&cluster, "with evidence again, one replica is enough", |n| n == 1).await;
    load.abort();
    cluster.stop().await;
}
