//! Turns what the operator named into addresses, again and again. A source that fails keeps its last answer
//! and says that it failed.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use thanos_telemetry::cli;

use crate::dns::Dns;
use crate::endpoint::{EndpointSpec, HostPort};

/// Stores by name in discovery.
pub(crate) type Found = BTreeMap<String, HostPort>;

/// One group of Prometheus' `file_sd` format; labels are allowed and not used.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileGroup {
    targets: Vec<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "part of the format")]
    labels: BTreeMap<String, String>,
}

/// The stores that `spec` names right now. `known` are those of the last time.
///
/// # Errors
/// The lookup failed; the caller keeps what it had.
pub(crate) async fn resolve(spec: &EndpointSpec, dns: &Dns, known: &Found) -> Result<Found, String> {
    match spec {
        EndpointSpec::Static(addr) => Ok(Found::from([(addr.to_string(), addr.clone())])),
        EndpointSpec::DnsA(name) => {
            let ips = dns.addresses(&name.host).await?;
            let addrs = ips.into_iter().map(|ip| HostPort { host: ip.to_string(), port: name.port });
            Ok(addrs.map(|a| (a.to_string(), a)).collect())
        }
        EndpointSpec::DnsSrv(name) => {
            let mut found = Found::new();
            for target in dns.services(name).await? {
                // A listed target without an address is a store that is expected; its old address will do.
                let ips = dns.addresses(&target.host).await.unwrap_or_default();
                let key = target.to_string();
                match ips.as_slice() {
                    [] => {
                        let addr = known.get(&key).cloned().unwrap_or(target);
                        found.insert(key, addr);
                    }
                    [ip] => {
                        found.insert(key, HostPort { host: ip.to_string(), port: target.port });
                    }
                    several => found.extend(several.iter().map(|ip| {
                        let addr = HostPort { host: ip.to_string(), port: target.port };
                        (format!("{key}/{ip}"), addr)
                    })),
                }
            }
            Ok(found)
        }
    }
}

/// The endpoints that a `file_sd` file lists.
///
/// # Errors
/// A line naming the file and what is wrong in it.
pub(crate) fn read_file(path: &Path) -> Result<Vec<EndpointSpec>, String> {
    // The first line names file, line and fault; a picture of it follows, which a warning has no room for.
    let first_line = |e: cli::RunError| e.to_string().lines().next().unwrap_or_default().to_owned();
    let groups: Vec<FileGroup> = cli::load_yaml(path).map_err(first_line)?;
    let parse = |t: &String| t.parse().map_err(|e| format!("{}: targets: {e}", path.display()));
    groups.iter().flat_map(|g| &g.targets).map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_prometheus_does_and_refused_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stores.json");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_file(&path)
        };
        let ok = read(r#"[{"targets": ["a:1", "dnssrv+_grpc._tcp.b"], "labels": {"x": "y"}}]"#).unwrap();
        assert_eq!(ok.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a:1", "dnssrv+_grpc._tcp.b"]);
        assert_eq!(read("- targets: []\n").unwrap().len(), 0);
        for bad in ["[{\"targets\": [\"a\"]}]", "[{\"target\": []}]", "{", "[{\"targets\": 1}]"] {
            assert!(read(bad).unwrap_err().contains("stores.json"), "{bad}");
        }
        assert!(read_file(Path::new("/nowhere/x.yml")).unwrap_err().contains("/nowhere/x.yml"));
    }
}
