//! What a pod template says, whichever way it is spelled. Pure.
//!
//! Clients write templates back in words of their own: `resources: {}` where there was nothing, `cpu: 1000m` for
//! `1`, a default in full. Such a template is the old one, and rolls nothing out. Source: kubernetes
//! `pkg/controller/deployment/util` `EqualIgnoreHash` (which label is ignored), apimachinery `equality.Semantic` (empty
//! lists and maps, quantities).

use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::{Map, Value, json};
use simulations_kernel::hash::hash as number;

use crate::api::letters;

/// The label by which a ReplicaSet's pods are told from those of other templates.
pub(super) const HASH_LABEL: &str = "pod-template-hash";

/// Maps whose keys are the user's.
const TEXTS: &[&str] = &["labels", "annotations", "nodeSelector", "matchLabels", "volumeAttributes"];
/// Maps of quantities, and quantities.
const QUANTITIES: &[&str] = &["limits", "requests", "overhead"];
const QUANTITY: &[&str] = &["sizeLimit", "divisor", "storage"];
/// What says nothing when it is empty. Elsewhere it may: `emptyDir: {}` is a volume.
const NOTHING_WHEN_EMPTY: &[&str] = &[
    "metadata",
    "resources",
    "securityContext",
    "affinity",
    "nodeAffinity",
    "podAffinity",
    "podAntiAffinity",
    "dnsConfig",
    "lifecycle",
    "capabilities",
    "seLinuxOptions",
    "windowsOptions",
];
const NOTHING_WHEN_FALSE: &[&str] =
    &["hostNetwork", "hostPID", "hostIPC", "readOnly", "stdin", "stdinOnce", "tty", "optional"];
const NOTHING_WHEN_ZERO: &[&str] = &["initialDelaySeconds", "hostPort"];
/// Texts that say something when they are empty.
const SAID_WHEN_EMPTY: &[&str] = &["storageClassName"];

/// A short hash of what a template says, in letters that may stand in names. `collisions` makes others of it.
pub(super) fn hash(template: &PodTemplateSpec, collisions: i32) -> String {
    let text = canonical(template).to_string();
    let collisions = if collisions == 0 { String::new() } else { collisions.to_string() };
    letters(number(0, [&*text, &collisions]), 10)
}

/// Whether two templates say the same, but for the label that tells their pods apart.
pub(super) fn same(a: &PodTemplateSpec, b: &PodTemplateSpec) -> bool {
    canonical(a) == canonical(b)
}

fn canonical(template: &PodTemplateSpec) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template.metadata.as_mut().and_then(|m| m.labels.as_mut()) {
        labels.remove(HASH_LABEL);
    }
    let value = serde_json::to_value(template).unwrap_or_default();
    said("", "", value).unwrap_or_default()
}

/// The value as it is always written; `None`: it says nothing. `parent` is what the key is of.
fn said(parent: &str, key: &str, value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(map) if TEXTS.contains(&key) => (!map.is_empty()).then_some(Value::Object(map)),
        Value::Object(map) if QUANTITIES.contains(&key) => {
            let map: Map<String, Value> = map.into_iter().map(|(k, v)| (k, quantity_said(v))).collect();
            (!map.is_empty()).then_some(Value::Object(map))
        }
        Value::Object(mut map) => {
            // One name for two.
            if key == "spec"
                && let Some(account) = map.remove("serviceAccount")
            {
                map.entry("serviceAccountName").or_insert(account);
            }
            let map: Map<String, Value> =
                map.into_iter().filter_map(|(k, v)| Some((k.clone(), said(key, &k, v)?))).collect();
            (!map.is_empty() || !NOTHING_WHEN_EMPTY.contains(&key)).then_some(Value::Object(map))
        }
        // An element keeps its place, whatever it says.
        Value::Array(items) => {
            let one = |item: Value| match item {
                Value::Object(_) => said(parent, key, item).unwrap_or_else(|| json!({})),
                item => item,
            };
            let items: Vec<Value> = items.into_iter().map(one).collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Value::String(text) if text.is_empty() && !SAID_WHEN_EMPTY.contains(&key) => None,
        value if QUANTITY.contains(&key) => Some(quantity_said(value)),
        Value::Bool(false) if NOTHING_WHEN_FALSE.contains(&key) => None,
        value if NOTHING_WHEN_ZERO.contains(&key) && value == json!(0) => None,
        value if is_default(parent, key, &value) => None,
        value => Some(value),
    }
}

/// Whether Kubernetes would fill in this very value.
fn is_default(parent: &str, key: &str, value: &Value) -> bool {
    let default = match (parent, key) {
        ("spec", "restartPolicy") => json!("Always"),
        ("spec", "dnsPolicy") => json!("ClusterFirst"),
        ("spec", "schedulerName") => json!("default-scheduler"),
        ("spec", "terminationGracePeriodSeconds") => json!(30),
        ("containers" | "initContainers", "terminationMessagePath") => json!("/dev/termination-log"),
        ("containers" | "initContainers", "terminationMessagePolicy") => json!("File"),
        ("ports", "protocol") => json!("TCP"),
        ("httpGet", "scheme") => json!("HTTP"),
        ("httpGet", "path") => json!("/"),
        ("readinessProbe" | "livenessProbe" | "startupProbe", "periodSeconds") => json!(10),
        ("readinessProbe" | "livenessProbe" | "startupProbe", "failureThreshold") => json!(3),
        ("readinessProbe" | "livenessProbe" | "startupProbe", "timeoutSeconds" | "successThreshold") => {
            json!(1)
        }
        ("configMap" | "secret" | "projected" | "downwardAPI", "defaultMode") => json!(420),
        _ => return false,
    };
    *value == default
}

/// A quantity as a number of billionths, or as it is if it is none.
fn quantity_said(value: Value) -> Value {
    let number = match &value {
        Value::String(text) => billionths(text),
        Value::Number(n) => billionths(&n.to_string()),
        _ => None,
    };
    number.map_or(value, |n| Value::String(n.to_string()))
}

/// Source: apimachinery `pkg/api/resource` (format; what is finer than a billionth is rounded up).
fn billionths(text: &str) -> Option<i128> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + fraction.len() == 0 {
        return None;
    }
    let number: i128 = format!("{whole}{fraction}").parse().ok()?;
    let (tens, times): (i64, i128) = match suffix {
        "n" => (-9, 1),
        "u" => (-6, 1),
        "m" => (-3, 1),
        "" => (0, 1),
        "k" => (3, 1),
        "M" => (6, 1),
        "G" => (9, 1),
        "T" => (12, 1),
        "P" => (15, 1),
        "E" => (18, 1),
        "Ki" => (0, 1 << 10),
        "Mi" => (0, 1 << 20),
        "Gi" => (0, 1 << 30),
        "Ti" => (0, 1 << 40),
        "Pi" => (0, 1 << 50),
        "Ei" => (0, 1 << 60),
        exponent => (i64::from(exponent.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?), 1),
    };
    let number = number.checked_mul(times)?;
    let tens = tens.checked_add(9)?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let factor = 10_i128.checked_pow(u32::try_from(tens.unsigned_abs()).ok()?)?;
    let result =
        if tens >= 0 { number.checked_mul(factor)? } else { number.checked_add(factor - 1)? / factor };
    Some(if negative { -result } else { result })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(value: Value) -> PodTemplateSpec {
        serde_json::from_value(value).unwrap()
    }

    /// The spec of one container named `c`, with more for it and for the pod.
    fn of(container: Value, spec: Value) -> PodTemplateSpec {
        let mut full =
            json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c"}]}});
        for (key, value) in container.as_object().unwrap() {
            full["spec"]["containers"][0][key] = value.clone();
        }
        for (key, value) in spec.as_object().unwrap() {
            full["spec"][key] = value.clone();
        }
        template(full)
    }

    #[test]
    fn other_spellings_are_the_same_template() {
        let none = json!({});
        let cpu = |text: &str| json!({"resources": {"limits": {"cpu": text}, "requests": {"memory": "1Gi"}}});
        let probe = |more: Value| {
            let mut probe = json!({"httpGet": {"port": 80}});
            for (key, value) in more.as_object().unwrap() {
                probe[key] = value.clone();
            }
            json!({"readinessProbe": probe})
        };
        for (a, b, equal) in [
            (of(json!({"resources": {}}), none.clone()), of(none.clone(), none.clone()), true),
            (of(json!({"resources": {"limits": {}}}), none.clone()), of(none.clone(), none.clone()), true),
            (of(json!({"env": [], "ports": []}), none.clone()), of(none.clone(), none.clone()), true),
            (
                of(json!({"securityContext": {}}), json!({"securityContext": {}})),
                of(none.clone(), none.clone()),
                true,
            ),
            (
                of(none.clone(), json!({"hostNetwork": false, "nodeSelector": {}})),
                of(none.clone(), none.clone()),
                true,
            ),
            (
                of(none.clone(), json!({"restartPolicy": "Always", "affinity": {}})),
                of(none.clone(), none.clone()),
                true,
            ),
            (
                of(none.clone(), json!({"serviceAccount": "a"})),
                of(none.clone(), json!({"serviceAccountName": "a"})),
                true,
            ),
            (of(cpu("1000m"), none.clone()), of(cpu("1"), none.clone()), true),
            (of(cpu("1e3"), none.clone()), of(cpu("1k"), none.clone()), true),
            (of(cpu("0.5"), none.clone()), of(cpu("500m"), none.clone()), true),
            (
                of(probe(json!({"periodSeconds": 10, "initialDelaySeconds": 0})), none.clone()),
                of(probe(none.clone()), none.clone()),
                true,
            ),
            (
                of(json!({"env": [{"name": "A", "value": ""}]}), none.clone()),
                of(json!({"env": [{"name": "A"}]}), none.clone()),
                true,
            ),
            // And what is another.
            (of(cpu("1"), none.clone()), of(cpu("1001m"), none.clone()), false),
            (of(json!({"args": [""]}), none.clone()), of(none.clone(), none.clone()), false),
            (of(json!({"args": ["", "a"]}), none.clone()), of(json!({"args": ["a"]}), none.clone()), false),
            (
                of(probe(json!({"periodSeconds": 1})), none.clone()),
                of(probe(none.clone()), none.clone()),
                false,
            ),
            (
                of(none.clone(), json!({"initContainers": [{"name": "i", "restartPolicy": "Always"}]})),
                of(none.clone(), json!({"initContainers": [{"name": "i"}]})),
                false,
            ),
            (
                of(none.clone(), json!({"volumes": [{"name": "v", "emptyDir": {}}]})),
                of(none.clone(), json!({"volumes": [{"name": "v"}]})),
                false,
            ),
            (of(none.clone(), json!({"nodeSelector": {"a": ""}})), of(none.clone(), none.clone()), false),
        ] {
            assert_eq!(same(&a, &b), equal, "{a:?}\n{b:?}");
            assert_eq!(hash(&a, 0) == hash(&b, 0), equal, "{a:?}\n{b:?}");
        }
    }

    #[test]
    fn the_label_of_the_hash_is_not_part_of_it_and_collisions_make_others() {
        let labelled =
            |labels: Value| template(json!({"metadata": {"labels": labels, "creationTimestamp": null}}));
        let plain = labelled(json!({"app": "web"}));
        assert!(same(&plain, &labelled(json!({"app": "web", HASH_LABEL: "abc"}))));
        assert!(!same(&plain, &labelled(json!({"app": "web", "v": ""}))));
        assert!(same(&labelled(json!({})), &PodTemplateSpec::default()));
        assert_ne!(hash(&plain, 0), hash(&plain, 1));
    }

    #[test]
    fn quantities_are_numbers() {
        for (text, expected) in [
            ("1", Some(1_000_000_000)),
            ("+1.50", Some(1_500_000_000)),
            ("-1m", Some(-1_000_000)),
            (".5", Some(500_000_000)),
            ("1n", Some(1)),
            ("0.1n", Some(1)),
            ("1Ki", Some(1_024_000_000_000)),
            ("1E", Some(1_000_000_000_000_000_000_000_000_000)),
            ("1E3", Some(1_000_000_000_000)),
            ("1e-3", Some(1_000_000)),
            ("", None),
            (".", None),
            ("m", None),
            ("1.2.3", None),
            ("1Q", None),
            ("1e99999", None),
            ("99999999999999999999999999999999Ei", None),
        ] {
            assert_eq!(billionths(text), expected, "{text}");
        }
    }
}
