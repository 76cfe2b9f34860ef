//! Consistent hashing: each node owns many sections of the circle of hashes.

use std::collections::BTreeSet;

use twox_hash::XxHash64;

use super::Endpoint;

/// Thanos' `SectionsPerNode`.
pub(super) const SECTIONS_PER_NODE: usize = 1000;

/// Sections in hash order, each with its copies' nodes worked out ahead.
#[derive(Debug)]
pub(super) struct Sections {
    hashes: Vec<u64>,
    /// `copies` nodes for each section.
    nodes: Vec<u32>,
    copies: usize,
}

impl Sections {
    pub(super) fn new(endpoints: &[Endpoint], per_node: usize, copies: usize) -> Self {
        let mut sections: Vec<(u64, u32)> = Vec::with_capacity(endpoints.len() * per_node);
        for (node, endpoint) in endpoints.iter().enumerate() {
            for i in 1..=per_node {
                let hash = XxHash64::oneshot(0, format!("{}:{i}", endpoint.address).as_bytes());
                sections.push((hash, node as u32));
            }
        }
        sections.sort_unstable();
        let copies = copies.min(endpoints.len());
        let owners: Vec<u32> = sections.iter().map(|s| s.1).collect();
        let names: BTreeSet<&str> = endpoints.iter().map(|e| e.az.as_str()).collect();
        let zone_of = |e: &Endpoint| names.iter().position(|n| *n == e.az).unwrap_or(0);
        let zones: Vec<usize> = endpoints.iter().map(zone_of).collect();
        let nodes =
            (0..owners.len()).flat_map(|at| copies_from(at, &owners, &zones, names.len(), copies)).collect();
        Self { hashes: sections.into_iter().map(|s| s.0).collect(), nodes, copies }
    }

    /// Nodes of the first section at or after `hash`, around the circle.
    pub(super) fn nodes(&self, hash: u64) -> &[u32] {
        let at = self.hashes.partition_point(|h| *h < hash);
        let at = if at == self.hashes.len() { 0 } else { at };
        self.nodes.get(at * self.copies..(at + 1) * self.copies).unwrap_or(&[])
    }
}

/// Walks on from a section to `copies` different nodes, no zone getting a second copy before each has its
/// first. Where zones are too uneven for that (Thanos would walk for ever), a second walk ignores them.
fn copies_from(at: usize, owners: &[u32], zones: &[usize], zone_count: usize, copies: usize) -> Vec<u32> {
    let mut chosen: Vec<u32> = Vec::with_capacity(copies);
    let mut spread = vec![0usize; zone_count];
    for heed_zones in [true, false] {
        // Zones open again as others fill, so the heedful walk may go round once for each copy.
        let rounds = if heed_zones { copies } else { 1 };
        let walk = owners[at..].iter().chain(&owners[..at]).cycle().take(owners.len() * rounds);
        for node in walk {
            if chosen.len() == copies {
                return chosen;
            }
            let zone = zones[*node as usize];
            let least = spread.iter().copied().min().unwrap_or(0);
            if chosen.contains(node) || heed_zones && spread[zone] > least {
                continue;
            }
            chosen.push(*node);
            spread[zone] += 1;
        }
    }
    chosen
}
