use super::*;

fn address(ordinal: u32) -> String {
    format!("127.1.0.{ordinal}:10901")
}

fn pod(ordinal: u32, ready: bool) -> Pod {
    Pod { ordinal, address: Some(address(ordinal)), ready }
}

fn ring(ordinals: &[u32]) -> Vec<Member> {
    ordinals.iter().map(|o| Member { ordinal: Some(*o), address: address(*o) }).collect()
}

fn spec() -> autoscaler_api::Ring {
    serde_json::from_value(serde_json::json!({"configMap": "ring"})).unwrap()
}

fn map(text: &str) -> ConfigMap {
    ConfigMap { data: [("hashrings.json".into(), text.into())].into(), ..ConfigMap::default() }
}

#[test]
fn what_is_written_reads_back_and_is_thanos_format() {
    let text = write(None, &spec(), &ring(&[0, 1])).unwrap();
    let map = ConfigMap { notes: Some(notes(7, &ring(&[0, 1]))), ..map(&text) };
    let current = read(&map, &spec(), &[], "receive").unwrap();
    assert_eq!((current.version, current.members), (7, ring(&[0, 1])));
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected = serde_json::json!([{
        "hashring": "default", "endpoints": [address(0), address(1)], "algorithm": "ketama"
    }]);
    assert_eq!(file, expected);
}

#[test]
fn a_file_by_somebody_else_is_adopted() {
    let map = map(r#"[{"hashring": "other", "endpoints": ["x:1"], "tenants": ["t"]},
                      {"hashring": "default", "endpoints": ["receive-3.receive:10901", {"address": "127.1.0.1:10901", "az": "a"}, "9.9.9.9:1"]}]"#);
    let current = read(&map, &spec(), &[pod(1, true)], "receive").unwrap();
    let ordinals: Vec<Option<u32>> = current.members.iter().map(|m| m.ordinal).collect();
    assert_eq!(ordinals, [Some(3), Some(1), None]);
    let text = write(Some(&map), &spec(), &ring(&[0])).unwrap();
    assert!(text.contains("\"x:1\"") && text.contains("\"t\""), "other hashrings stay: {text}");
}

#[test]
fn nothing_is_no_ring_and_garbage_is_an_error() {
    assert_eq!(read(&ConfigMap::default(), &spec(), &[], "r").unwrap().members, []);
    assert_eq!(read(&map(" "), &spec(), &[], "r").unwrap().members, []);
    for garbage in ["{", "{}", "[1]", "[{\"endpoints\": [1]}]"] {
        assert!(read(&map(garbage), &spec(), &[], "r").unwrap_err().contains("delete the key"), "{garbage}");
    }
    assert!(read(&map(&"x".repeat(2 << 20)), &spec(), &[], "r").unwrap_err().contains("over the limit"));
}
