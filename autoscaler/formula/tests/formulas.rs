//! What formulas mean, what is refused, and that CEL agrees.

use autoscaler_formula::{DEPTH_MAX, Formula, TEXT_MAX, Undefined};
use proptest::prelude::*;

/// `queue` is 30, `requests` 12, `5xx` 2, `rate-limited` has no value.
fn evaluate(text: &str) -> Result<f64, Undefined> {
    let formula = Formula::compile(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let value = |name: &str| match name {
        "queue" => Some(30.0),
        "requests" => Some(12.0),
        "5xx" => Some(2.0),
        "zero" => Some(0.0),
        _ => None,
    };
    let values: Vec<Option<f64>> = formula.metrics().iter().map(|metric| value(&metric.name)).collect();
    formula.evaluate(&values)
}

#[test]
fn reckons_as_cel_does_where_all_numbers_are_doubles() {
    for (text, expected) in [
        ("queue + requests * 2", 54.0),
        ("(queue + requests) / 4", 10.5),
        ("queue - requests - 1", 17.0),
        ("queue / 4 / 2", 3.75),
        ("-queue + 100", 70.0),
        ("--queue", 30.0),
        ("queue * -1 + 1e3", 970.0),
        (".5 * queue", 15.0),
        ("1.5E+1 + queue", 45.0),
        ("max(queue, requests, 31)", 31.0),
        ("min(queue, requests)", 12.0),
        ("max(queue)", 30.0),
        ("queue > 20 ? queue : requests", 30.0),
        ("queue > 40 ? 1 : queue > 29 ? 2 : 3", 2.0),
        ("queue > 20 && requests < 10 ? 1 : 0", 0.0),
        ("!(queue > 20) || requests == 12 ? 1 : 0", 1.0),
        ("(queue > 20) == (requests > 20) ? 1 : 0", 0.0),
        ("(queue > 20) != true ? 1 : 0", 0.0),
        ("metrics.queue + metrics[\"5xx\"] + metrics['5xx'] + metrics.`5xx`", 36.0),
        ("has(metrics.queue) ? queue : 0", 30.0),
        ("has(metrics.nothing) ? nothing : requests", 12.0),
        ("has(metrics.`rate-limited`) ? 1 : requests", 12.0),
        // What settles it does so beside a failure.
        ("nothing > 1 || queue > 1 ? 1 : 0", 1.0),
        ("queue > 1 || nothing > 1 ? 1 : 0", 1.0),
        ("nothing > 1 && queue < 1 ? 1 : 0", 0.0),
        ("queue\n  + requests\t* 1", 42.0),
    ] {
        assert_eq!(evaluate(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_has_no_number_says_why() {
    let no_value = |metric: &str| Undefined::NoValue { metric: metric.to_owned() };
    for (text, expected) in [
        ("queue / zero", Undefined::DivisionByZero),
        ("queue / (requests - 12)", Undefined::DivisionByZero),
        ("min(queue / zero, 1)", Undefined::DivisionByZero),
        ("queue + nothing", no_value("nothing")),
        ("metrics[\"rate-limited\"] + queue", no_value("rate-limited")),
        ("has(metrics.queue) ? nothing : queue", no_value("nothing")),
        ("nothing > 1 || queue < 1 ? 1 : 0", no_value("nothing")),
        ("1e308 * 10 + queue", Undefined::NotFinite),
        ("max(1e308 * 10 - 1e308 * 10, queue)", Undefined::NotFinite),
        ("min(queue, 1e308 * 10 - 1e308 * 10)", Undefined::NotFinite),
    ] {
        assert_eq!(evaluate(text), Err(expected), "{text}");
    }
    assert_eq!(evaluate("zero == 0 ? 0 : queue / zero"), Ok(0.0), "guarded");
}

#[test]
fn what_is_no_formula_is_refused_with_its_column() {
    let long = format!("queue + {}", "1".repeat(TEXT_MAX));
    let deep = format!("{}queue{}", "(".repeat(DEPTH_MAX), ")".repeat(DEPTH_MAX));
    let signs = format!("{}queue", "-".repeat(DEPTH_MAX + 1));
    for (text, words) in [
        ("", "column 1: here stands the end, and not a number"),
        ("1 + 2", "column 1: it reads no metric"),
        ("queue > 1", "column 1: it is true or false, and has to be a number"),
        ("queue +", "column 8: here stands the end"),
        ("queue requests", "column 7: here stands requests, and not an operator"),
        ("queue ?? 0", "column 7: there is no ??; write has(metrics.queue) ? queue : 0"),
        ("queue % 2", "column 7: here stands \"%\""),
        ("queue = 2", "column 7: here stands \"=\""),
        ("queue + true", "column 9: this is true or false"),
        ("(queue > 1) + 1", "column 1: this is true or false"),
        ("queue ? 1 : 2", "column 1: this is a number, and has to be true or false"),
        ("queue && true ? 1 : 2", "column 1: this is a number"),
        ("queue > 1 ? 1 : true", "column 17: one side of :"),
        ("queue > true ? 1 : 0", "column 9: this is true or false"),
        ("ceil(queue)", "column 1: there is no function ceil; there are max, min and has"),
        ("max()", "column 5: here stands \")\""),
        ("max([queue, 1])", "column 5: here stands \"[\""),
        ("has(queue) ? 1 : 2", "column 5: here stands queue, and not metrics"),
        ("metrics", "column 8: here stands the end, and not a metric's name"),
        ("metrics[queue]", "column 9: here stands queue"),
        ("metrics[\"queue", "column 9: \" is not closed"),
        ("metrics[\"\"]", "column 9: names no metric"),
        ("in + 1", "column 1: in is a word of CEL's own; a metric of that name is metrics[\"in\"]"),
        ("5xx + queue", "column 1: 5xx is no number; a metric of that name is metrics[\"5xx\"]"),
        ("queue + 1u", "column 9: 1u is no number"),
        ("1e999 + queue", "column 1: 1e999 is no number that can be reckoned with"),
        ("queue; 1", "column 6: ';' means nothing here"),
        ("quéue", "column 3: 'é' means nothing here"),
        (&long, "more than 1024"),
        (&deep, "nested more than 32 deep"),
        (&signs, "nested more than 32 deep"),
    ] {
        let error = Formula::compile(text).expect_err(text).to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn is_its_text_to_serde() {
    let formula = Formula::compile("queue / 2").unwrap();
    let text = serde_json::to_string(&formula).unwrap();
    assert_eq!(text, "\"queue / 2\"");
    assert_eq!(serde_json::from_str::<Formula>(&text).unwrap(), formula);
    assert!(serde_json::from_str::<Formula>("\"queue /\"").is_err());
}

#[test]
fn the_longest_and_deepest_are_evaluated() {
    let wide = format!("q{}", "+q".repeat((TEXT_MAX - 1) / 2));
    let deep = format!("{}q{}", "(".repeat(DEPTH_MAX - 1), ")".repeat(DEPTH_MAX - 1));
    assert_eq!(Formula::compile(&wide).unwrap().evaluate(&[Some(1.0)]), Ok(512.0));
    assert_eq!(Formula::compile(&deep).unwrap().evaluate(&[Some(1.0)]), Ok(1.0));
}

/// Formulas of the language, numbers written as doubles so that CEL reads them alike.
fn number() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("a".to_owned()),
        Just("b".to_owned()),
        Just("metrics.c".to_owned()),
        Just("metrics[\"d\"]".to_owned()),
        (0..50i32).prop_map(|n| format!("{}.{}", n / 4, n % 4 * 25)),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let truth =
            (inner.clone(), prop::sample::select(vec!["<", "<=", ">", ">=", "==", "!="]), inner.clone())
                .prop_map(|(a, sign, b)| format!("({a}) {sign} ({b})"));
        let truth = (truth.clone(), prop::sample::select(vec!["&&", "||"]), truth, any::<bool>()).prop_map(
            |(a, sign, b, not)| {
                let not = if not { "!" } else { "" };
                format!("{not}({a} {sign} {b})")
            },
        );
        prop_oneof![
            (inner.clone(), prop::sample::select(vec!["+", "-", "*", "/"]), inner.clone())
                .prop_map(|(a, sign, b)| format!("{a} {sign} {b}")),
            (inner.clone(), prop::sample::select(vec!["+", "-", "*", "/"]), inner.clone())
                .prop_map(|(a, sign, b)| format!("({a}) {sign} ({b})")),
            inner.clone().prop_map(|a| format!("-({a})")),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|all| format!("max({})", all.join(", "))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|all| format!("min({})", all.join(", "))),
            (truth, inner.clone(), inner).prop_map(|(c, a, b)| format!("{c} ? {a} : {b}")),
        ]
    })
}

/// What the `cel` crate makes of it.
fn by_cel(text: &str, values: [f64; 4]) -> Option<f64> {
    let program = cel::Program::compile(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let mut context = cel::Context::default();
    let names = ["a", "b", "c", "d"];
    for (name, value) in names.into_iter().zip(values) {
        context.add_variable_from_value(name, value);
    }
    let metrics: std::collections::HashMap<String, f64> =
        names.into_iter().map(str::to_owned).zip(values).collect();
    context.add_variable_from_value("metrics", metrics);
    match program.execute(&context) {
        Ok(cel::Value::Float(value)) => Some(value),
        Ok(other) => panic!("{text}: {other:?}"),
        Err(_) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn cel_gives_the_same_number(text in number(), values in [0..40i32, 0..40, 0..40, 0..40]) {
        let values = values.map(|value| f64::from(value) / 4.0);
        // What reads no metric is no formula; what is too long or deep is another test's matter.
        let Ok(formula) = Formula::compile(&text) else { return Ok(()) };
        let value = |name: &str| match name {
            "a" => values[0],
            "b" => values[1],
            "c" => values[2],
            _ => values[3],
        };
        let inputs: Vec<Option<f64>> = formula.metrics().iter().map(|m| Some(value(&m.name))).collect();
        // Divisions by zero are infinite in CEL.
        let Ok(ours) = formula.evaluate(&inputs) else { return Ok(()) };
        let theirs = by_cel(&text, values);
        prop_assert!(theirs.is_some_and(|theirs| theirs == ours), "{text}: {ours} and not {theirs:?}");
    }

    #[test]
    fn no_text_panics(text in "[-a-c0-9 .()?:<>=!&|+*/,\"'\\[\\]]{0,60}", odd in "\\PC{0,30}") {
        for text in [text.clone(), odd.clone(), format!("{text}{odd}"), format!("a+({text}")] {
            if let Ok(formula) = Formula::compile(&text) {
                let values = vec![Some(2.0); formula.metrics().len()];
                let first = formula.evaluate(&values);
                prop_assert_eq!(first, formula.evaluate(&values));
                let _ = formula.evaluate(&[]);
            }
        }
    }
}
