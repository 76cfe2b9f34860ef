//! Names that discovery does not know, by the system's resolver: an app that sends all its calls through this proxy
//! reaches what it would reach without.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::{Addresses, Described, Follower};

/// The resolver does not say for how long its answers hold.
const AGAIN: Duration = Duration::from_secs(30);
const AGAIN_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// The resolver's own patience may be half a minute.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// A name that nobody asked for lately is not asked for either, in ms.
const UNUSED_MS: u64 = 60_000;
/// At once, of the whole process: a resolver that says nothing must not take the threads that others need.
static LOOKUPS: Semaphore = Semaphore::const_new(32);
/// Addresses taken of one name.
const ADDRESSES_MAX: usize = 64;

/// The system's resolver blocks, for as long as it likes: a lookup keeps its turn until it is over, whoever still waits.
async fn lookup(host: String, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let turn = LOOKUPS.acquire().await.map_err(std::io::Error::other)?;
    let blocking = spawn_blocking(move || {
        let found = (host.as_str(), port).to_socket_addrs().map(|a| a.take(ADDRESSES_MAX).collect());
        drop(turn);
        found
    });
    blocking.await.map_err(std::io::Error::other)?
}

/// Stands in for discovery whenever that does not know the route's name, for as long as it is polled.
pub(super) async fn stand_in(route: &impl Follower, host: &str, port: u16) {
    loop {
        route.asked_elsewhere().await;
        let found = timeout(ANSWER_MAX, lookup(host.to_owned(), port)).await;
        let found =
            found.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())).unwrap_or_else(|error| {
                tracing::debug!(host, %error, "neither discovery nor the resolver know it");
                Vec::new()
            });
        let pause = if found.is_empty() { AGAIN_AFTER_FAILURE } else { AGAIN };
        let addresses: Addresses = found.into_iter().map(|a| (a, Described::default())).collect();
        route.publish_elsewhere(&addresses);
        sleep(pause).await;
        while route.unused_for_ms() > UNUSED_MS {
            sleep(AGAIN_AFTER_FAILURE).await;
        }
        route.ask_elsewhere_again();
    }
}
