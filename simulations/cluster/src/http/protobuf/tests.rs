//! Bodies as client-go writes them, and whatever else may come.

use proptest::prelude::*;

use super::*;

fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push(u8::try_from(n & 0x7f).unwrap() | 0x80);
        n >>= 7;
    }
    out.push(u8::try_from(n).unwrap());
    out
}

fn number(field: u64, n: u64) -> Vec<u8> {
    [varint(field << 3), varint(n)].concat()
}

fn bytes(field: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [varint(field << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [bytes(1, api_version), bytes(2, kind)].concat();
    [MAGIC.to_vec(), bytes(1, meta), bytes(2, raw), bytes(3, ""), bytes(4, "")].concat()
}

#[test]
fn a_config_map_is_read() {
    // client-go writes every field that is no pointer, empty ones too.
    let meta = [
        bytes(1, "m"),
        bytes(2, ""),
        bytes(3, "default"),
        bytes(5, ""),
        bytes(6, ""),
        number(7, 0),
        bytes(8, ""),
    ]
    .concat();
    let data = bytes(2, [bytes(1, "k"), bytes(2, "v")].concat());
    let empty = bytes(2, bytes(1, "e"));
    let binary = bytes(3, [bytes(1, "b"), bytes(2, [0, 255])].concat());
    let body = envelope("v1", "ConfigMap", &[bytes(1, meta), data, empty, binary].concat());
    assert_eq!(
        decode(&body).unwrap(),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "default"},
            "data": {"k": "v", "e": ""}, "binaryData": {"b": "AP8="}})
    );
}

#[test]
fn numbers_times_and_inlined_structures_are_read() {
    let port =
        [number(3, 80), bytes(4, [number(1, 1), number(2, 0), bytes(3, "http")].concat()), number(5, 0)]
            .concat();
    let service = bytes(2, [bytes(1, port), bytes(4, "ClusterIP"), bytes(7, "")].concat());
    let read = decode(&envelope("v1", "Service", &service)).unwrap();
    assert_eq!(read["spec"], json!({"ports": [{"port": 80, "targetPort": "http"}], "type": "ClusterIP"}));

    let limit = bytes(1, [bytes(1, "cpu"), bytes(2, bytes(1, "500m"))].concat());
    let probe = bytes(
        10,
        [
            bytes(1, bytes(2, [bytes(1, "/x"), bytes(2, [number(1, 0), number(2, 8080)].concat())].concat())),
            number(2, 0),
        ]
        .concat(),
    );
    let container = bytes(2, [bytes(1, "c"), bytes(2, "i"), bytes(8, limit), probe].concat());
    let volume = bytes(1, [bytes(1, "v"), bytes(2, bytes(2, ""))].concat());
    let template = bytes(3, bytes(2, [volume, container].concat()));
    let deployment = bytes(2, [number(1, 0), template, number(5, 0), number(7, 0)].concat());
    let read = decode(&envelope("apps/v1", "Deployment", &deployment)).unwrap();
    assert_eq!(read["spec"]["replicas"], 0, "a pointer to zero is a zero");
    assert_eq!(read["spec"].get("minReadySeconds"), None, "a zero that JSON leaves out is left out");
    let pod = &read["spec"]["template"]["spec"];
    assert_eq!(pod["volumes"], json!([{"name": "v", "emptyDir": {}}]));
    assert_eq!(
        pod["containers"],
        json!([{"name": "c", "image": "i", "resources": {"limits": {"cpu": "500m"}},
            "livenessProbe": {"httpGet": {"path": "/x", "port": 8080}}}])
    );

    let renewed = bytes(4, [number(1, 1_700_000_000), number(2, 5_000)].concat());
    let lease = bytes(2, [number(2, 15), renewed, number(5, u64::MAX)].concat());
    let read = decode(&envelope("coordination.k8s.io/v1", "Lease", &lease)).unwrap();
    assert_eq!(
        read["spec"],
        json!({"leaseDurationSeconds": 15, "renewTime": "2023-11-14T22:13:20.000005Z", "leaseTransitions": -1})
    );
}

#[test]
fn what_is_no_body_is_told() {
    let deep = (0..100).fold(Vec::new(), |inner, _| bytes(6, inner));
    let many = vec![bytes(2, ""); VALUES_MAX + 1].concat();
    for (body, why) in [
        (b"{}".to_vec(), "does not begin"),
        (b"k8s\0\xff".to_vec(), "ends within"),
        (envelope("apps/v1", "DaemonSet", &[]), "DaemonSet"),
        (envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", &[]), "send JSON"),
        (envelope("v1", "ObjectMeta", &[]), "send JSON"),
        (envelope("v1", "ConfigMap", &[0x0a, 5, 1]), "ends within"),
        (envelope("v1", "ConfigMap", &bytes(1, bytes(1, [0xff]))), "UTF-8"),
        (envelope("v1", "ConfigMap", &number(1, 1)), "wire type"),
        (envelope("v1", "ConfigMap", &many), "too many"),
        ([MAGIC.to_vec(), bytes(3, "gzip")].concat(), "encoded"),
    ] {
        let error = decode(&body).unwrap_err();
        assert!(error.contains(why), "{why}: {error}");
    }
    assert!(decode(&envelope("v1", "Pod", &deep)).is_ok(), "unknown fields are skipped, however deep");
}

proptest! {
    #[test]
    fn no_bytes_panic(raw in prop::collection::vec(any::<u8>(), 0..200), kind in 0usize..6) {
        let (version, kind) = [("v1", "Pod"), ("apps/v1", "Deployment"), ("v1", "Secret"), ("v1", "Event"),
            ("coordination.k8s.io/v1", "Lease"), ("events.k8s.io/v1", "Event")][kind];
        let _ = decode(&raw);
        let _ = decode(&envelope(version, kind, &raw));
    }
}
