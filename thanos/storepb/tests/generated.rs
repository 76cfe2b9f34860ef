//! `src/gen` is what the protos in `proto/` generate; `UPDATE_GEN=1` rewrites it.

use std::path::Path;

#[test]
fn generated_code_matches_the_protos() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fds = protox::compile(["store.proto", "info.proto", "prompb.proto"], [root.join("proto")])
        .expect("protos compile");
    let out = tempdir();
    tonic_prost_build::configure()
        .out_dir(&out)
        .bytes(".thanos.Chunk.data")
        .bytes(".thanos.WriteRequest.timeseries")
        .bytes(".thanos.TimeSeriesTenantTuple.timeseries")
        .emit_rerun_if_changed(false)
        .compile_fds(fds)
        .expect("code generates");
    let update = std::env::var_os("UPDATE_GEN").is_some();
    let mut names: Vec<_> =
        std::fs::read_dir(&out).expect("out dir").map(|e| e.expect("entry").file_name()).collect();
    names.sort();
    assert!(!names.is_empty());
    for name in names {
        let fresh = std::fs::read_to_string(out.join(&name)).expect("generated file");
        let kept = root.join("src/gen").join(&name);
        if update {
            std::fs::write(&kept, &fresh).expect("write src/gen");
        }
        let kept = std::fs::read_to_string(&kept).unwrap_or_default();
        assert!(kept == fresh, "{} differs: run UPDATE_GEN=1 cargo test -p thanos-storepb", name.display());
    }
    std::fs::remove_dir_all(out).expect("clean up");
}

fn tempdir() -> std::path::PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("gen-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("temp dir");
    dir
}
