//! From when a list, a read or a watch wants its state.

use super::query::Params;
use crate::error::{ApiError, Cause, Result};

/// What a list asks for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) limit: usize,
    version: Option<u64>,
    exactly: bool,
}

impl Asked {
    pub(super) fn of(params: &Params) -> Result<Self> {
        let (version, wanted) = (params.text("resourceVersion"), params.text("resourceVersionMatch"));
        let (next, at) = (params.text("continue"), "resourceVersionMatch");
        let mut causes = Vec::new();
        if !wanted.is_empty() {
            if version.is_empty() {
                let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
                causes.push(Cause::forbidden(at, why));
            }
            if !next.is_empty() {
                causes.push(Cause::forbidden(
                    at,
                    "resourceVersionMatch is forbidden when continue is provided",
                ));
            }
            if !matches!(wanted, "Exact" | "NotOlderThan") {
                causes.push(Cause::unsupported(at, &format!("{wanted:?}"), &["Exact", "NotOlderThan", ""]));
            }
            if wanted == "Exact" && version == "0" {
                let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                causes.push(Cause::forbidden(at, why));
            }
        }
        if params.find("sendInitialEvents").is_some() {
            causes.push(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
        }
        if !causes.is_empty() {
            return Err(ApiError::bad_options("ListOptions", &causes));
        }
        if !next.is_empty() && !matches!(version, "" | "0") {
            return Err(ApiError::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        let limit = params.number::<i64>("limit")?.unwrap_or(0);
        Ok(Self {
            limit: usize::try_from(limit).unwrap_or(0),
            version: revision(version)?,
            exactly: wanted == "Exact",
        })
    }

    /// The past revision to show; `None`: the present will do.
    pub(super) fn revision(&self, current: u64) -> Result<Option<u64>> {
        reached(self.version, current)?;
        Ok(self.version.filter(|_| self.exactly))
    }
}

/// A resource version as a number; `None`: any will do.
pub(super) fn revision(text: &str) -> Result<Option<u64>> {
    if matches!(text, "" | "0") {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        ApiError::bad_request(format!(
            "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
        ))
    })
}

/// Nobody waits here for a state that is yet to come.
pub(super) fn reached(wanted: Option<u64>, current: u64) -> Result<()> {
    match wanted {
        Some(wanted) if wanted > current => Err(ApiError::too_large_version(wanted, current)),
        _ => Ok(()),
    }
}

/// The options of a watch that contradict one another.
pub(super) fn check_watch(params: &Params) -> Result<()> {
    let wanted = params.text("resourceVersionMatch");
    let initial = params.find("sendInitialEvents").is_some();
    let at = "resourceVersionMatch";
    let mut causes = Vec::new();
    if initial && wanted != "NotOlderThan" {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        causes.push(Cause::forbidden(at, why));
    }
    if !wanted.is_empty() {
        if !initial {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            causes.push(Cause::forbidden(at, why));
        }
        if wanted != "NotOlderThan" {
            causes.push(Cause::unsupported(at, &format!("{wanted:?}"), &["NotOlderThan"]));
        }
    }
    if causes.is_empty() { Ok(()) } else { Err(ApiError::bad_options("ListOptions", &causes)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_looked_at() {
        let ask = |query: &str| {
            let params = Params::of(&format!("/?{query}").parse().unwrap()).unwrap();
            Asked::of(&params).and_then(|asked| asked.revision(100)).map_err(|e| e.code)
        };
        for (query, expected) in [
            ("", Ok(None)),
            ("resourceVersion=0", Ok(None)),
            ("resourceVersion=100", Ok(None)),
            ("resourceVersion=7&resourceVersionMatch=NotOlderThan", Ok(None)),
            ("resourceVersion=7&resourceVersionMatch=Exact", Ok(Some(7))),
            ("resourceVersion=101", Err(504)),
            ("resourceVersion=99999999999999999", Err(504)),
            ("resourceVersion=abc", Err(400)),
            ("resourceVersion=-1", Err(400)),
            ("resourceVersionMatch=Exact", Err(422)),
            ("resourceVersion=7&resourceVersionMatch=x", Err(422)),
            ("resourceVersion=0&resourceVersionMatch=Exact", Err(422)),
            ("sendInitialEvents=true", Err(422)),
            ("continue=x&resourceVersion=7", Err(400)),
            ("limit=x", Err(400)),
            ("limit=-1", Ok(None)),
        ] {
            assert_eq!(ask(query), expected, "{query}");
        }
        let watch = |query: &str| {
            check_watch(&Params::of(&format!("/?{query}").parse().unwrap()).unwrap()).map_err(|e| e.code)
        };
        assert_eq!(watch("resourceVersionMatch=NotOlderThan&sendInitialEvents=True"), Ok(()));
        assert_eq!(watch("resourceVersionMatch=NotOlderThan"), Err(422));
        assert_eq!(watch("sendInitialEvents=true"), Err(422));
    }
}
