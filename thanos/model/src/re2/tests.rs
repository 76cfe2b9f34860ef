//! What Go's `regexp` (1.26) says of `^(?s:PATTERN)$`.

use proptest::prelude::*;

use super::*;
use crate::matcher::anchored;

#[test]
fn patterns_match_what_re2_matches() {
    for (pattern, value, matches) in [
        (r"/x\<y\>", "/x<y>", true),
        (r"\<.*", "a", false),
        ("[--/]+", ".", true),
        ("/users/{id}", "/users/{id}", true),
        (r"/v[1-9]/.*/{gid}/{uid}", "/v1/x/{gid}/{uid}", true),
        (".*{.*", "a{b", true),
        ("/u/{(.*)}", "/u/{x}", true),
        ("{", "{", true),
        ("{}", "{}", true),
        ("a{2", "a{2", true),
        ("a{2}}", "aa}", true),
        ("a{,2}", "aa", false),
        ("a{,2}", "a{,2}", true),
        ("a{ 2 }", "a{ 2 }", true),
        ("a{02}", "a{02}", true),
        (r"\Qa+b\E", "a+b", true),
        (r"\Qa+b", "a+b", true),
        (r"\Qab\E*", "abbb", true),
        (r"\101", "A", true),
        (r"\0", "\0", true),
        (r"\08", "\u{0}8", true),
        (r"\x41\x{1F600}", "A😀", true),
        (r"\a\f\v\t", "\u{7}\u{c}\u{b}\t", true),
        ("[[]", "[", true),
        (r"[[z]+\]", "[z]", true),
        ("[]a]+", "]a", true),
        ("[^]a]", "]", false),
        ("[a-]+", "a-", true),
        (r"[\d-z]+", "4-z", true),
        (r"[\w&&\d]+", "a&", true),
        ("[a~~b]+", "~", true),
        ("[[:alpha:][:^digit:]]", "-", true),
        ("[[:word:]]+", "a_1", true),
        ("[[:alpha]+", "[:alph", true),
        (r"[^\D]", "4", true),
        (r"[\D]", "4", false),
        (r"\d+", "٤٢", false),
        (r"\S", "\u{a0}", true),
        (r"\bab\b", "ab", true),
        (r"\b{2}ab", "ab", true),
        (r".\B.", "ab", true),
        (r"é\b.", "éa", true),
        ("(?i)STRASSE", "straße", false),
        (r"(?i)\w", "ſ", true),
        ("(?i)k", "\u{212a}", true),
        ("(?i:a)b", "Ab", true),
        ("(?i:a)b", "AB", false),
        ("(?-s:.)", "\n", false),
        (".", "\n", true),
        ("[^a]", "\n", true),
        ("(?)a", "a", true),
        ("(?U)a+", "aaa", true),
        ("a(?m)^b", "ab", false),
        ("(?m)a$\nb", "a\nb", true),
        (r"a\z", "a", true),
        ("(?P<n>a)(?P<n>a)", "aa", true),
        ("(?<n>a)(?P<1>b)", "ab", true),
        (r"\p{^L}", "#", true),
        (r"\P{^L}", "#", false),
        (r"\pN", "٤", true),
        (r"\p{Greek}+", "αβ", true),
        (r"[\p{Lu}\PL]", "a", false),
        (r"\P{Any}", "a", false),
        ("()", "", true),
        ("(|a)*", "aa", true),
        ("^*a$*", "a", true),
        ("(x{10}){100}", "x", false),
        ("x{0}", "", true),
        ("x{2,3}?", "xxx", true),
        ("x{1,}", "xxx", true),
        ("a|", "", true),
        ("|", "", true),
        ("#&-~ \"'<>", "#&-~ \"'<>", true),
    ] {
        let regex = anchored(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        assert_eq!(regex.is_match(value), matches, "{pattern} on {value:?}");
    }
}

#[test]
fn what_re2_refuses_is_refused() {
    for pattern in [
        "a**",
        "a++",
        "a+*",
        "a??*",
        "a{2}{3}",
        "a{2}*",
        "*",
        "+a",
        "(*a)",
        "a|*",
        "(?i)*",
        "(?x)",
        "(?x:a)",
        "(?i-)",
        "(?",
        "(?i",
        "(?=a)",
        "(?!a)",
        "(?<=a)",
        "(?P=n)",
        "(?P<n",
        "(?P<>a)",
        "(?P<n!>a)",
        r"\u00e9",
        r"\1",
        r"\8",
        r"\Z",
        r"\G",
        r"\E",
        r"\C",
        r"\h",
        r"\x",
        r"\x{110000}",
        r"\x{}",
        r"\xg1",
        "\\",
        "x{1001}",
        "x{2,1}",
        "(x{100}){100}",
        "((x{10}){10}){11}",
        r"\p{IsGreek}",
        r"\p{sc=Greek}",
        r"\p{}",
        r"\p{L",
        r"\p",
        "[[:foo:]]",
        "[a--b]+",
        "[b-a]",
        r"[a-\d]",
        r"[\b]",
        "[",
        "[]",
        "[^]",
        "[a",
        "(",
        ")",
        "a)",
        "((a)",
    ] {
        let refused = anchored(pattern);
        assert!(refused.is_err(), "{pattern} is taken as {:?}", refused.map(|r| r.to_string()));
    }
}

#[test]
fn texts_to_choose_from_are_told_from_patterns() {
    for (pattern, texts) in [
        ("a|b", Some(vec!["a", "b"])),
        ("(a|b)", Some(vec!["a", "b"])),
        ("(?:a|)", Some(vec!["a", ""])),
        (r"a\.b", Some(vec!["a.b"])),
        (r"\Qa|b\E|c", Some(vec!["a|b", "c"])),
        ("", Some(vec![""])),
        ("/u/{id}", Some(vec!["/u/{id}"])),
        ("(a|b)c", None),
        ("c(a|b)", None),
        ("(a)|b", None),
        ("(a)(b)", None),
        ("((a))", None),
        ("(?i)a", None),
        ("(?i:a)", None),
        ("a.|b", None),
        ("a*", None),
        ("^a", None),
        ("[a]", None),
        (r"\d", None),
    ] {
        let found = translate(pattern).unwrap().texts;
        assert_eq!(found, texts.map(|t: Vec<&str>| t.into_iter().map(String::from).collect()), "{pattern}");
    }
}

proptest! {
    #[test]
    fn no_pattern_panics_and_texts_mean_what_the_pattern_means(
        pattern in r"[-a-c\\\[\]{}(),|*+?.^$:pPQE<>0-9idmsU&~]{0,12}", value in "[a-c0-2|.<-]{0,4}",
    ) {
        if let Ok(Translated { texts: Some(texts), .. }) = translate(&pattern) {
            prop_assert_eq!(texts.contains(&value), anchored(&pattern).unwrap().is_match(&value), "{}", pattern);
        }
        // What RE2 takes, the regex crate takes as it is written for it, up to its size and scripts that nobody knows.
        if let (Ok(translated), Err(e)) = (translate(&pattern), anchored(&pattern)) {
            let is_large = e.to_string().contains("memory") || e.to_string().contains("nest");
            let is_script = pattern.contains(r"\p") || pattern.contains(r"\P");
            prop_assert!(is_large || is_script, "{pattern} as {}: {e}", translated.pattern);
        }
    }

    #[test]
    fn any_text_is_read(pattern in any::<String>()) {
        let _ = translate(&pattern);
    }
}
