//! What can become of a write, and the one table that says how each protocol tells it.

use http::StatusCode;
use tonic::Code;

/// What went wrong, by what the sender should do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The request is wrong; sending it again is no use.
    Invalid,
    /// The samples contradict what is stored; sending them again is no use.
    Conflict,
    /// Larger than allowed; sending it again is no use.
    TooLarge,
    /// Sent in a form that is not taken.
    Unsupported,
    /// The client was too slow to send.
    TooSlow,
    /// Too much at once; send again later.
    Overloaded,
    /// Not enough replicas stored it, or this one is not ready; send again.
    Unavailable,
    /// Ours to fix; send again.
    Internal,
}

/// Kind, HTTP status, gRPC code. Senders of remote write give up on 4xx except 429, and repeat 5xx.
const TABLE: [(Kind, StatusCode, Code); 8] = [
    (Kind::Invalid, StatusCode::BAD_REQUEST, Code::InvalidArgument),
    (Kind::Conflict, StatusCode::CONFLICT, Code::AlreadyExists),
    (Kind::TooLarge, StatusCode::PAYLOAD_TOO_LARGE, Code::OutOfRange),
    (Kind::Unsupported, StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::Unimplemented),
    (Kind::TooSlow, StatusCode::REQUEST_TIMEOUT, Code::Cancelled),
    (Kind::Overloaded, StatusCode::TOO_MANY_REQUESTS, Code::ResourceExhausted),
    (Kind::Unavailable, StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
    (Kind::Internal, StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
];

/// A write that did not succeed, in whole or in part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WriteError {
    /// What the sender should do.
    pub kind: Kind,
    /// One sentence.
    pub message: String,
}

impl Kind {
    /// Whether sending the same again cannot help.
    pub fn is_final(self) -> bool {
        self <= Self::Unsupported
    }

    /// With a message.
    pub fn error(self, message: impl Into<String>) -> WriteError {
        WriteError { kind: self, message: message.into() }
    }

    /// Whether the peer that answers so should be left alone for a while.
    pub fn is_peer_down(self) -> bool {
        self == Self::Unavailable
    }
}

impl WriteError {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        TABLE.iter().find(|r| r.0 == self.kind).map_or(StatusCode::INTERNAL_SERVER_ERROR, |r| r.1)
    }

    /// The gRPC status.
    pub fn to_grpc(&self) -> tonic::Status {
        let code = TABLE.iter().find(|r| r.0 == self.kind).map_or(Code::Internal, |r| r.2);
        tonic::Status::new(code, self.message.clone())
    }

    /// What a peer answered. A deadline that passed or a connection that broke is a peer that is unavailable.
    pub fn from_grpc(peer: &str, status: &tonic::Status) -> Self {
        let kind = match status.code() {
            Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Aborted => Kind::Unavailable,
            code => TABLE.iter().find(|r| r.2 == code).map_or(Kind::Internal, |r| r.0),
        };
        kind.error(format!("{peer}: {}", status.message()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_a_hop_except_slowness() {
        for (kind, ..) in TABLE {
            let there = kind.error("m");
            let back = WriteError::from_grpc("p", &there.to_grpc());
            let want = if kind == Kind::TooSlow { Kind::Unavailable } else { kind };
            assert_eq!(back.kind, want);
            assert_eq!(kind.is_final(), there.status().is_client_error() && kind < Kind::TooSlow);
        }
    }
}
