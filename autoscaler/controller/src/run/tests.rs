use clap::Parser;
use thanos_telemetry::cli::EXIT_CONFIG;

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

async fn refused(flags: &[&str]) -> String {
    let base = ["x", "--query-url", "http://127.0.0.1:1", "--listen-address", "127.0.0.1:0"];
    let args = Cli::try_parse_from(base.iter().chain(flags)).map(|cli| cli.args);
    let args = match args {
        Ok(args) => args,
        Err(e) => return e.to_string(),
    };
    let error = run(args, Context { shutdown: Shutdown::new() }).await.unwrap_err();
    assert_eq!(error.exit_code(), EXIT_CONFIG, "{error}");
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

#[tokio::test]
async fn wrong_flags_end_in_one_line_that_names_them() {
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = dir.path().join("config");
    std::fs::write(&kubeconfig, "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: []\n")
        .unwrap();
    let kubeconfig = kubeconfig.display().to_string();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let file = file.display().to_string();
    let cases: &[(&[&str], &str)] = &[
        (&["--query-proxy-url", "proxy"], "--query-proxy-url"),
        (&["--query-url", "query:9090"], "--query-url"),
        (&["--query-url", "ftp://user:hunter2@query"], "--query-url \"ftp://…@query\""),
        (&["--query-tenant", ""], "--query-tenant"),
        (&["--query-header", "hunter2"], "--query-header: has no colon"),
        (&["--query-header", "Host: hunter2"], "--query-header: host follows"),
        (&["--query-header-file", "X-Key"], "--query-header-file"),
        (&["--query-header-file", "X-Key=/nonexistent/key"], "--query-header: /nonexistent/key"),
        (
            &["--query-bearer-token-file", "/nonexistent/token"],
            "--query-bearer-token-file: /nonexistent/token",
        ),
        (&["--query-bearer-token-file", &file], "--query-bearer-token-file: is empty"),
        (&["--query-basic-username", "hunter2"], "needs --query-basic-password-file"),
        (&["--query-basic-password-file", &file], "needs --query-basic-username"),
        (
            &[
                "--query-basic-username",
                "a",
                "--query-basic-password-file",
                &file,
                "--query-bearer-token-file",
                &file,
            ],
            "keep one of them",
        ),
        (&["--query-ca-file", &file], "--query-ca-file: has no certificate"),
        (&["--query-client-cert-file", &file], "needs --query-client-key-file"),
        (&["--query-client-key-file", &file], "needs --query-client-cert-file"),
        (
            &["--query-client-cert-file", &file, "--query-client-key-file", &file],
            "--query-client-cert-file: has no",
        ),
        (&["--query-server-name", "a b"], "--query-server-name"),
        (&["--query-insecure-skip-verify", "--query-server-name", "a"], "--query-insecure-skip-verify"),
        (&["--max-series", "0"], "--max-series"),
        (&["--query-timeout", "0"], "--query-timeout"),
        (&["--query-timeout", "soon"], "soon"),
        (&["--cluster-label", "a-b"], "--cluster-label"),
        (&["--lease-renew", "10s"], "--lease-renew"),
        (&["--lease-retry", "0"], "--lease-retry"),
        (&["--kubeconfig", &kubeconfig, "--context", "west"], "--context west"),
        (&["--kubeconfig", &kubeconfig], "--kubeconfig"),
        (&["--kubeconfig", "/nonexistent/config"], "--kubeconfig"),
        (&["--records-dir", &file], "--records-dir"),
    ];
    for (flags, named) in cases {
        let text = refused(flags).await;
        assert!(text.contains(named), "{flags:?}: {text}");
        assert!(!text.contains("hunter2"), "{flags:?}: {text}");
    }
}
