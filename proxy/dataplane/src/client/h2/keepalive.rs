//! When to ask whether the peer is alive, and when to close what nobody uses.
//!
//! Only while streams are open, and not without end: servers of gRPC close a connection, with all its streams, on which
//! more than two pings come within five minutes in which they themselves sent nothing (gRFC A8). A watch that is
//! silent for hours is such a connection. So three pings are sent into a silence, and then one every five minutes;
//! hosts that are gone are TCP's to notice.

use std::time::Duration;

pub(super) const PING_INTERVAL: Duration = Duration::from_secs(10);
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(10);
const PING_INTERVAL_SILENT: Duration = Duration::from_secs(301);
const PINGS_INTO_SILENCE_MAX: u32 = 3;

/// What is known of the connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// The time that was last asked for has passed.
    pub(super) due: bool,
    /// A ping was answered.
    pub(super) pong: bool,
    /// Streams open now.
    pub(super) streams: usize,
    /// Streams ever opened.
    pub(super) opened: u64,
    /// Heads and data that the peer ever sent.
    pub(super) heard: u64,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    /// Look again after this time.
    Wait(Duration),
    /// Send a ping, then the same.
    Ping(Duration),
    /// The peer does not answer.
    Dead,
    /// Nobody used it for the idle timeout.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No stream; as many had been opened when this began.
    Unused(u64),
    Used,
    Pinged,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Keepalive {
    idle_timeout: Duration,
    state: State,
    pings_into_silence: u32,
    /// Time in use since the last ping was answered.
    unpinged: Duration,
    heard: u64,
}

impl Keepalive {
    pub(super) fn new(idle_timeout: Duration) -> Self {
        let state = State::Unused(u64::MAX);
        Self { idle_timeout, state, pings_into_silence: 0, unpinged: Duration::ZERO, heard: 0 }
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// To be called whenever something happened; while it says something other than `Nothing`, again.
    pub(super) fn step(&mut self, seen: Seen) -> Action {
        match self.state {
            State::Unused(_) if seen.streams > 0 => self.used(seen),
            State::Unused(before) if seen.due => {
                if before == seen.opened {
                    return Action::Close;
                }
                self.unused(seen)
            }
            State::Used if seen.due && seen.streams == 0 => self.unused(seen),
            State::Used if seen.due => self.ping(seen),
            State::Pinged if seen.pong => self.used(seen),
            State::Pinged if seen.due => Action::Dead,
            _ => Action::Nothing,
        }
    }

    fn unused(&mut self, seen: Seen) -> Action {
        self.state = State::Unused(seen.opened);
        Action::Wait(self.idle_timeout)
    }

    fn used(&mut self, seen: Seen) -> Action {
        self.state = State::Used;
        self.listen(seen);
        self.unpinged = Duration::ZERO;
        Action::Wait(self.interval())
    }

    fn ping(&mut self, seen: Seen) -> Action {
        self.listen(seen);
        self.unpinged = self.unpinged.saturating_add(self.interval());
        if self.pings_into_silence >= PINGS_INTO_SILENCE_MAX && self.unpinged < PING_INTERVAL_SILENT {
            return Action::Wait(self.interval());
        }
        self.pings_into_silence = self.pings_into_silence.saturating_add(1);
        self.state = State::Pinged;
        Action::Ping(PING_TIMEOUT)
    }

    /// Not longer than until it could be unused.
    fn interval(&self) -> Duration {
        PING_INTERVAL.min(self.idle_timeout)
    }

    fn listen(&mut self, seen: Seen) {
        if std::mem::replace(&mut self.heard, seen.heard) != seen.heard {
            self.pings_into_silence = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(20);

    fn seen(streams: usize, opened: u64, heard: u64) -> Seen {
        Seen { due: false, pong: false, streams, opened, heard }
    }

    fn due(seen: Seen) -> Seen {
        Seen { due: true, ..seen }
    }

    fn pong(seen: Seen) -> Seen {
        Seen { pong: true, ..seen }
    }

    #[test]
    fn an_unused_connection_closes_and_a_used_one_does_not() {
        let mut k = Keepalive::new(IDLE);
        assert_eq!(k.step(due(seen(0, 0, 9))), Action::Wait(IDLE));
        assert_eq!(k.step(seen(0, 0, 9)), Action::Nothing);
        // Used meanwhile, unnoticed.
        assert_eq!(k.step(due(seen(0, 5, 9))), Action::Wait(IDLE));
        assert_eq!(k.step(seen(1, 6, 9)), Action::Wait(PING_INTERVAL));
        assert_eq!(k.step(due(seen(0, 6, 99))), Action::Wait(IDLE));
        assert_eq!(k.step(due(seen(0, 6, 99))), Action::Close);
    }

    #[test]
    fn a_peer_that_does_not_answer_is_dead() {
        let mut k = Keepalive::new(IDLE);
        assert_eq!(k.step(seen(1, 1, 9)), Action::Wait(PING_INTERVAL));
        assert_eq!(k.step(due(seen(1, 1, 9))), Action::Ping(PING_TIMEOUT));
        assert_eq!(k.step(seen(1, 1, 9)), Action::Nothing);
        assert_eq!(k.step(due(seen(1, 1, 9))), Action::Dead);
    }

    #[test]
    fn few_pings_are_sent_into_a_silence() {
        let mut k = Keepalive::new(IDLE);
        assert_eq!(k.step(seen(1, 1, 9)), Action::Wait(PING_INTERVAL));
        let (mut pings, mut looks) = (Vec::new(), 0);
        while pings.len() < 5 {
            looks += 1;
            match k.step(due(seen(1, 1, 9))) {
                Action::Ping(PING_TIMEOUT) => {
                    pings.push(looks);
                    assert_eq!(k.step(pong(seen(1, 1, 9))), Action::Wait(PING_INTERVAL));
                }
                other => assert_eq!(other, Action::Wait(PING_INTERVAL)),
            }
        }
        // Every ten seconds, then after five minutes and one look more.
        assert_eq!(pings, [1, 2, 3, 3 + 31, 3 + 2 * 31]);
        // It says something: from here as at first.
        assert_eq!(k.step(due(seen(1, 1, 10))), Action::Ping(PING_TIMEOUT));
        assert_eq!(k.step(pong(seen(1, 1, 10))), Action::Wait(PING_INTERVAL));
        assert_eq!(k.step(due(seen(1, 1, 10))), Action::Ping(PING_TIMEOUT));
    }
}
