//! How many files and connections a process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many as anything here can use. More is not asked for even where the machine would allow a billion: some
/// programs that pods run go through all of them.
const ENOUGH: u64 = 1 << 20;

/// Raises the limit as far as it may be raised; what it is then. The usual 1024 is from a time when programs
/// waited for connections in a bit field.
pub fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = wanted(limit.current, limit.maximum);
    if limit.current != Some(wanted) {
        // Refused only where the kernel's own limit is lower: then the old one stays.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    }
    getrlimit(Resource::Nofile).current.unwrap_or(ENOUGH)
}

/// The highest that is allowed, and never less than it was. `None` is no limit.
fn wanted(current: Option<u64>, maximum: Option<u64>) -> u64 {
    let allowed = maximum.unwrap_or(ENOUGH).min(ENOUGH);
    current.map_or(allowed, |now| now.max(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_goes_up_to_what_is_allowed_and_never_down() {
        for (current, maximum, expected) in [
            (Some(1024), Some(4096), 4096),
            (Some(1024), Some(1 << 30), ENOUGH),
            (Some(1024), None, ENOUGH),
            (Some(1 << 21), Some(1 << 30), 1 << 21),
            (Some(64), Some(64), 64),
            (None, None, ENOUGH),
        ] {
            assert_eq!(wanted(current, maximum), expected, "{current:?} {maximum:?}");
        }
        assert_eq!(raise(), raise());
    }
}
