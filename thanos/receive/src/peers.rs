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

/// Doubling pause after failures in a row. When one is over, a single request tries; the others go on failing at
/// once until that one has an answer, so that a peer that is frozen costs one wait, not one for each write.
#[derive(Debug, Default)]
struct Pause {
    until: Option<Instant>,
    last: Duration,
}

/// A request that may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    Free,
    Probe,
}

impl Pause {
    fn pass(&mut self, now: Instant, timeout: Duration) -> Option<Pass> {
        match self.until {
            None => Some(Pass::Free),
            Some(until) if now < until => None,
            Some(_) => {
                // Should the probe never report, another may go after its time.
                self.until = Some(now + timeout);
                Some(Pass::Probe)
            }
        }
    }

    fn failed(&mut self, pass: Pass, now: Instant, max: Duration) {
        // Requests that were under way together count as one failure.
        if pass == Pass::Probe || self.until.is_none() {
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
        let Some(pass) = peer.pause.lock().pass(Instant::now(), self.timeout) else {
            return Err(
                Kind::Unavailable.error(format!("{address}: did not answer lately, asked again in a moment"))
            );
        };
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
            Err(e) if e.kind.is_peer_down() => {
                peer.pause.lock().failed(pass, Instant::now(), self.backoff_max)
            }
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
        let (max, timeout) = (Duration::from_millis(150), Duration::from_secs(1));
        let mut now = Instant::now();
        let mut pause = Pause::default();
        let mut waits = Vec::new();
        assert_eq!(pause.pass(now, timeout), Some(Pass::Free));
        // Two that were under way together.
        pause.failed(Pass::Free, now, max);
        pause.failed(Pass::Free, now, max);
        for _ in 0..3 {
            waits.push(pause.last.as_millis());
            assert_eq!(pause.pass(now, timeout), None);
            now += pause.last;
            assert_eq!(pause.pass(now, timeout), Some(Pass::Probe));
            assert_eq!(pause.pass(now, timeout), None, "one probe at a time");
            pause.failed(Pass::Probe, now, max);
        }
        assert_eq!((waits, pause.last.as_millis()), (vec![50, 100, 150], 150));
        // A probe that never reports is followed by another.
        now += pause.last;
        assert_eq!(pause.pass(now, timeout), Some(Pass::Probe));
        assert_eq!(pause.pass(now + timeout, timeout), Some(Pass::Probe));
        pause.answered();
        assert_eq!(pause.pass(now, timeout), Some(Pass::Free));
        pause.failed(Pass::Free, now, max);
        assert_eq!(pause.last, FIRST_BACKOFF);
    }
}
