//! What goes wrong, and where.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

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
}

/// Something that goes wrong.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Fault {
    /// Name: its beginning is the mark `NAME`, its end `NAME ended`.
    pub name: String,
    /// From the start of the load.
    #[serde(with = "thanos_model::duration::serde_text")]
    #[schemars(with = "super::values::DurationText")]
    pub at: Duration,
    /// How long; a kill has no length.
    #[serde(default, rename = "for", with = "thanos_model::duration::serde_text")]
    #[schemars(with = "super::values::DurationText")]
    pub lasts: Duration,
    /// What happens.
    pub kind: FaultKind,
    /// Cluster.
    pub cluster: String,
    /// A service, `SERVICE/proxy`, or one of `scrape`, `receive`, `query`, `autoscaler`, `destination`. The first
    /// such pod by name is hit. `dropMetrics` needs none.
    #[serde(default)]
    pub part: String,
}

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

/// The parts that every world has, beside the services: name (also of app and container) and namespace. The last
/// two are only in the first cluster.
pub(crate) const PLATFORM: [(&str, &str); 5] = [
    ("destination", "mesh"),
    ("scrape", "monitoring"),
    ("receive", "monitoring"),
    ("query", "monitoring"),
    ("autoscaler", "gauntlet-system"),
];

impl Fault {
    /// What it hits.
    pub fn target(&self) -> Part {
        let part = if self.kind == FaultKind::DropMetrics { "scrape" } else { &self.part };
        if let Some((name, namespace)) = PLATFORM.iter().find(|(name, _)| *name == part) {
            return Part { namespace, app: (*name).to_owned(), container: (*name).to_owned() };
        }
        let (app, container) = part.split_once('/').unwrap_or((part, part));
        Part { namespace: "default", app: app.to_owned(), container: container.to_owned() }
    }

    /// Whether something has to be undone at its end.
    pub fn ends(&self) -> bool {
        self.kind != FaultKind::Kill
    }
}
