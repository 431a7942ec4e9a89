//! Tests that no text of a kubeconfig, of the environment or of a flag makes a library panic: not when a client is created, and not when it
//! sends a request.

use std::fs;
use std::time::Duration;

use kube::client::Body;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::access::Access;
use super::connection_options::ConnectionOptions;
use super::proxy::Environment;

/// Texts of any characters, with those that have a meaning in URLs, headers and certificates more often.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z0-9:/@%\\[\\]. \r\n\t\\-#?,*]{0,40}",
        "(https?|socks5h?|ftp)://[a-z0-9:@%\\[\\].\\-]{0,20}(/[a-z?#/]{0,9})?",
        "[A-Za-z0-9+/=\r\n]{0,60}",
        Just("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n".to_owned()),
        Just(String::new()),
    ]
}

const CLUSTER: [&str; 5] =
    ["server", "certificate-authority", "certificate-authority-data", "tls-server-name", "proxy-url"];
const USER: [&str; 11] = [
    "token",
    "tokenFile",
    "username",
    "password",
    "as",
    "as-uid",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "as-groups",
];

/// Some of these fields, with arbitrary texts.
fn fields(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    proptest::sample::subsequence(names, 0..=4).prop_flat_map(|names| {
        let count = names.len();
        proptest::collection::vec(text(), count).prop_map(move |texts| {
            let field = |(name, text): (&&str, String)| match *name {
                "as-groups" => ((*name).to_owned(), json!([text])),
                name => (name.to_owned(), json!(text)),
            };
            Value::Object(names.iter().zip(texts).map(field).collect())
        })
    })
}

proptest! {
    #[test]
    fn no_text_of_a_kubeconfig_panics(mut cluster in fields(&CLUSTER), user in fields(&USER), proxy in text(), no_proxy in text()) {
        let directory = tempfile::tempdir().unwrap();
        let kubeconfig = directory.path().join("kubeconfig");
        if let Some(fields) = cluster.as_object_mut() {
            fields.entry("server").or_insert_with(|| "https://127.0.0.1:1".into());
            // Nothing listens there, so a request fails at once, before a name is resolved.
            fields.entry("proxy-url").or_insert_with(|| "http://127.0.0.1:1".into());
        }
        let text = json!({"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": cluster}], "users": [{"name": "u", "user": user}]});
        fs::write(&kubeconfig, text.to_string()).unwrap();
        let options = ConnectionOptions {
            kubeconfig: Some(kubeconfig), master: None, qps: 0.0, burst: 0, stream_lists: true,
            watch_timeout: Duration::from_secs(90), response_timeout: ConnectionOptions::RESPONSE_TIMEOUT,
            user_agent: proxy.clone(),
        };
        let variable = |name: &str| match name {
            "HTTPS_PROXY" | "HTTP_PROXY" => Some(proxy.clone()),
            "NO_PROXY" => Some(no_proxy.clone()),
            _ => None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let Ok(access) = Access::open_in(&options, Environment::of(variable)) else { return };
            let Ok((client, _)) = access.client().await else { return };
            if access.proxy() == Some("http://127.0.0.1:1") {
                let request = http::Request::get("/api/v1/services?limit=1").body(Body::empty()).unwrap();
                assert!(client.send(request).await.is_err());
            }
        });
    }
}
