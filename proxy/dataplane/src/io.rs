//! A TCP stream that counts its bytes, gives back what detection read, gives up on a peer that does not read, and is
//! shared with whoever must know what became of its other end.

use std::future::Future;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::FutureExt;
use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::metrics::Open;

/// A peer that is silent is asked whether it is still there, and given up after this many times without an answer.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(15))
    .with_interval(Duration::from_secs(5))
    .with_retries(3);
/// Interim responses that wait for a client to take them.
const INTERIM_MAX_BYTES: usize = 64 << 10;
/// For ever, as far as a tunnel is concerned.
const STALL_NEVER: Duration = Duration::from_secs(366 * 24 * 3600);

/// See the module.
#[derive(Debug)]
pub(crate) struct CountedIo {
    /// Read before, to be read again.
    prefix: Bytes,
    wire: Arc<Wire>,
    open: Open,
    /// How long a write may make no progress.
    stall_max: Duration,
    /// Set while one makes none.
    stalled: Option<Pin<Box<Sleep>>>,
}

/// The socket itself.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    /// Whether all that the owner wrote was flushed, so that other words may go between.
    flushed: AtomicBool,
    /// Interim responses that did not fit into the socket yet.
    interim: Mutex<Vec<u8>>,
    interim_waits: AtomicBool,
    /// Bytes of them that were sent and not counted yet.
    interim_sent: AtomicUsize,
    /// Whether the last bytes that were read ended with a head: then its body did not come yet.
    head_last: AtomicBool,
    /// End by a reset: what was sent so far must not look whole.
    reset: AtomicBool,
}

/// What became of the other end, as far as the kernel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Far {
    /// Nothing.
    Open,
    /// It will send nothing more. It may have left, or be waiting for its answer.
    HalfClosed,
    /// It reset the connection.
    Gone,
}

/// Options of every connection, accepted or made. A socket that refuses one is still usable.
fn tune(stream: &TcpStream, stall_max: Duration) {
    // Small frames matter more than full packets here.
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_keepalive(&KEEPALIVE);
    // A peer whose machine is gone acknowledges nothing. The kernel counts one that acknowledges and takes nothing, too.
    let _ = socket.set_tcp_user_timeout(Some(stall_max));
}

/// Whoever speaks another protocol may pause as that allows: a cursor of a database is read when its client likes to.
fn untune(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_tcp_user_timeout(None);
}

impl CountedIo {
    pub(crate) fn new(stream: TcpStream, open: Open, stall_max: Duration) -> Self {
        tune(&stream, stall_max);
        let wire = Wire {
            stream,
            flushed: AtomicBool::new(true),
            interim: Mutex::default(),
            interim_waits: AtomicBool::new(false),
            interim_sent: AtomicUsize::new(0),
            head_last: AtomicBool::new(false),
            reset: AtomicBool::new(false),
        };
        Self { prefix: Bytes::new(), wire: Arc::new(wire), open, stall_max, stalled: None }
    }

    /// Puts bytes back in front.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        self.prefix = bytes;
    }

    /// It is a tunnel's from here on: slow is no fault.
    pub(crate) fn leave_alone(&mut self) {
        self.stall_max = STALL_NEVER;
        untune(&self.wire.stream);
    }

    pub(crate) fn wire(&self) -> &Arc<Wire> {
        &self.wire
    }

    fn write_with(
        &mut self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.wire.flushed.store(false, Ordering::Relaxed);
        let result = loop {
            match self.wire.stream.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
            if self.wire.interim_waits.load(Ordering::Acquire) && !self.wire.send_interim()? {
                continue;
            }
            match write(&self.wire.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => break Poll::Ready(result),
            }
        };
        match result {
            Poll::Ready(Ok(n)) => {
                self.stalled = None;
                self.open.wrote(n + self.wire.interim_sent.swap(0, Ordering::Relaxed));
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let limit = self.stall_max;
                let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
                ready!(timer.as_mut().poll(cx));
                let words = format!("the peer took nothing for {limit:?}");
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, words)))
            }
        }
    }
}

impl Wire {
    /// What became of the other end. Costs no system call.
    pub(crate) fn far(&self) -> Far {
        // Of what happened to writing is told only who asks about it.
        match self.stream.ready(Interest::READABLE | Interest::WRITABLE).now_or_never() {
            Some(Ok(ready)) if ready.is_write_closed() || ready.is_error() => Far::Gone,
            Some(Ok(ready)) if ready.is_read_closed() => Far::HalfClosed,
            Some(Err(_)) => Far::Gone,
            _ => Far::Open,
        }
    }

    /// Whether something came behind the head that was read last.
    pub(crate) fn has_more_than_a_head(&self) -> bool {
        if !self.head_last.load(Ordering::Relaxed) {
            return true;
        }
        let mut one = [MaybeUninit::uninit()];
        SockRef::from(&self.stream).peek(&mut one).is_ok_and(|n| n > 0)
    }

    /// Reads what is there. Less than there is room for means that there is no more: the socket counts as empty then, and
    /// is not asked in vain the next time.
    fn read(&self, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
        let room = buf.remaining();
        let mut got = None;
        let whole = self.stream.try_io(Interest::READABLE, || {
            let n = self.stream.try_read_buf(buf)?;
            if n == 0 || n == room {
                return Ok(n);
            }
            got = Some(n);
            Err(io::ErrorKind::WouldBlock.into())
        });
        got.map_or(whole, Ok)
    }

    /// The last chunk of a body ends as a head does, but for the size before.
    fn read_last(&self, bytes: &[u8]) {
        let head = bytes.ends_with(b"\r\n\r\n") && !bytes.ends_with(b"\r\n0\r\n\r\n");
        self.head_last.store(head, Ordering::Relaxed);
    }

    /// Sends an interim response of HTTP/1.1, now or as soon as the socket takes it.
    pub(crate) fn interim(&self, head: &[u8]) {
        {
            let mut waiting = self.interim.lock();
            if waiting.len() + head.len() > INTERIM_MAX_BYTES {
                // A client that reads none of them can do without.
                return;
            }
            waiting.extend_from_slice(head);
        }
        self.interim_waits.store(true, Ordering::Release);
        if self.flushed.load(Ordering::Relaxed) {
            // An error shows at the owner's next write.
            let _ = self.send_interim();
        }
    }

    /// The connection ends by a reset instead of a farewell.
    pub(crate) fn end_by_reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }

    /// Whether all of them are sent.
    fn send_interim(&self) -> io::Result<bool> {
        let mut waiting = self.interim.lock();
        while !waiting.is_empty() {
            match self.stream.try_write(&waiting) {
                Ok(n) => {
                    waiting.drain(..n);
                    self.interim_sent.fetch_add(n, Ordering::Relaxed);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.interim_waits.store(false, Ordering::Release);
        Ok(true)
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
            self.wire.read_last(buf.filled());
            self.prefix.advance(n);
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.wire.stream.poll_read_ready(cx))?;
            match self.wire.read(buf) {
                Ok(n) => {
                    self.open.read(n);
                    self.wire.read_last(buf.filled());
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for CountedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.write_with(cx, |stream| stream.try_write(buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_with(cx, |stream| stream.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket keeps nothing back. Whoever flushes has written all that it had.
        self.wire.flushed.store(true, Ordering::Relaxed);
        if self.wire.interim_waits.load(Ordering::Acquire) {
            // What does not fit now goes before the next write.
            self.wire.send_interim()?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = SockRef::from(&self.wire.stream);
        if self.wire.reset.load(Ordering::Relaxed) {
            return Poll::Ready(socket.set_linger(Some(Duration::ZERO)));
        }
        // The other end may have gone before us.
        match socket.shutdown(std::net::Shutdown::Write) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for CountedIo {
    fn drop(&mut self) {
        let socket = SockRef::from(&self.wire.stream);
        let _ = if self.wire.reset.load(Ordering::Relaxed) {
            socket.set_linger(Some(Duration::ZERO))
        } else if Arc::strong_count(&self.wire) > 1 {
            // It closes when the last who watches it lets go, and ends now.
            socket.shutdown(std::net::Shutdown::Both)
        } else {
            Ok(())
        };
    }
}
