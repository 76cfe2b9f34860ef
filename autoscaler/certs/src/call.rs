//! One call to an API server: its deadline, and what came of it.

use std::time::Duration;

use crate::CertError;

/// Who we are in managedFields.
pub(crate) const MANAGER: &str = "gauntlet-autoscaler-certs";

/// Why a call gave nothing.
#[derive(Debug)]
pub(crate) enum Refused {
    Api(kube::Error),
    Timeout(Duration),
}

impl Refused {
    /// Somebody else wrote in between, or was first to create.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if status.code == 409)
    }

    pub(crate) fn about(self, what: &dyn std::fmt::Display) -> CertError {
        let what = what.to_string();
        match self {
            Self::Timeout(within) => CertError::Timeout { what, within },
            // The server's own sentence where there is one; the crate's rendering repeats the whole status.
            Self::Api(kube::Error::Api(status)) if !status.message.is_empty() => {
                CertError::Api { what, message: status.message.clone() }
            }
            Self::Api(e) => CertError::Api { what, message: e.to_string() },
        }
    }
}

/// A call with a deadline.
pub(crate) async fn call<T>(
    within: Duration,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, Refused> {
    match tokio::time::timeout(within, call).await {
        Ok(done) => done.map_err(Refused::Api),
        Err(_) => Err(Refused::Timeout(within)),
    }
}
