//! No document panics, everything that comes out is taken, and comments stay comments.

use autoscaler_api::{Compatibility, Mode, schema, validate};
use autoscaler_import::{MAX_OBJECTS, Options, import};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{judge, options, read};

const SEEDS: [&str; 2] = [include_str!("../../testdata/hpa.yaml"), include_str!("../../testdata/keda.yaml")];

/// What stands in the place of something else.
fn strange() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        Just(json!(-1)),
        Just(json!(0)),
        Just(json!(u64::MAX)),
        Just(json!(1e308)),
        Just(json!(true)),
        Just(json!("")),
        Just(json!("a\nkind: ScalingPolicy\n---\n")),
        Just(json!("\u{2028}…\u{0}\"'{}[]#: ")),
        Just(json!("9".repeat(400))),
        Just(json!([[[{"a": {"b": []}}]]])),
        Just(json!({"type": "External", "metadata": {"query": 3}})),
        "[ -~]{0,24}".prop_map(Value::from),
    ]
}

/// Puts another value in a place, which the steps of a walk lead to.
fn change(value: &mut Value, walk: &[u8], new: Value) {
    let pick = |step: &u8, len: usize| usize::from(*step) % len;
    match (value, walk.split_first()) {
        (Value::Array(items), Some((step, rest))) if !items.is_empty() => {
            let i = pick(step, items.len());
            change(&mut items[i], rest, new);
        }
        (Value::Object(fields), Some((step, rest))) if !fields.is_empty() => {
            let i = pick(step, fields.len());
            change(fields.iter_mut().nth(i).unwrap().1, rest, new);
        }
        (value, _) => *value = new,
    }
}

/// What must hold of any answer.
fn sound(text: &str, options: Options<'_>) -> Result<(), TestCaseError> {
    let Ok(imported) = read(text, options) else { return Ok(()) };
    for policy in &imported.policies {
        let value = serde_json::to_value(policy).unwrap();
        prop_assert_eq!(schema::check(&value), vec![]);
        prop_assert_eq!(validate(policy), vec![]);
        prop_assert!(policy.spec.metrics.iter().all(|m| judge(&m.query).is_ok()));
    }
    // Read back, there is nothing but the policies.
    let documents: Vec<Value> = serde_saphyr::from_multiple(&imported.text)
        .map_err(|e| TestCaseError::fail(format!("{e}\n{}", imported.text)))?;
    let documents: Vec<Value> = documents.into_iter().filter(|d| !d.is_null()).collect();
    let policies: Vec<Value> = imported.policies.iter().map(|p| serde_json::to_value(p).unwrap()).collect();
    prop_assert_eq!(documents, policies, "{}", imported.text);
    prop_assert!(imported.text.len() < 64 * text.len() + 100_000);
    Ok(())
}

/// Mode, whether steps are told, whether suggestions are taken.
type How = (Mode, bool, bool);

fn any_way() -> impl Strategy<Value = How> {
    let mode = prop_oneof![Just(Mode::Active), Just(Mode::Shadow), Just(Mode::Paused)];
    (mode, any::<bool>(), any::<bool>())
}

fn by((mode, takeover, take_suggestions): How) -> Options<'static> {
    Options {
        mode,
        compatibility: takeover.then_some(Compatibility::Hpa),
        takeover,
        take_suggestions,
        judge: &judge,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn documents_with_strange_values_in_any_place(
        seed in 0usize..2,
        changes in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..9), strange(), any::<bool>()), 1..6),
        how in any_way(),
    ) {
        let mut documents: Vec<Value> = serde_saphyr::from_multiple(SEEDS[seed]).unwrap();
        for (walk, value, lose) in changes {
            let (first, rest) = walk.split_first().unwrap();
            let i = usize::from(*first) % documents.len();
            change(&mut documents[i], rest, if lose { Value::Null } else { value });
        }
        let text: String = documents.iter().map(|d| format!("---\n{d}\n")).collect();
        sound(&text, by(how))?;
    }

    #[test]
    fn texts_with_strange_bytes_in_any_place(
        seed in 0usize..2, cuts in prop::collection::vec((any::<prop::sample::Index>(), "[ -~\n]{0,3}"), 1..5),
        how in any_way(),
    ) {
        let mut text = SEEDS[seed].to_owned();
        for (at, new) in cuts {
            let i = at.index(text.len());
            if text.is_char_boundary(i) && text.is_char_boundary(i + 1) {
                text.replace_range(i..=i, &new);
            }
        }
        sound(&text, by(how))?;
    }
}

#[test]
fn the_seeds_themselves_are_sound() {
    for seed in SEEDS {
        sound(seed, options()).unwrap();
        sound(seed, Options { takeover: true, take_suggestions: true, ..options() }).unwrap();
    }
}

#[test]
fn more_objects_than_fit_are_refused_and_many_metrics_are_cut() {
    let one = "- {apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler}\n";
    let text = format!("apiVersion: v1\nkind: List\nitems:\n{}", one.repeat(MAX_OBJECTS + 1));
    let error = import(&[("many.yaml".to_owned(), text)], options()).unwrap_err();
    assert!(error.starts_with("many.yaml: more than 10000 autoscalers"), "{error}");

    let trigger = r#"{type: prometheus, metadata: {serverAddress: "http://p", query: x, threshold: 1}}"#;
    let triggers = vec![trigger; 40].join(", ");
    let text = format!(
        "{{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {{name: a}}, spec: {{scaleTargetRef: {{name: a}}, \
         triggers: [{triggers}]}}}}"
    );
    let imported = read(&text, options()).unwrap();
    assert_eq!(imported.policies[0].spec.metrics.len(), 32);
    assert_eq!(imported.notes.iter().filter(|n| n.message.contains("beyond the 32 metrics")).count(), 8);
}
