//! What the Secret holds: who vouches, the newest authority's key, and the certificate that is served.

use std::collections::BTreeMap;

use thanos_model::Secret;

use crate::issue::{self, Pair};
use crate::rotation::{Lifetimes, State, Step, Validity};
use crate::served::{TLS_CERT, TLS_KEY};
use crate::{CertError, Certificate};

/// Authorities in PEM, the newest first.
pub const CA_CERT: &str = "ca.crt";
/// The newest authority's key.
pub const CA_KEY: &str = "ca.key";

/// Common name of authorities; keys tell them apart.
const AUTHORITY: &str = "gauntlet-autoscaler-ca";

/// Authorities and what is served, in PEM and as read.
#[derive(Clone, Debug)]
pub struct Bundle {
    ca_pem: Vec<String>,
    ca_key: Secret,
    serving: Pair,
    authorities: Vec<Certificate>,
    leaf: Certificate,
}

impl Bundle {
    /// Everything new: an authority and a certificate that it signed.
    ///
    /// # Errors
    /// See [`issue::authority`].
    pub fn begin(names: &[String], now_ms: i64, lifetimes: &Lifetimes) -> Result<Self, CertError> {
        let authority = issue::authority(AUTHORITY, now_ms, lifetimes.authority_ms)?;
        let serving = issue::serving(&authority, names, now_ms, lifetimes.serving_ms)?;
        Self::of(vec![authority.certificate_pem], authority.key_pem, serving)
    }

    /// Reads a Secret's data.
    ///
    /// # Errors
    /// A part is missing or is not what it should be.
    pub fn read(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, CertError> {
        let text = |key: &str| {
            let bytes = data.get(key).ok_or_else(|| CertError::unreadable(key, "is missing"))?;
            String::from_utf8(bytes.clone()).map_err(|_| CertError::unreadable(key, "is not text"))
        };
        let ca_pem = split(&text(CA_CERT)?);
        let serving = Pair { certificate_pem: text(TLS_CERT)?, key_pem: text(TLS_KEY)?.into() };
        Self::of(ca_pem, text(CA_KEY)?.into(), serving)
    }

    fn of(ca_pem: Vec<String>, ca_key: Secret, serving: Pair) -> Result<Self, CertError> {
        let authorities = Certificate::read_all(CA_CERT, ca_pem.concat().as_bytes())?;
        let leaf = Certificate::read_all(TLS_CERT, serving.certificate_pem.as_bytes())?.into_iter().next();
        let leaf = leaf.ok_or_else(|| CertError::unreadable(TLS_CERT, "is empty"))?;
        // Keys that go with other certificates are as good as none.
        crate::served::pair(&serving)?;
        if let Some(newest) = ca_pem.first() {
            crate::served::pair(&Pair { certificate_pem: newest.clone(), key_pem: ca_key.clone() })?;
        }
        Ok(Self { ca_pem, ca_key, serving, authorities, leaf })
    }

    /// As a Secret's data.
    pub fn data(&self) -> BTreeMap<String, Vec<u8>> {
        [
            (CA_CERT, self.ca_pem.concat()),
            (CA_KEY, self.ca_key.expose().to_owned()),
            (TLS_CERT, self.serving.certificate_pem.clone()),
            (TLS_KEY, self.serving.key_pem.expose().to_owned()),
        ]
        .into_iter()
        .map(|(key, text)| (key.to_owned(), text.into_bytes()))
        .collect()
    }

    /// The bundle after a step; as it is for [`Step::Keep`].
    ///
    /// # Errors
    /// See [`issue`].
    pub fn after(
        &self,
        step: Step,
        names: &[String],
        now_ms: i64,
        lifetimes: &Lifetimes,
    ) -> Result<Self, CertError> {
        match step {
            Step::Keep { .. } => Ok(self.clone()),
            Step::Begin => Self::begin(names, now_ms, lifetimes),
            Step::Authority => {
                let new = issue::authority(AUTHORITY, now_ms, lifetimes.authority_ms)?;
                let ca_pem = [vec![new.certificate_pem], self.ca_pem.clone()].concat();
                Self::of(ca_pem, new.key_pem, self.serving.clone())
            }
            Step::Serving => {
                let newest = self.ca_pem.first().cloned().unwrap_or_default();
                let authority = Pair { certificate_pem: newest, key_pem: self.ca_key.clone() };
                let serving = issue::serving(&authority, names, now_ms, lifetimes.serving_ms)?;
                Self::of(self.ca_pem.clone(), self.ca_key.clone(), serving)
            }
            Step::Drop { keep } => {
                let ca_pem = self.ca_pem.iter().take(keep.max(1)).cloned().collect();
                Self::of(ca_pem, self.ca_key.clone(), self.serving.clone())
            }
        }
    }

    /// Its times, for [`crate::rotation::due`].
    pub fn state(&self, names: &[String]) -> State {
        let validity =
            |c: &Certificate| Validity { not_before_ms: c.not_before_ms, not_after_ms: c.not_after_ms };
        State {
            authorities: self.authorities.iter().map(validity).collect(),
            serving: validity(&self.leaf),
            signed_by: self.authorities.iter().position(|a| self.leaf.is_signed_by(a)),
            covers: self.leaf.covers(names),
        }
    }

    /// Who vouches, the newest first.
    pub fn authorities(&self) -> &[Certificate] {
        &self.authorities
    }

    /// What is served.
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// What is served, with its key.
    pub fn serving(&self) -> &Pair {
        &self.serving
    }

    /// What a client is to trust: all authorities in PEM.
    pub fn ca_bundle(&self) -> String {
        self.ca_pem.concat()
    }
}

/// The certificates of a PEM text, each with its lines.
fn split(pem: &str) -> Vec<String> {
    const END: &str = "-----END CERTIFICATE-----";
    let mut parts: Vec<String> = pem.split_inclusive(END).map(|part| format!("{}\n", part.trim())).collect();
    // What follows the last one.
    parts.retain(|part| part.contains(END));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIMES: Lifetimes = Lifetimes { authority_ms: 3_000_000, serving_ms: 600_000 };
    const NOW_MS: i64 = 1_764_500_000_000;

    fn names() -> Vec<String> {
        vec!["webhook.gauntlet-system.svc".into()]
    }

    #[test]
    fn a_bundle_reads_as_it_was_written() {
        let bundle = Bundle::begin(&names(), NOW_MS, &LIFETIMES).unwrap();
        let bundle = bundle.after(Step::Authority, &names(), NOW_MS + 1_000, &LIFETIMES).unwrap();
        let again = Bundle::read(&bundle.data()).unwrap();
        assert_eq!(again.data(), bundle.data());
        assert_eq!(again.authorities().len(), 2);
        assert!(again.authorities()[0].not_after_ms > again.authorities()[1].not_after_ms, "newest first");
        assert!(again.leaf().is_signed_by(&again.authorities()[1]), "the leaf is still the old one's");
    }

    #[test]
    fn what_does_not_go_together_is_refused_and_no_key_is_shown() {
        let good = Bundle::begin(&names(), NOW_MS, &LIFETIMES).unwrap().data();
        let other = Bundle::begin(&names(), NOW_MS, &LIFETIMES).unwrap().data();
        for key in [CA_KEY, TLS_KEY] {
            let mut mixed = good.clone();
            mixed.insert(key.into(), other[key].clone());
            assert!(Bundle::read(&mixed).is_err(), "{key} of another");
        }
        for key in [CA_CERT, CA_KEY, TLS_CERT, TLS_KEY] {
            let mut less = good.clone();
            less.remove(key);
            assert_eq!(Bundle::read(&less).unwrap_err().to_string(), format!("{key}: is missing"));
            let mut broken = good.clone();
            broken.insert(key.into(), b"\xff".to_vec());
            assert!(Bundle::read(&broken).is_err());
        }
        let shown = format!("{:?}", Bundle::read(&good).unwrap());
        assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    }
}
