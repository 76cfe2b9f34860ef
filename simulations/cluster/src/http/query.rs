//! The query string of a request, read as the original reads it.

use axum::extract::Query;
use axum::http::Uri;

use crate::error::{ApiError, Result};

/// Parameters in the order of the text; the first of a name counts.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn of(uri: &Uri) -> Result<Self> {
        Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map(|Query(params)| Self(params))
            .map_err(|e| ApiError::bad_request(format!("the query string cannot be read: {e}")))
    }

    /// The value; `None` when the parameter is absent.
    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value; "" when absent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.find(name).unwrap_or_default()
    }

    /// A boolean: anything but absent, `0` and `false` in any case is true, as `watch=True` or a bare `watch`.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.find(name).is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// A number, if it is given.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        self.find(name)
            .filter(|text| !text.is_empty())
            .map(|text| {
                text.parse().map_err(|_| ApiError::bad_request(format!("{name} {text:?} is not a number")))
            })
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_true_unless_they_say_otherwise() {
        for (query, expected) in [
            ("", false),
            ("watch=true", true),
            ("watch=True", true),
            ("watch=TRUE", true),
            ("watch=1", true),
            ("watch=yes", true),
            ("watch=", true),
            ("watch", true),
            ("watch=0", false),
            ("watch=false", false),
            ("watch=False", false),
            ("watch=FALSE", false),
            ("watch=00", true),
            ("watch=false&watch=true", false),
            ("other=true", false),
        ] {
            let uri: Uri = format!("/api/v1/pods?{query}").parse().unwrap();
            assert_eq!(Params::of(&uri).unwrap().flag("watch"), expected, "{query}");
        }
    }
}
