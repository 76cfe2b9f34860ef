//! TLS by a source's words: whom it trusts, what it shows of itself, which name it expects.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use thanos_model::Secret;
use thanos_telemetry::any_certificate;

use crate::source::{SourceError, Tls};

/// A client's side. `encrypted`: whether any address asks for TLS; where none does, nothing is trusted and the
/// machine's authorities need not be there.
pub(crate) fn config(tls: &Tls, encrypted: bool) -> Result<ClientConfig, SourceError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = verifier(tls, encrypted, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| SourceError::new("tls", e.to_string()))?;
    let builder = match verifier {
        Some(verifier) => builder.dangerous().with_custom_certificate_verifier(verifier),
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    let mut config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let chain = certificates("tls.certificate", &client.certificate)?;
            let key = PrivateKeyDer::from_pem_slice(client.key.expose().as_bytes()).map_err(|_| {
                SourceError::new("tls.key", "is no private key in PEM (PKCS #8, PKCS #1 or SEC 1)")
            })?;
            builder.with_client_auth_cert(chain, key).map_err(|e| {
                SourceError::new(
                    "tls.key",
                    format!("does not go with tls.certificate: {e}; give both of one pair"),
                )
            })?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// What checks certificates; `None` where nobody is asked over TLS.
fn verifier(
    tls: &Tls,
    encrypted: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ServerCertVerifier>>, SourceError> {
    let name = match tls.server_name.as_deref().map(|name| ServerName::try_from(name.to_owned())) {
        None => None,
        Some(Ok(name)) => Some(name),
        Some(Err(_)) => {
            let message = format!("{:?} is no host name", tls.server_name.as_deref().unwrap_or_default());
            return Err(SourceError::new("tls.serverName", message));
        }
    };
    if tls.insecure_skip_verify {
        if tls.ca.is_some() || name.is_some() {
            let message = "checks nothing, so ca and serverName have no effect; remove it, or them";
            return Err(SourceError::new("tls.insecureSkipVerify", message));
        }
        return Ok(Some(any_certificate::verifier(provider.clone())));
    }
    let mut roots = RootCertStore::empty();
    match &tls.ca {
        Some(pem) => {
            for certificate in certificates("tls.ca", pem)? {
                roots.add(certificate).map_err(|e| SourceError::new("tls.ca", e.to_string()))?;
            }
        }
        None if encrypted => {
            let found = rustls_native_certs::load_native_certs();
            let (good, _) = roots.add_parsable_certificates(found.certs);
            if good == 0 {
                let message = "is not given, and this machine trusts no authority; give the server's";
                return Err(SourceError::new("tls.ca", message));
            }
        }
        None => return Ok(None),
    }
    let checked = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|e| SourceError::new("tls.ca", e.to_string()))?;
    Ok(Some(match name {
        Some(name) => Arc::new(Named { name, checked }),
        None => checked,
    }))
}

fn certificates(field: &str, pem: &Secret) -> Result<Vec<CertificateDer<'static>>, SourceError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose().as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(SourceError::new(field, "has no certificate in PEM (-----BEGIN CERTIFICATE-----)")),
        Err(e) => Err(SourceError::new(field, format!("is no PEM: {e}"))),
    }
}

/// Expects one name, whatever host was asked.
#[derive(Debug)]
struct Named {
    name: ServerName<'static>,
    checked: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.checked.verify_server_cert(leaf, intermediates, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.checked.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.checked.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.checked.supported_verify_schemes()
    }
}
