//! What the proxy counts, and the text a scrape reads.
//!
//! ```text
//!  request ─► Traffic (arrivals, in flight, refusals) ─► Target (request_total, latency, response_total)
//!  socket  ─► Transport (connections, bytes)
//!  scrape  ─► encode: every registered series, then what was idle for long is forgotten
//! ```
//!
//! Recording never takes the registry's lock: handles are resolved when a route or an endpoint is made.

mod encode;
mod process;
mod shard;
mod target;
mod traffic;
mod transport;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proxy_api::label;
use proxy_core::load::Peers;
use tokio::time::Instant;

pub use target::Target;
pub use traffic::{Admitted, Cause, Traffic};
pub use transport::{Open, Transport};

/// A target that nothing refers to is forgotten after this long unused, as Linkerd's are.
pub const IDLE: Duration = Duration::from_secs(10 * 60);
/// Targets and authorities beyond this many share one overflow series each.
const SERIES_MAX: usize = 1_000;

/// Which way requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards the local app.
    Inbound,
    /// From the local app.
    Outbound,
}

/// Which end of the proxy a connection is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Accepted.
    Src,
    /// Connected.
    Dst,
}

/// All series of a proxy.
#[derive(Debug)]
pub struct Registry {
    epoch: Instant,
    idle_ms: u64,
    started_unix_s: f64,
    series: Mutex<Series>,
}

#[derive(Debug, Default)]
struct Series {
    targets: BTreeMap<String, Arc<Target>>,
    traffic: BTreeMap<String, (Direction, Arc<Traffic>)>,
    transports: BTreeMap<String, Arc<Transport>>,
    discovery: BTreeMap<String, Discovery>,
    /// Of the same authorities.
    balancers: BTreeMap<String, Arc<Peers>>,
}

/// What discovery says of one authority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    /// Endpoints known.
    pub endpoints: usize,
    /// Whether they are the last known ones because discovery cannot be reached.
    pub stale: bool,
}

impl Default for Registry {
    fn default() -> Self {
        Self::forgetting_after(IDLE)
    }
}

impl Registry {
    /// Forgets a target that nothing refers to after `idle` unused.
    pub fn forgetting_after(idle: Duration) -> Self {
        Self {
            epoch: Instant::now(),
            idle_ms: u64::try_from(idle.as_millis()).unwrap_or(u64::MAX),
            started_unix_s: process::unix_seconds(),
            series: Mutex::new(Series::default()),
        }
    }
}

impl Registry {
    /// Milliseconds since this registry began: the clock of series' ages.
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Nanoseconds since this registry began: the clock of load estimates.
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The app behind the inbound side.
    pub fn inbound_target(&self, addr: SocketAddr) -> Arc<Target> {
        self.target(format!("{},{}", direction(Direction::Inbound), target_labels(addr)))
    }

    /// An endpoint of a service; `dst` as the control plane labels it.
    pub fn outbound_target(
        &self,
        authority: &str,
        addr: SocketAddr,
        dst: &BTreeMap<String, String>,
    ) -> Arc<Target> {
        let mut labels = format!(
            "{},{},{}",
            direction(Direction::Outbound),
            authority_label(authority),
            target_labels(addr)
        );
        for (name, value) in dst {
            labels.push_str(&format!(",{}{}={}", label::DST_PREFIX, label_name(name), quoted(value)));
        }
        self.target(labels)
    }

    /// Series of the inbound side.
    pub fn inbound_traffic(&self, addr: SocketAddr) -> Arc<Traffic> {
        self.traffic(Direction::Inbound, format!("{},{}", direction(Direction::Inbound), target_labels(addr)))
    }

    /// Series of the outbound side for one authority; an empty one for requests that name none.
    pub fn outbound_traffic(&self, authority: &str) -> Arc<Traffic> {
        self.traffic(Direction::Outbound, outbound_traffic_labels(authority))
    }

    /// Series of connections.
    pub fn transport(&self, side: Direction, peer: Peer) -> Arc<Transport> {
        let peer = match peer {
            Peer::Src => "src",
            Peer::Dst => "dst",
        };
        let labels = format!("{},{}={},{}", direction(side), label::PEER, quoted(peer), tls());
        let mut series = self.series.lock();
        let new = || Arc::new(Transport::new(labels.clone()));
        series.transports.entry(labels.clone()).or_insert_with(new).clone()
    }

    /// What discovery knows; `None` forgets the authority.
    pub fn discovery(&self, authority: &str, state: Option<Discovery>) {
        let mut series = self.series.lock();
        match state {
            Some(state)
                if series.discovery.len() < SERIES_MAX || series.discovery.contains_key(authority) =>
            {
                series.discovery.insert(authority.to_owned(), state);
            }
            Some(_) => {}
            None => {
                series.discovery.remove(authority);
                series.balancers.remove(authority);
            }
        }
    }

    /// Where a scrape finds how many of an authority's endpoints breakers have out.
    pub fn balancer(&self, authority: &str, peers: Arc<Peers>) {
        let mut series = self.series.lock();
        if series.balancers.len() < SERIES_MAX {
            series.balancers.insert(authority.to_owned(), peers);
        }
    }

    fn target(&self, labels: String) -> Arc<Target> {
        let now_ms = self.now_ms();
        let mut series = self.series.lock();
        let labels = if series.targets.len() < SERIES_MAX || series.targets.contains_key(&labels) {
            labels
        } else {
            overflow_labels()
        };
        series.targets.entry(labels).or_insert_with_key(|l| Arc::new(Target::new(l.clone(), now_ms))).clone()
    }

    fn traffic(&self, side: Direction, labels: String) -> Arc<Traffic> {
        let mut series = self.series.lock();
        let labels = if series.traffic.len() < SERIES_MAX || series.traffic.contains_key(&labels) {
            labels
        } else {
            overflow_labels()
        };
        let new = |l: &String| (side, Arc::new(Traffic::new(l.clone(), self.epoch)));
        series.traffic.entry(labels).or_insert_with_key(new).1.clone()
    }

    /// Forgets targets that nothing refers to and nothing used for long.
    fn forget_idle(&self) {
        let now_ms = self.now_ms();
        let mut series = self.series.lock();
        series
            .targets
            .retain(|_, t| Arc::strong_count(t) > 1 || t.used_ms().saturating_add(self.idle_ms) > now_ms);
        // A route keeps its traffic; a route is forgotten when idle, so nothing refers to it then.
        series.traffic.retain(|_, (_, t)| Arc::strong_count(t) > 1);
    }
}

impl Direction {
    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => label::INBOUND,
            Self::Outbound => label::OUTBOUND,
        }
    }
}

fn direction(d: Direction) -> String {
    format!("{}={}", label::DIRECTION, quoted(d.as_str()))
}

/// Without the port where it is HTTP's own, as Linkerd writes it.
fn authority_label(authority: &str) -> String {
    format!("{}={}", label::AUTHORITY, quoted(authority.strip_suffix(":80").unwrap_or(authority)))
}

fn tls() -> String {
    format!("{}={}", label::TLS, quoted(label::TLS_DISABLED))
}

fn target_labels(addr: SocketAddr) -> String {
    format!(
        "{}={},{}={},{}={},{}",
        label::TARGET_ADDR,
        quoted(&addr.to_string()),
        label::TARGET_IP,
        quoted(&addr.ip().to_string()),
        label::TARGET_PORT,
        quoted(&addr.port().to_string()),
        tls()
    )
}

fn outbound_traffic_labels(authority: &str) -> String {
    format!("{},{},{}", direction(Direction::Outbound), authority_label(authority), tls())
}

fn overflow_labels() -> String {
    outbound_traffic_labels(label::AUTHORITY_OVERFLOW)
}

/// A label value in quotes, escaped as the text format wants it.
fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A label name that the text format accepts.
fn label_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests;
