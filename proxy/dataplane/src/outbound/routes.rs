//! The services that the local app has asked for, by authority.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::uri::Authority;
use parking_lot::Mutex;
use tokio_util::task::AbortOnDropHandle;

use super::route::{Route, Settings};
use crate::discovery::{Addresses, Follower, Known, Source};
use crate::metrics::Registry;
use crate::refusal::Refusal;

/// Services followed at once; a further one takes the place of the one unused for longest.
const ROUTES_MAX: usize = 1_024;
/// Spellings remembered; beyond, they are forgotten and read anew.
const SPELLINGS_MAX: usize = 1_024;
/// A route unused for longer makes room, in ms.
const IDLE_MS: u64 = 10 * 60 * 1_000;
/// Where an authority without a port points.
const DEFAULT_PORT: u16 = 80;

/// The table. Read by every request without a lock; a new authority copies it.
pub(crate) struct Routes {
    table: ArcSwap<Table>,
    writing: Mutex<()>,
    registry: Arc<Registry>,
    settings: Settings,
    source: Source,
}

#[derive(Clone, Default)]
struct Table {
    /// By canonical name.
    routes: HashMap<String, Entry>,
    /// As clients write them, so that the next request finds its route at once.
    spellings: HashMap<String, Arc<Route>>,
}

#[derive(Clone)]
struct Entry {
    route: Arc<Route>,
    /// Ends discovery with the entry.
    _following: Option<Arc<AbortOnDropHandle<()>>>,
}

impl Table {
    fn find(&self, authority: &str) -> Option<&Arc<Route>> {
        self.spellings.get(authority).or_else(|| self.routes.get(authority).map(|e| &e.route))
    }

    /// Makes room for one more route. A route with requests in flight stays.
    fn make_room(&mut self) -> Result<(), Refusal> {
        if self.routes.len() < ROUTES_MAX {
            return Ok(());
        }
        let before = self.routes.len();
        let busy = |e: &Entry| e.route.traffic.in_flight().0 > 0;
        self.routes.retain(|_, e| e.route.unused_for_ms() < IDLE_MS || busy(e));
        if self.routes.len() == before {
            let idle = self.routes.iter().filter(|(_, e)| !busy(e));
            let oldest = idle.max_by_key(|(_, e)| e.route.unused_for_ms()).map(|(name, _)| name.clone());
            self.routes.remove(&oldest.ok_or(Refusal::TooManyAuthorities)?);
        }
        let routes = &self.routes;
        self.spellings.retain(|_, r| routes.get(&r.authority).is_some_and(|e| Arc::ptr_eq(&e.route, r)));
        Ok(())
    }

    fn spell(&mut self, authority: &str, route: &Arc<Route>) {
        if self.spellings.len() >= SPELLINGS_MAX {
            self.spellings.clear();
        }
        if route.authority != authority {
            self.spellings.insert(authority.to_owned(), route.clone());
        }
    }
}

impl Routes {
    pub(crate) fn new(registry: Arc<Registry>, settings: Settings, source: Source) -> Self {
        Self { table: ArcSwap::default(), writing: Mutex::new(()), registry, settings, source }
    }

    /// The route of an authority; follows its endpoints from the first request on.
    pub(crate) fn get(&self, authority: &Authority) -> Result<Arc<Route>, Refusal> {
        if let Some(route) = self.table.load().find(authority.as_str()) {
            route.used();
            return Ok(route.clone());
        }
        let (host, port) = canonical(authority)?;
        let name = format!("{host}:{port}");
        let _one_at_a_time = self.writing.lock();
        let mut table = Table::clone(&self.table.load());
        let route = match table.routes.get(&name) {
            Some(entry) => entry.route.clone(),
            None => {
                let entry = self.open(&host, port, &name)?;
                table.make_room()?;
                let route = entry.route.clone();
                table.routes.insert(name, entry);
                route
            }
        };
        table.spell(authority.as_str(), &route);
        self.table.store(Arc::new(table));
        route.used();
        Ok(route)
    }

    fn open(&self, host: &str, port: u16, name: &str) -> Result<Entry, Refusal> {
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let literal = ip.map(|ip| SocketAddr::new(ip, port));
        if literal.is_some_and(|addr| self.settings.own.is(addr)) {
            return Err(Refusal::Loop);
        }
        let route = Arc::new(Route::new(name.to_owned(), self.registry.clone(), self.settings.clone()));
        let following = match literal {
            Some(addr) => {
                // An address is its own and only endpoint.
                route.publish(&Addresses::from([(addr, Default::default())]), Known::Elsewhere);
                None
            }
            None => {
                let name = self.settings.pass_through.then(|| (host.to_owned(), port));
                let task = tokio::spawn(self.source.clone().follow(route.clone(), name));
                Some(Arc::new(AbortOnDropHandle::new(task)))
            }
        };
        Ok(Entry { route, _following: following })
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
    use std::time::Duration;

    use super::*;

    fn routes() -> Routes {
        let settings = Settings {
            client: crate::client::Settings {
                write_stall: std::time::Duration::from_secs(60),
                connect_timeout: Duration::from_secs(1),
                idle_timeout: Duration::from_secs(1),
            },
            slow_start: Duration::ZERO,
            own: super::super::own::Own::listening(([127, 0, 0, 1], 4140).into()),
            random: Arc::new(proxy_core::random::Seeded::new(1)),
            pass_through: false,
        };
        Routes::new(Arc::default(), settings, Source::Nowhere)
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_recently_used_makes_room() {
        let routes = routes();
        let get = |name: &str| routes.get(&name.parse().unwrap()).unwrap();
        let (kept, busy) = (get("kept"), get("busy"));
        let in_flight = busy.traffic.admit();
        for i in 0..3 * ROUTES_MAX {
            tokio::time::advance(Duration::from_millis(10)).await;
            get(&format!("host-{i}"));
            get("KEPT:80");
        }
        assert!(Arc::ptr_eq(&kept, &get("kept")));
        assert!(Arc::ptr_eq(&busy, &get("busy")));
        let table = routes.table.load();
        assert_eq!(table.routes.len(), ROUTES_MAX);
        assert!(table.spellings.len() <= SPELLINGS_MAX);
        drop(in_flight);
    }

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
