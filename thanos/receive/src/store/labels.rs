//! External labels over stored ones, as every StoreAPI server must: they win, matchers on them are answered by
//! them, replica labels go when asked to.

use thanos_model::{Labels, Matcher};
use thanos_storepb::storepb::ShardInfo;
use tonic::Status;
use twox_hash::XxHash64;

/// A request's matchers, split.
#[derive(Debug)]
pub(super) enum Asked {
    /// An external label fails its matcher: nothing here can match.
    Nothing,
    /// What is left for stored labels.
    Stored(Vec<Matcher>),
}

pub(super) fn split(matchers: Vec<Matcher>, external: &Labels) -> Asked {
    let (about_external, stored): (Vec<_>, Vec<_>) =
        matchers.into_iter().partition(|m| external.has(&m.name));
    if about_external.iter().all(|m| m.matches_labels(external)) {
        Asked::Stored(stored)
    } else {
        Asked::Nothing
    }
}

/// What a caller sees of a stored series.
#[derive(Debug)]
pub(super) struct View {
    external: Labels,
    without: Vec<String>,
}

impl View {
    pub(super) fn new(external: &Labels, without: Vec<String>) -> Self {
        let external = external.filtered(|l| !without.iter().any(|w| **w == *l.name));
        Self { external, without }
    }

    pub(super) fn labels(&self, stored: &Labels) -> Labels {
        stored.filtered(|l| !self.hides(&l.name)).overlaid(&self.external)
    }

    pub(super) fn hides(&self, name: &str) -> bool {
        self.without.iter().any(|w| w == name)
    }

    pub(super) fn external(&self) -> &Labels {
        &self.external
    }
}

/// One part of a query that was split by the hash of some labels (`storepb/shard_info.go`).
#[derive(Debug)]
pub(super) struct Shard {
    by: bool,
    labels: Vec<String>,
    total: u64,
    index: u64,
}

impl Shard {
    /// # Errors
    /// The index is not one of the shards.
    pub(super) fn new(info: Option<ShardInfo>) -> Result<Option<Self>, Status> {
        let Some(info) = info.filter(|i| i.total_shards >= 1) else { return Ok(None) };
        let (total, index) = (info.total_shards as u64, u64::try_from(info.shard_index).unwrap_or(u64::MAX));
        if index >= total {
            return Err(Status::invalid_argument(format!(
                "shard {} of {total} does not exist",
                info.shard_index
            )));
        }
        Ok(Some(Self { by: info.by, labels: info.labels, total, index }))
    }

    pub(super) fn has(&self, labels: &Labels) -> bool {
        let mut bytes = Vec::new();
        for l in labels.iter().filter(|l| self.labels.iter().any(|n| **n == *l.name) == self.by) {
            for text in [&l.name, &l.value] {
                bytes.extend(text.as_bytes());
                bytes.push(0xff);
            }
        }
        XxHash64::oneshot(0, &bytes) % self.total == self.index
    }
}
