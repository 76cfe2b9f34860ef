//! The certificate that handshakes show, replaced without a restart.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::issue::Pair;
use crate::{CertError, Certificate};

/// What is served, the leaf first; named as in Secrets of type `kubernetes.io/tls`.
pub const TLS_CERT: &str = "tls.crt";
/// Its key.
pub const TLS_KEY: &str = "tls.key";

/// What is shown from the next handshake on; nothing until the first [`Served::set`].
#[derive(Clone, Debug, Default)]
pub struct Served(Arc<ArcSwapOption<CertifiedKey>>);

impl Served {
    /// Shows this one. Connections that stand keep what they were shown.
    ///
    /// # Errors
    /// The certificate or key cannot be read, or do not go together.
    pub fn set(&self, pair: &Pair) -> Result<(), CertError> {
        self.0.store(Some(Arc::new(self::pair(pair)?)));
        Ok(())
    }

    /// Whether there is one to show.
    pub fn is_set(&self) -> bool {
        self.0.load().is_some()
    }

    /// What is shown now, the leaf alone, as DER.
    pub fn leaf_der(&self) -> Option<Vec<u8>> {
        Some(self.0.load().as_ref()?.cert.first()?.to_vec())
    }
}

impl ResolvesServerCert for Served {
    // An API server knows one name of ours; whichever it asks for, there is one answer.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

/// A certificate with its key, as rustls signs with it; whether they go together is checked.
pub(crate) fn pair(pair: &Pair) -> Result<CertifiedKey, CertError> {
    let chain = Certificate::read_all(TLS_CERT, pair.certificate_pem.as_bytes())?;
    let chain = chain.iter().map(|c| c.der().clone()).collect();
    let key = PrivateKeyDer::from_pem_slice(pair.key_pem.expose().as_bytes()).map_err(|_| {
        CertError::unreadable(TLS_KEY, "is no private key in PEM (PKCS #8, PKCS #1 or SEC 1)")
    })?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|e| {
        CertError::unreadable(
            TLS_KEY,
            format!("does not go with the certificate: {e}; give both of one pair"),
        )
    })
}
