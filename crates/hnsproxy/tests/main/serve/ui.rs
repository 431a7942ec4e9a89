//! The web UI, tested with an HTTP client instead of a browser.

use serde_json::json;

use super::in_sync;
use crate::support::http::get;

#[test]
fn the_page_for_browsers_allows_only_its_own_script_and_style() {
    let (_hns, running) = in_sync(&[]);
    let page = get(running.metrics, "/ui/").unwrap();
    let names = ["content-type", "x-content-type-options", "referrer-policy", "cache-control"];
    let expected = ["text/html; charset=utf-8", "nosniff", "no-referrer", "no-cache"];
    assert_eq!((page.code, names.map(|name| page.header(name))), (200, expected));
    let policy: Vec<_> = page.header("content-security-policy").split("; ").collect();
    let of = |name: &str| policy.iter().find_map(|directive| directive.strip_prefix(name)).unwrap_or_default();
    for (directive, value) in [
        ("default-src", " 'none'"),
        ("connect-src", " 'self'"),
        ("frame-ancestors", " 'none'"),
        ("base-uri", " 'none'"),
        ("form-action", " 'none'"),
        ("require-trusted-types-for", " 'script'"),
    ] {
        assert_eq!(of(directive), value, "{policy:?}");
    }
    for directive in ["script-src", "style-src"] {
        let hash = of(directive).strip_prefix(" 'sha256-").and_then(|rest| rest.strip_suffix("='"));
        assert_eq!(hash.map(str::len), Some(43), "{policy:?}");
    }
    // An event handler or a style in an attribute would need a weaker policy.
    assert!(!page.body.contains(" style=\"") && !page.body.contains(" onclick="));
}

#[test]
fn the_page_is_found_without_its_last_slash_and_can_be_disabled() {
    let (_hns, running) = in_sync(&[]);
    let redirect = get(running.metrics, "/ui").unwrap();
    assert_eq!((redirect.code, redirect.header("location")), (308, "ui/"));
    let paths = |running: &crate::support::running::Running| {
        get(running.metrics, "/statusz?format=json").unwrap().json()["process"]["paths"].clone()
    };
    assert!(paths(&running).as_array().unwrap().contains(&json!("/ui/")));

    let (_hns, running) = in_sync(&["--ui=false"]);
    assert_eq!(["/ui", "/ui/"].map(|path| get(running.metrics, path).unwrap().code), [404; 2]);
    assert!(!paths(&running).as_array().unwrap().contains(&json!("/ui/")));
}
