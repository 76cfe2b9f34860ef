use super::*;

#[test]
fn splits_as_the_grammar_does() {
    let texts = |q| scan(q).iter().map(|t| t.text).collect::<Vec<_>>();
    assert_eq!(
        texts("sum by(a)(rate(x{b=~\"c\\\"}\"}[5m:1e-3] offset -1h)) # end\n>=1.5"),
        [
            "sum",
            "by",
            "(",
            "a",
            ")",
            "(",
            "rate",
            "(",
            "x",
            "{",
            "b",
            "=~",
            "\"c\\\"}\"",
            "}",
            "[",
            "5m",
            ":",
            "1e-3",
            "]",
            "offset",
            "-",
            "1h",
            ")",
            ")",
            ">=",
            "1.5"
        ]
    );
}
