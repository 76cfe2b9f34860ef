//! Cluster DNS: services and pods by name, for one cluster or several, over UDP and TCP.

mod wire;
mod zone;

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::Api;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource};
use thanos_telemetry::Shutdown;
use thanos_telemetry::sockets::{Protocol, explained};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::pause::steady_pause;

/// How long an answer may be kept: pods come and go by the second.
const TTL_S: u32 = 1;
const TCP_CONNECTIONS_MAX: usize = 64;
/// A TCP client that is silent this long is left.
const TCP_IDLE: Duration = Duration::from_secs(10);
const TCP_MESSAGE_MAX_BYTES: usize = 65_535;

/// A DNS server. Dropped, it ends.
#[derive(Debug)]
pub struct Dns {
    addr: SocketAddr,
    shutdown: Shutdown,
    // Aborted when dropped.
    _tasks: JoinSet<()>,
}

/// Where those who ask reach these ports of a pod, if not at the pod's own address; `None`: nowhere, and the pod
/// is left out. Called for every answer, within the runtime; must not wait.
pub type Route = Arc<dyn Fn(Ipv4Addr, &[u16]) -> Option<Ipv4Addr> + Send + Sync>;

/// A cluster that a server answers for.
pub struct Zone {
    domain: String,
    client: Client,
    route: Option<Route>,
}

impl Zone {
    /// A domain (such as `east.local`) and a client of its cluster's API.
    pub fn new(domain: impl Into<String>, client: Client) -> Self {
        Self { domain: domain.into(), client, route: None }
    }

    /// Answers with other addresses than the pods' own: for those who are elsewhere, and reach them through
    /// gateways.
    #[must_use]
    pub fn through(mut self, route: Route) -> Self {
        self.route = Some(route);
        self
    }
}

impl std::fmt::Debug for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Zone({})", self.domain)
    }
}

struct Served {
    domain: String,
    services: Store<Service>,
    pods: Store<Pod>,
    route: Option<Route>,
}

impl Dns {
    /// Serves the given clusters at `addr`, or, where another program holds its port on all addresses (as
    /// multicast DNS does), at another port of the same address: [`Dns::addr`] says which. Port 0 finds a free one.
    ///
    /// A name outside these domains does not exist. Answers with pods that are ready and not being deleted,
    /// or, for services with `publishNotReadyAddresses`, with all that have an address.
    ///
    /// # Errors
    /// No port of the address can be bound; it is named, and who holds it.
    pub async fn serve(addr: SocketAddr, clusters: Vec<Zone>) -> io::Result<Self> {
        let (udp, tcp) = bind(addr).await?;
        let addr = udp.local_addr()?;
        let shutdown = Shutdown::new();
        let mut tasks = JoinSet::new();
        let zones: Vec<Served> = clusters
            .into_iter()
            .map(|zone| Served {
                domain: zone.domain.trim_matches('.').to_ascii_lowercase(),
                services: follow(Api::all(zone.client.clone()), &mut tasks),
                pods: follow(Api::all(zone.client), &mut tasks),
                route: zone.route,
            })
            .collect();
        let zones = Arc::new(zones);
        tasks.spawn(serve_udp(udp, zones.clone()));
        tasks.spawn(serve_tcp(tcp, zones, shutdown.clone()));
        Ok(Self { addr, shutdown, _tasks: tasks })
    }

    /// Where it serves.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.shutdown.start();
    }
}

/// The wanted port, or else one that is free.
async fn bind(wanted: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut refused = None;
    for port in ports(wanted.port()) {
        match bind_both(SocketAddr::new(wanted.ip(), port)).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse => refused = refused.or(Some(error)),
            other => return other,
        }
    }
    Err(refused.unwrap_or_else(|| ErrorKind::AddrInUse.into()))
}

/// The wanted port, some that are as easily told from others, and any.
fn ports(wanted: u16) -> impl Iterator<Item = u16> {
    let others = [10_000, 20_000].into_iter().filter_map(move |n| wanted.checked_add(n));
    std::iter::once(wanted).chain(others.filter(move |_| wanted != 0)).chain((wanted != 0).then_some(0))
}

/// The same port over UDP and TCP; a free one for UDP may be taken over TCP.
async fn bind_both(addr: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut tries = if addr.port() == 0 { 16 } else { 1 };
    loop {
        tries -= 1;
        let tcp = TcpListener::bind(addr).await.map_err(|e| explained("DNS", Protocol::Tcp, addr, &e))?;
        let addr = tcp.local_addr()?;
        match UdpSocket::bind(addr).await {
            Ok(udp) => return Ok((udp, tcp)),
            Err(e) if tries == 0 => return Err(explained("DNS", Protocol::Udp, addr, &e)),
            Err(_) => {}
        }
    }
}

fn follow<K>(api: Api<K>, tasks: &mut JoinSet<()>) -> Store<K>
where
    K: Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let (store, writer) = reflector::store();
    let stream =
        reflector::reflector(writer, watcher(api, watcher::Config::default()).backoff(steady_pause()));
    tasks.spawn(stream.for_each(|_| std::future::ready(())));
    store
}

async fn serve_udp(socket: UdpSocket, zones: Arc<Vec<Served>>) {
    let mut buffer = vec![0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            // An earlier reply bounced; the socket is sound.
            continue;
        };
        let Some(question) = buffer.get(..length).and_then(wire::parse) else { continue };
        let reply = wire::write(&question, &resolve(&zones, &question), TTL_S, question.max_bytes);
        let _ = socket.send_to(&reply, from).await;
    }
}

async fn serve_tcp(listener: TcpListener, zones: Arc<Vec<Served>>, shutdown: Shutdown) {
    let slots = Arc::new(Semaphore::new(TCP_CONNECTIONS_MAX));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let stream = tokio::select! {
            () = shutdown.started() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (zones, shutdown) = (zones.clone(), shutdown.clone());
        tokio::spawn(async move {
            let _slot = slot;
            tokio::select! {
                () = shutdown.started() => {}
                _ = converse(stream, &zones) => {}
            }
        });
    }
}

/// Messages led by their length (RFC 1035 §4.2.2), until the client leaves.
async fn converse(mut stream: TcpStream, zones: &[Served]) -> std::io::Result<()> {
    loop {
        let mut message = Vec::new();
        let read = async {
            let length = stream.read_u16().await?;
            message.resize(usize::from(length), 0);
            stream.read_exact(&mut message).await.map(drop)
        };
        tokio::time::timeout(TCP_IDLE, read).await.map_err(std::io::Error::from)??;
        let Some(question) = wire::parse(&message) else { return Ok(()) };
        let reply = wire::write(&question, &resolve(zones, &question), TTL_S, TCP_MESSAGE_MAX_BYTES);
        let length = u16::try_from(reply.len()).map_err(std::io::Error::other)?;
        let write = async {
            stream.write_u16(length).await?;
            stream.write_all(&reply).await
        };
        tokio::time::timeout(TCP_IDLE, write).await.map_err(std::io::Error::from)??;
    }
}

fn resolve(zones: &[Served], question: &wire::Question) -> wire::Reply {
    for zone in zones {
        let Some(name) = question.name.strip_suffix(&zone.domain) else { continue };
        let Some(name) = name.strip_suffix('.').or_else(|| name.is_empty().then_some("")) else { continue };
        let pods = zone.pods.state();
        let service = |namespace: &str, name: &str| {
            zone.services.get(&ObjectRef::new(name).within(namespace)).map(|s| Service::clone(&s))
        };
        let within = |namespace: &str| -> Vec<&Pod> {
            pods.iter()
                .filter(|p| p.metadata.namespace.as_deref() == Some(namespace))
                .map(AsRef::as_ref)
                .collect()
        };
        let route = |ip: Ipv4Addr, ports: &[u16]| zone.route.as_ref().map_or(Some(ip), |r| r(ip, ports));
        return zone::answer(name, question.kind, &zone.domain, service, within, route);
    }
    wire::Reply::NoSuchName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_ports_follow_the_wanted_one() {
        assert_eq!(ports(5353).collect::<Vec<_>>(), [5353, 15353, 25353, 0]);
        assert_eq!(ports(60_000).collect::<Vec<_>>(), [60_000, 0]);
        assert_eq!(ports(0).collect::<Vec<_>>(), [0]);
    }
}
