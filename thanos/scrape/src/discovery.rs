//! Where targets come from. Each source publishes everything it knows, whenever that changes; `None` until it
//! knows anything, so that a job never mistakes "not asked yet" for "no targets".
//!
//! ```text
//!  static ─┐
//!  files  ─┼─► watch::Receiver<Option<Groups>> ─► pool
//!  pods   ─┘
//! ```
//!
//! A source that cannot be read keeps what it knew.

mod files;
mod kubernetes;
mod pod;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{Job, StaticConfig};
use crate::target::{LabelMap, TargetGroup};

pub use kubernetes::{Connection, connect};
pub use pod::{
    Container, ContainerPort, ContainerStatus, Pod, PodCondition, PodSpec, PodStatus, pod_targets,
};

/// Everything a source knows; `None`: nothing yet.
pub type Groups = Option<Arc<Vec<TargetGroup>>>;

/// The running sources of one job. Dropping it ends them.
#[derive(Debug, Default)]
pub struct Discovery {
    receivers: Vec<watch::Receiver<Groups>>,
    /// The static source never ends; the others live here.
    tasks: JoinSet<()>,
    /// Keeps the static source's channel open.
    _static: Option<watch::Sender<Groups>>,
}

impl Discovery {
    /// Starts the sources of a job. `connections` holds one client per `kubernetes_sd_configs` entry.
    pub fn start(job: &Job, connections: Vec<Connection>) -> Self {
        let mut this = Self::default();
        if !job.static_configs.is_empty() {
            let groups: Vec<_> = job.static_configs.iter().map(static_group).collect();
            let (sender, receiver) = watch::channel(Some(Arc::new(groups)));
            this.receivers.push(receiver);
            this._static = Some(sender);
        }
        for config in &job.file_sd_configs {
            let (sender, receiver) = watch::channel(None);
            this.receivers.push(receiver);
            this.tasks.spawn(files::run(config.clone(), sender));
        }
        for (config, connection) in job.kubernetes_sd_configs.iter().zip(connections) {
            let (sender, receiver) = watch::channel(None);
            this.receivers.push(receiver);
            this.tasks.spawn(kubernetes::run(config.clone(), connection, sender));
        }
        this
    }

    /// What is known now; `None` while some source has not answered for the first time.
    pub fn groups(&mut self) -> Option<Vec<Arc<Vec<TargetGroup>>>> {
        self.receivers.iter_mut().map(|r| r.borrow_and_update().clone()).collect()
    }

    /// Resolves when a source knows something new.
    pub async fn changed(&mut self) {
        let changes = self.receivers.iter_mut().map(|r| {
            Box::pin(async move {
                if r.changed().await.is_err() {
                    // The source is gone: what it knew stays.
                    std::future::pending::<()>().await;
                }
            })
        });
        let changes: Vec<_> = changes.collect();
        if changes.is_empty() {
            std::future::pending::<()>().await;
        }
        futures::future::select_all(changes).await;
    }
}

/// A group as `static_configs` and `file_sd` files write it.
fn static_group(config: &StaticConfig) -> TargetGroup {
    let target = |address: &String| LabelMap::from([("__address__".to_owned(), address.clone())]);
    TargetGroup { labels: config.labels.clone(), targets: config.targets.iter().map(target).collect() }
}
