//! A secret, put in each place where one can stand, is nowhere in what can be printed.

use autoscaler_querier::{Authorization, ClientCertificate, Prometheus, Rotating, Source, SourceFiles};
use proptest::prelude::*;
use thanos_model::{HttpUrl, Secret};

use crate::server::{Request, Server, ask, nobody, response, source};

/// Places of a source, each with what puts a secret there.
type Place = (&'static str, fn(&mut Source, &str));

const PLACES: [Place; 12] = [
    ("bearer", |s, x| s.authorization = Some(Authorization::Bearer(x.into()))),
    ("password", |s, x| {
        s.authorization = Some(Authorization::Basic { username: "user".into(), password: x.into() });
    }),
    ("user", |s, x| s.authorization = Some(Authorization::Basic { username: x.into(), password: "".into() })),
    ("header", |s, x| s.headers.push(("x-api-key".into(), x.into()))),
    ("a header Authorization", |s, x| s.headers.push(("authorization".into(), format!("Token {x}").into()))),
    ("user info", |s, x| change(&mut s.addresses[0], |url| url.replace("//", &format!("//user:{x}@")))),
    ("user info, name", |s, x| change(&mut s.addresses[0], |url| url.replace("//", &format!("//{x}@")))),
    ("token in the query", |s, x| change(&mut s.addresses[0], |url| format!("{url}/?token={x}"))),
    ("key in the query", |s, x| change(&mut s.addresses[0], |url| format!("{url}/p?a=1&api_key={x}&b=2"))),
    ("the proxy's user info", |s, x| {
        let host = s.addresses[0].to_string().replace("http://", "").trim_end_matches('/').to_owned();
        s.proxy = Some(HttpUrl::parse(&format!("http://me:{x}@{host}")).unwrap());
    }),
    ("the key", |s, x| {
        s.tls.client = Some(ClientCertificate { certificate: "no".into(), key: x.into() });
    }),
    ("the authorities", |s, x| s.tls.ca = Some(x.into())),
];

fn change(url: &mut HttpUrl, how: impl Fn(&str) -> String) {
    let bare = url.expose().as_str().trim_end_matches('/').to_owned();
    *url = HttpUrl::parse(&how(&bare)).unwrap();
}

/// Quotes all that it was sent, in every way in which a server's words are printed.
fn echo(request: &Request) -> crate::server::Reply {
    let head = request.head.replace(['\r', '\n'], " ").replace(['\\', '"'], "");
    // What is between quotes is cut: let each line come first once.
    let lines: Vec<String> = request.head.lines().map(|l| l.replace(['"', '\\'], "")).collect();
    match request.body.split('&').next() {
        Some("query=unauthorized") => response("401 x", "", head.as_bytes()),
        Some("query=warned") => {
            let warnings = serde_json::to_string(&lines).unwrap();
            let body = format!(
                r#"{{"status":"success","data":{{"resultType":"vector","result":[]}},"warnings":{warnings},"infos":["partial data {head}"]}}"#
            );
            response("200 OK", "", body.as_bytes())
        }
        Some("query=moved") => {
            let path = request.head.split(' ').nth(1).unwrap_or_default().to_owned();
            response("302 x", &format!("location: {path}\r\n"), b"")
        }
        Some("query=garbage") => response("200 OK", "", head.as_bytes()),
        Some("query=down") => response("503 x", "", head.as_bytes()),
        _ => response(
            "400 x",
            "",
            format!(r#"{{"status":"error","errorType":"bad_data","error":"{head}"}}"#).as_bytes(),
        ),
    }
}

/// Everything that can be printed of a source and of what becomes of its queries.
async fn printed(source: &Source) -> String {
    let mut all = format!("{source:?} {:?}", SourceFiles::new(source.clone()));
    let querier = match Prometheus::new(source) {
        Ok(querier) => querier,
        Err(e) => return format!("{all} {e} {e:?}"),
    };
    all += &format!("{querier:?} {:?}", querier.addresses().collect::<Vec<_>>());
    all += &format!("{:?}", Rotating::open(SourceFiles::new(source.clone())).unwrap());
    for query in ["unauthorized", "warned", "moved", "garbage", "down", "refused"] {
        let deadline = std::time::Duration::from_secs(20);
        match autoscaler_querier::Querier::instant(&querier, query, 0, deadline).await {
            Ok(answer) => all += &format!("{answer:?}"),
            Err(e) => all += &format!("{e} {e:?}"),
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn no_secret_is_printed_wherever_it_stands(secret in "[A-Za-z0-9!$*._~-]{12,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::start(echo).await;
            let away = nobody().await;
            for (place, put) in PLACES {
                for address in [&server.url, &away] {
                    let mut s = source(&[address]);
                    put(&mut s, &secret);
                    let printed = printed(&s).await;
                    prop_assert!(!printed.contains(&secret), "{}: {}", place, printed);
                    // As Basic sends it.
                    for user in ["user", "me", &secret] {
                        let pair = format!("{user}:{secret}");
                        let sent = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pair);
                        prop_assert!(!printed.contains(sent.trim_end_matches('=')), "{}: {}", place, printed);
                    }
                }
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn the_echo_does_quote_what_is_no_secret() {
    let server = Server::start(echo).await;
    let mut s = source(&[&server.url]);
    s.tenant = Some("a-tenant-that-is-no-secret".into());
    s.headers = vec![("x-api-key".into(), Secret::from("key-key-key"))];
    let said = ask(&Prometheus::new(&s).unwrap(), 20_000).await.unwrap_err().to_string();
    assert!(said.contains("x-scope-orgid: a-tenant") || said.contains("x-api-key: …"), "{said}");
}
