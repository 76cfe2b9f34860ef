//! A TCP stream that counts its bytes and can give back what detection read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::metrics::Open;

/// Data that the peer's host does not acknowledge, or has no room for because the peer does not read, breaks the
/// connection after this long.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);
/// An idle connection is probed this often.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Lets the kernel notice a host that is gone. A socket that refuses is still usable.
pub(crate) fn tune(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE));
    // Where there is this, it also bounds how long probes go unanswered.
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
}

/// See the module.
#[derive(Debug)]
pub(crate) struct CountedIo {
    /// Read before, to be read again.
    prefix: Bytes,
    stream: TcpStream,
    open: Open,
}

impl CountedIo {
    pub(crate) fn new(stream: TcpStream, open: Open) -> Self {
        // Small frames matter more than full packets here; a socket that refuses is still usable.
        let _ = stream.set_nodelay(true);
        Self { prefix: Bytes::new(), stream, open }
    }

    /// Puts bytes back in front.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        self.prefix = bytes;
    }
}

impl AsyncRead for CountedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.prefix.is_empty() {
            let n = self.prefix.len().min(buf.remaining());
            buf.put_slice(&self.prefix[..n]);
            self.prefix.advance(n);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.open.read(buf.filled().len().saturating_sub(before));
        result
    }
}

impl AsyncWrite for CountedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.count(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.count(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl CountedIo {
    fn count(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(n)) = &result {
            self.open.wrote(*n);
        }
        result
    }
}
