//! Credentials that are renewed while queries go on.

use std::path::Path;
use std::sync::atomic::Ordering;

use autoscaler_querier::{Rotating, SourceFiles};

use crate::server::{Server, ask, source, value};
use crate::tls::Authority;

fn write(dir: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn a_token_is_read_again_and_connections_stay() {
    let server = Server::start(|_| value(1.0)).await;
    let dir = tempfile::tempdir().unwrap();
    let mut files = SourceFiles::new(source(&[&server.url]));
    files.bearer_token = Some(write(dir.path(), "token", "first\n"));
    files.headers = vec![("x-key".into(), write(dir.path(), "key", "one"))];
    let querier = Rotating::open(files).unwrap();
    let sent = async || {
        ask(&querier, 20_000).await.unwrap();
        let request = server.requests.lock().pop().unwrap();
        format!("{} {}", request.header("authorization").unwrap(), request.header("x-key").unwrap())
    };
    assert_eq!(sent().await, "Bearer first one");
    assert_eq!(querier.look(), Ok(false));
    // The same length within one tick of a file system's clock.
    write(dir.path(), "token", "other\n");
    assert_eq!(querier.look(), Ok(true));
    assert_eq!(sent().await, "Bearer other one");
    write(dir.path(), "key", "two");
    assert_eq!(querier.look(), Ok(true));
    assert_eq!(sent().await, "Bearer other two");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_cannot_be_used_is_said_once_and_changes_nothing() {
    let server = Server::start(|_| value(1.0)).await;
    let dir = tempfile::tempdir().unwrap();
    let mut files = SourceFiles::new(source(&[&server.url]));
    files.bearer_token = Some(write(dir.path(), "token", "good"));
    let querier = Rotating::open(files).unwrap();
    for broken in ["", "two\nlines"] {
        write(dir.path(), "token", broken);
        assert_eq!(querier.look().unwrap_err().field, "bearerToken");
        assert_eq!(querier.look(), Ok(false), "said already");
        ask(&querier, 20_000).await.unwrap();
        assert_eq!(server.requests.lock().pop().unwrap().header("authorization"), Some("Bearer good"));
    }
    std::fs::remove_file(dir.path().join("token")).unwrap();
    let error = querier.look().unwrap_err().to_string();
    assert!(error.starts_with("bearerToken: ") && error.contains("token: No such file"), "{error}");
    write(dir.path(), "token", "better");
    assert_eq!(querier.look(), Ok(true));
}

#[tokio::test]
async fn a_certificate_that_is_renewed_is_shown_once_both_halves_are_there() {
    let (servers, clients, next) = (Authority::new(), Authority::new(), Authority::new());
    let old = Server::start_tls(servers.server("localhost", Some(&clients)), |_| value(1.0)).await;
    let new = Server::start_tls(servers.server("localhost", Some(&next)), |_| value(2.0)).await;
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = clients.issue("gauntlet");
    let open = |server: &Server| {
        let mut files = SourceFiles::new(source(&[&server.url]));
        files.ca = Some(dir.path().join("ca.crt"));
        files.client = Some((dir.path().join("tls.crt"), dir.path().join("tls.key")));
        Rotating::open(files).unwrap()
    };
    write(dir.path(), "ca.crt", &servers.pem);
    write(dir.path(), "tls.crt", &certificate);
    write(dir.path(), "tls.key", &key);
    let (to_old, to_new) = (open(&old), open(&new));
    assert!(ask(&to_old, 20_000).await.is_ok());
    assert!(ask(&to_new, 20_000).await.is_err());
    let (certificate, key) = next.issue("gauntlet");
    write(dir.path(), "tls.crt", &certificate);
    assert_eq!(to_new.look().unwrap_err().field, "tls.key");
    assert!(ask(&to_old, 20_000).await.is_ok(), "the pair of before goes on");
    write(dir.path(), "tls.key", &key);
    assert_eq!(to_new.look(), Ok(true));
    assert_eq!(ask(&to_new, 20_000).await.unwrap().series[0].value, Some(2.0));
}

#[test]
fn each_file_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let large = write(dir.path(), "large", &"x".repeat((1 << 20) + 1));
    type Set = fn(&mut SourceFiles, std::path::PathBuf);
    let cases: [(Set, &str); 6] = [
        (|f, p| f.bearer_token = Some(p), "bearerToken"),
        (|f, p| f.basic = Some(("user".into(), p)), "basicAuth.password"),
        (|f, p| f.headers = vec![("a".into(), p)], "headers"),
        (|f, p| f.ca = Some(p), "tls.ca"),
        (|f, p| f.client = Some((p.clone(), p)), "tls.certificate"),
        (|f, p| f.bearer_token = Some(p.parent().unwrap().into()), "bearerToken"),
    ];
    for (set, field) in cases {
        for path in [&missing, &large] {
            let mut files = SourceFiles::new(source(&["http://h"]));
            set(&mut files, path.clone());
            let error = Rotating::open(files).unwrap_err();
            assert_eq!(error.field, field);
            assert!(error.message.contains(&dir.path().display().to_string()), "{error}");
        }
    }
}
