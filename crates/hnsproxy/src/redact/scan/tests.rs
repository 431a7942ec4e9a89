//! Tables of texts with secrets, and of texts without.

use super::*;

const KEY: &str = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";

/// Each text and what is left of it, which stays as it is if it is cleaned again.
#[track_caller]
fn check<'a>(cases: impl IntoIterator<Item = (&'a str, &'a str)>) {
    for (text, expected) in cases {
        assert_eq!(without_secrets(text), expected, "{text}");
        assert_eq!(without_secrets(expected), expected, "again: {expected}");
    }
}

#[test]
fn credentials_of_http_are_removed() {
    check([
        ("I1130 Authorization: Bearer abc123XYZ\nnext", "I1130 Authorization: (removed)\nnext"),
        ("authorization: Basic YTpi\r\nhost: x", "authorization: (removed)\r\nhost: x"),
        ("Proxy-Authorization: Digest username=\"a\", response=\"b\"", "Proxy-Authorization: (removed)"),
        ("(\"authorization\", \"Bearer abc\")", "(\"authorization\", \"(removed)\")"),
        ("map[Authorization:[Bearer abc] Accept:[x]]", "map[Authorization:(removed)"),
        ("Set-Cookie: a=b; c=d", "Set-Cookie: (removed)"),
        ("X-Auth-Token: abc", "X-Auth-Token: (removed)"),
        ("header bearer abc123XYZ, other", "header bearer (removed), other"),
        ("Bearer\t abc123XYZ", "Bearer\t (removed)"),
        ("?h=Bearer%20abc123XYZ&x", "?h=Bearer%20(removed)&x"),
        ("Basic YWRtaW46eA==", "Basic (removed)"),
        ("Negotiate YIIZQwYGKwYB", "Negotiate (removed)"),
    ]);
}

#[test]
fn tokens_are_removed() {
    check([
        ("got eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjF9.c2lnbmF0dXJl.", "got (removed)"),
        ("cut eyJhbGciOiJSUzI1NiIsImtpZCI6IjEyMzQ1Njc4OTAifQ", "cut (removed)"),
        ("k8s-aws-v1.aHR0cHM6Ly9zdHM", "k8s-aws-v1.(removed)"),
        ("join abcdef.0123456789abcdef now", "join (removed) now"),
    ]);
}

#[test]
fn credentials_in_urls_are_removed() {
    check([
        ("proxy=\"http://admin:p@ss@10.0.0.1:3128/\"", "proxy=\"http://(removed)@10.0.0.1:3128/\""),
        ("https://token@h:1/x", "https://(removed)@h:1/x"),
        ("http://a:p/w?x#y@h/", "http://(removed)@h/"),
        (r"http:\/\/a:b@h\/", r"http:\/\/(removed)@h\/"),
        ("?u=https%3A%2F%2Fa%3Ab%40h", "?u=https%3A%2F%2F(removed)%40h"),
        ("HTTPS_PROXY=a:b@proxy:3128", "HTTPS_PROXY=(removed)@proxy:3128"),
        ("https://h/?access_token=abc&x=1", "https://h/?access_token=(removed)&x=1"),
        ("https://h/?a=1&sig=ab%2Bc&se=2", "https://h/?a=1&sig=(removed)&se=2"),
        ("https://h/?X-Amz-Signature=abc", "https://h/?X-Amz-Signature=(removed)"),
        ("?u=%3Faccess_token%3Dabc%26x%3D1", "?u=%3Faccess_token%3D(removed)%26x%3D1"),
    ]);
}

#[test]
fn values_behind_names_are_removed() {
    check([
        ("password=hunter2 user=a", "password=(removed) user=a"),
        ("two: password=a secret=b", "two: password=(removed) secret=(removed)"),
        ("Password=a,b;c)d;User=x", "Password=(removed);User=x"),
        ("(token=abc), next", "(token=(removed)), next"),
        ("{token: abc, user: x}", "{token: (removed), user: x}"),
        ("a secret => abc", "a secret => (removed)"),
        ("$env:TOKEN\t= \"abc\"", "$env:TOKEN\t= \"(removed)\""),
        ("{\"client_secret\": \"x\\\" y\", \"a\": 1}", "{\"client_secret\": \"(removed)\", \"a\": 1}"),
        ("{\\\"id-token\\\":\\\"x\\\"}", "{\\\"id-token\\\":\\\"(removed)\\\"}"),
        ("a password: 'it''s'", "a password: '(removed)'"),
        ("User { token: Some(\"abc\"), id: 1 }", "User { token: (removed), id: 1 }"),
        ("a tokens: [\"abc\", \"def\"], id: 1", "a tokens: (removed), id: 1"),
        ("<password>abc</password>", "<password>(removed)</password>"),
        ("SMB_PASS=abc", "SMB_PASS=(removed)"),
    ]);
}

#[test]
fn values_of_flags_are_removed() {
    check([
        ("args: --token x9 --region eu", "args: --token (removed) --region eu"),
        ("run -password x9", "run -password (removed)"),
        ("net use /password:x9", "net use /password:(removed)"),
        ("[\"--token\", \"x9\", \"-v\"]", "[\"--token\", \"(removed)\", \"-v\"]"),
        ("args:\n- --token\n- x9\n- -v", "args:\n- --token\n- (removed)\n- -v"),
        ("  \"--token\",\n  \"x9\",\n", "  \"--token\",\n  (removed)\n"),
    ]);
}

#[test]
fn values_in_yaml_are_removed() {
    check([
        ("token: |\n  abc\n\n  def\nnext: x", "token: |\n  (removed)\n\n  (removed)\nnext: x"),
        ("- password: >-2 # why\n     abc: def\n  next: x", "- password: >-2 # why\n     (removed)\n  next: x"),
        ("key:\n  token: !!binary |\n    YWJj\n  next: x", "key:\n  token: !!binary |\n    (removed)\n  next: x"),
        ("token:\n  abc\nnext: x", "token:\n  (removed)\nnext: x"),
        ("tokens:\n- abc\n- def\nnext: x", "tokens:\n- (removed)\n- (removed)\nnext: x"),
        ("password: correct horse\n  battery\nnext: x", "password: (removed)\n  (removed)\nnext: x"),
        ("password: \"abc\n  def\"\nnext: x", "password: (removed)\n  (removed)\nnext: x"),
        (
            "env:\n- name: API_TOKEN\n  value: abc\n- name: REGION\n  value: eu",
            "env:\n- name: API_TOKEN\n  (removed)\n- name: REGION\n  value: eu",
        ),
    ]);
}

#[test]
fn keys_are_removed() {
    let wrapped = format!("LS0tLS1CRUdJTiBQUklWQVRF{KEY}\n{KEY}\nb25lCg==\nnext");
    let data = format!("client-key-data: {KEY}\n  {KEY}\n  abc=\nnext: x");
    check([
        ("a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nb", "a (removed)\nb"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nMII\n-----END PGP PRIVATE KEY BLOCK-----\nb", "(removed)\nb"),
        ("-----BEGIN PRIVATE KEY-----\\nMII", "(removed)"),
        (
            "-----BEGIN PRIVATE KEY-----\nMII\n-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\nb",
            "(removed)(removed)\nb",
        ),
        ("MIIabc\nMII=\n-----END PRIVATE KEY-----\nnext", "next"),
        ("  MIIabc\n  -----END PRIVATE KEY-----\nnext", "next"),
        ("a LS0tLS1CRUdJTiBQUklWQVRF.", "a (removed)."),
        ("a Ci0tLS0tQkVHSU4gUFJJVkFURQ==", "a (removed)"),
        ("a DQotLS0tLUJFR0lOIFBSSVZBVEU=", "a (removed)"),
        (&wrapped, "(removed)\n(removed)\n(removed)\nnext"),
        (&data, "client-key-data: (removed)\n  (removed)\n  (removed)\nnext: x"),
    ]);
}

#[test]
fn other_texts_stay() {
    for text in [
        "basic authentication is not supported",
        "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----",
        "https://10.0.0.1:6443/api/v1/services?watch=1",
        "https://***@10.0.0.1/",
        "https://10.0.0.1:6443/a@b",
        "Service ns/vault-token-web: 10.96.0.1:80/TCP",
        "hnsproxy_hns_calls_total{function=\"HcnOpenEndpoint\"} 7",
        "the token file cannot be read, and the cookie, too",
        "eyJ is not a token; é and ü stay",
        "registry.k8s.io/pause:3.9@sha256:7031c1b28338",
        "kube-system.svc and 15.5.0123456789",
        "flags:\n- --bind-address\n- 10.0.0.1",
        "credentials:\n  kind: exec\n  count: 2\nnext",
    ] {
        assert_eq!(without_secrets(text), text);
    }
}

#[test]
fn a_long_line_with_many_secrets_is_cleaned() {
    let text = "password=a b://c:d@e ".repeat(2_000);
    assert_eq!(without_secrets(&text), "password=(removed) b://(removed)@e ".repeat(2_000));
}
