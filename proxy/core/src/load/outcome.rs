//! How requests end, as far as an endpoint's load is concerned.

use crate::classify::{Class, Eos, Outcome};

/// gRPC's RESOURCE_EXHAUSTED.
const GRPC_EXHAUSTED: u8 = 8;

/// How a request that was answered went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should, or by the client's fault.
    Good,
    /// The endpoint lives but wants less: 429, RESOURCE_EXHAUSTED. It costs like a failure and alone opens no breaker: a
    /// limit is no fault, and who is out takes no traffic off the others.
    Declined,
    /// 5xx, a gRPC failure, a stream that broke. 503 is one: it mostly says that an app cannot, now or ever.
    Failed,
}

/// How a request ended that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The connection broke.
    Broken,
    /// There was none.
    Unreachable,
    /// It came back unprocessed from an endpoint that lives.
    Declined,
    /// The deadline passed.
    TimedOut,
    /// The client left, or what became of it is not the endpoint's doing.
    Canceled,
}

impl Verdict {
    /// By the head of a response; `None` if only its trailers will tell.
    pub fn of_head(eos: Eos) -> Option<Self> {
        match eos {
            Eos::Http { status: 429 } => Some(Self::Declined),
            Eos::Http { status: 500..=599 } => Some(Self::Failed),
            Eos::Http { .. } => Some(Self::Good),
            Eos::Known(class) => Some(Self::of(class)),
            Eos::GrpcOpen => None,
        }
    }

    /// By a response that is over.
    pub fn of(class: Class) -> Self {
        match class {
            Class::Grpc(_, GRPC_EXHAUSTED) => Self::Declined,
            _ if class.outcome() == Outcome::Failure => Self::Failed,
            _ => Self::Good,
        }
    }
}
