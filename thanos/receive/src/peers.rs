//! Other replicas, as places to forward to: one connection each, a bound on what is under way, and a pause for
//! those that do not answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use thanos_storepb::storepb::WriteRequest;
use thanos_storepb::storepb::writeable_store_client::WriteableStoreClient;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

use crate::error::{Kind, WriteError};

/// Requests under way to one peer.
const IN_FLIGHT: usize = 16;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
/// A connection into a machine that is gone is noticed after this plus the timeout.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// As the server's: a batch can be large after decompression.
pub(crate) const MESSAGE_BYTES_MAX: usize = 128 << 20;

/// All peers seen so far.
#[derive(Debug)]
pub(crate) struct Peers {
    timeout: Duration,
    backoff_max: Duration,
    known: Mutex<BTreeMap<String, Arc<Peer>>>,
}

#[derive(Debug)]
struct Peer {
    client: WriteableStoreClient<Channel>,
    in_flight: Semaphore,
    pause: Mutex<Pause>,
}

/// Doubling pause after failures in a row.
#[derive(Debug, Default)]
struct Pause {
    until: Option<Instant>,
    last: Duration,
}

impl Pause {
    fn is_over(&mut self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    fn failed(&mut self, now: Instant, max: Duration) {
        // Requests that were under way together count as one failure.
        if self.is_over(now) {
            self.last = (self.last * 2).clamp(FIRST_BACKOFF, max.max(FIRST_BACKOFF));
            self.until = Some(now + self.last);
        }
    }

    fn answered(&mut self) {
        *self = Self::default();
    }
}

impl Peers {
    pub(crate) fn new(timeout: Duration, backoff_max: Duration) -> Self {
        Self { timeout, backoff_max, known: Mutex::default() }
    }

    /// Sends one request; an answer or an error within the timeout.
    pub(crate) async fn send(&self, address: &str, request: WriteRequest) -> Result<(), WriteError> {
        let peer = self.peer(address)?;
        if !peer.pause.lock().is_over(Instant::now()) {
            return Err(
                Kind::Unavailable.error(format!("{address}: did not answer lately, asked again in a moment"))
            );
        }
        let asked = async {
            let Ok(_permit) = peer.in_flight.acquire().await else {
                return Err(tonic::Status::unavailable("closed"));
            };
            peer.client.clone().remote_write(request).await
        };
        let answer = match tokio::time::timeout(self.timeout, asked).await {
            Ok(answer) => answer.map(drop).map_err(|status| WriteError::from_grpc(address, &status)),
            Err(_) => Err(Kind::Unavailable.error(format!("{address}: no answer within {:?}", self.timeout))),
        };
        match &answer {
            Err(e) if e.kind.is_peer_down() => peer.pause.lock().failed(Instant::now(), self.backoff_max),
            _ => peer.pause.lock().answered(),
        }
        answer
    }

    fn peer(&self, address: &str) -> Result<Arc<Peer>, WriteError> {
        let mut known = self.known.lock();
        if let Some(peer) = known.get(address) {
            return Ok(peer.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|e| Kind::Internal.error(format!("{address}: {e}")))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true);
        let client =
            WriteableStoreClient::new(endpoint.connect_lazy()).max_encoding_message_size(MESSAGE_BYTES_MAX);
        let peer = Arc::new(Peer { client, in_flight: Semaphore::new(IN_FLIGHT), pause: Mutex::default() });
        known.insert(address.to_owned(), peer.clone());
        Ok(peer)
    }

    /// Lets go of peers that are in no ring any more.
    pub(crate) fn retain(&self, in_use: impl Fn(&str) -> bool) {
        self.known.lock().retain(|address, _| in_use(address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_to_its_bound_and_ends_with_an_answer() {
        let max = Duration::from_millis(150);
        let mut now = Instant::now();
        let mut pause = Pause::default();
        let mut waits = Vec::new();
        for _ in 0..4 {
            assert!(pause.is_over(now));
            pause.failed(now, max);
            pause.failed(now, max);
            waits.push(pause.last.as_millis());
            assert!(!pause.is_over(now));
            now += pause.last;
        }
        assert_eq!(waits, [50, 100, 150, 150]);
        pause.answered();
        pause.failed(now, max);
        assert_eq!(pause.last, FIRST_BACKOFF);
    }
}
