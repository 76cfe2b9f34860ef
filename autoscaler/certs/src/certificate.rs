//! What is known of one certificate, read from its PEM (RFC 7468) or DER (RFC 5280).

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::CertError;

/// More certificates than this in one text are refused.
const MAX_CERTIFICATES: usize = 64;
/// Texts larger than this are refused unread, in bytes.
pub(crate) const MAX_PEM_BYTES: usize = 1 << 20;

/// A certificate, and of what it says that what matters here. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    /// From when on it holds.
    pub not_before_ms: i64,
    /// Until when it holds.
    pub not_after_ms: i64,
    /// Its subject's common name; "" if it has none.
    pub common_name: String,
    /// DNS names and IP addresses that it is for.
    pub names: Vec<String>,
}

impl Certificate {
    /// Reads one.
    ///
    /// # Errors
    /// It is no X.509 certificate; `what` says which.
    pub fn from_der(what: &str, der: CertificateDer<'static>) -> Result<Self, CertError> {
        let bad = |e: &dyn std::fmt::Display| CertError::unreadable(what, format!("is no certificate: {e}"));
        let (not_before_ms, not_after_ms, common_name, names) = {
            let (_, x509) = X509Certificate::from_der(&der).map_err(|e| bad(&e))?;
            let validity = x509.validity();
            let ms = |seconds: i64| seconds.saturating_mul(1000);
            let common_name = x509.subject().iter_common_name().next().and_then(|cn| cn.as_str().ok());
            let names = x509.subject_alternative_name().map_err(|e| bad(&e))?;
            let names = names.iter().flat_map(|e| &e.value.general_names).filter_map(name).collect();
            (
                ms(validity.not_before.timestamp()),
                ms(validity.not_after.timestamp()),
                common_name.unwrap_or_default().to_owned(),
                names,
            )
        };
        Ok(Self { der, not_before_ms, not_after_ms, common_name, names })
    }

    /// Reads all of a PEM text, in its order; at least one.
    ///
    /// # Errors
    /// It has none, too many, or one that is no certificate; `what` says which text.
    pub fn read_all(what: &str, pem: &[u8]) -> Result<Vec<Self>, CertError> {
        let bad = |message: String| CertError::unreadable(what, message);
        if pem.len() > MAX_PEM_BYTES {
            return Err(bad(format!("has {} bytes; the limit is {MAX_PEM_BYTES}", pem.len())));
        }
        let mut found = Vec::new();
        for der in CertificateDer::pem_slice_iter(pem) {
            if found.len() == MAX_CERTIFICATES {
                return Err(bad(format!("has more than {MAX_CERTIFICATES} certificates")));
            }
            found.push(Self::from_der(what, der.map_err(|e| bad(format!("is no PEM: {e}")))?)?);
        }
        if found.is_empty() {
            return Err(bad("has no certificate; write one in PEM, from BEGIN CERTIFICATE on".into()));
        }
        Ok(found)
    }

    /// As it is sent.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Whether `authority` signed it, by name and signature.
    pub fn is_signed_by(&self, authority: &Self) -> bool {
        let Ok((_, own)) = X509Certificate::from_der(&self.der) else { return false };
        let Ok((_, other)) = X509Certificate::from_der(&authority.der) else { return false };
        own.issuer().as_raw() == other.subject().as_raw()
            && own.verify_signature(Some(other.public_key())).is_ok()
    }

    /// Whether it is for all of these names.
    pub fn covers(&self, names: &[String]) -> bool {
        names.iter().all(|name| self.names.contains(name))
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(text) => Some((*text).to_owned()),
        GeneralName::IPAddress(bytes) => match **bytes {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(a, b, c, d).to_string()),
            _ => {
                let sixteen: [u8; 16] = (*bytes).try_into().ok()?;
                Some(std::net::Ipv6Addr::from(sixteen).to_string())
            }
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issue;

    const DAY_MS: i64 = 86_400_000;

    #[test]
    fn a_certificate_says_its_times_its_names_and_who_signed_it() {
        let now_ms = 1_764_500_000_000;
        let authority = issue::authority("test", now_ms, 30 * DAY_MS).unwrap();
        let names = ["web.default.svc".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        let pair = issue::serving(&authority, &names, now_ms, DAY_MS).unwrap();
        let read = Certificate::read_all("tls.crt", pair.certificate_pem.as_bytes()).unwrap().remove(0);
        assert_eq!(read.not_before_ms, now_ms - issue::BACKDATED_MS);
        assert_eq!(read.not_after_ms, now_ms + DAY_MS);
        assert_eq!(read.names, names);
        assert!(read.covers(&names) && !read.covers(&["other".to_owned()]));
        let ca = Certificate::read_all("ca.crt", authority.certificate_pem.as_bytes()).unwrap().remove(0);
        assert!(read.is_signed_by(&ca));
        // The same name and another key is another authority.
        let other = issue::authority("test", now_ms, 30 * DAY_MS).unwrap();
        let other = Certificate::read_all("ca.crt", other.certificate_pem.as_bytes()).unwrap().remove(0);
        assert_eq!(other.common_name, ca.common_name);
        assert!(!read.is_signed_by(&other));
    }

    #[test]
    fn what_is_no_certificate_is_refused_with_its_name() {
        for (text, expected) in [
            ("", "ca.crt: has no certificate; write one"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "ca.crt: is no certificate"),
            ("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n", "ca.crt: is no PEM"),
        ] {
            let error = Certificate::read_all("ca.crt", text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
        let large = vec![b' '; MAX_PEM_BYTES + 1];
        assert!(Certificate::read_all("x", &large).unwrap_err().to_string().contains("the limit is"));
    }
}
