//! The embedded cluster as its clients see it: over real HTTP, with real processes.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

mod dns;
mod garbage;
mod node;
mod workloads;

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::Api;
use kube::runtime::conditions;
use kube::runtime::wait::{Condition, await_condition};
use simulations_cluster::{Cluster, ClusterConfig};

/// Long enough for a machine that is busy with other things; what is waited for comes in milliseconds.
const DEADLINE: Duration = Duration::from_secs(30);

/// A cluster of its own, in a folder of its own.
struct Sandbox {
    cluster: Cluster,
    dir: tempfile::TempDir,
}

impl Sandbox {
    async fn start() -> Self {
        Self::seeded(None).await
    }

    async fn seeded(seed: Option<u64>) -> Self {
        Self::with(|config| config.seed = seed).await
    }

    async fn with(change: impl FnOnce(&mut ClusterConfig)) -> Self {
        thanos_telemetry::logs::init();
        let dir = tempfile::tempdir().unwrap();
        let mut config = ClusterConfig::new("test", dir.path()).program("shell", "/bin/sh");
        config.restart_backoff = (Duration::from_millis(50), Duration::from_secs(1));
        change(&mut config);
        Self { cluster: Cluster::start(config).await.unwrap(), dir }
    }

    fn client(&self) -> Client {
        self.cluster.client()
    }

    fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.client())
    }

    /// Waits until a pod meets a condition; its state then.
    async fn pod(&self, name: &str, condition: impl Condition<Pod>) -> Option<Pod> {
        within(await_condition(self.pods(), name, condition)).await.unwrap()
    }

    async fn ready(&self, name: &str) -> Pod {
        self.pod(name, is_ready).await.unwrap()
    }

    async fn gone(&self, name: &str, uid: &str) {
        self.pod(name, conditions::is_deleted(uid)).await;
    }

    async fn logs(&self, name: &str) -> String {
        self.pods().logs(name, &Default::default()).await.unwrap()
    }
}

fn is_ready(pod: Option<&Pod>) -> bool {
    pod.and_then(|p| p.status.as_ref()?.conditions.as_ref())
        .is_some_and(|c| c.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it did not come to pass in time")
}

/// Looks again and again, for what nobody announces: files and processes.
async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    within(async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}
