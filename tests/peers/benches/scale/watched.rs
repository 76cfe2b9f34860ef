//! `spec.replicas` of a Deployment, as a watch tells it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Outcome;

/// Longer than two turns of a HPA.
const DEADLINE: Duration = Duration::from_secs(90);

/// All that was seen of one Deployment.
pub(crate) struct Watched {
    name: String,
    changes: Arc<Mutex<Vec<(Instant, i32)>>>,
    newest: watch::Receiver<i32>,
    task: JoinHandle<()>,
}

impl Watched {
    pub(crate) fn start(client: Client, name: &str) -> Self {
        let changes = Arc::new(Mutex::new(Vec::new()));
        let (tell, newest) = watch::channel(0);
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let log = changes.clone();
        let task = tokio::spawn(async move {
            let objects = watcher(Api::<Deployment>::default_namespaced(client), config);
            let mut objects = std::pin::pin!(objects.default_backoff().applied_objects());
            while let Some(object) = objects.next().await {
                let now = Instant::now();
                let replicas = object.ok().and_then(|d| d.spec?.replicas);
                if let Some(n) = replicas.filter(|n| *n != *tell.borrow()) {
                    log.lock().push((now, n));
                    tell.send_replace(n);
                }
            }
        });
        Self { name: name.to_owned(), changes, newest, task }
    }

    /// Waits for exactly so many.
    pub(crate) async fn reaches(&self, replicas: i32) -> Outcome<()> {
        let mut newest = self.newest.clone();
        let there = newest.wait_for(|n| *n == replicas);
        match tokio::time::timeout(DEADLINE, there).await {
            Ok(seen) => seen.map(|_| ()).map_err(|_| format!("{}: the watch ended", self.name).into()),
            Err(_) => {
                Err(format!("{}: not at {replicas} after {DEADLINE:?}: {:?}", self.name, self.log()).into())
            }
        }
    }

    /// How many there are.
    pub(crate) fn newest(&self) -> i32 {
        *self.newest.borrow()
    }

    /// What it became since then, and when.
    pub(crate) fn since(&self, start: Instant) -> Vec<(Duration, i32)> {
        let changes = self.changes.lock();
        changes.iter().filter_map(|(at, n)| Some((at.checked_duration_since(start)?, *n))).collect()
    }

    fn log(&self) -> Vec<i32> {
        self.changes.lock().iter().map(|(_, n)| *n).collect()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}
