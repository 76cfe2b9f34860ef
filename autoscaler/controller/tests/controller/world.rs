//! A controller between the two fakes.

use std::path::PathBuf;
use std::time::Duration;

use autoscaler_controller::{Command, run};
use clap::Parser;
use serde_json::{Value, json};
use tempfile::TempDir;
use thanos_telemetry::{Context, RunError, Shutdown};
use tokio::task::JoinHandle;

use crate::api::{Api, DEPLOYMENTS, LEASE, POLICIES};
use crate::querier::{Querier, Say};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One controller.
pub(crate) struct Controller {
    shutdown: Shutdown,
    task: JoinHandle<Result<(), RunError>>,
}

impl Controller {
    /// Ends it gracefully.
    pub(crate) async fn stop(self) {
        self.shutdown.start();
        tokio::time::timeout(Duration::from_secs(10), self.task).await.unwrap().unwrap().unwrap();
    }

    /// Ends it as a crash would, as far as a task can: nothing is released.
    pub(crate) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// The fakes, and where files go.
pub(crate) struct World {
    pub(crate) api: Api,
    pub(crate) querier: Querier,
    pub(crate) dir: TempDir,
}

impl World {
    pub(crate) async fn new(say: Say) -> Self {
        let api = Api::start().await;
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "east",
            "clusters": [{"name": "east", "cluster": {"server": api.url}}],
            "users": [{"name": "east", "user": {}}],
            "contexts": [{"name": "east", "context": {"cluster": "east", "user": "east", "namespace": "default"}}],
        });
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
        Self { api, querier: Querier::start(say).await, dir }
    }

    /// Starts a controller with quick leases.
    pub(crate) fn controller(&self, flags: &[&str]) -> Controller {
        self.start(&self.querier.url, flags)
    }

    pub(crate) fn controller_with_querier(&self, url: &str) -> Controller {
        self.start(url, &[])
    }

    fn start(&self, querier: &str, flags: &[&str]) -> Controller {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        let (kubeconfig, records) = (path("kubeconfig"), path("records"));
        let mut args = vec![
            "autoscaler",
            "run",
            "--context",
            "east",
            "--listen-address",
            "127.0.0.1:0",
            "--status-refresh",
            "1s",
            "--lease-duration",
            "1s",
            "--lease-renew",
            "700ms",
            "--lease-retry",
            "50ms",
            "--kubeconfig",
            &kubeconfig,
            "--records-dir",
            &records,
            "--query-url",
            querier,
        ];
        if !flags.contains(&"--query-timeout") {
            args.extend(["--query-timeout", "500ms"]);
        }
        args.extend(flags);
        let command = Cli::parse_from(args).command;
        let shutdown = Shutdown::new();
        let task = tokio::spawn(run(command, Context { shutdown: shutdown.clone() }));
        Controller { shutdown, task }
    }

    pub(crate) fn deployment(&self, name: &str, replicas: i32) {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}}, "status": {"replicas": replicas, "readyReplicas": replicas},
        });
        self.api.put(&format!("{DEPLOYMENTS}/{name}"), object);
    }

    /// 50 a replica, 1 to 20 replicas, no rates and windows in the way, and little that evidence must outlast
    /// before replicas fall; changed as the test likes.
    pub(crate) fn policy(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let free = json!({"stabilizationWindowSeconds": 0,
                          "policies": [{"type": "Percent", "value": 10_000, "periodSeconds": 1}]});
        let mut object = json!({
            "apiVersion": "autoscaling.gauntlet.dev/v1alpha1", "kind": "ScalingPolicy", "metadata": {"generation": 1},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "minReplicas": 1, "maxReplicas": 20, "interval": "100ms",
                "metrics": [{
                    "name": "requests", "query": "sum(rate(request_total[200ms]))",
                    "target": {"type": "AverageValue", "averageValue": "50"},
                    "evidence": {"maxAge": "300ms", "clusters": ["east", "west"]},
                }],
                "behavior": {"scaleUp": free, "scaleDown": free},
            },
        });
        change(&mut object["spec"]);
        self.api.put(&format!("{POLICIES}/{name}"), object);
    }

    /// The records of a policy in the order of their times.
    pub(crate) fn records(&self, policy: &str) -> Vec<PathBuf> {
        let folder = self.dir.path().join("records/east/default").join(policy);
        let files = std::fs::read_dir(folder).into_iter().flatten();
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    }

    /// Explains, as a user would have it.
    pub(crate) async fn explain(&self, flags: &[&str]) -> Result<(), RunError> {
        let command = Cli::parse_from([&["autoscaler", "explain"], flags].concat()).command;
        run(command, Context { shutdown: Shutdown::new() }).await
    }

    /// Decides again what was recorded, and looks at what each decision handed to the next.
    pub(crate) async fn replay(&self) -> Result<(), RunError> {
        let records = self.dir.path().join("records").display().to_string();
        let command = Cli::parse_from(["autoscaler", "replay", &records]).command;
        run(command, Context { shutdown: Shutdown::new() }).await
    }

    pub(crate) fn replicas(&self, path: &str) -> i64 {
        self.api.get(path).unwrap()["spec"]["replicas"].as_i64().unwrap()
    }

    /// When the policy `web` last wrote replicas, as its status says.
    pub(crate) async fn last_scale_time(&self) -> String {
        let time = |api: &Api| {
            let policy = api.get(&format!("{POLICIES}/web"))?;
            Some(policy["status"]["lastScaleTime"].as_str()?.to_owned())
        };
        self.api.until("a lastScaleTime", time).await
    }

    /// Waits until the controller has looked at its lease several times more.
    pub(crate) async fn several_looks(&self) {
        let before = self.api.reads_of(LEASE);
        self.api.until("more looks", |api| (api.reads_of(LEASE) >= before + 6).then_some(())).await;
    }

    /// Waits until the controller has evaluated a policy several times more, as its status says.
    pub(crate) async fn several_evaluations(&self, policy: &str) {
        let status = format!("{POLICIES}/{policy}/status");
        let before = self.api.writes_to(&status).len();
        self.api
            .until("more evaluations", |api| (api.writes_to(&status).len() >= before + 2).then_some(()))
            .await;
    }
}
