//! Links from the page to files beside the record.

use std::fmt::Write as _;

/// Longer paths are no links.
const CHARS_MAX: usize = 400;

/// The address of a file that the record names, or none where that leads anywhere but into the record's own folder.
pub(super) fn to(folder: &str, path: &str) -> Option<String> {
    let fine = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']);
    if path.is_empty() || path.chars().nth(CHARS_MAX).is_some() || !path.split('/').all(fine) {
        return None;
    }
    // A first part with a colon would be a scheme.
    let first = path.split('/').next().unwrap_or_default();
    if first.contains(':') {
        return None;
    }
    let mut address = String::new();
    for part in folder.split('/').filter(|p| !p.is_empty()).chain(path.split('/')) {
        if !address.is_empty() {
            address.push('/');
        }
        encode(part, &mut address);
    }
    Some(address)
}

fn encode(part: &str, into: &mut String) {
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Into a string it cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_into_the_record_s_folder_or_is_none() {
        for (folder, path, found) in [
            ("", "records/east/default.web/1.json", Some("records/east/default.web/1.json")),
            ("../out", "records/a b/00:11Z#1.json", Some("../out/records/a%20b/00%3A11Z%231.json")),
            ("", "../../etc/passwd", None),
            ("", "/etc/passwd", None),
            ("", "javascript:alert(1)", None),
            ("", "https://elsewhere/x", None),
            ("", "records//x", None),
            ("", "records\\x", None),
            ("", "", None),
        ] {
            assert_eq!(to(folder, path).as_deref(), found, "{path}");
        }
        assert_eq!(to("", &"x".repeat(CHARS_MAX + 1)), None);
    }
}
