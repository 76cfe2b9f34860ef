//! The label selector of a request: which policy is meant.
//!
//! An HPA writes its `metric.selector` as apimachinery does (`labels.Selector.String()`): `policy=web`, or
//! `policy in (web)` for a matchExpression.

/// The label that names the policy.
pub const LABEL: &str = "policy";

/// The policy that a selector names; `None`: it names none, being empty.
///
/// # Errors
/// One sentence: it says something else.
pub fn policy(selector: &str) -> Result<Option<&str>, String> {
    let selector = selector.trim();
    if selector.is_empty() {
        return Ok(None);
    }
    let named = of_equality(selector).or_else(|| of_set(selector));
    match named {
        Some((label, name)) if label == LABEL && is_name(name) => Ok(Some(name)),
        _ => Err(format!(
            "the selector {:?} is not understood; write selector: {{matchLabels: {{{LABEL}: NAME}}}} with the \
             ScalingPolicy's name, and nothing else",
            selector.chars().take(200).collect::<String>()
        )),
    }
}

fn of_equality(text: &str) -> Option<(&str, &str)> {
    let (label, name) = text.split_once("==").or_else(|| text.split_once('='))?;
    Some((label.trim(), name.trim()))
}

fn of_set(text: &str) -> Option<(&str, &str)> {
    let (label, rest) = text.split_once(char::is_whitespace)?;
    let name = rest.trim().strip_prefix("in")?.trim().strip_prefix('(')?.strip_suffix(')')?;
    Some((label, name.trim()))
}

/// An object's name (RFC 1123 subdomain), as far as it keeps selectors apart.
fn is_name(text: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    (1..=253).contains(&text.len()) && text.chars().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_policy_can_be_named_and_nothing_else_be_said() {
        for (text, expected) in [
            ("", Some(None)),
            ("  ", Some(None)),
            ("policy=web", Some(Some("web"))),
            ("policy==web.v2", Some(Some("web.v2"))),
            ("policy in (web)", Some(Some("web"))),
            (" policy = web ", Some(Some("web"))),
            ("policy=web,tier=a", None),
            ("policy in (web,api)", None),
            ("policy notin (web)", None),
            ("policy!=web", None),
            ("!policy", None),
            ("policy", None),
            ("policy=", None),
            ("other=web", None),
            ("policy=Web", None),
            ("policy in web", None),
            ("ü in (ü)", None),
        ] {
            assert_eq!(policy(text).ok(), expected, "{text:?}");
        }
        assert!(policy("tier=a").unwrap_err().contains("matchLabels: {policy: NAME}"));
    }
}
