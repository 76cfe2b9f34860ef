use super::*;

fn run(rules: &str, labels: &[(&str, &str)]) -> Option<String> {
    let configs: Vec<RuleConfig> = thanos_telemetry::cli::parse_yaml(rules).unwrap();
    let rules = compile_all("relabel_configs", &configs).unwrap();
    let mut builder = Builder::from_labels(&Labels::from_pairs(labels.iter().copied()));
    apply(&rules, &mut builder).then(|| builder.labels().to_string())
}

/// Semantics from Prometheus `model/relabel/relabel_test.go`, one line a case.
#[test]
fn rules_do_what_prometheus_does() {
    let abc = &[("a", "foo"), ("b", "bar"), ("c", "baz")][..];
    for (rules, labels, want) in [
        // replace
        (
            "[{source_labels: [a], regex: 'f(.*)', target_label: d, replacement: 'ch${1}-ch${1}'}]",
            abc,
            r#"{a="foo", b="bar", c="baz", d="choo-choo"}"#,
        ),
        (
            "[{source_labels: [a, b], regex: 'f(.*);(.*)r', target_label: a, replacement: 'b${1}${2}m'}]",
            abc,
            r#"{a="boobam", b="bar", c="baz"}"#,
        ),
        ("[{source_labels: [a], regex: oo, target_label: d}]", abc, r#"{a="foo", b="bar", c="baz"}"#),
        ("[{target_label: d, replacement: fixed}]", abc, r#"{a="foo", b="bar", c="baz", d="fixed"}"#),
        ("[{target_label: a, replacement: ''}]", abc, r#"{b="bar", c="baz"}"#),
        ("[{source_labels: [missing], target_label: a}]", abc, r#"{b="bar", c="baz"}"#),
        (
            "[{source_labels: [a], regex: '(f).*', target_label: '${1}x', replacement: y}]",
            abc,
            r#"{a="foo", b="bar", c="baz", fx="y"}"#,
        ),
        (
            "[{source_labels: [a], regex: '(f).*', target_label: '$2', replacement: y}]",
            abc,
            r#"{a="foo", b="bar", c="baz"}"#,
        ),
        (
            "[{source_labels: [a], regex: '(.*)', target_label: d, replacement: '$1x|$$1|$'}]",
            abc,
            r#"{a="foo", b="bar", c="baz", d="|$1|$"}"#,
        ),
        (
            "[{source_labels: [a, b], separator: '', target_label: d}]",
            abc,
            r#"{a="foo", b="bar", c="baz", d="foobar"}"#,
        ),
        (
            "[{source_labels: [p], regex: '(?P<name>\\w+):(\\d+)', target_label: d, replacement: '${name}/$2'}]",
            &[("p", "web:80")],
            r#"{d="web/80", p="web:80"}"#,
        ),
        // the deployment of a pod, from its ReplicaSet
        (
            "[{source_labels: [k, n], regex: 'ReplicaSet;(.+)-[^-]+', target_label: deployment}]",
            &[("k", "ReplicaSet"), ("n", "web-7f9c")],
            r#"{deployment="web", k="ReplicaSet", n="web-7f9c"}"#,
        ),
        // keep, drop
        ("[{source_labels: [a], regex: foo, action: keep}]", abc, r#"{a="foo", b="bar", c="baz"}"#),
        ("[{source_labels: [a], regex: fo, action: keep}]", abc, "dropped"),
        ("[{source_labels: [a], regex: '.*o', action: Drop}]", abc, "dropped"),
        ("[{source_labels: [a], regex: f, action: drop}]", abc, r#"{a="foo", b="bar", c="baz"}"#),
        ("[{source_labels: [a], regex: 'x.y', action: drop}]", &[("a", "x\ny")], "dropped"),
        // keepequal, dropequal
        ("[{source_labels: [a], target_label: b, action: keepequal}]", abc, "dropped"),
        (
            "[{source_labels: [a], target_label: b, action: keepequal}]",
            &[("a", "1"), ("b", "1")],
            r#"{a="1", b="1"}"#,
        ),
        ("[{source_labels: [a], target_label: b, action: dropequal}]", &[("a", "1"), ("b", "1")], "dropped"),
        ("[{source_labels: [x], target_label: y, action: dropequal}]", abc, "dropped"),
        // hashmod: figures from the upstream test
        (
            "[{source_labels: [c], target_label: d, action: hashmod, modulus: 1000}]",
            abc,
            r#"{a="foo", b="bar", c="baz", d="976"}"#,
        ),
        (
            "[{source_labels: [a], target_label: d, action: hashmod, modulus: 1000}]",
            &[("a", "foo\nbar")],
            r#"{a="foo\nbar", d="734"}"#,
        ),
        // labelmap, labeldrop, labelkeep
        (
            "[{regex: '(b.*)', replacement: 'bar_${1}', action: labelmap}]",
            &[("a", "foo"), ("b1", "bar"), ("b2", "baz")],
            r#"{a="foo", b1="bar", b2="baz", bar_b1="bar", bar_b2="baz"}"#,
        ),
        (
            "[{regex: '__meta_(my.*)', action: labelmap}]",
            &[("__meta_my_bar", "aaa"), ("other", "x")],
            r#"{__meta_my_bar="aaa", my_bar="aaa", other="x"}"#,
        ),
        (
            "[{regex: '(b.*)', action: labeldrop}]",
            &[("a", "foo"), ("b1", "bar"), ("ab", "1")],
            r#"{a="foo", ab="1"}"#,
        ),
        (
            "[{regex: '(b.*)', action: labelkeep}]",
            &[("a", "foo"), ("b1", "bar"), ("ab", "1")],
            r#"{b1="bar"}"#,
        ),
        // case
        (
            "[{source_labels: [a], target_label: u, action: uppercase}, {source_labels: [u], target_label: l, action: lowercase}]",
            &[("a", "bAr")],
            r#"{a="bAr", l="bar", u="BAR"}"#,
        ),
        // order; nothing after a drop
        (
            "[{source_labels: [a], target_label: d}, {source_labels: [d], regex: foo, action: drop}]",
            abc,
            "dropped",
        ),
    ] {
        let got = run(rules, labels).unwrap_or_else(|| "dropped".into());
        assert_eq!(got, want, "{rules}");
    }
}

#[test]
fn a_wrong_rule_is_named_with_its_fix() {
    for (rule, wanted) in [
        ("{action: replace}", "target_label"),
        ("{action: hashmod, target_label: a}", "modulus"),
        ("{regex: '('}", "target_label"),
        ("{target_label: a, regex: '('}", "does not compile"),
        ("{action: lowercase, target_label: a, replacement: b}", "no replacement"),
        ("{action: keepequal, target_label: a, regex: b}", "source_labels and target_label only"),
        ("{action: labeldrop, regex: a, source_labels: [b]}", "regex only"),
    ] {
        let config: RuleConfig = thanos_telemetry::cli::parse_yaml(rule).unwrap();
        let error = compile_all("relabel_configs", &[config]).unwrap_err();
        assert!(error.starts_with("relabel_configs[0]: ") && error.contains(wanted), "{rule}: {error}");
    }
    let error = thanos_telemetry::cli::parse_yaml::<RuleConfig>("action: explode").unwrap_err();
    assert!(error.contains("\"explode\"") && error.contains("labelmap"), "{error}");
}
