//! `io.linkerd.proxy.destination.Destination/Get` (linkerd2-proxy-api): one stream for each service in use.
//!
//! While the stream is away, the last known endpoints stay. The first message of a new stream replaces them, as the
//! API prescribes.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use linkerd2_proxy_api::destination::destination_client::DestinationClient;
use linkerd2_proxy_api::destination::{GetDestination, Update, WeightedAddrSet, update};
use linkerd2_proxy_api::net::{TcpAddress, ip_address::Ip};
use proxy_core::backoff;
use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::{Addresses, Described, Follower, Known};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Until the stream begins.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A control plane that vanished without a word is noticed after these two.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
const BACKOFF_MIN_MS: u64 = 100;
const BACKOFF_MAX_MS: u64 = 5_000;
/// Endpoints of one service.
const ENDPOINTS_MAX: usize = 10_000;
/// Labels of one endpoint, and bytes of one value.
const LABELS_MAX: usize = 24;
const LABEL_VALUE_MAX: usize = 256;

/// A connection to the control plane, made when first needed.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    channel: Channel,
    context_token: String,
}

impl Client {
    /// # Errors
    /// The URL is not one; the text says so.
    pub(crate) fn new(url: &str, context_token: String) -> Result<Self, String> {
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|e| e.to_string())?;
        if endpoint.uri().scheme_str() != Some("http") || endpoint.uri().host().is_none() {
            return Err("expected http://HOST:PORT".to_owned());
        }
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .connect_lazy();
        Ok(Self { channel, context_token })
    }

    pub(crate) async fn follow(self, route: &impl Follower) {
        let mut failures = 0u32;
        loop {
            let status = self.stream(route, &mut failures).await;
            match status.code() {
                // An answer, not an absence.
                Code::NotFound | Code::InvalidArgument => route.publish(&Addresses::new(), Known::Missing),
                _ => route.stale(),
            }
            if failures == 0 {
                tracing::warn!(authority = route.authority(), code = ?status.code(), message = status.message(),
                    "discovery lost, the last known endpoints stay");
            }
            sleep(Duration::from_millis(backoff::delay_ms(
                BACKOFF_MIN_MS,
                BACKOFF_MAX_MS,
                failures,
                route.random(),
            )))
            .await;
            failures = failures.saturating_add(1);
        }
    }

    /// Follows one stream to its end.
    async fn stream(&self, route: &impl Follower, failures: &mut u32) -> Status {
        let request = GetDestination {
            scheme: "k8s".to_owned(),
            path: route.authority().to_owned(),
            context_token: self.context_token.clone(),
        };
        let mut client = DestinationClient::new(self.channel.clone());
        let mut updates = match timeout(ANSWER_TIMEOUT, client.get(request)).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return status,
            Err(_) => return Status::deadline_exceeded("no answer in time"),
        };
        let mut addresses = Addresses::new();
        loop {
            match updates.message().await {
                Ok(Some(Update { update: Some(update) })) => {
                    if std::mem::take(failures) > 0 {
                        tracing::info!(authority = route.authority(), "discovery is back");
                    }
                    let known = apply(&mut addresses, update);
                    route.publish(&addresses, known);
                }
                Ok(Some(Update { update: None })) => {}
                Ok(None) => return Status::unavailable("the stream ended"),
                Err(status) => return status,
            }
        }
    }
}

fn apply(addresses: &mut Addresses, update: update::Update) -> Known {
    match update {
        update::Update::Add(set) => add(addresses, set),
        update::Update::Remove(set) => {
            for addr in set.addrs.iter().filter_map(socket_addr) {
                addresses.remove(&addr);
            }
        }
        update::Update::NoEndpoints(none) => {
            addresses.clear();
            return if none.exists { Known::Exists } else { Known::Missing };
        }
    }
    Known::Exists
}

fn add(addresses: &mut Addresses, set: WeightedAddrSet) {
    for weighted in set.addrs {
        let Some(addr) = weighted.addr.as_ref().and_then(socket_addr) else {
            tracing::warn!("discovery sent an endpoint without a usable address");
            continue;
        };
        if addresses.len() >= ENDPOINTS_MAX && !addresses.contains_key(&addr) {
            tracing::warn!(limit = ENDPOINTS_MAX, "discovery sent more endpoints than are kept");
            return;
        }
        let mut labels = BTreeMap::new();
        take_labels(&mut labels, &set.metric_labels);
        take_labels(&mut labels, &weighted.metric_labels);
        addresses.insert(addr, Described { labels, weight: weighted.weight });
    }
}

fn take_labels(labels: &mut BTreeMap<String, String>, from: &HashMap<String, String>) {
    // Sorted, so that what the limit cuts does not depend on a map's order.
    for (name, value) in from.iter().collect::<BTreeMap<_, _>>() {
        if labels.len() < LABELS_MAX && name.len() <= LABEL_VALUE_MAX {
            labels.insert(name.clone(), value.chars().take(LABEL_VALUE_MAX).collect());
        }
    }
}

fn socket_addr(addr: &TcpAddress) -> Option<SocketAddr> {
    let ip = match addr.ip.as_ref()?.ip.as_ref()? {
        Ip::Ipv4(bits) => IpAddr::V4((*bits).into()),
        Ip::Ipv6(v6) => IpAddr::V6((u128::from(v6.first) << 64 | u128::from(v6.last)).into()),
    };
    let port = u16::try_from(addr.port).ok().filter(|p| *p != 0)?;
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use linkerd2_proxy_api::destination::{AddrSet, NoEndpoints, WeightedAddr};
    use proptest::prelude::*;

    fn tcp(addr: &str) -> TcpAddress {
        addr.parse::<SocketAddr>().unwrap().into()
    }

    fn set(addrs: &[&str]) -> update::Update {
        let addrs = addrs
            .iter()
            .map(|a| WeightedAddr {
                addr: Some(tcp(a)),
                weight: 5_000,
                metric_labels: [("pod".to_owned(), (*a).to_owned())].into(),
                ..Default::default()
            })
            .collect();
        update::Update::Add(WeightedAddrSet {
            addrs,
            metric_labels: [("service".into(), "web".into())].into(),
        })
    }

    #[test]
    fn adds_removes_and_clears() {
        let mut known = Addresses::new();
        assert_eq!(apply(&mut known, set(&["127.1.2.3:4143", "[::1]:80"])), Known::Exists);
        let Described { labels, weight } = &known[&"127.1.2.3:4143".parse().unwrap()];
        assert_eq!((labels["pod"].as_str(), labels["service"].as_str()), ("127.1.2.3:4143", "web"));
        assert_eq!(*weight, 5_000);
        apply(
            &mut known,
            update::Update::Remove(AddrSet { addrs: vec![tcp("127.1.2.3:4143"), tcp("1.1.1.1:1")] }),
        );
        assert_eq!(known.keys().map(ToString::to_string).collect::<Vec<_>>(), ["[::1]:80"]);
        let none = |exists| update::Update::NoEndpoints(NoEndpoints { exists });
        assert_eq!(apply(&mut known, none(true)), Known::Exists);
        assert!(known.is_empty());
        assert_eq!(apply(&mut known, none(false)), Known::Missing);
    }

    proptest! {
        #[test]
        fn any_message_is_bounded_and_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(Update { update: Some(update) }) = prost::Message::decode(&bytes[..]) {
                let mut known = Addresses::new();
                apply(&mut known, update);
                prop_assert!(known.values().all(|d| d.labels.len() <= LABELS_MAX));
            }
        }

        #[test]
        fn any_address_gives_a_usable_one_or_none(v4: u32, port: u32) {
            let addr = TcpAddress { ip: Some(linkerd2_proxy_api::net::IpAddress { ip: Some(Ip::Ipv4(v4)) }), port };
            prop_assert_eq!(socket_addr(&addr).is_some(), (1..=65_535).contains(&port));
        }
    }
}
