use super::*;
use proptest::prelude::*;

fn parse(text: &str, client: Option<&str>) -> Result<String, AuthorityError> {
    let names = Names::parse(text, client, &["cluster.local".into(), "East.local".into()])?;
    let all: Vec<_> = names.candidates.iter().map(ToString::to_string).collect();
    Ok(all.join(" or ") + if names.must_exist { " if it exists" } else { "" })
}

#[test]
fn every_form_of_a_name_is_understood() {
    for (text, client, want) in [
        ("web.default", None, "web.default:80"),
        ("web.default:8080", None, "web.default:8080"),
        ("web.default.svc:8080", None, "web.default:8080"),
        ("web.default.svc:8080", Some("shop"), "web.default:8080"),
        ("web.default.svc.cluster.local", None, "web.default:80"),
        ("Web.Default.svc.east.local.:81", None, "web.default:81"),
        ("web", Some("shop"), "web.shop:80"),
        ("web:9090", Some("shop"), "web.shop:9090"),
        ("web.default", Some("shop"), "web.default.shop:80 or web.default:80"),
        ("web-1.web.default.svc.cluster.local:80", None, "web-1.web.default:80"),
        ("web-1.web.default.svc", Some("shop"), "web-1.web.default:80"),
        ("web-1.web.default", None, "web-1.web.default:80 if it exists"),
        ("www.example.com:443", Some("shop"), "www.example.com:443 if it exists"),
        ("svc.default.svc.cluster.local", None, "svc.default:80"),
        ("10.0.0.1:8080", None, "10.0.0.1:8080"),
        ("10.0.0.1", None, "10.0.0.1:80"),
        ("[::1]:80", None, "[::1]:80"),
        ("[fd00::1]", None, "[fd00::1]:80"),
        ("fd00::1", None, "[fd00::1]:80"),
        ("[::ffff:10.0.0.1]:81", None, "10.0.0.1:81"),
    ] {
        assert_eq!(parse(text, client).as_deref(), Ok(want), "{text} {client:?}");
    }
}

#[test]
fn anything_else_is_refused() {
    for text in [
        "",
        ":80",
        "web.default:0",
        "web.default:99999",
        "web.default:",
        "a_b.default",
        "10.0.0.1:0",
        "web..svc",
        "web.svc.cluster.local",
        "a.web-1.web.default.svc.cluster.local",
        "a.b.c.d.e",
        "-a.b",
        "web.default.svc.",
        ".web.default",
    ] {
        let refused = parse(text, None);
        // The root's dot is no more than that.
        assert!(refused.is_err() || text == "web.default.svc.", "{text}: {refused:?}");
    }
    assert!(matches!(parse("web:80", None), Err(AuthorityError::Short(_))));
    let other = parse("web.default.svc.west.local", None).unwrap_err().to_string();
    assert!(other.contains("west.local") && other.contains("cluster.local, East.local"), "{other}");
}

#[test]
fn a_token_says_the_clients_namespace() {
    for (token, want) in [
        (r#"{"ns":"shop","nodeName":"n-1","pod":"web-1"}"#, Some("shop")),
        (r#"{"ns":"shop","unknown":[1]}"#, Some("shop")),
        ("ns:shop", Some("shop")),
        ("ns:", None),
        ("", None),
        ("{}", None),
        (r#"{"ns":"../etc"}"#, None),
        (r#"{"ns":7}"#, None),
        ("shop", None),
        ("{", None),
    ] {
        assert_eq!(Client::parse(token).ns.as_deref(), want, "{token}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*", token in "\\PC*", client: bool) {
        let _ = Names::parse(&text, client.then_some("shop"), &["cluster.local".into()]);
        let _ = Client::parse(&token);
    }
}
