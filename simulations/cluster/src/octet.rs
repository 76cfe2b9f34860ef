//! Whose 127.A.y.z is: a cluster takes a second octet A that nobody else uses, and an API port that works there.
//!
//! An octet is taken while anything waits for others at one of its addresses, the API server of its cluster first
//! of all. The port may be held on *all* addresses by another API server; then another port does as well, for the
//! kubeconfig names it.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::bail;
use thanos_telemetry::sockets::{self, Protocol, Socket};
use tokio::net::{TcpListener, TcpStream};

/// Where an API server listens, in order of preference; 0 is any.
const API_PORTS: [u16; 4] = [6443, 16443, 26443, 0];
/// Longer than any loopback takes, however busy the machine.
const REACHED_WITHIN: Duration = Duration::from_secs(5);
/// 127.0 and 127.1 are the machine's own.
const FIRST: u8 = 2;
const LAST: u8 = 254;

/// The first second octet from `from` on (then from the lowest) that nobody uses, and the listener at `127.A.0.1`
/// that makes it taken. Its port is 6443, unless another program holds that on all addresses.
///
/// # Errors
/// None is free, or loopback addresses cannot be used.
pub async fn find_octet(from: u8) -> anyhow::Result<(u8, TcpListener)> {
    let taken = taken(&sockets::sockets(Protocol::Tcp));
    for octet in order(from).filter(|octet| !taken.contains(octet)) {
        if let Some(listener) = claim(octet).await? {
            return Ok((octet, listener));
        }
    }
    bail!(
        "no second octet of 127.A.0.1 is free for a cluster, A from {FIRST} to {LAST}: too many clusters run on \
         this machine; stop some"
    )
}

/// How many clusters could still be started here.
pub(crate) fn free() -> usize {
    let taken = taken(&sockets::sockets(Protocol::Tcp));
    order(FIRST).filter(|octet| !taken.contains(octet)).count()
}

/// Octets to try.
pub(crate) fn order(from: u8) -> impl Iterator<Item = u8> {
    let from = from.max(FIRST);
    (from..=LAST).chain(FIRST..from)
}

/// Second octets of which somebody uses an address.
pub(crate) fn taken(sockets: &[Socket]) -> BTreeSet<u8> {
    sockets.iter().filter(|s| s.waits).filter_map(|s| loopback_octet(s.addr)).collect()
}

fn loopback_octet(addr: SocketAddr) -> Option<u8> {
    match addr.ip() {
        IpAddr::V4(ip) => match ip.octets() {
            [127, octet, ..] => Some(octet),
            _ => None,
        },
        IpAddr::V6(_) => None,
    }
}

/// Takes an octet; `None` if somebody else was faster.
async fn claim(octet: u8) -> anyhow::Result<Option<TcpListener>> {
    for port in API_PORTS {
        let addr = SocketAddr::from((Ipv4Addr::new(127, octet, 0, 1), port));
        match TcpListener::bind(addr).await {
            Ok(listener) => {
                let own = listener.local_addr()?;
                // Two that came at once, each to a port of its own, see each other now; both go on.
                let shared = sockets::sockets(Protocol::Tcp)
                    .iter()
                    .any(|s| s.waits && s.addr != own && loopback_octet(s.addr) == Some(octet));
                if shared {
                    return Ok(None);
                }
                return match reached(&listener, own).await {
                    Ok(()) => Ok(Some(listener)),
                    Err(error) => {
                        Err(sockets::explained("the API server", Protocol::Tcp, own, &error).into())
                    }
                };
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                let here = |s: &Socket| s.waits && s.addr == addr;
                if sockets::sockets(Protocol::Tcp).iter().any(here) {
                    return Ok(None);
                }
            }
            Err(error) => {
                return Err(sockets::explained("the API server", Protocol::Tcp, addr, &error).into());
            }
        }
    }
    Ok(None)
}

/// Whether what is sent to an address comes to its listener: one may listen where nothing is routed.
async fn reached(listener: &TcpListener, addr: SocketAddr) -> std::io::Result<()> {
    let both = async { tokio::try_join!(TcpStream::connect(addr), listener.accept()).map(drop) };
    tokio::time::timeout(REACHED_WITHIN, both).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_go_round_and_leave_out_the_machines_own() {
        let all: Vec<u8> = order(64).collect();
        assert_eq!((all.len(), all[0], all[190], all[191], all[252]), (253, 64, 254, 2, 63));
        assert_eq!(order(0).next(), Some(2));
        assert_eq!(order(255).collect::<BTreeSet<u8>>().len(), 253);
    }

    /// Each claim sees the other's, and none is given twice.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn clusters_that_start_at_once_have_octets_of_their_own() {
        let tasks = (0..8).map(|_| tokio::spawn(find_octet(200)));
        let found = futures::future::join_all(tasks).await;
        let found: Vec<(u8, TcpListener)> = found.into_iter().map(|f| f.unwrap().unwrap()).collect();
        assert_eq!(found.iter().map(|(octet, _)| octet).collect::<BTreeSet<_>>().len(), 8);
    }

    #[tokio::test]
    async fn an_octet_of_which_anything_is_used_is_left_alone() {
        let (octet, listener) = find_octet(120).await.unwrap();
        drop(listener);
        let pod = TcpListener::bind((Ipv4Addr::new(127, octet, 9, 9), 0)).await.unwrap();
        let (next, _held) = find_octet(octet).await.unwrap();
        assert_ne!(next, octet, "somebody is at {}", pod.local_addr().unwrap());
    }
}
