//! Which connection takes the next stream, or whether there should be another connection.

/// Streams that we open on one connection at most: its windows, and what its end breaks, stay bounded.
pub(super) const STREAMS_MAX: usize = 100;
/// Connections to one address.
pub(super) const CONNECTIONS_MAX: usize = 64;

/// How full a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) streams: usize,
    /// Streams that the peer takes, and we give it, at the same time.
    pub(super) room: usize,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Send it on this one.
    Use(usize),
    Connect,
    /// Until a stream ends, or a connection that is under way is there.
    Wait,
}

/// The first with room, not the emptiest: those behind it can then become idle and close.
pub(super) fn choose(loads: impl Iterator<Item = Load>, may_connect: bool) -> Choice {
    let (mut count, mut hopeless) = (0, false);
    for (i, load) in loads.enumerate() {
        if load.streams < load.room {
            return Choice::Use(i);
        }
        count += 1;
        // A peer that takes no stream on an unused connection takes none on another one.
        hopeless |= load.streams == 0;
    }
    if may_connect && !hopeless && count < CONNECTIONS_MAX { Choice::Connect } else { Choice::Wait }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let full = [(10, 10); CONNECTIONS_MAX];
        // Streams and room of each connection.
        type Loads<'a> = &'a [(usize, usize)];
        let cases: &[(Loads<'_>, bool, Choice)] = &[
            (&[], true, Choice::Connect),
            (&[], false, Choice::Wait),
            (&[(0, 10)], true, Choice::Use(0)),
            (&[(9, 10), (0, 10)], true, Choice::Use(0)),
            (&[(10, 10), (3, 10)], true, Choice::Use(1)),
            (&[(10, 10)], true, Choice::Connect),
            // Another one is under way, or just failed.
            (&[(10, 10)], false, Choice::Wait),
            // The peer lowered its limit below what is open.
            (&[(10, 2)], true, Choice::Connect),
            (&[(0, 0)], true, Choice::Wait),
            (full.get(1..).unwrap(), true, Choice::Connect),
            (&full, true, Choice::Wait),
        ];
        for (loads, may_connect, expected) in cases {
            let iter = loads.iter().map(|(streams, room)| Load { streams: *streams, room: *room });
            assert_eq!(choose(iter, *may_connect), *expected, "{loads:?} {may_connect}");
        }
    }
}
