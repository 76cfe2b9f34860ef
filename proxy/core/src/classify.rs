//! Whether a response was a success, as Linkerd decides it: HTTP by 5xx, gRPC by `grpc-status`.
//!
//! Where Linkerd calls a gRPC response without any status a success (its `Eos::Grpc(Open)`), we follow the gRPC
//! specification: no status is `UNKNOWN`, a failure; and a stream that the client left is `CANCELLED`.

/// Success or failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Counts for the success rate.
    Success,
    /// Counts against it.
    Failure,
}

/// How a stream broke, in Linkerd's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StreamError {
    /// `timeout`: a deadline passed.
    Timeout,
    /// `h2(REASON)`: the peer reset the stream; RFC 9113 §7 codes.
    H2(u8),
    /// `unclassified`: anything else.
    Unclassified,
}

/// A finished response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// By HTTP status.
    Http(Outcome),
    /// By gRPC status, 0 to 16.
    Grpc(Outcome, u8),
    /// The stream broke.
    Error(StreamError),
}

/// What is known once the response's headers are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eos {
    /// Trailers may still bring a gRPC status.
    Http {
        /// HTTP status.
        status: u16,
    },
    /// A gRPC stream whose trailers will bring the status.
    GrpcOpen,
    /// The headers brought it.
    Known(Class),
}

/// gRPC codes that Linkerd counts as failures: UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS.
const GRPC_FAILURES: [u8; 5] = [2, 4, 13, 14, 15];
const GRPC_CANCELLED: u8 = 1;
const GRPC_UNKNOWN: u8 = 2;
const GRPC_LAST: u8 = 16;

impl Eos {
    /// From the response's head: its status, whether the request was gRPC, and the `grpc-status` header if any.
    pub fn start(status: u16, grpc: bool, grpc_status: Option<&[u8]>) -> Self {
        match grpc_status {
            Some(s) => Self::Known(grpc_class(s)),
            None if grpc => Self::GrpcOpen,
            None => Self::Http { status },
        }
    }

    /// The stream ended; `grpc_status` from the trailers if any.
    pub fn end(self, grpc_status: Option<&[u8]>) -> Class {
        match self {
            Self::Known(class) => class,
            Self::Http { status: 500..=599 } => Class::Http(Outcome::Failure),
            Self::Http { .. } => grpc_status.map_or(Class::Http(Outcome::Success), grpc_class),
            Self::GrpcOpen => grpc_status.map_or(Class::Grpc(Outcome::Failure, GRPC_UNKNOWN), grpc_class),
        }
    }

    /// The client left before the end.
    pub fn canceled(self) -> Class {
        match self {
            Self::GrpcOpen => Class::Grpc(Outcome::Success, GRPC_CANCELLED),
            other => other.end(None),
        }
    }
}

impl Class {
    /// Success or failure.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Http(o) | Self::Grpc(o, _) => o,
            Self::Error(_) => Outcome::Failure,
        }
    }
}

impl StreamError {
    /// From an HTTP/2 error code.
    pub fn h2(code: u32) -> Self {
        u8::try_from(code)
            .ok()
            .filter(|c| usize::from(*c) < H2_CODES.len())
            .map_or(Self::Unclassified, Self::H2)
    }
}

impl std::fmt::Display for StreamError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Timeout => f.write_str("timeout"),
            Self::H2(code) => match H2_CODES.get(usize::from(*code)) {
                Some(name) => write!(f, "h2({name})"),
                None => f.write_str("unclassified"),
            },
            Self::Unclassified => f.write_str("unclassified"),
        }
    }
}

/// RFC 9113 §7, by code.
const H2_CODES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// A status outside 0 to 16, or no number, is UNKNOWN (gRPC's own rule), which also bounds the label's values.
fn grpc_class(status: &[u8]) -> Class {
    let code = std::str::from_utf8(status)
        .ok()
        .and_then(|s| s.trim().parse::<u8>().ok())
        .filter(|c| *c <= GRPC_LAST)
        .unwrap_or(GRPC_UNKNOWN);
    let outcome = if GRPC_FAILURES.contains(&code) { Outcome::Failure } else { Outcome::Success };
    Class::Grpc(outcome, code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Failure, Success};

    #[test]
    fn classes() {
        /// Status, gRPC request, header, trailer, class.
        type Case = (u16, bool, Option<&'static str>, Option<&'static str>, Class);
        let table: [Case; 16] = [
            (200, false, None, None, Class::Http(Success)),
            (404, false, None, None, Class::Http(Success)),
            (499, false, None, None, Class::Http(Success)),
            (500, false, None, None, Class::Http(Failure)),
            (599, false, None, None, Class::Http(Failure)),
            (600, false, None, None, Class::Http(Success)),
            (503, false, None, Some("0"), Class::Http(Failure)),
            (200, false, None, Some("13"), Class::Grpc(Failure, 13)),
            (200, true, None, Some("0"), Class::Grpc(Success, 0)),
            (200, true, None, Some("4"), Class::Grpc(Failure, 4)),
            (200, true, None, Some("5"), Class::Grpc(Success, 5)),
            (200, true, Some("14"), None, Class::Grpc(Failure, 14)),
            (200, true, Some("0"), Some("14"), Class::Grpc(Success, 0)),
            (200, true, None, None, Class::Grpc(Failure, 2)),
            (200, true, None, Some("99"), Class::Grpc(Failure, 2)),
            (200, true, None, Some("rubbish"), Class::Grpc(Failure, 2)),
        ];
        for (status, grpc, header, trailer, expected) in table {
            let eos = Eos::start(status, grpc, header.map(str::as_bytes));
            assert_eq!(
                eos.end(trailer.map(str::as_bytes)),
                expected,
                "{status} {grpc} {header:?} {trailer:?}"
            );
        }
        assert_eq!(Eos::GrpcOpen.canceled(), Class::Grpc(Success, 1));
        assert_eq!(Eos::Http { status: 200 }.canceled(), Class::Http(Success));
    }

    #[test]
    fn stream_errors_are_linkerds_words() {
        assert_eq!(StreamError::h2(8).to_string(), "h2(CANCEL)");
        assert_eq!(StreamError::h2(0x77).to_string(), "unclassified");
        assert_eq!(StreamError::Timeout.to_string(), "timeout");
    }
}
