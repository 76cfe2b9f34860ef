//! The services that the local app has asked for, by authority.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::uri::Authority;
use parking_lot::Mutex;
use proxy_core::random::Seeded;
use tokio_util::task::AbortOnDropHandle;

use super::route::{Addresses, Known, Route};
use crate::client::Settings;
use crate::discovery::Source;
use crate::metrics::Registry;
use crate::refusal::Refusal;

/// Authorities known at once, spellings of one counted apart.
const ROUTES_MAX: usize = 1_024;
/// A route unused for longer makes room, in ms.
const IDLE_MS: u64 = 10 * 60 * 1_000;
/// Where an authority without a port points.
const DEFAULT_PORT: u16 = 80;

/// The table. Read by every request without a lock; a new authority copies it.
pub(crate) struct Routes {
    table: ArcSwap<HashMap<String, Entry>>,
    writing: Mutex<()>,
    registry: Arc<Registry>,
    client: Settings,
    random: Arc<Seeded>,
    source: Source,
    own_addr: SocketAddr,
}

#[derive(Clone)]
struct Entry {
    route: Arc<Route>,
    /// Ends discovery with the last entry of the route.
    _following: Option<Arc<AbortOnDropHandle<()>>>,
}

impl Routes {
    pub(crate) fn new(
        registry: Arc<Registry>,
        client: Settings,
        random: Arc<Seeded>,
        source: Source,
        own_addr: SocketAddr,
    ) -> Self {
        Self {
            table: ArcSwap::default(),
            writing: Mutex::new(()),
            registry,
            client,
            random,
            source,
            own_addr,
        }
    }

    /// The route of an authority; follows its endpoints from the first request on.
    pub(crate) fn get(&self, authority: &Authority) -> Result<Arc<Route>, Refusal> {
        if let Some(entry) = self.table.load().get(authority.as_str()) {
            entry.route.used();
            return Ok(entry.route.clone());
        }
        let (host, port) = canonical(authority)?;
        let name = format!("{host}:{port}");
        let _one_at_a_time = self.writing.lock();
        let mut table = HashMap::clone(&self.table.load());
        let entry = match table.get(&name) {
            Some(entry) => entry.clone(),
            None => {
                table.retain(|_, e| e.route.unused_for_ms() < IDLE_MS || e.route.traffic.in_flight().0 > 0);
                if table.len() >= ROUTES_MAX {
                    return Err(Refusal::TooManyAuthorities);
                }
                let entry = self.open(&host, port, &name)?;
                table.insert(name, entry.clone());
                entry
            }
        };
        if table.len() < ROUTES_MAX {
            // As it was spelled, so that the next request finds it at once.
            table.insert(authority.as_str().to_owned(), entry.clone());
        }
        self.table.store(Arc::new(table));
        entry.route.used();
        Ok(entry.route)
    }

    fn open(&self, host: &str, port: u16, name: &str) -> Result<Entry, Refusal> {
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let literal = ip.map(|ip| SocketAddr::new(ip, port));
        if literal.is_some_and(|addr| self.is_own(addr)) {
            return Err(Refusal::Loop);
        }
        let route = Route::new(name.to_owned(), self.registry.clone(), self.client, self.random.clone());
        let route = Arc::new(route);
        let following = match literal {
            Some(addr) => {
                // An address is its own and only endpoint.
                route.publish(&Addresses::from([(addr, Default::default())]), Known::Exists);
                None
            }
            None => {
                let task = tokio::spawn(self.source.clone().follow(route.clone()));
                Some(Arc::new(AbortOnDropHandle::new(task)))
            }
        };
        Ok(Entry { route, _following: following })
    }

    fn is_own(&self, addr: SocketAddr) -> bool {
        addr.port() == self.own_addr.port()
            && (addr.ip() == self.own_addr.ip()
                || self.own_addr.ip().is_unspecified() && addr.ip().is_loopback())
    }
}

/// Host in lower case without trailing dot, and port.
fn canonical(authority: &Authority) -> Result<(String, u16), Refusal> {
    let spelled = authority.host();
    let host = spelled.trim_end_matches('.').to_ascii_lowercase();
    // Not `Authority::port`, which takes a port that is no number for none.
    let port = match authority.as_str().strip_prefix(spelled) {
        Some("" | ":") => DEFAULT_PORT,
        Some(rest) => rest.strip_prefix(':').and_then(|p| p.parse().ok()).unwrap_or(0),
        None => 0,
    };
    if host.is_empty() || port == 0 {
        return Err(Refusal::BadRequest("the authority is not a host and a port"));
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_authority() {
        let name = |a: &str| canonical(&a.parse().unwrap()).ok().map(|(host, port)| format!("{host}:{port}"));
        for spelling in ["Web.default.svc:80", "web.default.svc", "web.default.svc.", "web.default.svc.:80"] {
            assert_eq!(name(spelling).as_deref(), Some("web.default.svc:80"), "{spelling}");
        }
        assert_eq!(name("[::1]:8080").as_deref(), Some("[::1]:8080"));
        assert_eq!(name("web:0"), None);
        assert_eq!(name("web:99999"), None);
    }
}
