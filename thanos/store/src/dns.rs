//! DNS for discovery and dialling: our own server where one is given, the system's otherwise. Answers are
//! not cached: the discovery interval is the cache.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

use crate::endpoint::HostPort;

/// A lookup that has no answer by then has failed.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// At most this many records of one answer become endpoints.
const MAX_RECORDS: usize = 1000;

/// A resolver.
#[derive(Clone)]
pub(crate) struct Dns(TokioResolver);

impl Dns {
    /// Asks `server`, or whoever `/etc/resolv.conf` names.
    ///
    /// # Errors
    /// The system's configuration cannot be read.
    pub(crate) fn new(server: Option<SocketAddr>) -> Result<Self, String> {
        let mut builder = match server {
            None => TokioResolver::builder_tokio().map_err(|e| format!("system DNS configuration: {e}"))?,
            Some(addr) => {
                let mut name_server = NameServerConfig::udp_and_tcp(addr.ip());
                for connection in &mut name_server.connections {
                    connection.port = addr.port();
                }
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![name_server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        options.timeout = Duration::from_millis(700);
        options.attempts = 1;
        options.cache_size = 0;
        Ok(Self(builder.build().map_err(|e| format!("DNS resolver: {e}"))?))
    }

    /// Addresses of a host; none where the name does not exist.
    ///
    /// # Errors
    /// No server answered, or it refused.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![ip]);
        }
        let found = within(self.0.lookup_ip(host)).await?;
        let mut ips: Vec<IpAddr> = found.iter().flat_map(|l| l.iter()).take(MAX_RECORDS).collect();
        ips.sort();
        ips.dedup();
        Ok(ips)
    }

    /// Targets of an SRV name; none where it does not exist.
    ///
    /// # Errors
    /// No server answered, or it refused.
    pub(crate) async fn services(&self, name: &str) -> Result<Vec<HostPort>, String> {
        let found = within(self.0.srv_lookup(name)).await?;
        let records = found.iter().flat_map(|l| l.answers());
        let targets = records.filter_map(|r| match &r.data {
            RData::SRV(srv) => {
                let host = srv.target.to_utf8().trim_end_matches('.').to_owned();
                (srv.port != 0 && !host.is_empty()).then_some(HostPort { host, port: srv.port })
            }
            _ => None,
        });
        let mut targets: Vec<HostPort> = targets.take(MAX_RECORDS).collect();
        targets.sort();
        targets.dedup();
        Ok(targets)
    }
}

/// "No such name" is an answer, `None`; silence is an error.
async fn within<T>(lookup: impl Future<Output = Result<T, NetError>>) -> Result<Option<T>, String> {
    match tokio::time::timeout(LOOKUP_TIMEOUT, lookup).await {
        Err(_) => Err(format!("no answer within {LOOKUP_TIMEOUT:?}")),
        Ok(Ok(found)) => Ok(Some(found)),
        Ok(Err(e)) if e.is_no_records_found() || e.is_nx_domain() => Ok(None),
        Ok(Err(e)) => Err(e.to_string()),
    }
}
