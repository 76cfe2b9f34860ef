//! The links between clusters: relays that all traffic from one cluster to another goes through, so that it can be
//! cut. They stand where gateways of clusters stand, and exist only in worlds whose scenario cuts them.
//!
//! ```text
//!  in east                     links of east to west              in west
//!  kubeconfig: west's server ─► 127.M.0.1:6443   ─┐ cut? ─► 127.W.0.1:6443    API server
//!  DNS: pods of west.local   ─► 127.M.y.z:port   ─┘      ─► 127.W.y.z:port    pod
//! ```
//!
//! Invariants:
//! - nothing inside a cluster goes through a relay, nor does the harness itself;
//! - a cut is of both directions, and ends with the [`Cut`] that made it;
//! - what two cuts cut is open when both have ended.
//!
//! Modules in reading order: `relay`, `mirror`.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use simulations_cluster::{Cluster, Route, find_octet};
use simulations_scenario::Lane;
use tokio::sync::watch;

mod mirror;
mod relay;

use mirror::Mirror;
use relay::Relay;

/// Where mirrors look for a free second octet.
const OCTET_FROM: u8 = 64;

/// All links of a world.
#[derive(Debug)]
pub struct Links(Vec<Link>);

/// How one cluster reaches another.
#[derive(Debug)]
struct Link {
    from: String,
    to: String,
    api_url: String,
    _api: Relay,
    pods: Arc<Mirror>,
    api_cuts: Arc<watch::Sender<usize>>,
    pods_cuts: Arc<watch::Sender<usize>>,
}

impl Links {
    /// Links each cluster to each other one.
    ///
    /// # Errors
    /// There are not enough free addresses.
    pub async fn start(clusters: &[Cluster]) -> anyhow::Result<Self> {
        let mut links = Vec::new();
        for from in clusters {
            for to in clusters.iter().filter(|to| to.name() != from.name()) {
                let (octet, listener) = find_octet(OCTET_FROM)
                    .await
                    .with_context(|| format!("the link of {} to {}", from.name(), to.name()))?;
                let (api_cuts, api_seen) = watch::channel(0);
                let (pods_cuts, pods_seen) = watch::channel(0);
                links.push(Link {
                    from: from.name().to_owned(),
                    to: to.name().to_owned(),
                    api_url: format!("http://{}", listener.local_addr()?),
                    _api: Relay::start(listener, to.api_addr(), api_seen),
                    pods: Arc::new(Mirror::new(octet, pods_seen)),
                    api_cuts: Arc::new(api_cuts),
                    pods_cuts: Arc::new(pods_cuts),
                });
            }
        }
        Ok(Self(links))
    }

    fn link(&self, from: &str, to: &str) -> Option<&Link> {
        self.0.iter().find(|l| l.from == from && l.to == to)
    }

    /// The URL by which one cluster knows another's API server.
    pub fn api_url(&self, from: &str, to: &str) -> Option<&str> {
        self.link(from, to).map(|l| l.api_url.as_str())
    }

    /// How one cluster reaches the pods of another.
    pub fn route(&self, from: &str, to: &str) -> Option<Route> {
        let pods = Arc::clone(&self.link(from, to)?.pods);
        Some(Arc::new(move |pod: Ipv4Addr, ports: &[u16]| pods.show(pod, ports, Instant::now())))
    }

    /// Cuts these lanes of every link that begins or ends in the cluster.
    pub fn cut(&self, cluster: &str, lanes: &[Lane]) -> Cut {
        let links = self.0.iter().filter(|l| l.from == cluster || l.to == cluster);
        let cut = links.flat_map(|l| {
            lanes.iter().map(move |lane| match lane {
                Lane::Api => Arc::clone(&l.api_cuts),
                Lane::Receive => Arc::clone(&l.pods_cuts),
            })
        });
        let cut = Cut(cut.collect());
        cut.0.iter().for_each(|cuts| cuts.send_modify(|n| *n += 1));
        cut
    }
}

/// A cut. Dropped, it heals.
#[derive(Debug)]
pub struct Cut(Vec<Arc<watch::Sender<usize>>>);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.iter().for_each(|cuts| cuts.send_modify(|n| *n = n.saturating_sub(1)));
    }
}

#[cfg(test)]
mod tests;
