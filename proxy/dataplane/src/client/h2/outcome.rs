//! Whether a request whose stream failed was processed.

use ::h2::Reason;

/// What is known of the failure of a stream without a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    pub(super) reason: Option<Reason>,
    /// The peer said so, not we.
    pub(super) remote: bool,
    pub(super) go_away: bool,
    pub(super) reset: bool,
    pub(super) io: bool,
    /// Bytes went out on the connection since the request was handed to it.
    pub(super) written_since: bool,
}

impl Failure {
    pub(super) fn of(error: &::h2::Error, written_since: bool) -> Self {
        Self {
            reason: error.reason(),
            remote: error.is_remote(),
            go_away: error.is_go_away(),
            reset: error.is_reset(),
            io: error.is_io(),
            written_since,
        }
    }

    /// Whether the request may be sent again whatever its method (RFC 9113 §8.7).
    pub(super) fn not_processed(self) -> bool {
        let refused = self.reset && self.remote && self.reason == Some(Reason::REFUSED_STREAM);
        // Only streams above the last one that the peer processed see its GOAWAY; the others go on.
        let above_the_last = self.go_away && self.remote;
        // What was not written was not read.
        let unwritten = self.io && !self.written_since;
        refused || above_the_last || unwritten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Failure =
        Failure { reason: None, remote: false, go_away: false, reset: false, io: false, written_since: true };

    fn reset(reason: Reason, remote: bool) -> Failure {
        Failure { reason: Some(reason), remote, reset: true, ..NONE }
    }

    fn go_away(reason: Reason, remote: bool) -> Failure {
        Failure { reason: Some(reason), remote, go_away: true, ..NONE }
    }

    #[test]
    fn table() {
        for (failure, expected) in [
            (reset(Reason::REFUSED_STREAM, true), true),
            // Our own word for a head that is too large.
            (reset(Reason::REFUSED_STREAM, false), false),
            (reset(Reason::CANCEL, true), false),
            (reset(Reason::INTERNAL_ERROR, true), false),
            (reset(Reason::NO_ERROR, true), false),
            (go_away(Reason::NO_ERROR, true), true),
            (go_away(Reason::ENHANCE_YOUR_CALM, true), true),
            (go_away(Reason::PROTOCOL_ERROR, false), false),
            (Failure { io: true, ..NONE }, false),
            (Failure { io: true, written_since: false, ..NONE }, true),
            (Failure { written_since: false, ..NONE }, false),
        ] {
            assert_eq!(failure.not_processed(), expected, "{failure:?}");
        }
    }
}
