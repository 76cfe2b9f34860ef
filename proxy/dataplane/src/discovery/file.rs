//! A file of endpoints, for a proxy without a control plane.
//!
//! ```yaml
//! web.default.svc.cluster.local:80: [127.1.0.10:4143, 127.1.0.11:4143]
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::{Addresses, Described, Follower, Known};

/// Authority (`host:port`) → endpoints.
pub(crate) type Endpoints = BTreeMap<String, Vec<SocketAddr>>;

/// How often the file is looked at.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The file's newest valid content.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    endpoints: watch::Receiver<Arc<Endpoints>>,
    _watching: Arc<AbortOnDropHandle<()>>,
}

impl Watched {
    /// Watches a file whose content was read already.
    pub(crate) fn start(path: PathBuf, first: Endpoints) -> Self {
        let (sender, endpoints) = watch::channel(Arc::new(first));
        let task = tokio::spawn(async move {
            let mut last = None;
            loop {
                sleep(POLL_INTERVAL).await;
                match read(&path) {
                    Ok(new) => {
                        sender.send_if_modified(|old| {
                            let differs = **old != new;
                            if differs {
                                *old = Arc::new(new);
                            }
                            differs
                        });
                        last = None;
                    }
                    // Each different mistake is said once.
                    Err(error) if last.as_ref() != Some(&error) => {
                        tracing::warn!(error, "the last valid endpoints stay");
                        last = Some(error);
                    }
                    Err(_) => {}
                }
            }
        });
        Self { endpoints, _watching: Arc::new(AbortOnDropHandle::new(task)) }
    }

    pub(crate) async fn follow(mut self, route: &impl Follower) {
        loop {
            let endpoints = self.endpoints.borrow_and_update().clone();
            match endpoints.get(route.authority()) {
                Some(list) => {
                    let addresses = list.iter().map(|a| (*a, Described::default())).collect();
                    route.publish(&addresses, Known::Exists);
                }
                None => route.publish(&Addresses::new(), Known::Missing),
            }
            if self.endpoints.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Reads the file.
///
/// # Errors
/// One line naming the file and what is wrong.
pub(crate) fn read(path: &Path) -> Result<Endpoints, String> {
    let endpoints: Endpoints = thanos_telemetry::cli::load_yaml(path).map_err(|e| e.to_string())?;
    for authority in endpoints.keys() {
        let port = authority.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
        if port.is_none_or(|p| p.parse::<u16>().is_err()) || *authority != authority.to_ascii_lowercase() {
            return Err(format!("{}: {authority:?}: expected host:port in lower case", path.display()));
        }
    }
    Ok(endpoints)
}
