//! A cluster as another one sees it: every address of it again under a second octet of its own, with relays behind
//! those that were asked for.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::net::TcpListener;

use super::relay::{Cuts, Relay};

/// Ports of pods that one mirror shows at once.
const RELAYS_MAX: usize = 256;
/// A relay that nobody asked for this long, and that carries nothing, is removed.
const UNUSED: Duration = Duration::from_secs(60);

/// Relays to the pods of a cluster, made when an answer of DNS names them.
#[derive(Debug)]
pub(super) struct Mirror {
    octet: u8,
    cuts: Cuts,
    relays: Mutex<HashMap<SocketAddrV4, Shown>>,
}

#[derive(Debug)]
struct Shown {
    relay: Relay,
    asked: Instant,
}

impl Mirror {
    pub(super) fn new(octet: u8, cuts: Cuts) -> Self {
        Self { octet, cuts, relays: Mutex::default() }
    }

    /// Where a pod is seen, with a relay for each of these ports; `None` if there cannot be one.
    pub(super) fn show(&self, pod: Ipv4Addr, ports: &[u16], now: Instant) -> Option<Ipv4Addr> {
        let seen = mirrored(pod, self.octet);
        let mut relays = self.relays.lock();
        let to = |port: &u16| SocketAddrV4::new(pod, *port);
        for port in ports {
            if let Some(shown) = relays.get_mut(&to(port)) {
                shown.asked = now;
            }
        }
        // After that: the address of one that is removed is free a moment later, too late for this answer.
        relays.retain(|_, s| now.saturating_duration_since(s.asked) < UNUSED || !s.relay.is_idle());
        for to in ports.iter().map(to) {
            if relays.contains_key(&to) {
                continue;
            }
            if relays.len() >= RELAYS_MAX {
                tracing::warn!(%to, "no relay: there are {RELAYS_MAX} already");
                return None;
            }
            match bind(SocketAddrV4::new(seen, to.port())) {
                Ok(listener) => {
                    let relay = Relay::start(listener, to.into(), self.cuts.clone());
                    relays.insert(to, Shown { relay, asked: now });
                }
                Err(error) => {
                    tracing::warn!(%to, %error, "no relay");
                    return None;
                }
            }
        }
        Some(seen)
    }
}

/// At once, as it is asked in the midst of an answer; on loopback nothing is waited for.
fn bind(addr: SocketAddrV4) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(addr)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// The same address under another second octet.
fn mirrored(ip: Ipv4Addr, octet: u8) -> Ipv4Addr {
    let [a, _, c, d] = ip.octets();
    Ipv4Addr::new(a, octet, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::watch;

    #[tokio::test]
    async fn pods_are_shown_when_asked_for_and_forgotten_when_unused() {
        // Of nobody else: a mirror's octet is held by its listener, and 127.0.0.1 is a pod as good as any.
        let (octet, _held) = simulations_cluster::find_octet(140).await.unwrap();
        let pod = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = pod.local_addr().unwrap().port();
        let (_cuts, seen) = watch::channel(0);
        let mirror = Mirror::new(octet, seen);
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let show = |ports: &[u16], now| mirror.show(Ipv4Addr::LOCALHOST, ports, now);

        let ip = show(&[port], at(0)).unwrap();
        assert_eq!(ip, Ipv4Addr::new(127, octet, 0, 1));
        let mut client = TcpStream::connect((ip, port)).await.unwrap();
        client.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        pod.accept().await.unwrap().0.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");

        // No ports: only what is unused is looked through.
        show(&[], at(200)).unwrap();
        assert_eq!(mirror.relays.lock().len(), 1, "it carries something");
        drop(client);
        while !mirror.relays.lock().values().all(|s| s.relay.is_idle()) {
            tokio::task::yield_now().await;
        }
        assert_eq!(show(&[port], at(300)), Some(ip));
        show(&[], at(359)).unwrap();
        assert_eq!(mirror.relays.lock().len(), 1, "it was asked for");
        show(&[], at(360)).unwrap();
        assert_eq!(mirror.relays.lock().len(), 0);
    }
}
