//! Texts that must not be printed, and how they are taken out of texts that others wrote.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Shorter secrets are not looked for in other texts: they would be found in any.
const SCRUBBED_BYTES_MIN: usize = 4;
/// From this length on a word of a header's value may be a secret of its own; `Bearer` is none.
const WORD_BYTES_MIN: usize = 8;
/// Longer secrets, keys in PEM for example, are looked for as they are and not percent-encoded as well.
const ENCODED_BYTES_MAX: usize = 4_096;

/// A password, a token, a key: whoever wants its text has to say so by [`Secret::expose`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Keeps a text from being printed.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::new(text))
    }
}

/// A header's value, and those of its words that may be quoted alone: the token of `Token abc…`.
pub fn in_header(value: &str) -> impl Iterator<Item = Secret> {
    let words = value.split_whitespace().filter(|w| w.len() >= WORD_BYTES_MIN);
    words.chain([value]).map(Secret::from)
}

/// User name and password as they are quoted together; so they are found even where one alone is too short.
pub fn pair(user: &str, password: &str) -> Secret {
    Secret::from(format!("{user}:{password}"))
}

/// How a secret may be written: as it is, and percent-encoded, all of it or what is neither letter nor digit.
fn forms(secret: &Secret) -> impl Iterator<Item = Secret> {
    let text = secret.expose();
    let encoded = |upper: bool, all: bool| -> Secret {
        let byte = |b: u8| match (upper, b.is_ascii_alphanumeric() && !all) {
            (_, true) => char::from(b).to_string(),
            (true, false) => format!("%{b:02X}"),
            (false, false) => format!("%{b:02x}"),
        };
        text.bytes().map(byte).collect::<String>().into()
    };
    // In a form a space is a plus, and some signs stay.
    let in_form = || url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().into();
    let styles = [(true, false), (false, false), (true, true), (false, true)];
    let others = (text.len() <= ENCODED_BYTES_MAX)
        .then(|| styles.map(|(upper, all)| encoded(upper, all)).into_iter().chain([in_form()]));
    others.into_iter().flatten().chain([secret.clone()])
}

/// Takes known secrets out of texts: servers quote what they were sent.
#[derive(Clone, Debug, Default)]
pub struct Scrubber(Vec<Secret>);

impl Scrubber {
    /// For these secrets, percent-encoded or not; forms of less than four bytes are passed over.
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let long = |s: &Secret| s.expose().len() >= SCRUBBED_BYTES_MIN;
        let mut secrets: Vec<Secret> =
            secrets.into_iter().flat_map(|secret| forms(&secret).collect::<Vec<_>>()).filter(long).collect();
        // A secret that is part of another one must not break it before it is found.
        secrets.sort_by(|a, b| b.expose().len().cmp(&a.expose().len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self(secrets)
    }

    /// The text, with `…` for each secret.
    pub fn scrub(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            if text.contains(secret.expose()) {
                text = text.replace(secret.expose(), "…");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(Ok(secret), "hunter2".parse());
    }

    #[test]
    fn known_secrets_leave_texts_of_others() {
        let scrubber = Scrubber::new(["token-1", "token-1-longer", "abc"].map(Secret::from));
        for (text, expected) in [
            ("invalid token-1: no", "invalid …: no"),
            ("token-1-longertoken-1", "……"),
            ("abc is too short to look for", "abc is too short to look for"),
            ("", ""),
        ] {
            assert_eq!(scrubber.scrub(text), expected);
        }
        assert!(!format!("{scrubber:?}").contains("token"));
    }

    #[test]
    fn a_short_password_is_found_where_it_is_encoded_or_beside_its_user() {
        let scrubber = Scrubber::new([Secret::from("é!"), Secret::from("hi"), pair("me", "hi")]);
        for (text, expected) in [
            ("bad %C3%A9%21 or %c3%a9%21", "bad … or …"),
            ("%68%69 is hi", "… is hi"),
            ("http://me:hi@host", "http://…@host"),
            ("x=me%3Ahi&y", "x=…&y"),
        ] {
            assert_eq!(scrubber.scrub(text), expected);
        }
        let scrubber = Scrubber::new([Secret::from("a b/c*")]);
        assert_eq!(scrubber.scrub("a+b%2Fc* a%20b%2Fc%2A a b/c*"), "… … …");
    }

    #[test]
    fn a_headers_token_is_a_secret_of_its_own() {
        let scrubber = Scrubber::new(in_header("Token abcdefgh"));
        assert_eq!(scrubber.scrub("Token abcdefgh: abcdefgh is no Token"), "…: … is no Token");
    }
}
