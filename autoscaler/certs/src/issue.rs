//! Makes authorities and the certificates that they sign: ECDSA over P-256, as every API server takes it.
//!
//! The one place that draws randomness: keys and serial numbers. Time is an argument.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use thanos_model::Secret;
use time::OffsetDateTime;

use crate::CertError;

/// Certificates begin this long before they are made, in milliseconds: others' clocks may be behind.
pub const BACKDATED_MS: i64 = 60_000;

/// A certificate and its key, both in PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate_pem: String,
    /// Its key.
    pub key_pem: Secret,
}

/// A new authority that signs itself, for `lifetime_ms` from `now_ms` on.
///
/// # Errors
/// There is no randomness, or the time is beyond what a certificate can say.
pub fn authority(name: &str, now_ms: i64, lifetime_ms: i64) -> Result<Pair, CertError> {
    let mut params = params(name, now_ms, lifetime_ms)?;
    // It signs servers, no further authorities.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().map_err(making)?;
    let certificate = params.self_signed(&key).map_err(making)?;
    Ok(Pair { certificate_pem: certificate.pem(), key_pem: key.serialize_pem().into() })
}

/// A certificate for a server with these DNS names and IP addresses, signed by `authority`.
///
/// # Errors
/// The authority cannot be read, a name is none, or see [`authority`].
pub fn serving(authority: &Pair, names: &[String], now_ms: i64, lifetime_ms: i64) -> Result<Pair, CertError> {
    // A common name has at most 64 characters; nobody looks at it.
    let mut params = params("gauntlet-autoscaler", now_ms, lifetime_ms)?;
    params.subject_alt_names = CertificateParams::new(names.to_vec()).map_err(making)?.subject_alt_names;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    sign(authority, params)
}

/// A certificate for a client that is known by its common name, as the front proxies of API servers are.
///
/// # Errors
/// See [`serving`].
pub fn client(authority: &Pair, name: &str, now_ms: i64, lifetime_ms: i64) -> Result<Pair, CertError> {
    let mut params = params(name, now_ms, lifetime_ms)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    sign(authority, params)
}

fn sign(authority: &Pair, mut params: CertificateParams) -> Result<Pair, CertError> {
    let signing = KeyPair::from_pem(authority.key_pem.expose()).map_err(making)?;
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate_pem, signing).map_err(making)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(making)?;
    let certificate = params.signed_by(&key, &issuer).map_err(making)?;
    Ok(Pair { certificate_pem: certificate.pem(), key_pem: key.serialize_pem().into() })
}

fn params(name: &str, now_ms: i64, lifetime_ms: i64) -> Result<CertificateParams, CertError> {
    let at = |ms: i64| {
        OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).map_err(|e| CertError::Making(e.to_string()))
    };
    let mut params = CertificateParams::default();
    params.not_before = at(now_ms.saturating_sub(BACKDATED_MS))?;
    params.not_after = at(now_ms.saturating_add(lifetime_ms))?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

fn making(e: rcgen::Error) -> CertError {
    CertError::Making(e.to_string())
}
