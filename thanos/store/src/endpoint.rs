//! How an operator names a store: an address, or a DNS name that yields addresses.

use std::fmt;
use std::str::FromStr;

use thanos_model::{Labels, Matcher, TimestampMs};
use thanos_storepb::convert::labels_from_wire;
use thanos_storepb::infopb::InfoResponse;

/// A store whose newest data was younger than this when it last answered is taken to be written to still, so
/// its announced maximum time does not keep a query from it.
const LIVE_HEAD_MS: i64 = 10 * 60 * 1000;

/// One value of `--endpoint`, in Thanos' notation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EndpointSpec {
    /// `host:port`, always expected.
    Static(HostPort),
    /// `dns+host:port`: every A or AAAA record of the host is a store.
    DnsA(HostPort),
    /// `dnssrv+_service._proto.name`: every SRV record is a store.
    DnsSrv(String),
}

/// A host name or IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// Port, never 0.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) =
            text.rsplit_once(':').ok_or_else(|| format!("{text:?} has no port: write host:port"))?;
        let port = port.parse().ok().filter(|p| *p != 0);
        let port = port.ok_or_else(|| format!("{text:?} has no port between 1 and 65535 after the colon"))?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        let allowed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') || bare.is_some() && c == ':';
        if host.is_empty() || !host.chars().all(allowed) {
            return Err(format!("{text:?} has no valid host: write host:port, or [address]:port for IPv6"));
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for EndpointSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once('+') else {
            return text.parse().map(Self::Static);
        };
        match scheme {
            "dns" => rest.parse().map(Self::DnsA),
            "dnssrv" if rest.contains(':') => {
                Err(format!("{text:?}: an SRV record carries the port itself, leave it out"))
            }
            "dnssrv" if !rest.is_empty() => Ok(Self::DnsSrv(rest.to_owned())),
            "dnssrv" => Err(format!("{text:?} has no name after dnssrv+")),
            other => Err(format!(
                "{text:?}: unknown prefix {other}+; use dns+host:port, dnssrv+_name or host:port"
            )),
        }
    }
}

impl fmt::Display for EndpointSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(a) => a.fmt(f),
            Self::DnsA(a) => write!(f, "dns+{a}"),
            Self::DnsSrv(name) => write!(f, "dnssrv+{name}"),
        }
    }
}

/// What an endpoint said about itself when last asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// `receive`, `sidecar`, `store`, …
    pub component: String,
    /// External labels of its data; a series carries one of these sets.
    pub label_sets: Vec<Labels>,
    /// What its StoreAPI holds; `None`: it has no StoreAPI.
    pub store: Option<StoreInfo>,
}

/// What a StoreAPI holds and can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreInfo {
    /// Oldest sample, milliseconds since the epoch.
    pub min_ms: TimestampMs,
    /// Newest sample as announced.
    pub max_ms: TimestampMs,
    /// Newest sample that it may hold by now: [`i64::MAX`] while it is written to.
    pub open_max_ms: TimestampMs,
    /// Removes replica labels and sorts again by itself.
    pub without_replica_labels: bool,
}

impl Info {
    /// Reads an Info answer that came at `now_ms`.
    pub fn from_wire(wire: &InfoResponse, now_ms: TimestampMs) -> Self {
        let mut label_sets: Vec<Labels> =
            wire.label_sets.iter().map(|s| labels_from_wire(&s.labels)).collect();
        let tsdbs = wire.store.iter().flat_map(|s| &s.tsdb_infos).filter_map(|t| t.labels.as_ref());
        if label_sets.is_empty() {
            label_sets.extend(tsdbs.map(|s| labels_from_wire(&s.labels)));
        }
        label_sets.sort();
        label_sets.dedup();
        let store = wire.store.as_ref().map(|s| StoreInfo {
            min_ms: s.min_time,
            max_ms: s.max_time,
            open_max_ms: if s.max_time >= now_ms.saturating_sub(LIVE_HEAD_MS) {
                i64::MAX
            } else {
                s.max_time
            },
            without_replica_labels: s.supports_without_replica_labels,
        });
        Self { component: wire.component_type.clone(), label_sets, store }
    }

    /// Whether it may hold a series that passes `matchers` in `start_ms..=end_ms`. Only external labels can
    /// exclude it: what it does not announce, it may still hold.
    pub fn may_hold(&self, matchers: &[Matcher], start_ms: TimestampMs, end_ms: TimestampMs) -> bool {
        let Some(store) = &self.store else { return false };
        if end_ms < store.min_ms || start_ms > store.open_max_ms {
            return false;
        }
        let passes = |set: &Labels| matchers.iter().all(|m| !set.has(&m.name) || m.matches_labels(set));
        self.label_sets.is_empty() || self.label_sets.iter().any(passes)
    }
}

/// `receive {cluster="west"}`, for people.
impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.component.is_empty() { "store" } else { &self.component })?;
        for set in self.label_sets.iter().take(3) {
            write!(f, " {set}")?;
        }
        if self.label_sets.len() > 3 {
            write!(f, " and {} more", self.label_sets.len() - 3)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use thanos_model::MatchOp;
    use thanos_storepb::{infopb, storepb};

    #[test]
    fn reads_thanos_notation_and_refuses_the_rest_by_name() {
        for ok in [
            "127.0.0.1:10901",
            "receive:1",
            "dns+receive.ns:10901",
            "dnssrv+_grpc._tcp.receive.ns",
            "[::1]:9",
        ] {
            assert_eq!(ok.parse::<EndpointSpec>().unwrap().to_string(), ok);
        }
        for bad in [
            "",
            "host",
            "host:",
            "host:0",
            "host:99999",
            ":1",
            "a b:1",
            "dns+host",
            "dnssrv+",
            "dnssrv+a:1",
            "x+y:1",
        ] {
            let e = bad.parse::<EndpointSpec>().unwrap_err();
            assert!(e.contains(bad.rsplit('+').next().unwrap()), "{e}");
        }
    }

    fn info(sets: &[&[(&str, &str)]], min: i64, max: i64, now: i64) -> Info {
        let set = |pairs: &&[(&str, &str)]| storepb::ZLabelSet {
            labels: pairs
                .iter()
                .map(|(n, v)| storepb::Label { name: (*n).into(), value: (*v).into() })
                .collect(),
        };
        let wire = infopb::InfoResponse {
            component_type: "receive".into(),
            label_sets: sets.iter().map(set).collect(),
            store: Some(infopb::StoreInfo { min_time: min, max_time: max, ..Default::default() }),
            ..Default::default()
        };
        Info::from_wire(&wire, now)
    }

    #[test]
    fn prunes_only_what_labels_or_time_exclude() {
        let west = info(&[&[("cluster", "west"), ("replica", "0")]], 1000, 5_000_000, 1_000_000_000);
        let eq = |n: &str, v: &str| Matcher::equal(n, v);
        assert!(west.may_hold(&[eq("cluster", "west"), eq("job", "a")], 0, 2000));
        assert!(!west.may_hold(&[eq("cluster", "east")], 0, 2000));
        assert!(!west.may_hold(&[Matcher::new("cluster", MatchOp::NotRegex, "w.*").unwrap()], 0, 2000));
        assert!(west.may_hold(&[eq("region", "")], 0, 2000), "an unannounced label excludes nothing");
        assert!(!west.may_hold(&[], 0, 999), "older than its data");
        assert!(!west.may_hold(&[], 5_000_001, 6_000_000), "newer than a closed store's data");
        let live = info(&[], 0, 999_999_000, 1_000_000_000);
        assert!(live.may_hold(&[], 1_000_500_000, 1_000_600_000), "a live head moves on after Info");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = text.parse::<EndpointSpec>();
        }
    }
}
