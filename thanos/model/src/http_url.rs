//! The address of an HTTP server, printed without the secrets that people put into one.
//!
//! ```text
//!  https://user:password@host:9090/prom?deny_partial_response=1&token=abc#here
//!  https://host:9090/prom?deny_partial_response=1&token=…                        as it is printed
//! ```
//!
//! User info and fragment are left out. A value of the query is hidden where its name or its look speaks of a secret;
//! a secret in the path, or a short one under an innocent name, is not recognised.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use crate::{Secret, secret};

/// Parts of names whose values are hidden, in any case.
const TELLING: [&str; 15] = [
    "auth", "bearer", "cookie", "cred", "jwt", "key", "login", "pass", "private", "pwd", "secret", "session",
    "sig", "token", "user",
];
/// From this length on a value may be a token by its look.
const TOKEN_CHARS_MIN: usize = 16;
/// That many digits among letters make a token of a long word: host names have fewer.
const TOKEN_DIGITS_MIN: usize = 6;
/// Most characters of a text that is no URL which are shown.
const SHOWN_CHARS_MAX: usize = 200;

/// An `http` or `https` URL with a host. [`fmt::Display`] and [`fmt::Debug`] show no secrets; [`HttpUrl::expose`] has
/// them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpUrl(Url);

/// A text that is no [`HttpUrl`]; shows none of its secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an http(s) URL ({why}); write for example http://prometheus:9090")]
pub struct HttpUrlError {
    text: String,
    why: String,
}

impl HttpUrl {
    /// Reads a URL as browsers do (WHATWG URL).
    ///
    /// # Errors
    /// The text is no URL, of another scheme, or without a host.
    pub fn parse(text: &str) -> Result<Self, HttpUrlError> {
        let bad = |why: &dyn fmt::Display| HttpUrlError { text: without_secrets(text), why: why.to_string() };
        let url = Url::parse(text).map_err(|e| bad(&e))?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(Self(url)),
            "http" | "https" => Err(bad(&"it has no host")),
            _ => Err(bad(&"its scheme is another")),
        }
    }

    /// All of it, secrets too: to send, not to print.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// User name and password, decoded, if there is either.
    pub fn user_info(&self) -> Option<(Secret, Secret)> {
        let decoded = |text: &str| {
            let pairs = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
            let value = url::form_urlencoded::parse(pairs.as_bytes()).next();
            Secret::from(value.map(|(_, v)| v.into_owned()).unwrap_or_default())
        };
        let (user, password) = (self.0.username(), self.0.password());
        let there = !user.is_empty() || password.is_some();
        there.then(|| (decoded(user), decoded(password.unwrap_or_default())))
    }

    /// The same without user info.
    pub fn without_user_info(&self) -> Self {
        let mut url = self.0.clone();
        // Neither can fail for a URL with a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Self(url)
    }

    /// The same with `suffix` behind its path; slashes between them are one.
    pub fn joined(&self, suffix: &str) -> Self {
        let mut url = self.0.clone();
        let path = format!("{}/{}", url.path().trim_end_matches('/'), suffix.trim_start_matches('/'));
        url.set_path(&path);
        Self(url)
    }

    /// What must not be printed: as it stands in the URL, as it is meant, and as it is sent (RFC 7617).
    pub fn secrets(&self) -> Vec<Secret> {
        let mut found: Vec<Secret> = Vec::new();
        found.extend([self.0.username(), self.0.password().unwrap_or_default()].map(Secret::from));
        if let Some((user, password)) = self.user_info() {
            let both = secret::pair(user.expose(), password.expose());
            found.extend([STANDARD.encode(both.expose()).into(), both]);
            found.push(secret::pair(self.0.username(), self.0.password().unwrap_or_default()));
            found.extend([user, password]);
        }
        for (raw, hidden) in
            self.0.query().into_iter().flat_map(|q| q.split('&')).map(|raw| (raw, parameter(raw)))
        {
            if hidden != raw {
                let value = raw.split_once('=').map_or(raw, |(_, value)| value);
                found.push(Secret::from(value));
                let decoded = url::form_urlencoded::parse(raw.as_bytes()).next();
                found.extend(
                    decoded.map(|(name, v)| Secret::from(if v.is_empty() { name } else { v }.into_owned())),
                );
            }
        }
        found.retain(|s| !s.expose().is_empty());
        found
    }
}

impl TryFrom<Url> for HttpUrl {
    type Error = HttpUrlError;

    fn try_from(url: Url) -> Result<Self, HttpUrlError> {
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(Self(url)),
            _ => Self::parse(url.as_str()),
        }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.0;
        write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(url.path())?;
        for (i, raw) in url.query().into_iter().flat_map(|q| q.split('&')).enumerate() {
            write!(f, "{}{}", if i == 0 { '?' } else { '&' }, parameter(raw))?;
        }
        Ok(())
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A text that somebody wrote where a URL belongs, as it may be printed. What is no URL loses whatever might be user
/// info, everything from a question mark on, and what is over 200 characters.
pub fn without_secrets(text: &str) -> String {
    if let Ok(url) = Url::parse(text)
        && url.has_host()
        && matches!(url.scheme(), "http" | "https")
    {
        return HttpUrl(url).to_string();
    }
    let (head, query) = text.split_once('?').map_or((text, ""), |(head, _)| (head, "?…"));
    let head = match (head.rsplit_once('@'), head.split_once("://")) {
        (None, _) => head.to_owned(),
        (Some((_, host)), Some((scheme, _))) if !scheme.contains('@') => format!("{scheme}://…@{host}"),
        (Some((_, host)), _) => format!("…@{host}"),
    };
    let shown: String = head.chars().take(SHOWN_CHARS_MAX).collect();
    shown + query
}

/// Whether a name, of a parameter or a header, speaks of a secret.
pub fn is_telling(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    TELLING.iter().any(|t| lower.contains(t))
}

/// One `name=value` of a query, or `name=…`.
fn parameter(raw: &str) -> String {
    // As the server will read it: `to%6Ben` is a token too.
    let decoded = url::form_urlencoded::parse(raw.as_bytes()).next();
    let (name, value) = decoded.map_or_else(Default::default, |(n, v)| (n.into_owned(), v.into_owned()));
    if value.is_empty() {
        return if looks_random(&name) { "…".into() } else { raw.to_owned() };
    }
    if looks_random(&name) {
        "…=…".into()
    } else if is_telling(&name) || value.contains('@') || looks_random(&value) {
        format!("{}=…", raw.split('=').next().unwrap_or_default())
    } else {
        raw.to_owned()
    }
}

/// Whether some part of a value is made of what tokens are made of: a UUID, hexadecimal or base64 text, a JWT.
fn looks_random(value: &str) -> bool {
    let of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '/' | '=' | '~');
    value.split(|c| !of_token(c)).filter(|part| part.len() >= TOKEN_CHARS_MIN).any(|part| {
        let any = |is: fn(&char) -> bool| part.chars().any(|c| is(&c));
        let digits = part.chars().filter(char::is_ascii_digit).count();
        let lower = any(char::is_ascii_lowercase);
        let upper = any(char::is_ascii_uppercase);
        (lower && upper && digits > 0) || ((lower || upper) && digits >= TOKEN_DIGITS_MIN)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_printed_has_no_secrets_and_is_otherwise_whole() {
        for (text, shown) in [
            ("http://query:9090", "http://query:9090/"),
            ("https://u:p@h/x?a=1", "https://h/x?a=1"),
            ("http://u@h:80/x@y", "http://h/x@y"),
            ("http://[::1]:9090/p/", "http://[::1]:9090/p/"),
            ("http:\\\\u:p@h", "http://h/"),
            ("http:u:p@h", "http://h/"),
            ("http://u:p@@h", "http://h/"),
            ("http://h/?deny_partial_response=1&dedup=true", "http://h/?deny_partial_response=1&dedup=true"),
            ("http://h/?token=x&b=2#frag", "http://h/?token=…&b=2"),
            ("http://h/?to%6Ben=x", "http://h/?to%6Ben=…"),
            ("http://h/?apiKey=x&X-Amz-Signature=y", "http://h/?apiKey=…&X-Amz-Signature=…"),
            ("http://h/?x=0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f", "http://h/?x=…"),
            ("http://h/?eyJhbGciOiJIUzI1NiJ9.e30.abc", "http://h/?…"),
            (
                "http://h/?target=web-0.web.default.svc.cluster.local:9090",
                "http://h/?target=web-0.web.default.svc.cluster.local:9090",
            ),
            ("http://h/?target=http://u:p@h2/", "http://h/?target=…"),
            ("http://h/?match[]={job=\"prometheus\"}", "http://h/?match[]={job=%22prometheus%22}"),
        ] {
            let url = HttpUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), shown, "{text}");
            assert_eq!(format!("{url:?}"), format!("\"{shown}\""));
            assert_eq!(without_secrets(text), shown);
        }
    }

    #[test]
    fn what_is_no_http_url_is_said_without_its_secrets() {
        for (text, shown) in [
            ("query:9090", "\"query:9090\" is not an http(s) URL (its scheme is another)"),
            ("ftp://u:p@h/x", "\"ftp://…@h/x\" is not an http(s) URL"),
            ("http://u:p@", "\"http://…@\" is not"),
            ("http://u:p@h:port/?token=x", "\"http://…@h:port/?…\" is not"),
            ("u:p@h://x", "\"…@h://x\" is not"),
            ("http://", "\"http://\" is not"),
            ("", "\"\" is not"),
        ] {
            let said = HttpUrl::parse(text).unwrap_err().to_string();
            assert!(said.starts_with(shown), "{text}: {said}");
            assert!(said.ends_with("write for example http://prometheus:9090"));
        }
        assert!(without_secrets(&"x".repeat(1000)).len() <= SHOWN_CHARS_MAX);
    }

    #[test]
    fn parts_can_be_had() {
        let url = HttpUrl::parse("https://a%40b:p+%26w%3A@h:1/x/?k=v").unwrap();
        let (user, password) = url.user_info().unwrap();
        assert_eq!((user.expose(), password.expose()), ("a@b", "p+&w:"));
        assert_eq!(url.without_user_info().expose().as_str(), "https://h:1/x/?k=v");
        assert!(url.without_user_info().user_info().is_none());
        assert_eq!(url.joined("/api/v1/query").to_string(), "https://h:1/x/api/v1/query?k=v");
        assert_eq!(HttpUrl::parse("http://h").unwrap().joined("api").to_string(), "http://h/api");
    }

    /// A secret in each place of a URL that may hold one.
    fn places(secret: &str) -> Vec<String> {
        vec![
            format!("http://{secret}@h/"),
            format!("http://u:{secret}@h/p?x=1"),
            format!("https://{secret}:{secret}@[::1]:8/"),
            format!("http:{secret}@h"),
            format!("http://h/?token={secret}"),
            format!("http://h/?a=1&ApiKey={secret}&b"),
            format!("http://h/#{secret}"),
            format!("ftp://u:{secret}@h/"),
            format!("http://u:{secret}@h:port"),
            format!("{secret}@h"),
            format!("nothing?{secret}"),
        ]
    }

    proptest! {
        #[test]
        fn no_secret_is_printed_wherever_it_stands(secret in "[A-Za-z0-9!$'()*,;=~%+._-]{8,40}") {
            // What is part of the texts around it would be found in any case.
            prop_assume!(!secret.starts_with("Secret"));
            for text in places(&secret) {
                let printed = match HttpUrl::parse(&text) {
                    Ok(url) => {
                        let shown = format!("{url} {url:?} {:?}", url.secrets());
                        let scrubbed = crate::Scrubber::new(url.secrets()).scrub(url.expose().as_str());
                        // A fragment is never sent, so nobody can quote it.
                        let scrubbed = if text.contains('#') { String::new() } else { scrubbed };
                        format!("{shown} {scrubbed}")
                    }
                    Err(e) => format!("{e} {e:?}"),
                };
                prop_assert!(!printed.contains(&secret), "{} from {}", printed, text);
                prop_assert!(!without_secrets(&text).contains(&secret), "{}", text);
            }
        }

        #[test]
        fn tokens_are_hidden_under_any_name(token in "[a-z]{6}[A-Z]{6}[0-9]{6}[A-Za-z0-9]{0,20}", name in "[a-z]{1,8}") {
            let shown = HttpUrl::parse(&format!("http://h/?{name}={token}")).unwrap().to_string();
            prop_assert!(!shown.contains(&token), "{}", shown);
        }

        #[test]
        fn any_text_is_taken(text in "\\PC{0,60}") {
            let _ = HttpUrl::parse(&text).map(|url| (url.to_string(), url.secrets(), url.user_info()));
            let _ = without_secrets(&text);
        }
    }
}
