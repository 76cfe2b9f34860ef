//! How `https` targets are trusted.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// What makes a server's certificate good.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Certificates of those that this machine trusts.
    ///
    /// # Errors
    /// It trusts none.
    pub fn of_this_machine() -> Result<Self, String> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (good, _) = roots.add_parsable_certificates(found.certs);
        if good == 0 {
            let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            return Err(format!("this machine trusts no certificate authority {}", why.join("; "))
                .trim_end()
                .into());
        }
        Self::with_roots(roots)
    }

    /// Certificates of those in a PEM file, and no others.
    ///
    /// # Errors
    /// The file cannot be read, or holds none.
    pub fn of_file(pem: &Path) -> Result<Self, String> {
        let bad = |e: &dyn fmt::Display| format!("{}: {e}", pem.display());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(pem).map_err(|e| bad(&e))? {
            roots.add(certificate.map_err(|e| bad(&e))?).map_err(|e| bad(&e))?;
        }
        if roots.is_empty() {
            return Err(bad(&"it holds no certificate in PEM"));
        }
        Self::with_roots(roots)
    }

    /// Any certificate.
    ///
    /// # Errors
    /// TLS itself cannot be had.
    pub fn insecure() -> Result<Self, String> {
        let config = thanos_telemetry::any_certificate::config().map_err(|e| e.to_string())?;
        Ok(Self(Arc::new(config)))
    }

    fn with_roots(roots: RootCertStore) -> Result<Self, String> {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// Offering one protocol: what is measured is what was asked for.
    pub(crate) fn offering(&self, http2: bool) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.0);
        config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        Arc::new(config)
    }
}
