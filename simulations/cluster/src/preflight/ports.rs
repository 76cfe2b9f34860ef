//! Loopback addresses, octets and ports.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use thanos_telemetry::sockets::{self, Protocol};

use super::{Check, Finding};
use crate::octet;

/// Longer than any loopback takes, however busy the machine.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Ports at which the containers of manifests listen: those they declare, and those of `$(POD_IP):PORT`.
pub fn ports_in(manifests: &str) -> BTreeSet<u16> {
    let after = |mark: &str| -> Vec<u16> {
        let digits = |rest: &str| {
            let rest = rest.trim_start();
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest.get(..end).and_then(|port| port.parse().ok())
        };
        manifests.split(mark).skip(1).filter_map(digits).filter(|port| *port > 0).collect()
    };
    after("containerPort:").into_iter().chain(after("$(POD_IP):")).collect()
}

/// Whether a pod's address can be used, and an octet in which to try more.
pub(super) fn loopback() -> (Check, Option<u8>) {
    let taken = octet::taken(&sockets::sockets(Protocol::Tcp));
    let octet = octet::order(64).find(|octet| !taken.contains(octet));
    let Some(octet) = octet else {
        // Said by the next check.
        return (Check::new("loopback addresses", "all are in use", []), None);
    };
    let addr = SocketAddr::from((Ipv4Addr::new(127, octet, 1, 1), 0));
    let (name, detail) = ("loopback addresses", format!("{} answers", addr.ip()));
    match answers(addr) {
        Ok(()) => (Check::new(name, detail, []), Some(octet)),
        Err(error) => {
            let cure = if std::env::consts::OS == "linux" {
                sockets::explain(Protocol::Tcp, addr, &error)
            } else {
                "use Linux, or a container on it: elsewhere 127.0.0.1 is the only loopback address".into()
            };
            let what = format!("pods cannot have addresses such as {}", addr.ip());
            let finding = Finding { what, holder: None, cure, fatal: true };
            (Check::new(name, detail, [finding]), None)
        }
    }
}

/// Whether what listens there is reached.
fn answers(addr: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(addr)?;
    TcpStream::connect_timeout(&listener.local_addr()?, ANSWERS_WITHIN).map(drop)
}

pub(super) fn octets(needed: usize) -> Check {
    let free = octet::free();
    let finding = (free < needed).then(|| Finding {
        what: format!("{needed} second octets of 127.A.0.1 are needed, and {free} are free"),
        holder: Some("other clusters".into()),
        cure: "stop some".into(),
        fatal: true,
    });
    Check::new("second octets", format!("{free} of 253 are free"), finding)
}

/// Whether pods can bind their ports.
pub(super) fn free(ports: &BTreeSet<u16>, octet: u8) -> Check {
    let numbers: Vec<String> = ports.iter().map(u16::to_string).collect();
    let findings =
        ports.iter().filter_map(|port| held(SocketAddr::from((Ipv4Addr::new(127, octet, 1, 1), *port))));
    let findings: Vec<Finding> = findings.collect();
    let what = if findings.is_empty() { "are free" } else { "are needed" };
    Check::new("ports of pods", format!("{} {what}", numbers.join(", ")), findings)
}

/// What keeps a pod from its port.
fn held(addr: SocketAddr) -> Option<Finding> {
    let error = TcpListener::bind(addr).err()?;
    let what = format!("port {}, which pods bind,", addr.port());
    Some(if error.kind() == ErrorKind::AddrInUse {
        let holders = sockets::holders(Protocol::Tcp, addr);
        let (holder, cure) = (Some(sockets::names(&holders)), sockets::cure(addr, &holders));
        Finding { what, holder, cure, fatal: true }
    } else {
        let cure = sockets::explain(Protocol::Tcp, addr, &error);
        Finding { what: format!("{what} cannot be had"), holder: None, cure, fatal: true }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_found_in_manifests() {
        let manifests = "- --listen=$(POD_IP):8080\n args: [\"--a=$(POD_IP):9996\", --b=http://$(POD_IP):4140/x]\n\
                         ports: [{name: a, containerPort: 4191}, {containerPort:10901}]\n\
                         - --destination=http://${DESTINATION}:8086\n - $(POD_IP):no $(POD_IP):99999 containerPort: $X";
        assert_eq!(ports_in(manifests), BTreeSet::from([8080, 9996, 4140, 4191, 10901]));
    }

    /// However it is held: over IPv4 on all addresses, over both protocols, at the very address; and with the flags
    /// that let others share.
    #[test]
    fn a_port_that_is_held_is_told_with_its_holder() {
        let (loopback, octet) = loopback();
        assert_eq!(loopback.findings, []);
        let pod = Ipv4Addr::new(127, octet.unwrap(), 1, 1);
        for held in ["0.0.0.0:0", "[::]:0", &format!("{pod}:0"), "127.0.0.1:0"] {
            let listener = match TcpListener::bind(held) {
                Ok(listener) => listener,
                Err(_) if held.starts_with("[::]") => continue, // A machine without IPv6.
                Err(error) => panic!("{held}: {error}"),
            };
            let port = listener.local_addr().unwrap().port();
            let check = free(&BTreeSet::from([port]), octet.unwrap());
            let Some(finding) = check.findings.first() else {
                assert_eq!(held, "127.0.0.1:0", "only one address of another octet is no matter");
                continue;
            };
            assert_ne!(held, "127.0.0.1:0");
            let holder = finding.holder.clone().unwrap();
            assert!(holder.contains(&format!("(pid {})", std::process::id())), "{holder}");
            assert!(finding.fatal && finding.what.contains(&port.to_string()), "{finding}");
            drop(listener);
            assert_eq!(free(&BTreeSet::from([port]), octet.unwrap()).findings, []);
        }
    }

    #[test]
    fn more_octets_than_there_are_cannot_be_had() {
        assert_eq!(octets(1).findings, []);
        assert!(octets(254).findings[0].fatal);
    }
}
