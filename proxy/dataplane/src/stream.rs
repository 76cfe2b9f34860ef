//! Why a stream broke, of a request or of a response, and what Linkerd calls that.

use std::time::Duration;

use proxy_core::classify::StreamError;

use crate::upload::UploadError;

/// Why a stream broke.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error(transparent)]
    Stream(#[from] hyper::Error),
    /// Its source says to hyper which reason to reset the other side's stream with.
    #[error("{0}")]
    H2(#[from] h2::Error),
    #[error("no data for {0:?}")]
    Idle(Duration),
    #[error("the peer took no data for {0:?}")]
    Stalled(Duration),
    #[error("the peer does not answer")]
    Dead,
    #[error("the head or the trailers are too large")]
    TooLarge,
    #[error("the client left")]
    Left,
}

impl From<UploadError> for BodyError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Client(error) => Self::Stream(error),
            UploadError::Abandoned => Self::Left,
        }
    }
}

/// In Linkerd's words.
pub(crate) fn stream_error(error: &BodyError) -> StreamError {
    let timeout = match error {
        BodyError::Idle(_) | BodyError::Stalled(_) | BodyError::Dead => true,
        BodyError::Stream(error) => error.is_timeout(),
        BodyError::H2(_) | BodyError::TooLarge | BodyError::Left => false,
    };
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(e) = source {
        if let Some(h2) = e.downcast_ref::<h2::Error>() {
            return h2.reason().map_or(StreamError::Unclassified, |r| StreamError::h2(r.into()));
        }
        if e.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::TimedOut) {
            return StreamError::Timeout;
        }
        source = e.source();
    }
    if timeout { StreamError::Timeout } else { StreamError::Unclassified }
}
