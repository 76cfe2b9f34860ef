//! Two connections that changed to another protocol, joined: bytes both ways until both sides ended, nothing moved
//! for long, or the proxy ends.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::{Instant, timeout};

/// Of one direction, while there is something.
const BUFFER_BYTES: usize = 16 << 10;

/// Copies both ways. `Ok` when both ended in peace.
///
/// # Errors
/// A side broke, or nothing moved in either direction for `idle`.
pub(crate) async fn join<A, B>(a: A, b: B, idle: Duration) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let ((mut from_a, mut to_a), (mut from_b, mut to_b)) = (split(a), split(b));
    let moved = Moved { began: Instant::now(), last_ms: AtomicU64::new(0) };
    // One that ended says so to the other side, which may go on.
    tokio::try_join!(copy(&mut from_a, &mut to_b, idle, &moved), copy(&mut from_b, &mut to_a, idle, &moved))?;
    Ok(())
}

/// When a byte moved last, in either direction.
struct Moved {
    began: Instant,
    last_ms: AtomicU64,
}

impl Moved {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn idle_for(&self) -> Duration {
        Duration::from_millis(self.now_ms().saturating_sub(self.last_ms.load(Relaxed)))
    }
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    idle: Duration,
    moved: &Moved,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = match timeout(idle, from.read(&mut buffer)).await {
            Ok(read) => read?,
            Err(_) if moved.idle_for() < idle => continue,
            Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "nothing moved in the tunnel")),
        };
        let Some(bytes) = buffer.get(..read).filter(|b| !b.is_empty()) else {
            return to.shutdown().await;
        };
        // A side that does not take it is given up by its own connection.
        to.write_all(bytes).await?;
        to.flush().await?;
        moved.last_ms.store(moved.now_ms(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    #[tokio::test(start_paused = true)]
    async fn ends_when_both_sides_ended_or_nothing_moves() {
        let (mut client, a) = duplex(64);
        let (b, mut app) = duplex(64);
        let joined = tokio::spawn(join(a, b, Duration::from_secs(5)));
        client.write_all(b"ping").await.unwrap();
        client.shutdown().await.unwrap();
        let mut seen = String::new();
        app.read_to_string(&mut seen).await.unwrap();
        app.write_all(b"pong").await.unwrap();
        drop(app);
        let mut back = String::new();
        client.read_to_string(&mut back).await.unwrap();
        assert_eq!((seen.as_str(), back.as_str()), ("ping", "pong"));
        joined.await.unwrap().unwrap();

        // One direction that moves keeps the other one alive.
        let (mut client, a) = duplex(64);
        let (b, mut app) = duplex(64);
        let joined = tokio::spawn(join(a, b, Duration::from_secs(5)));
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_secs(3)).await;
            app.write_all(b"x").await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'x');
        }
        assert_eq!(joined.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
