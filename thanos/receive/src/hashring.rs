//! Which replicas hold a series: Thanos' hashrings (`pkg/receive/hashring.go`), so that a mixed fleet agrees.
//!
//! ```text
//!  hash(tenant, labels) ─► first section at or after it ─► the nodes of this and the following sections
//! ```
//!
//! A ring smaller than the replication factor is used as it is: fewer copies are better than no write. Thanos
//! ends the process then.

mod config;
mod ketama;

use twox_hash::XxHash64;

pub use config::RingError;
use config::TenantMatch;

/// How series are spread over nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Consistent: a change moves about one series in N.
    Ketama,
    /// `hash mod N`: a change moves nearly all.
    Hashmod,
}

/// A node of a ring.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// gRPC address.
    pub address: String,
    /// Availability zone; copies are spread over zones.
    pub az: String,
}

/// The rings of one file.
#[derive(Debug)]
pub struct Hashrings {
    rings: Vec<(TenantMatch, Ring)>,
}

/// One ring.
#[derive(Debug)]
pub struct Ring {
    name: String,
    endpoints: Vec<Endpoint>,
    copies: usize,
    sections: Option<ketama::Sections>,
}

impl Hashrings {
    /// Reads Thanos' JSON.
    ///
    /// # Errors
    /// What is wrong, and in which ring.
    pub fn parse(json: &str, default: Algorithm, replication_factor: usize) -> Result<Self, RingError> {
        config::parse(json, default, replication_factor)
    }

    /// The first ring that takes the tenant.
    pub fn ring(&self, tenant: &str) -> Option<&Ring> {
        self.rings.iter().find(|(tenants, _)| tenants.matches(tenant)).map(|(_, ring)| ring)
    }

    /// All rings.
    pub fn rings(&self) -> impl Iterator<Item = &Ring> {
        self.rings.iter().map(|(_, ring)| ring)
    }

    /// How many tenants each ring names; 0 is "all".
    pub(crate) fn tenant_counts(&self) -> impl Iterator<Item = (&str, usize)> {
        self.rings.iter().map(|(tenants, ring)| (ring.name(), tenants.len()))
    }
}

impl Ring {
    fn new(
        name: String,
        mut endpoints: Vec<Endpoint>,
        algorithm: Algorithm,
        replication_factor: usize,
    ) -> Self {
        let copies = replication_factor.min(endpoints.len());
        let sections = match algorithm {
            Algorithm::Ketama => Some(ketama::Sections::new(&endpoints, ketama::SECTIONS_PER_NODE, copies)),
            Algorithm::Hashmod => {
                endpoints.sort();
                None
            }
        };
        Self { name, endpoints, copies, sections }
    }

    /// The name that the file gives.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its nodes.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// On how many nodes a series is stored: the replication factor, or all nodes where there are fewer.
    pub fn copies(&self) -> usize {
        self.copies
    }

    /// Indices into [`Ring::endpoints`] of the nodes that hold a series, all different; the first is copy 0.
    pub fn nodes(&self, series_hash: u64) -> impl Iterator<Item = usize> {
        let count = self.endpoints.len();
        let ketama = self.sections.as_ref().map(|s| s.nodes(series_hash));
        (0..self.copies).filter_map(move |copy| match ketama {
            Some(nodes) => nodes.get(copy).map(|n| *n as usize),
            None => Some(((series_hash % count.max(1) as u64) as usize + copy) % count.max(1)),
        })
    }
}

/// xxhash64 of `tenant 0xff (name 0xff value 0xff)*`, labels as they came (`labelpb.HashWithPrefix`).
pub fn series_hash<'a>(tenant: &str, labels: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    const SEPARATOR: u8 = 0xff;
    let texts = labels.flat_map(|(name, value)| [name, value]);
    let mut bytes = Vec::with_capacity(1024);
    for text in std::iter::once(tenant).chain(texts) {
        bytes.extend(text.as_bytes());
        bytes.push(SEPARATOR);
    }
    XxHash64::oneshot(0, &bytes)
}

#[cfg(test)]
mod tests;
