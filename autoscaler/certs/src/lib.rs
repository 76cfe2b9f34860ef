//! Certificates of servers that a Kubernetes API server calls, made and renewed by themselves.
//!
//! ```text
//!                        ┌──────────────── Secret ────────────────┐
//!  now ─► rotation::due ─┤ ca.crt: newest, older…  ca.key          │◄─► other replicas, by resourceVersion
//!         (pure)         │ tls.crt  tls.key                        │
//!                        └──────┬──────────────────────┬──────────┘
//!             issue (new keys)  │ ca.crt               │ tls.crt, tls.key
//!                               ▼                      ▼
//!          caBundle of ValidatingWebhookConfiguration  Served ─► rustls, from the next handshake on
//!          and APIService
//!
//!  or: files (cert-manager's, yours) ─► Served, read again when they change
//! ```
//!
//! Invariants:
//! - whatever is served is vouched for by what was published before it, so that no call fails while anything is
//!   renewed: a new authority is published before it signs, and an old one stays until the last certificate that it
//!   may have signed has expired;
//! - a key of an authority lives in the Secret alone, is replaced when its authority is, and is never printed;
//! - every write names the version that it was decided on; who loses a race reads again;
//! - time is an argument of whatever decides ([`rotation`]) and of whatever is made ([`issue`]).
//!
//! Modules in reading order: [`certificate`], [`issue`], [`bundle`], [`rotation`], [`served`], [`files`], `call`, [`secret`],
//! [`publish`], [`keeper`].

mod call;

pub mod bundle;
pub mod certificate;
pub mod files;
pub mod issue;
pub mod keeper;
pub mod publish;
pub mod rotation;
pub mod secret;
pub mod served;

pub use bundle::Bundle;
pub use certificate::Certificate;
pub use files::Files;
pub use keeper::Keeper;
pub use publish::{Publisher, Reader};
pub use rotation::{Lifetimes, Step};
pub use secret::SecretStore;
pub use served::Served;

/// Why a certificate cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// What was given as a certificate or key is none.
    #[error("{what}: {message}")]
    Unreadable {
        /// Which field or file.
        what: String,
        /// What is wrong, and the cure.
        message: String,
    },
    /// A certificate could not be made.
    #[error("a certificate cannot be made: {0}")]
    Making(String),
    /// The API server refused, or could not be reached.
    #[error("{what}: {message}")]
    Api {
        /// Which object.
        what: String,
        /// What the API server says.
        message: String,
    },
    /// It did not answer.
    #[error("{what}: the API server did not answer within {within:?}")]
    Timeout {
        /// Which object.
        what: String,
        /// The deadline.
        within: std::time::Duration,
    },
}

impl CertError {
    pub(crate) fn unreadable(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Unreadable { what: what.into(), message: message.into() }
    }
}
