//! Tests what is read from kubeconfigs, against what client-go 1.36 reads from them according to its source
//! (`tools/clientcmd`, `rest`, `transport`, `plugin/pkg/client/auth/exec`).

use std::fs;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use kube::config::AuthInfo;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use test_api_server::{ApiServer, Credentials};

use super::connection_options::ConnectionOptions;
use super::credentials;
use super::proxy::Environment;

const SERVER: &str = "https://10.0.0.1:6443";

/// A directory with the files that kubeconfigs name, and the certificates of a server.
struct Bench {
    directory: TempDir,
    authority: String,
    certificate: String,
    key: String,
}

impl Bench {
    fn new() -> Self {
        let server = ApiServer::start_tls().unwrap();
        let (certificate, key) = server.certificate().unwrap();
        let kubeconfig = server.kubeconfig(&Credentials::None);
        let authority = kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"].as_str().unwrap();
        let authority = String::from_utf8(BASE64.decode(authority).unwrap()).unwrap();
        let bench = Self { directory: tempfile::tempdir().unwrap(), authority, certificate, key };
        let utf16 =
            |text: &str| format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let body: String = bench.authority.lines().filter(|line| !line.starts_with('-')).collect();
        for (name, contents) in [
            ("ca.crt", bench.authority.clone().into_bytes()),
            ("crlf.crt", bench.authority.replace('\n', "\r\n").into_bytes()),
            ("utf16.crt", utf16(&bench.authority)),
            ("bom.crt", format!("\u{feff}{}", bench.authority).into_bytes()),
            ("two.crt", format!("{0}{0}", bench.authority).into_bytes()),
            ("comment.crt", format!("Issuer: CN=x\n{}trailing text\n", bench.authority).into_bytes()),
            ("one-bad.crt", format!("{garbage}{}", bench.authority).into_bytes()),
            ("bad.crt", garbage.into()),
            ("der.crt", BASE64.decode(body).unwrap()),
            // Without its byte order mark.
            ("utf16-unmarked.crt", utf16(&bench.authority).split_off(2)),
            // The first bytes of a key store.
            ("store.pfx", [&[0x30, 0x82, 9, 9, 2, 1, 3][..], &[0x30; 99]].concat()),
            ("empty.crt", "\n".into()),
            ("text.crt", "hello".into()),
            ("client.crt", bench.certificate.clone().into_bytes()),
            ("client.key", bench.key.clone().into_bytes()),
            ("token", "from-file\n".into()),
            ("token-crlf", "\u{feff}from-file\r\n".into()),
            ("token-utf16", utf16("from-file\r\n")),
            ("token-empty", " \r\n".into()),
            ("token-lines", "a\nb\n".into()),
        ] {
            fs::write(bench.directory.path().join(name), contents).unwrap();
        }
        bench
    }

    /// What is read from the text of a kubeconfig, in one line; for errors `error: `, and the message without its paths.
    fn read(&self, text: &str, master: Option<&str>) -> String {
        let path = self.directory.path().join("kubeconfig");
        fs::write(&path, text).unwrap();
        let options = ConnectionOptions {
            kubeconfig: Some(path),
            master: master.map(str::to_owned),
            qps: 0.0,
            burst: 0,
            stream_lists: true,
            watch_timeout: Duration::from_secs(90),
            response_timeout: ConnectionOptions::RESPONSE_TIMEOUT,
            user_agent: "test".into(),
        };
        let prepared = credentials::load(&options, &Environment::default()).and_then(credentials::Loaded::prepare);
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                let directory = format!("{}/", self.directory.path().display());
                let message = crate::error_chain(&error).replace(&directory, "");
                return format!("error: {}", message.trim_start_matches("cannot read kubeconfig kubeconfig: "));
            }
        };
        let config = &prepared.config;
        let mut parts = vec![config.cluster_url.to_string().trim_end_matches('/').to_owned()];
        parts.extend(config.root_cert.as_ref().map(|certificates| format!("ca={}", certificates.len())));
        parts.extend(config.accept_invalid_certs.then(|| "insecure".to_owned()));
        parts.extend(config.tls_server_name.as_ref().map(|name| format!("name={name}")));
        parts.extend(self.identity(&config.auth_info));
        parts.extend(prepared.plugin.map(|_| "plugin".to_owned()));
        parts.extend(config.proxy_url.as_ref().map(|proxy| format!("proxy={proxy}")));
        parts.join(" ")
    }

    fn identity(&self, auth: &AuthInfo) -> Vec<String> {
        let mut parts = Vec::new();
        if auth.client_certificate_data.is_some() {
            let is = |data: Option<&str>, expected: &str| data == Some(BASE64.encode(expected).as_str());
            let key = auth.client_key_data.as_ref().map(ExposeSecret::expose_secret);
            assert!(is(auth.client_certificate_data.as_deref(), &self.certificate) && is(key, &self.key));
            parts.push("certificate".to_owned());
        }
        parts.extend(auth.token.as_ref().map(|token| format!("token={}", token.expose_secret())));
        if let (Some(name), Some(password)) = (&auth.username, &auth.password) {
            parts.push(format!("basic={name}:{}", password.expose_secret()));
        }
        parts.extend(auth.impersonate.as_ref().map(|user| format!("as={user}")));
        parts.extend(auth.impersonate_uid.as_ref().map(|uid| format!("uid={uid}")));
        parts.extend(auth.impersonate_groups.as_ref().map(|groups| format!("groups={}", groups.join(","))));
        parts.extend(auth.impersonate_user_extra.as_ref().map(|extra| format!("extra={extra:?}")));
        assert_eq!((auth.token_file.is_none(), auth.exec.is_none(), auth.auth_provider.is_none()), (true, true, true));
        parts
    }

    /// Reads a kubeconfig with these fields of the cluster and of the user.
    fn read_with(&self, cluster: &Value, user: &Value) -> String {
        let mut cluster = cluster.clone();
        let fields = cluster.as_object_mut().unwrap();
        fields.entry("server").or_insert_with(|| SERVER.into());
        self.read(&kubeconfig(&cluster, user).to_string(), None)
    }
}

fn kubeconfig(cluster: &Value, user: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": cluster}], "users": [{"name": "u", "user": user}]})
}

/// Compares the rows of a table, and prints all that differ.
#[track_caller]
fn compare(rows: Vec<(String, String, &str)>) {
    let differ = rows.iter().filter(|(_, read, expected)| read != expected);
    let differ: Vec<_> =
        differ.map(|(input, read, expected)| format!("{input}\n  read     {read}\n  expected {expected}")).collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn the_server_of_a_kubeconfig_is_that_of_client_go() {
    let bench = Bench::new();
    let ca = BASE64.encode(&bench.authority);
    // With credentials and a certificate authority: client-go uses neither without TLS.
    let full = |server: &str| {
        let cluster = json!({"server": server, "certificate-authority-data": ca, "tls-server-name": "n"});
        bench.read_with(&cluster, &json!({"token": "t", "as": "a"}))
    };
    let rows = [
        ("https://10.0.0.1:6443", "https://10.0.0.1:6443 ca=1 name=n token=t as=a"),
        ("https://10.0.0.1:6443/", "https://10.0.0.1:6443 ca=1 name=n token=t as=a"),
        ("https://10.0.0.1/k8s/c-1", "https://10.0.0.1/k8s/c-1 ca=1 name=n token=t as=a"),
        ("https://[fd00::1]:6443", "https://[fd00::1]:6443 ca=1 name=n token=t as=a"),
        ("http://10.0.0.1:8080", "http://10.0.0.1:8080 as=a"),
        ("10.0.0.1:6443", "http://10.0.0.1:6443 as=a"),
        ("10.0.0.1", "http://10.0.0.1 as=a"),
        ("api.example:6443", "http://api.example:6443 as=a"),
        ("localhost", "http://localhost as=a"),
        ("", "error: cluster \"k\": missing server"),
        (
            "10.0.0.1:6443/path",
            "error: cluster \"k\": invalid server \"10.0.0.1:6443/path\": a path without a scheme; expected e.g. https://10.0.0.1:6443",
        ),
        (
            "https://10.0.0.1:port",
            "error: cluster \"k\": invalid server \"https://10.0.0.1:port\": invalid port; expected e.g. https://10.0.0.1:6443",
        ),
    ];
    compare(rows.map(|(server, expected)| (server.to_owned(), full(server), expected)).into());
    let masters = [
        ("https://10.0.0.2", "https://10.0.0.2 ca=1 token=t"),
        // The name belongs to the server that is replaced.
        ("10.0.0.2:6443", "http://10.0.0.2:6443"),
        ("http://10.0.0.2:8080", "http://10.0.0.2:8080"),
    ];
    let cluster = json!({"server": SERVER, "certificate-authority-data": ca, "tls-server-name": "n"});
    let text = kubeconfig(&cluster, &json!({"token": "t"})).to_string();
    compare(masters.map(|(master, expected)| (master.to_owned(), bench.read(&text, Some(master)), expected)).into());
}

#[test]
fn case_15a_a_server_without_scheme_is_http() {
    let bench = Bench::new();
    let read = |server: &str| bench.read_with(&json!({"server": server}), &json!({}));
    assert_eq!(read("127.0.0.1:6443"), "http://127.0.0.1:6443");
    assert_eq!(read("kubernetes"), "http://kubernetes");
}

#[test]
fn the_trust_in_a_server_is_that_of_client_go() {
    let bench = Bench::new();
    let ca = BASE64.encode(&bench.authority);
    let file = |name: &str| json!({"certificate-authority": name});
    let rows = [
        (json!({}), "https://10.0.0.1:6443"),
        (json!({"certificate-authority-data": ca}), "https://10.0.0.1:6443 ca=1"),
        (file("ca.crt"), "https://10.0.0.1:6443 ca=1"),
        (file("./ca.crt"), "https://10.0.0.1:6443 ca=1"),
        (file("crlf.crt"), "https://10.0.0.1:6443 ca=1"),
        (file("bom.crt"), "https://10.0.0.1:6443 ca=1"),
        // Go does not read UTF-16: a file of Windows PowerShell is read here.
        (file("utf16.crt"), "https://10.0.0.1:6443 ca=1"),
        (file("two.crt"), "https://10.0.0.1:6443 ca=2"),
        (file("comment.crt"), "https://10.0.0.1:6443 ca=1"),
        (file("one-bad.crt"), "https://10.0.0.1:6443 ca=1"),
        (file("bad.crt"), "error: invalid certificate-authority: none of its certificates can be read"),
        (
            file("der.crt"),
            "error: invalid certificate-authority: a certificate in DER; convert it to PEM, for example with openssl x509 -inform der",
        ),
        (
            file("utf16-unmarked.crt"),
            "error: invalid certificate-authority: neither UTF-8, nor UTF-16 with a byte order mark; save the certificates in PEM, as UTF-8",
        ),
        (
            file("store.pfx"),
            "error: invalid certificate-authority: a key store in PKCS #12 (.pfx); export its certificates to PEM, for example with openssl pkcs12 -nokeys",
        ),
        // client-go takes the system's authorities, unless its gate ClientsAllowCARotation is on, which is the default.
        (file("empty.crt"), "error: invalid certificate-authority: empty"),
        (file("text.crt"), "error: invalid certificate-authority: no certificate in PEM: no line BEGIN CERTIFICATE"),
        (file("client.key"), "error: invalid certificate-authority: a private key, but no certificate in PEM"),
        (
            file("missing.crt"),
            "error: cannot read certificate-authority missing.crt: No such file or directory (os error 2)",
        ),
        (json!({"certificate-authority-data": "%"}), "error: invalid certificate-authority-data: not valid base64"),
        (
            json!({"certificate-authority-data": ca, "certificate-authority": "ca.crt"}),
            "error: certificate-authority and certificate-authority-data are both set; keep one of them",
        ),
        (json!({"certificate-authority-data": ca, "certificate-authority": ""}), "https://10.0.0.1:6443 ca=1"),
        (json!({"certificate-authority-data": "", "certificate-authority": "ca.crt"}), "https://10.0.0.1:6443 ca=1"),
        (json!({"certificate-authority-data": "", "certificate-authority": ""}), "https://10.0.0.1:6443"),
        (json!({"certificate-authority-data": null}), "https://10.0.0.1:6443"),
        (json!({"insecure-skip-tls-verify": true}), "https://10.0.0.1:6443 insecure"),
        (json!({"insecure-skip-tls-verify": false}), "https://10.0.0.1:6443"),
        (json!({"insecure-skip-tls-verify": null}), "https://10.0.0.1:6443"),
        (
            json!({"insecure-skip-tls-verify": true, "certificate-authority-data": ca}),
            "error: insecure-skip-tls-verify and certificate-authority are both set; keep one of them",
        ),
        (json!({"insecure-skip-tls-verify": true, "certificate-authority-data": ""}), "https://10.0.0.1:6443 insecure"),
        (json!({"tls-server-name": "n"}), "https://10.0.0.1:6443 name=n"),
        (json!({"tls-server-name": ""}), "https://10.0.0.1:6443"),
        (json!({"tls-server-name": null}), "https://10.0.0.1:6443"),
        (json!({"proxy-url": "http://p:3128"}), "https://10.0.0.1:6443 proxy=http://p:3128/"),
        (json!({"proxy-url": "https://p"}), "https://10.0.0.1:6443 proxy=https://p/"),
        (json!({"proxy-url": "socks5://p"}), "https://10.0.0.1:6443 proxy=socks5://p:1080/"),
        (json!({"proxy-url": ""}), "https://10.0.0.1:6443"),
        (json!({"disable-compression": true, "extensions": [], "unknown": 1}), "https://10.0.0.1:6443"),
    ];
    compare(
        rows.map(|(cluster, expected)| (cluster.to_string(), bench.read_with(&cluster, &json!({})), expected)).into(),
    );
    assert!(
        bench.read_with(&json!({"proxy-url": "p:3128"}), &json!({})).starts_with("error: invalid proxy \"p:3128\"")
    );
}

#[test]
fn case_15c_wrapped_base64_is_read() {
    let bench = Bench::new();
    let wrapped = |text: &str, end: &str| {
        let text = BASE64.encode(text);
        text.as_bytes().chunks(64).map(|line| format!("{}{end}", String::from_utf8_lossy(line))).collect::<String>()
    };
    for end in ["\n", "\r\n"] {
        let cluster = json!({"certificate-authority-data": wrapped(&bench.authority, end)});
        let user = json!({"client-certificate-data": wrapped(&bench.certificate, end),
            "client-key-data": wrapped(&bench.key, end)});
        assert_eq!(bench.read_with(&cluster, &user), "https://10.0.0.1:6443 ca=1 certificate");
    }
    // As a block of YAML, which ends with a line end.
    let text = format!(
        "current-context: c\ncontexts: [{{name: c, context: {{cluster: k}}}}]\nclusters:\n- name: k\n  cluster:\n    server: {SERVER}\n    \
         certificate-authority-data: |\n      {}\n",
        wrapped(&bench.authority, "\n      ")
    );
    assert_eq!(bench.read(&text, None), "https://10.0.0.1:6443 ca=1");
}

#[test]
fn case_15d_empty_texts_mean_absent() {
    let bench = Bench::new();
    let cluster =
        json!({"certificate-authority": "", "certificate-authority-data": "", "tls-server-name": "", "proxy-url": ""});
    let user = json!({"client-certificate": "", "client-certificate-data": "", "client-key": "", "client-key-data": "", "token": "",
        "tokenFile": "", "username": "", "password": "", "as": "", "as-uid": "", "as-groups": [], "as-user-extra": {}});
    assert_eq!(bench.read_with(&cluster, &user), SERVER);
    for (name, value) in user.as_object().unwrap() {
        assert_eq!(bench.read_with(&json!({}), &json!({name: value})), SERVER, "{name}");
        assert_eq!(bench.read_with(&json!({}), &json!({name: null})), SERVER, "{name}: null");
    }
}

#[test]
fn the_identity_is_that_of_client_go() {
    let bench = Bench::new();
    let (certificate, key) = (BASE64.encode(&bench.certificate), BASE64.encode(&bench.key));
    let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "x", "interactiveMode": "Never"});
    let oidc = json!({"name": "oidc", "config": {"id-token": "o"}});
    let rows = [
        (json!({}), ""),
        (json!(null), ""),
        (json!({"token": "t"}), "token=t"),
        (json!({"token": "t "}), "token=t "),
        (json!({"tokenFile": "token"}), "token=from-file"),
        (json!({"tokenFile": "token-crlf"}), "token=from-file"),
        (json!({"tokenFile": "token-utf16"}), "token=from-file"),
        (json!({"tokenFile": "token-empty"}), "error: invalid token file token-empty: empty"),
        (
            json!({"tokenFile": "token-lines"}),
            "error: invalid token: HTTP headers do not allow one of its characters; check token or tokenFile in the kubeconfig",
        ),
        (
            json!({"tokenFile": "missing"}),
            "error: cannot read token file missing: No such file or directory (os error 2)",
        ),
        (json!({"token": "t", "tokenFile": "token"}), "token=from-file"),
        (json!({"token": "t", "tokenFile": "missing"}), "token=t"),
        (json!({"token": "t", "tokenFile": "token-empty"}), "token=t"),
        (json!({"token": "", "tokenFile": "token"}), "token=from-file"),
        (json!({"token": "t", "tokenFile": ""}), "token=t"),
        (json!({"username": "u", "password": "p"}), "basic=u:p"),
        (json!({"username": "u"}), "basic=u:"),
        (json!({"password": "p"}), ""),
        (json!({"username": "", "password": "p"}), ""),
        (json!({"token": "t", "username": "", "password": ""}), "token=t"),
        (json!({"token": "t", "username": "u"}), "error: token and username are both set; keep one of them"),
        (json!({"token": "t", "password": "p"}), "error: token and password are both set; keep one of them"),
        (
            json!({"tokenFile": "token", "username": "u"}),
            "error: tokenFile and username are both set; keep one of them",
        ),
        (json!({"client-certificate": "client.crt", "client-key": "client.key"}), "certificate"),
        (json!({"client-certificate-data": certificate, "client-key-data": key}), "certificate"),
        (json!({"client-certificate-data": certificate, "client-key": "client.key"}), "certificate"),
        (json!({"client-certificate": "client.crt", "client-key-data": key}), "certificate"),
        (json!({"client-certificate-data": certificate, "client-key-data": key, "token": "t"}), "certificate token=t"),
        (
            json!({"client-certificate-data": certificate}),
            "error: client-certificate is set, but client-key is missing",
        ),
        (json!({"client-key-data": key}), ""),
        (
            json!({"client-certificate": "client.crt", "client-certificate-data": certificate, "client-key-data": key}),
            "error: client-certificate and client-certificate-data are both set; keep one of them",
        ),
        (
            json!({"client-certificate": "client.crt", "client-key": "client.key", "client-key-data": key}),
            "error: client-key and client-key-data are both set; keep one of them",
        ),
        (
            json!({"client-certificate": "missing", "client-key": "client.key"}),
            "error: cannot read client-certificate missing: No such file or directory (os error 2)",
        ),
        (
            json!({"client-certificate": "client.crt", "client-key": "missing"}),
            "error: cannot read client-key missing: No such file or directory (os error 2)",
        ),
        (
            json!({"client-certificate-data": "%", "client-key-data": key}),
            "error: invalid client-certificate-data: not valid base64",
        ),
        (json!({"as": "a", "as-uid": "1", "as-groups": ["g", "h"]}), "as=a uid=1 groups=g,h"),
        (json!({"as": "a", "as-user-extra": {"k": ["v"]}}), "as=a extra={\"k\": [\"v\"]}"),
        (json!({"token": "t", "as": "a"}), "token=t as=a"),
        (json!({"as-uid": "1"}), "error: as-uid is set, but as is missing"),
        (json!({"as-groups": ["g"]}), "error: as-groups is set, but as is missing"),
        (json!({"as-user-extra": {"k": ["v"]}}), "error: as-user-extra is set, but as is missing"),
        (json!({"as": "a\n"}), "error: invalid as: HTTP headers do not allow one of its characters"),
        (json!({"exec": exec}), "plugin"),
        (json!({"exec": exec, "token": "t"}), "token=t"),
        (json!({"exec": exec, "tokenFile": "token"}), "token=from-file"),
        (json!({"exec": exec, "username": "u"}), "basic=u:"),
        (json!({"exec": exec, "client-certificate-data": certificate, "client-key-data": key}), "certificate"),
        (json!({"exec": exec, "token": "", "username": ""}), "plugin"),
        (json!({"auth-provider": oidc}), "token=o"),
        (json!({"auth-provider": oidc, "token": "t"}), "token=t"),
        (json!({"auth-provider": oidc, "exec": exec}), "error: exec and auth-provider are both set; keep one of them"),
    ];
    let read = |user: &Value| {
        let read = bench.read_with(&json!({}), user);
        read.strip_prefix(SERVER).map_or(read.clone(), |rest| rest.trim_start_matches(' ').to_owned())
    };
    compare(rows.map(|(user, expected)| (user.to_string(), read(&user), expected)).into());
}

#[test]
fn the_entries_of_the_current_context_are_those_of_client_go() {
    let bench = Bench::new();
    let entries = format!(
        "contexts: [{{name: c, context: {{cluster: k, user: u}}}}, {{name: d, context: {{cluster: l, user: w}}}}]\n\
         clusters: [{{name: k, cluster: {{server: '{SERVER}'}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\n"
    );
    let rows = [
        (format!("current-context: c\n{entries}"), "https://10.0.0.1:6443 token=t"),
        (
            format!("apiVersion: v1\nkind: Config\ncurrent-context: c\npreferences: {{}}\n{entries}"),
            "https://10.0.0.1:6443 token=t",
        ),
        (format!("\u{feff}current-context: c\r\n{}", entries.replace('\n', "\r\n")), "https://10.0.0.1:6443 token=t"),
        (format!("current-context: c\n{entries}---\ncurrent-context: d\n"), "https://10.0.0.1:6443 token=t"),
        (entries.clone(), "error: missing current-context (known: c, d)"),
        (format!("current-context: ''\n{entries}"), "error: missing current-context (known: c, d)"),
        (format!("current-context: e\n{entries}"), "error: unknown current-context \"e\" (known: c, d)"),
        (format!("current-context: d\n{entries}"), "error: context \"d\": unknown cluster \"l\" (known: k)"),
        (String::new(), "error: missing current-context; the kubeconfig has none"),
        (
            "contexts: null\nclusters: null\nusers: null\n".into(),
            "error: missing current-context; the kubeconfig has none",
        ),
        (
            format!("current-context: c\napiVersion: v2\n{entries}"),
            "error: not a kubeconfig: expected apiVersion v1 and kind Config",
        ),
        ("apiVersion: v1\nkind: Service\n".into(), "error: not a kubeconfig: expected apiVersion v1 and kind Config"),
        (
            "current-context: c\ncontexts: [{name: c, context: {}}]".into(),
            "error: context \"c\": missing cluster; the kubeconfig has none",
        ),
        (
            "current-context: c\ncontexts: [{name: c}]".into(),
            "error: context \"c\": missing cluster; the kubeconfig has none",
        ),
        (
            format!(
                "current-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: no}}}}]\nclusters: [{{name: k, cluster: {{server: '{SERVER}'}}}}]\n"
            ),
            SERVER,
        ),
        (
            format!("current-context: c\n{entries}").replace("name: d", "name: c"),
            "error: contexts: the name \"c\" occurs twice",
        ),
        (
            "users: [{name: u, user: {token: a}}, {name: u, user: {token: b}}]".into(),
            "error: users: the name \"u\" occurs twice",
        ),
        ("clusters: [{name: k}, {name: k}]".into(), "error: clusters: the name \"k\" occurs twice"),
        ("clusters: [".into(), "error: line 1, column 11: invalid YAML, or a value of another type than expected"),
    ];
    compare(
        rows.into_iter()
            .map(|(text, expected)| {
                let read = bench.read(&text, None);
                (text, read, expected)
            })
            .collect(),
    );
    for text in ["", "contexts: []\n"] {
        assert_eq!(
            bench.read(text, Some("https://10.0.0.2")),
            "https://10.0.0.2",
            "with --master, nothing else is necessary"
        );
    }
    let yaml11 = format!("current-context: c\n{entries}").replace("server:", "insecure-skip-tls-verify: yes, server:");
    assert_eq!(bench.read(&yaml11, None), "https://10.0.0.1:6443 insecure token=t");
}
