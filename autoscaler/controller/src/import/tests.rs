use super::*;

const HPA: &str = include_str!("../../../import/testdata/hpa.yaml");
const KEDA: &str = include_str!("../../../import/testdata/keda.yaml");
const WHOLE: &str = r#"
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: web}
spec:
  scaleTargetRef: {name: web}
  minReplicaCount: 2
  triggers:
  - {type: prometheus, metadata: {serverAddress: "http://p:9090", query: "sum(rate(x[2m]))", threshold: "5"}}
"#;

fn imported(text: &str, mode: Mode) -> Import {
    let options =
        Options { mode, compatibility: None, takeover: true, take_suggestions: true, judge: &judge };
    import(&[("in.yaml".to_owned(), text.to_owned())], options).unwrap()
}

fn code(result: Result<(), RunError>) -> Option<u8> {
    result.err().map(|e| e.exit_code())
}

#[test]
fn what_comes_out_is_what_check_takes() {
    for text in [HPA, KEDA, WHOLE] {
        for mode in [Mode::Shadow, Mode::Active] {
            let imported = imported(text, mode);
            assert!(!imported.policies.is_empty());
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("policies.yaml");
            std::fs::write(&path, &imported.text).unwrap();
            let args = crate::check::Args { files: vec![path], cluster_label: "cluster".into() };
            crate::check::run(&args).unwrap_or_else(|e| panic!("{e}\n{}", imported.text));
        }
    }
}

#[test]
fn the_exit_code_tells_whether_somebody_has_to_look() {
    assert_eq!(code(verdict(&imported(WHOLE, Mode::Shadow))), None);
    assert_eq!(code(verdict(&imported(KEDA, Mode::Shadow))), Some(2));
    let useless = WHOLE.replace("  scaleTargetRef: {name: web}\n", "");
    assert_eq!(code(verdict(&imported(&useless, Mode::Shadow))), Some(64));
}

#[test]
fn a_file_that_is_missing_or_of_no_use_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none.yaml");
    for text in [None, Some("a: ["), Some("kind: Deployment")] {
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let args = Args {
            files: vec![path.clone()],
            mode: Mode::Shadow,
            compatibility: None,
            take_suggestions: false,
            takeover: false,
        };
        let error = run(&args).unwrap_err();
        assert_eq!(error.exit_code(), 64);
        assert!(error.to_string().contains("none.yaml"), "{error}");
    }
}

#[test]
fn modes_are_spelled_as_in_a_policy() {
    assert_eq!(mode("Active"), Ok(Mode::Active));
    assert!(mode("active").is_err());
}
