//! From a name to a connection: addresses, TCP, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Failure;

/// A name is looked up again after this, and after no connection could be made.
const ADDRESSES_LAST: Duration = Duration::from_secs(5);
/// A name that was not found is looked up again after this: what waits for the same answer shares it.
const NO_ADDRESSES_LAST: Duration = Duration::from_millis(100);

/// While an address does not answer, the next is tried beside it (RFC 8305 §5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// What is connected to.
#[derive(Debug)]
pub(crate) struct Peer {
    addresses: Addresses,
    tls: Option<Secured>,
}

#[derive(Debug)]
enum Addresses {
    Literal(SocketAddr),
    Named { host: String, port: u16, found: Mutex<Option<Found>> },
}

#[derive(Debug)]
struct Found {
    at: Instant,
    addresses: Result<Vec<SocketAddr>, Failure>,
}

impl Found {
    fn is_fresh(&self) -> bool {
        let lasts = if self.addresses.is_ok() { ADDRESSES_LAST } else { NO_ADDRESSES_LAST };
        self.at.elapsed() < lasts
    }
}

#[derive(Clone)]
struct Secured {
    /// None where nothing says what to trust.
    connector: Option<TlsConnector>,
    /// None for a host that no certificate can be for.
    name: Option<ServerName<'static>>,
    http2: bool,
}

impl std::fmt::Debug for Secured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secured({:?})", self.name)
    }
}

impl Peer {
    /// `tls` is what `https` is trusted by.
    pub(crate) fn new(
        host: &str,
        port: u16,
        https: bool,
        tls: Option<Arc<rustls::ClientConfig>>,
        http2: bool,
    ) -> Self {
        let addresses = match host.parse::<IpAddr>() {
            Ok(ip) => Addresses::Literal(SocketAddr::new(ip, port)),
            Err(_) => Addresses::Named { host: host.to_owned(), port, found: Mutex::default() },
        };
        let tls = https.then(|| Secured {
            connector: tls.map(TlsConnector::from),
            name: ServerName::try_from(host.to_owned()).ok(),
            http2,
        });
        Self { addresses, tls }
    }

    /// A new connection, ready for requests.
    pub(crate) async fn connect(&self) -> Result<Stream, Failure> {
        let tcp = match &self.addresses {
            Addresses::Literal(address) => {
                TcpStream::connect(address).await.map_err(|e| Failure::connecting(&e))?
            }
            Addresses::Named { host, port, found } => connect_by_name(host, *port, found).await?,
        };
        tcp.set_nodelay(true).map_err(|e| Failure::connecting(&e))?;
        match &self.tls {
            None => Ok(Stream::Plain(tcp)),
            Some(secured) => secured.shake_hands(tcp).await,
        }
    }
}

impl Secured {
    async fn shake_hands(&self, tcp: TcpStream) -> Result<Stream, Failure> {
        let connector = self.connector.as_ref().ok_or(Failure::Own("no TLS configuration"))?;
        let name = self.name.clone().ok_or(Failure::service("tls: no name for a certificate"))?;
        let stream = connector.connect(name, tcp).await.map_err(|e| Failure::shaking_hands(&e))?;
        if self.http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            // Figures of HTTP/1 are not what was asked for.
            return Err(Failure::service("tls: no HTTP/2 offered"));
        }
        Ok(Stream::Tls(Box::new(stream)))
    }
}

/// A name's addresses are kept for a while; the one that took the connection is tried first from then on.
async fn connect_by_name(host: &str, port: u16, found: &Mutex<Option<Found>>) -> Result<TcpStream, Failure> {
    let addresses = {
        // Held while looking it up: whoever needs the same answer waits for it instead of asking again.
        let mut found = found.lock().await;
        match found.as_ref().filter(|f| f.is_fresh()) {
            Some(known) => known.addresses.clone()?,
            None => {
                let addresses = look_up(host, port).await;
                *found = Some(Found { at: Instant::now(), addresses: addresses.clone() });
                addresses?
            }
        }
    };
    match connect_any(&addresses).await {
        Ok((stream, address)) => {
            if addresses.first() != Some(&address)
                && let Some(Found { addresses: Ok(known), .. }) = &mut *found.lock().await
                && let Some(i) = known.iter().position(|a| *a == address)
            {
                known.swap(0, i);
            }
            Ok(stream)
        }
        Err(error) => {
            // It may have moved.
            *found.lock().await = None;
            Err(Failure::connecting(&error))
        }
    }
}

async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(|e| Failure::resolving(&e))?;
    let addresses: Vec<SocketAddr> = addresses.collect();
    if addresses.is_empty() { Err(Failure::service("resolve")) } else { Ok(addresses) }
}

/// The first of the addresses that takes a connection; the next is tried when one fails, or does not answer soon.
async fn connect_any(addresses: &[SocketAddr]) -> io::Result<(TcpStream, SocketAddr)> {
    first_of(addresses, async |address| TcpStream::connect(address).await).await
}

async fn first_of<T>(
    addresses: &[SocketAddr],
    connect: impl AsyncFn(SocketAddr) -> io::Result<T>,
) -> io::Result<(T, SocketAddr)> {
    let attempt = async |address: SocketAddr| connect(address).await.map(|stream| (stream, address));
    let mut rest = addresses.iter().copied();
    let mut under_way: FuturesUnordered<_> = rest.next().into_iter().map(&attempt).collect();
    let (mut told, mut own) = (None, None);
    loop {
        let next = tokio::select! {
            biased;
            ended = under_way.next() => match ended {
                Some(Ok(connected)) => return Ok(connected),
                // No address is any better where descriptors or memory are missing.
                Some(Err(error)) if super::failure::is_own_for_any_address(&error) => return Err(error),
                Some(Err(error)) => {
                    // This machine may lack what one address needs, and have what another does.
                    let kept = if super::failure::own(&error).is_some() { &mut own } else { &mut told };
                    kept.get_or_insert(error);
                    rest.next()
                }
                // What any address said is the service's answer.
                None => return Err(told.or(own).unwrap_or_else(|| io::ErrorKind::NotFound.into())),
            },
            () = tokio::time::sleep(NEXT_ADDRESS_AFTER), if rest.len() > 0 => rest.next(),
        };
        under_way.extend(next.map(&attempt));
    }
}

/// Plain or with TLS.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

macro_rules! either {
    ($self:expr, $s:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Plain($s) => {
                let $s = Pin::new($s);
                $call
            }
            Stream::Tls($s) => {
                let $s = Pin::new($s.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, s => s.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, s => s.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, s => s.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(s) => s.is_write_vectored(),
            Self::Tls(s) => s.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, s => s.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, s => s.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn the_next_address_is_tried_when_one_refuses_or_is_silent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        // Takes nothing more once its queue is full, and answers nobody who asks.
        let silent = tokio::net::TcpSocket::new_v4().unwrap();
        silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let silent = silent.listen(1).unwrap();
        let silent = silent.local_addr().map(|a| (silent, a)).unwrap();
        let mut fill = Vec::new();
        while let Ok(Ok(s)) =
            tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(silent.1)).await
        {
            fill.push(s);
        }
        for addresses in [&[open][..], &[closed, open], &[silent.1, open], &[silent.1, closed, open]] {
            let (_, address) = connect_any(addresses).await.unwrap();
            assert_eq!(address, open, "{addresses:?}");
        }
        for addresses in [&[closed][..], &[closed, closed]] {
            let error = connect_any(addresses).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
    }

    #[tokio::test]
    async fn what_this_machine_lacks_for_one_address_hides_nothing_of_the_others() {
        use rustix::io::Errno;
        let (refused, local, buffers) = (Errno::CONNREFUSED, Errno::ADDRNOTAVAIL, Errno::NOBUFS);
        for (answers, want, asked) in [
            (&[Some(local), None][..], Ok(1), 2),
            (&[Some(buffers), None], Ok(1), 2),
            (&[Some(local), Some(refused)], Err(refused), 2),
            (&[Some(refused), Some(local)], Err(refused), 2),
            (&[Some(refused), Some(Errno::TIMEDOUT), Some(local)], Err(refused), 3),
            (&[Some(local), Some(buffers)], Err(local), 2),
            // No other address is any better off.
            (&[Some(Errno::MFILE), None], Err(Errno::MFILE), 1),
            (&[Some(refused), Some(Errno::NFILE), None], Err(Errno::NFILE), 2),
            (&[Some(Errno::NOMEM), None], Err(Errno::NOMEM), 1),
        ] {
            let addresses: Vec<SocketAddr> =
                (0..answers.len()).map(|i| SocketAddr::from(([127, 0, 0, 1], i as u16))).collect();
            let count = std::cell::Cell::new(0);
            let connected = first_of(&addresses, async |address| {
                count.set(count.get() + 1);
                let errno = answers[usize::from(address.port())];
                errno.map_or(Ok(()), |e| Err(io::Error::from_raw_os_error(e.raw_os_error())))
            });
            let got = connected.await.map(|((), a)| a.port()).map_err(|e| e.raw_os_error());
            assert_eq!(got, want.map_err(|e| Some(e.raw_os_error())), "{answers:?}");
            assert_eq!(count.get(), asked, "{answers:?}");
        }
        assert!(first_of(&[], async |_| Ok(())).await.is_err());
    }

    #[tokio::test]
    async fn a_name_s_addresses_are_kept_the_working_one_first_and_asked_again_after_a_failure() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let known = |addresses: Vec<SocketAddr>| {
            Mutex::new(Some(Found { at: Instant::now(), addresses: Ok(addresses) }))
        };
        let found = known(vec![closed, open]);
        connect_by_name("localhost", open.port(), &found).await.unwrap();
        assert_eq!(found.lock().await.as_ref().unwrap().addresses, Ok(vec![open, closed]));

        let found = known(vec![closed]);
        let error = connect_by_name("localhost", open.port(), &found).await.unwrap_err();
        assert_eq!(error, Failure::service("connect refused"));
        connect_by_name("localhost", open.port(), &found).await.unwrap();

        let found = Mutex::default();
        let error = connect_by_name("nobody.invalid", 80, &found).await.unwrap_err();
        assert_eq!(error, Failure::service("resolve"));
    }
}
