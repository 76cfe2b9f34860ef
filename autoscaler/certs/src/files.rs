//! A certificate that somebody else renews, cert-manager for example: two files, read again when they change.
//!
//! They are compared by content: a Secret that is mounted changes by a link, and its times say nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use crate::certificate::MAX_PEM_BYTES;
use crate::issue::Pair;
use crate::{CertError, Served};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// The two files.
#[derive(Clone, Debug)]
pub struct Files {
    /// Certificates in PEM, the leaf first.
    pub certificate: PathBuf,
    /// The leaf's key in PEM.
    pub key: PathBuf,
}

impl Files {
    /// Reads both, and shows them if they go together.
    ///
    /// # Errors
    /// A file cannot be read, or they do not go together; what was shown before stays.
    pub async fn load(&self, served: &Served) -> Result<(), CertError> {
        let pair =
            Pair { certificate_pem: text(&self.certificate).await?, key_pem: text(&self.key).await?.into() };
        served.set(&pair)
    }

    /// Looks at them for ever.
    pub async fn follow(self, served: Served) {
        let mut failing = false;
        loop {
            tokio::time::sleep(LOOK).await;
            let before = served.leaf_der();
            match self.load(&served).await {
                Ok(()) => {
                    failing = false;
                    if served.leaf_der() != before {
                        tracing::info!(file = %self.certificate.display(), "a new certificate is served");
                    }
                }
                // Half of a pair was seen, most likely; the other half comes.
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "the certificate cannot be read; the one before is served");
                }
                Err(_) => {}
            }
        }
    }
}

async fn text(path: &Path) -> Result<String, CertError> {
    let what = path.display().to_string();
    let fail = |e: std::io::Error| CertError::unreadable(&what, e.to_string());
    let mut text = String::new();
    let file = tokio::fs::File::open(path).await.map_err(fail)?;
    file.take(MAX_PEM_BYTES as u64 + 1).read_to_string(&mut text).await.map_err(fail)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issue;

    #[tokio::test]
    async fn files_are_taken_when_they_go_together_and_only_then() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files { certificate: dir.path().join("tls.crt"), key: dir.path().join("tls.key") };
        let served = Served::default();
        let missing = files.load(&served).await.unwrap_err().to_string();
        assert!(missing.contains("tls.crt: "), "{missing}");

        let authority = issue::authority("ca", 0, 1_000_000).unwrap();
        let make = || issue::serving(&authority, &["a".to_owned()], 0, 100_000).unwrap();
        let write = |pair: &Pair| {
            std::fs::write(&files.certificate, &pair.certificate_pem).unwrap();
            std::fs::write(&files.key, pair.key_pem.expose()).unwrap();
        };
        let (first, second) = (make(), make());
        write(&first);
        files.load(&served).await.unwrap();
        let shown = served.leaf_der();
        assert!(shown.is_some());
        std::fs::write(&files.certificate, &second.certificate_pem).unwrap();
        let half = files.load(&served).await.unwrap_err().to_string();
        assert!(half.contains("does not go with"), "{half}");
        assert_eq!(served.leaf_der(), shown, "what was shown stays");
        write(&second);
        files.load(&served).await.unwrap();
        assert_ne!(served.leaf_der(), shown);
    }
}
