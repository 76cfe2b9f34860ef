//! What goes wrong, and where.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::platform::{PLATFORM, SERVICES_NAMESPACE};

/// What is done to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FaultKind {
    /// SIGKILL, once.
    Kill,
    /// SIGSTOP, and SIGCONT at the end: alive, and answers nothing.
    Pause,
    /// The cluster's metrics stop arriving: its scraper is paused.
    DropMetrics,
    /// A noisy neighbour: it has the processor one `factor`th of the time, in turns of 50 ms.
    Slow,
    /// The cluster is cut off from the others: what passes between them waits. Inside it all goes on.
    Partition,
}

/// What passes between clusters, and can be cut by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// To API servers: the controller's reads and writes.
    Api,
    /// To pods that DNS names: the querier's way to Receive.
    Receive,
}

impl Lane {
    /// Each.
    pub const ALL: [Self; 2] = [Self::Api, Self::Receive];

    /// Its name as a `part`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Receive => "receive",
        }
    }
}

/// Something that goes wrong.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Fault {
    /// Name: its beginning is the mark `NAME`, its end `NAME ended`.
    pub name: String,
    /// From the start of the load.
    #[serde(with = "thanos_model::duration::serde_text")]
    #[schemars(with = "crate::values::DurationText")]
    pub at: Duration,
    /// How long; a kill has no length.
    #[serde(default, rename = "for", with = "thanos_model::duration::serde_text")]
    #[schemars(with = "crate::values::DurationText")]
    pub lasts: Duration,
    /// What happens.
    pub kind: FaultKind,
    /// Cluster.
    pub cluster: String,
    /// A service, `SERVICE/proxy`, or one of `scrape`, `receive`, `query`, `autoscaler`, `destination`. The first
    /// such pod by name is hit; of controllers the one that leads. `dropMetrics` needs none. Of a `partition` it is
    /// `api` or `receive`, the only one of the two ways that is cut.
    #[serde(default)]
    pub part: String,
    /// How many times slower `slow` makes it; 10 unless told.
    #[schemars(range(min = 2, max = 100))]
    pub factor: Option<u32>,
}

/// [`Fault::factor`] unless told.
const FACTOR: u32 = 10;

/// A container to hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Namespace.
    pub namespace: &'static str,
    /// Value of the pods' label `app`.
    pub app: String,
    /// Container.
    pub container: String,
}

impl Fault {
    /// The container that it hits; a partition hits none.
    pub fn target(&self) -> Option<Part> {
        if self.kind == FaultKind::Partition {
            return None;
        }
        let part = if self.kind == FaultKind::DropMetrics { "scrape" } else { &self.part };
        let (app, container) = part.split_once('/').unwrap_or((part, part));
        let platform = PLATFORM.iter().find(|p| p.name == app);
        let namespace = platform.map_or(SERVICES_NAMESPACE, |p| p.namespace);
        Some(Part { namespace, app: app.to_owned(), container: container.to_owned() })
    }

    /// What a partition cuts.
    pub fn lanes(&self) -> Vec<Lane> {
        Lane::ALL.into_iter().filter(|lane| self.part.is_empty() || self.part == lane.name()).collect()
    }

    /// See [`Fault::factor`].
    pub fn factor(&self) -> u32 {
        self.factor.unwrap_or(FACTOR)
    }

    /// Whether something has to be undone at its end.
    pub fn ends(&self) -> bool {
        self.kind != FaultKind::Kill
    }
}
