#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use tower::ServiceExt;

use super::*;

async fn get_with(path: &str, etag: Option<&str>) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::get(path);
    if let Some(etag) = etag {
        request = request.header(header::IF_NONE_MATCH, etag);
    }
    let response = router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_root_leads_to_the_pages() {
    for path in ["/", "/ui"] {
        let (status, headers, _) = get_with(path, None).await;
        assert!(status.is_redirection(), "{path}: {status}");
        assert_eq!(headers[header::LOCATION], "/ui/", "{path}");
    }
    let (status, headers, body) = get_with("/ui/", None).await;
    assert_eq!((status, &headers[header::CONTENT_TYPE]), (StatusCode::OK, &HeaderValue::from_static(HTML)));
    assert!(body.starts_with("<!doctype html>"), "{body}");
}

#[tokio::test]
async fn every_answer_is_guarded_and_what_is_known_is_not_sent_again() {
    for asset in ASSETS {
        let path = format!("/ui/{}", asset.name);
        let (status, headers, body) = get_with(&path, None).await;
        assert_eq!((status, body.as_bytes()), (StatusCode::OK, asset.body), "{path}");
        assert_eq!(headers[header::CONTENT_TYPE], asset.content_type, "{path}");
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], POLICY, "{path}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        let etag = headers[header::ETAG].to_str().unwrap();
        for known in [etag.to_owned(), format!("W/\"0\", {etag}"), "*".into()] {
            let (status, headers, body) = get_with(&path, Some(&known)).await;
            assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""), "{path} {known}");
            assert_eq!(headers[header::ETAG], etag, "{path}");
        }
        assert_eq!(get_with(&path, Some("W/\"0\"")).await.0, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_and_no_way_out_of_the_folder() {
    for path in ["/ui/nothing.js", "/ui/../Cargo.toml", "/ui/%2e%2e/Cargo.toml", "/ui/a/b/c"] {
        let (status, headers, body) = get_with(path, None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {body}");
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], POLICY, "{path}");
    }
}

/// Everything in the folder is served, every import and link leads to something served, and nothing leads away.
#[test]
fn the_assets_are_whole_and_of_this_origin() {
    let served: BTreeSet<&str> = ASSETS.iter().map(|a| a.name).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let there: BTreeSet<String> =
        folder.read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(served, there.iter().map(String::as_str).collect());
    for asset in ASSETS {
        let text = std::str::from_utf8(asset.body).unwrap();
        for (marker, end) in [("from \"./", '"'), ("import(\"./", '"'), ("src=\"", '"')] {
            for rest in text.split(marker).skip(1) {
                let target = rest.split(end).next().unwrap();
                assert!(served.contains(target), "{} refers to {target}", asset.name);
            }
        }
        let away = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!away.contains("http://") && !away.contains("https://"), "{} leads away", asset.name);
        for inline in [" style=\"", "innerHTML =", "eval(", "<script>", " onclick=\""] {
            assert!(!text.contains(inline), "{} has {inline}, which the policy forbids", asset.name);
        }
    }
}
