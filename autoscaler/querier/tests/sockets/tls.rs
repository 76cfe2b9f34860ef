//! TLS: private authorities, client certificates, names, and nothing unchecked unless told.

use std::sync::Arc;

use autoscaler_core::FailureKind;
use autoscaler_querier::{ClientCertificate, Prometheus, Source};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::server::{Server, ask_source, source, value};

/// An authority of one test.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "a test's authority");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for a name, and its key.
    pub(crate) fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A server with a certificate for a name; `clients`: whose certificates it wants to see.
    pub(crate) fn server(&self, name: &str, clients: Option<&Authority>) -> ServerConfig {
        let (certificate, key) = self.issue(name);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
    }
}

fn trusting(server: &Server, authority: &Authority) -> Source {
    let mut s = source(&[&server.url]);
    s.tls.ca = Some(authority.pem.as_str().into());
    s
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_and_name_or_not_at_all() {
    let (ours, other) = (Authority::new(), Authority::new());
    let server = Server::start_tls(ours.server("localhost", None), |_| value(1.0)).await;
    let elsewhere = Server::start_tls(ours.server("query.example.com", None), |_| value(1.0)).await;
    let named = |name: &str, s: Source| {
        let mut s = s;
        s.tls.server_name = Some(name.into());
        s
    };
    let insecure = |mut s: Source| {
        s.tls.ca = None;
        s.tls.insecure_skip_verify = true;
        s
    };
    let bundle = {
        let mut s = trusting(&server, &ours);
        s.tls.ca = Some(format!("{}\n{}", other.pem, ours.pem).into());
        s
    };
    for (what, s, well) in [
        ("its authority", trusting(&server, &ours), true),
        ("one of several", bundle, true),
        ("another authority", trusting(&server, &other), false),
        ("this machine's", source(&[&server.url]), false),
        ("another name", trusting(&elsewhere, &ours), false),
        ("the name that it shall have", named("query.example.com", trusting(&elsewhere, &ours)), true),
        ("a name that it has not", named("other.example.com", trusting(&elsewhere, &ours)), false),
        ("a name, and another authority", named("query.example.com", trusting(&elsewhere, &other)), false),
        ("any", insecure(trusting(&elsewhere, &other)), true),
    ] {
        // A machine without authorities of its own says so before anybody is asked.
        let outcome = match Prometheus::new(&s) {
            Ok(_) => ask_source(&s).await,
            Err(e) => panic!("{what}: {e}"),
        };
        match outcome {
            Ok(_) => assert!(well, "{what}"),
            Err(e) => {
                assert!(!well, "{what}: {e}");
                assert_eq!(e.kind, FailureKind::Unreachable, "{what}");
                assert!(e.message.contains("certificate"), "{what}: {e}");
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_of_our_own_is_shown_where_it_is_asked_for() {
    let (servers, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let server = Server::start_tls(servers.server("localhost", Some(&clients)), |_| value(1.0)).await;
    let with = |authority: &Authority| {
        let (certificate, key) = authority.issue("gauntlet");
        let mut s = trusting(&server, &servers);
        s.tls.client = Some(ClientCertificate { certificate: certificate.into(), key: key.into() });
        s
    };
    assert!(ask_source(&with(&clients)).await.is_ok());
    assert_eq!(ask_source(&with(&strangers)).await.unwrap_err().kind, FailureKind::Unreachable);
    assert_eq!(ask_source(&trusting(&server, &servers)).await.unwrap_err().kind, FailureKind::Unreachable);
    assert_eq!(server.asked(), 1);
    // Half of one pair and half of another.
    let mut mixed = with(&clients);
    mixed.tls.client.as_mut().unwrap().key = clients.issue("gauntlet").1.into();
    let error = Prometheus::new(&mixed).unwrap_err();
    assert_eq!(error.field, "tls.key");
    assert!(error.message.contains("give both of one pair"), "{error}");
    mixed.tls.client.as_mut().unwrap().key = "no key".into();
    assert_eq!(Prometheus::new(&mixed).unwrap_err().field, "tls.key");
}
