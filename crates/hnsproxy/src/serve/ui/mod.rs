//! The web UI at `/ui/`: one document with its style and its script. The script requests the JSON pages.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{StatusCode, header};
use sha2::{Digest, Sha256};

use super::header::NOSNIFF;

/// All scripts form one module, so each script can use the scripts before it.
const PAGE: &str = concat!(
    include_str!("head.html"),
    "<style>\n",
    include_str!("style.css"),
    "</style>\n",
    include_str!("body.html"),
    "<script type=\"module\">\n",
    include_str!("format.js"),
    include_str!("dom.js"),
    include_str!("history.js"),
    include_str!("model.js"),
    include_str!("chart.js"),
    include_str!("parts.js"),
    include_str!("service.js"),
    include_str!("views.js"),
    include_str!("data.js"),
    include_str!("app.js"),
    "</script>\n</body>\n</html>\n"
);

/// The browser runs only this script, uses only this style, connects only to this address, and does not parse text as HTML.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let [style, script] = [("<style>", "</style>"), ("<script type=\"module\">", "</script>")].map(hash);
    format!(
        "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data:; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
});

/// The hash of the content between two tags, in the format of a Content-Security-Policy.
fn hash((begin, end): (&str, &str)) -> String {
    let content = PAGE.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).map(|(content, _)| content);
    format!("sha256-{}", STANDARD.encode(Sha256::digest(content.unwrap_or_default())))
}

pub(super) async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, &POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        // The page changes with the version of hnsproxy.
        (header::CACHE_CONTROL, "no-cache"),
        NOSNIFF,
    ];
    (headers, PAGE).into_response()
}

/// The page requests paths relative to `/ui/`, so the last slash is required. The redirect is relative, because a proxy may add a prefix.
pub(super) async fn redirect() -> Response {
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "ui/")]).into_response()
}

#[cfg(test)]
mod tests {
    use proxy::explain::BackendState;

    use super::*;

    #[test]
    fn the_page_is_at_most_80_kb() {
        assert!(PAGE.len() <= 80_000, "{} bytes", PAGE.len());
    }

    #[test]
    fn browsers_hash_the_same_bytes() {
        // A browser reads a carriage return as a line feed, and ends an element at the first end tag.
        assert!(!PAGE.contains('\r'));
        for tag in ["<style", "</style", "<script", "</script"] {
            assert_eq!(PAGE.matches(tag).count(), 1, "{tag}");
        }
    }

    #[test]
    fn the_page_requests_nothing_from_other_hosts() {
        let addresses: Vec<_> = PAGE.match_indices("://").collect();
        let namespace = PAGE.find("http://www.w3.org/2000/svg").map(|at| (at + 4, "://"));
        assert_eq!(addresses, Vec::from_iter(namespace));
    }

    #[test]
    fn the_reasons_of_backends_are_those_of_explain() {
        let (_, table) = include_str!("model.js").split_once("const BACKENDS = {\n").unwrap();
        let (table, _) = table.split_once("\n};").unwrap();
        for line in table.lines() {
            let (name, value) = line.trim().split_once(": ").unwrap();
            let state: BackendState = serde_json::from_str(&format!("\"{name}\"")).unwrap();
            let [_, text]: [String; 2] = serde_json::from_str(value.trim_end_matches(',')).unwrap();
            assert_eq!(text, state.description(), "{name}");
        }
    }
}
