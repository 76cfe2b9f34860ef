//! Connections to stores, and whether a server that closed one said goodbye.
//!
//! A server that shuts down sends HTTP/2's GOAWAY with NO_ERROR before it closes; a process that is killed
//! does not. gRPC clients hide the difference, so the bytes that come in are watched on their way.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::dns::Dns;
use crate::endpoint::HostPort;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A peer that answers no ping within twice this is gone; Thanos allows pings this often.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// A channel that connects when first used, and the flag that a polite end raises.
pub(crate) fn channel(addr: &HostPort, dns: Dns) -> Result<(Channel, Arc<AtomicBool>), String> {
    let goodbye = Arc::new(AtomicBool::new(false));
    let endpoint = Endpoint::from_shared(format!("http://{addr}"))
        .map_err(|e| format!("{addr}: {e}"))?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_INTERVAL)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    let (addr, flag) = (addr.clone(), goodbye.clone());
    let connector = service_fn(move |_: http::Uri| {
        let (addr, dns, goodbye) = (addr.clone(), dns.clone(), flag.clone());
        async move {
            let stream = connect(&addr, &dns).await?;
            Ok::<_, io::Error>(TokioIo::new(Watched { stream, frames: FrameWatch::default(), goodbye }))
        }
    });
    Ok((endpoint.connect_with_connector_lazy(connector), goodbye))
}

async fn connect(addr: &HostPort, dns: &Dns) -> io::Result<TcpStream> {
    let ips = dns.addresses(&addr.host).await.map_err(io::Error::other)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("no such host: {}", addr.host));
    for ip in ips {
        match TcpStream::connect((ip, addr.port)).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// A stream whose incoming frames are watched.
struct Watched {
    stream: TcpStream,
    frames: FrameWatch,
    goodbye: Arc<AtomicBool>,
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if this.frames.saw_goodbye(buf.filled().get(before..).unwrap_or_default()) {
            this.goodbye.store(true, Ordering::Release);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Follows HTTP/2 framing (RFC 9113 §4.1): 3 bytes of length, type, flags, 4 bytes of stream, payload.
#[derive(Debug, Default)]
struct FrameWatch {
    header: [u8; 9],
    have: usize,
    payload_left: usize,
    /// First bytes of a GOAWAY payload: last stream (4), error code (4).
    go_away: Option<Vec<u8>>,
}

const GO_AWAY: u8 = 7;

impl FrameWatch {
    /// Feeds bytes; whether a GOAWAY with NO_ERROR was completed by them.
    fn saw_goodbye(&mut self, mut bytes: &[u8]) -> bool {
        let mut seen = false;
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let (now, rest) = bytes.split_at(self.payload_left.min(bytes.len()));
                if let Some(payload) = &mut self.go_away {
                    payload.extend(now.iter().take(8 - payload.len().min(8)));
                    seen |= payload.len() == 8 && payload.ends_with(&[0; 4]);
                }
                self.payload_left -= now.len();
                bytes = rest;
                continue;
            }
            let (now, rest) = bytes.split_at((self.header.len() - self.have).min(bytes.len()));
            for (to, from) in self.header.iter_mut().skip(self.have).zip(now) {
                *to = *from;
            }
            self.have += now.len();
            bytes = rest;
            if self.have == self.header.len() {
                let [a, b, c, kind, ..] = self.header;
                self.payload_left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.go_away = (kind == GO_AWAY).then(Vec::new);
                self.have = 0;
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTINGS: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 9];
    const NO_ERROR: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    const PROTOCOL_ERROR: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1];

    #[test]
    fn finds_a_goodbye_however_the_bytes_are_cut() {
        for (bytes, want) in [
            ([SETTINGS, NO_ERROR].concat(), true),
            ([SETTINGS, PROTOCOL_ERROR].concat(), false),
            ([PROTOCOL_ERROR, NO_ERROR, SETTINGS].concat(), true),
            (SETTINGS.to_vec(), false),
        ] {
            for cut in 1..=bytes.len() {
                let mut watch = FrameWatch::default();
                let seen = bytes.chunks(cut).fold(false, |seen, part| seen | watch.saw_goodbye(part));
                assert_eq!(seen, want, "cut every {cut} of {bytes:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes: Vec<u8>, cut in 1usize..20) {
            let mut watch = FrameWatch::default();
            for part in bytes.chunks(cut) {
                watch.saw_goodbye(part);
            }
        }
    }
}
