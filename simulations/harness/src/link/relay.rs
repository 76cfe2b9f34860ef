//! A TCP relay whose traffic can be held: what it carries waits while the link is cut, as behind a network that
//! loses packets, and goes on when it is healed.
//!
//! Invariants: no byte moves while the link is cut, in either direction, ends of streams included; none is lost,
//! doubled or reordered by a cut; a client that connects and leaves while it is cut was never there.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

/// Connections of one relay; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 256;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const BUFFER_BYTES: usize = 32 << 10;
/// What is taken from a client that connected while the link was cut, until it is healed.
const HELD_BYTES_MAX: usize = 64 << 10;
/// A listener that cannot accept now (no file descriptors) is tried again.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How many cuts a link has; it carries at none. A sender that is gone ends the relay's connections.
pub(super) type Cuts = watch::Receiver<usize>;

/// A listener whose connections are carried on to one address. Dropped, it ends with all of them.
#[derive(Debug)]
pub(super) struct Relay {
    slots: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Carries what connects to `listener` on to `to`.
    pub(super) fn start(listener: TcpListener, to: SocketAddr, cuts: Cuts) -> Self {
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        Self { slots: Arc::clone(&slots), task: tokio::spawn(accept(listener, to, cuts, slots)) }
    }

    /// Whether it carries nothing.
    pub(super) fn is_idle(&self) -> bool {
        // One slot waits for the next connection.
        self.slots.available_permits() + 1 >= CONNECTIONS_MAX
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, to: SocketAddr, cuts: Cuts, slots: Arc<Semaphore>) {
    // Aborted with this task.
    let mut carried = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        while carried.try_join_next().is_some() {}
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_RETRY).await;
            continue;
        };
        let cuts = cuts.clone();
        carried.spawn(async move {
            let _slot = slot;
            if let Err(error) = carry(client, to, cuts).await {
                tracing::debug!(%error, %to, "a relayed connection ended");
            }
        });
    }
}

async fn carry(mut client: TcpStream, to: SocketAddr, mut cuts: Cuts) -> io::Result<()> {
    client.set_nodelay(true)?;
    let held = hold(&mut client, &mut cuts).await?;
    let connect = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(to));
    let mut server = connect.await.map_err(io::Error::from)??;
    server.set_nodelay(true)?;
    while_open(&mut cuts, server.write_all(&held)).await?;
    drop(held);
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let there = pump(from_client, to_server, cuts.clone());
    tokio::try_join!(there, pump(from_server, to_client, cuts)).map(drop)
}

/// Waits until the link is open. What the client says meanwhile is kept, for it believes it sent; one that leaves
/// meanwhile gave up connecting, and its words must not arrive afterwards.
async fn hold(client: &mut TcpStream, cuts: &mut Cuts) -> io::Result<Vec<u8>> {
    let mut held = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        tokio::select! {
            biased;
            open = opened(cuts) => return open.map(|()| held),
            read = client.read(&mut buffer), if held.len() < HELD_BYTES_MAX => match read? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => held.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            },
        }
    }
}

/// One direction, to its end.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut cuts: Cuts) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let n = while_open(&mut cuts, from.read(&mut buffer)).await?;
        if n == 0 {
            return while_open(&mut cuts, to.shutdown()).await;
        }
        while_open(&mut cuts, to.write_all(buffer.get(..n).unwrap_or_default())).await?;
    }
}

/// Runs `io`, standing still while the link is cut.
async fn while_open<T>(cuts: &mut Cuts, io: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::pin!(io);
    loop {
        opened(cuts).await?;
        tokio::select! {
            biased;
            cut = changed(cuts, |cuts| cuts > 0) => cut?,
            done = &mut io => return done,
        }
    }
}

async fn opened(cuts: &mut Cuts) -> io::Result<()> {
    changed(cuts, |cuts| cuts == 0).await
}

async fn changed(cuts: &mut Cuts, to: impl Fn(usize) -> bool) -> io::Result<()> {
    cuts.wait_for(|cuts| to(*cuts)).await.map(drop).map_err(|_| io::ErrorKind::ConnectionAborted.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough for a busy machine; what is waited for comes at once.
    const DEADLINE: Duration = Duration::from_secs(10);
    /// Long enough for bytes that are not held to arrive on loopback.
    const SILENCE: Duration = Duration::from_millis(100);

    struct Sandbox {
        cuts: watch::Sender<usize>,
        relay: Relay,
        front: SocketAddr,
        server: TcpListener,
    }

    impl Sandbox {
        async fn start() -> Self {
            let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (cuts, seen) = watch::channel(0);
            let front = listener.local_addr().unwrap();
            let relay = Relay::start(listener, server.local_addr().unwrap(), seen);
            Self { cuts, relay, front, server }
        }

        async fn connect(&self) -> TcpStream {
            within(TcpStream::connect(self.front)).await.unwrap()
        }

        async fn accept(&self) -> TcpStream {
            within(self.server.accept()).await.unwrap().0
        }

        async fn is_idle(&self, idle: bool) {
            within(async {
                while self.relay.is_idle() != idle {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
    }

    async fn within<T>(future: impl Future<Output = T>) -> T {
        tokio::time::timeout(DEADLINE, future).await.expect("it did not come to pass in time")
    }

    async fn hears(stream: &mut TcpStream, words: &str) {
        let mut heard = vec![0; words.len()];
        within(stream.read_exact(&mut heard)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&heard), words);
    }

    async fn is_silent(stream: &mut TcpStream) {
        let mut byte = [0];
        let heard = tokio::time::timeout(SILENCE, stream.read(&mut byte)).await;
        assert!(heard.is_err(), "{heard:?} {byte:?}");
    }

    #[tokio::test]
    async fn a_cut_holds_bytes_of_both_directions_and_healing_lets_them_on() {
        let s = Sandbox::start().await;
        let (mut client, mut server) = (s.connect().await, s.accept().await);
        client.write_all(b"ask").await.unwrap();
        hears(&mut server, "ask").await;
        server.write_all(b"answer").await.unwrap();
        hears(&mut client, "answer").await;
        // Two cuts that overlap: both must heal.
        s.cuts.send_modify(|cuts| *cuts += 1);
        s.cuts.send_modify(|cuts| *cuts += 1);
        client.write_all(b"anybody?").await.unwrap();
        server.write_all(b"late").await.unwrap();
        tokio::join!(is_silent(&mut server), is_silent(&mut client));
        s.cuts.send_modify(|cuts| *cuts -= 1);
        tokio::join!(is_silent(&mut server), is_silent(&mut client));
        s.cuts.send_modify(|cuts| *cuts -= 1);
        tokio::join!(hears(&mut server, "anybody?"), hears(&mut client, "late"));
        client.shutdown().await.unwrap();
        assert_eq!(within(server.read(&mut [0])).await.unwrap(), 0, "an end goes through");
        server.write_all(b"still").await.unwrap();
        hears(&mut client, "still").await;
        assert!(!s.relay.is_idle());
    }

    #[tokio::test]
    async fn more_than_a_buffer_arrives_whole_across_cuts() {
        let s = Sandbox::start().await;
        let (mut client, mut server) = (s.connect().await, s.accept().await);
        let sent: Vec<u8> = (0..4_000_000u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let copy = sent.clone();
        let writing = tokio::spawn(async move {
            client.write_all(&copy).await.unwrap();
            client.shutdown().await.unwrap();
        });
        let (mut heard, mut buffer) = (Vec::new(), vec![0; 100_000]);
        loop {
            let n = within(server.read(&mut buffer)).await.unwrap();
            if n == 0 {
                break;
            }
            heard.extend_from_slice(&buffer[..n]);
            s.cuts.send_replace(1);
            tokio::task::yield_now().await;
            s.cuts.send_replace(0);
        }
        within(writing).await.unwrap();
        assert!(heard == sent, "{} of {} bytes, or in another order", heard.len(), sent.len());
    }

    #[tokio::test]
    async fn who_connects_in_a_cut_is_heard_after_it_unless_he_left() {
        let s = Sandbox::start().await;
        s.cuts.send_replace(1);
        let mut gone = s.connect().await;
        gone.write_all(b"never mind").await.unwrap();
        s.is_idle(false).await;
        drop(gone);
        s.is_idle(true).await;
        let mut stays = s.connect().await;
        stays.write_all(b"hello").await.unwrap();
        is_silent(&mut stays).await;
        s.cuts.send_replace(0);
        let mut server = s.accept().await;
        hears(&mut server, "hello").await;
        let another = tokio::time::timeout(SILENCE, s.server.accept()).await;
        assert!(another.is_err(), "{another:?}");
    }

    #[tokio::test]
    async fn nobody_behind_it_ends_the_connection() {
        let Sandbox { server, relay, front, cuts } = Sandbox::start().await;
        drop(server);
        let mut client = within(TcpStream::connect(front)).await.unwrap();
        // An end or a reset, as the kernel likes.
        assert!(matches!(within(client.read(&mut [0])).await, Ok(0) | Err(_)));
        drop((relay, cuts));
    }
}
