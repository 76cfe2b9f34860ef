//! Whole files, with all that is told: testdata/*.imported.yaml. `UPDATE_GOLDEN=1` writes them anew.

use std::path::Path;

use autoscaler_api::{schema, validate};
use autoscaler_import::{Options, import};

use crate::options;

fn hold(name: &str, options: Options<'_>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let text = std::fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
    let imported = import(&[(format!("{name}.yaml"), text)], options).unwrap();
    for policy in &imported.policies {
        assert_eq!(schema::check(&serde_json::to_value(policy).unwrap()), []);
        assert_eq!(validate(policy), []);
    }
    assert!(!imported.text.contains("s3cret"), "a secret is shown");
    let kept = folder.join(format!("{name}.imported.yaml"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&kept, &imported.text).unwrap();
    }
    let wanted = std::fs::read_to_string(&kept).unwrap_or_default();
    assert!(
        imported.text == wanted,
        "{name}: run with UPDATE_GOLDEN=1 and see what changes:\n{}",
        imported.text
    );
}

#[test]
fn horizontal_pod_autoscalers_of_every_version() {
    hold("hpa", options());
}

#[test]
fn scaled_objects_and_how_to_take_them_over() {
    hold("keda", Options { takeover: true, ..options() });
}
