//! What a proxy asks for: `service.namespace[.svc[.domain]][:port]`.

use std::fmt;

/// A service's port. The name of one discovery stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Authority {
    /// Service name.
    pub service: String,
    /// Its namespace.
    pub namespace: String,
    /// The service's port, not the pod's.
    pub port: u16,
}

/// Not the name of a service in this cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// Some other form.
    #[error("{0:?} is not service.namespace[.svc[.domain]][:port]")]
    Form(String),
    /// Another cluster's name, or a host outside.
    #[error("{name:?} is not in this cluster's domains ({domains})")]
    Domain {
        /// What was asked for.
        name: String,
        /// What could be.
        domains: String,
    },
}

impl Authority {
    /// Reads an authority; without a port it is 80.
    ///
    /// # Errors
    /// It does not name a service of this cluster.
    pub fn parse(text: &str, domains: &[String]) -> Result<Self, AuthorityError> {
        let form = || AuthorityError::Form(text.chars().take(300).collect());
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|p| *p != 0).ok_or_else(form)?),
            None => (text, 80),
        };
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let mut parts = host.splitn(4, '.');
        let (service, namespace) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if !is_label(service) || !is_label(namespace) {
            return Err(form());
        }
        match (parts.next(), parts.next()) {
            (None | Some("svc"), None) => {}
            (Some("svc"), Some(domain)) if domains.iter().any(|d| d == domain) => {}
            (Some("svc"), Some(_)) => {
                return Err(AuthorityError::Domain { name: host, domains: domains.join(", ") });
            }
            _ => return Err(form()),
        }
        Ok(Self { service: service.to_owned(), namespace: namespace.to_owned(), port })
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}:{}", self.service, self.namespace, self.port)
    }
}

/// An RFC 1123 label.
fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<String, AuthorityError> {
        Authority::parse(text, &["cluster.local".into(), "east.local".into()]).map(|a| a.to_string())
    }

    #[test]
    fn every_form_of_a_service_is_understood() {
        for (text, want) in [
            ("web.default", "web.default:80"),
            ("web.default:8080", "web.default:8080"),
            ("web.default.svc:8080", "web.default:8080"),
            ("web.default.svc.cluster.local", "web.default:80"),
            ("Web.Default.svc.east.local.:81", "web.default:81"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "web",
            "web:80",
            "web.default:0",
            "web.default:99999",
            "web.default.pod",
            "a_b.default",
            "10.0.0.1:80",
            "[::1]:80",
            "web.default.svc.",
            "pod.web.default.svc.cluster.local",
            "-a.b",
        ] {
            let refused = parse(text);
            assert!(
                matches!(refused, Err(AuthorityError::Form(_))) || text == "web.default.svc.",
                "{text}: {refused:?}"
            );
        }
        let other = parse("web.default.svc.west.local").unwrap_err().to_string();
        assert!(other.contains("west.local") && other.contains("cluster.local, east.local"), "{other}");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
