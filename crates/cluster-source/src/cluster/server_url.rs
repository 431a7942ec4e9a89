//! The URL of an API server, as client-go completes it: <https://pkg.go.dev/k8s.io/client-go/rest#DefaultServerURL>.

use http::Uri;

use super::userinfo::without_userinfo;

/// The limit in bytes of the path before the paths of the API. A URL has a limit, and kube panics if the whole path exceeds it.
const MAX_PATH: usize = 4096;

/// Why a text is not the URL of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidServerUrl {
    #[error("{0}")]
    Syntax(String),
    #[error("unknown scheme {0:?} (known: http, https)")]
    Scheme(String),
    #[error("missing host")]
    Host,
    #[error("invalid port")]
    Port,
    #[error("a path without a scheme")]
    PathWithoutScheme,
    #[error("path longer than {MAX_PATH} bytes")]
    PathTooLong,
}

/// Reads a URL, `HOST` or `HOST:PORT`. Without a scheme it is `http`, even if there are certificates: client-go decides this before it reads
/// them, and then uses no credentials either.
pub(super) fn server_url(text: &str) -> Result<Uri, InvalidServerUrl> {
    let has_scheme = text.contains("://");
    let url = if has_scheme { text.to_owned() } else { format!("http://{text}") };
    let url: Uri = url.parse().map_err(|error: http::uri::InvalidUri| InvalidServerUrl::Syntax(error.to_string()))?;
    match url.scheme_str() {
        Some("http" | "https") => {}
        other => return Err(InvalidServerUrl::Scheme(other.unwrap_or_default().to_owned())),
    }
    if !has_scheme && url.path() != "/" {
        return Err(InvalidServerUrl::PathWithoutScheme);
    }
    if url.path().len() > MAX_PATH {
        return Err(InvalidServerUrl::PathTooLong);
    }
    // Its URL is in messages and in the logs of libraries.
    let url = without_userinfo(url);
    has_host_and_port(&url)?;
    Ok(url)
}

/// `http` accepts URLs without a host, and ports that it then ignores.
pub(super) fn has_host_and_port(url: &Uri) -> Result<(), InvalidServerUrl> {
    let authority = url.authority().ok_or(InvalidServerUrl::Host)?;
    let (host, text) = (authority.host(), authority.as_str());
    if host.trim_matches(['[', ']']).is_empty() {
        return Err(InvalidServerUrl::Host);
    }
    let text = text.rsplit_once('@').map_or(text, |(_, text)| text);
    let rest = text.strip_prefix(host).unwrap_or(text);
    if !rest.is_empty() && rest != ":" && url.port_u16().is_none() {
        return Err(InvalidServerUrl::Port);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_read_as_by_client_go() {
        let cases = [
            ("https://10.0.0.1:6443", Some("https://10.0.0.1:6443/")),
            ("https://10.0.0.1", Some("https://10.0.0.1/")),
            ("HTTPS://host", Some("https://host/")),
            ("http://host:8080/", Some("http://host:8080/")),
            ("https://host/k8s/clusters/c-1", Some("https://host/k8s/clusters/c-1")),
            ("https://host/prefix/?query#fragment", Some("https://host/prefix/?query")),
            ("https://[fd00::1]:6443", Some("https://[fd00::1]:6443/")),
            ("https://user:secret@host:6443", Some("https://host:6443/")),
            ("https://host:", Some("https://host:/")),
            ("127.0.0.1:6443", Some("http://127.0.0.1:6443/")),
            ("127.0.0.1", Some("http://127.0.0.1/")),
            ("localhost:6443", Some("http://localhost:6443/")),
            ("[::1]:6443", Some("http://[::1]:6443/")),
            ("api.example", Some("http://api.example/")),
            ("api.example/", Some("http://api.example/")),
            ("api.example/path", None),
            ("https:10.0.0.1:6443", None),
            ("https:/10.0.0.1", None),
            ("https//10.0.0.1:6443", None),
            ("//10.0.0.1:6443", None),
            ("ftp://10.0.0.1", None),
            ("unix:///run/api.sock", None),
            ("https://", None),
            ("https://:6443", None),
            ("https://[]:6443", None),
            ("https://10.0.0.1:99999", None),
            ("https://10.0.0.1:port", None),
            (" https://10.0.0.1", None),
            ("https://10.0.0.1\n", None),
            ("https://a b", None),
            ("", None),
            (":", None),
            ("/", None),
            ("*", Some("http://*/")),
        ];
        for (text, expected) in cases {
            let url = server_url(text);
            assert_eq!(url.as_ref().ok().map(Uri::to_string).as_deref(), expected, "{text:?}: {url:?}");
        }
        let long = format!("https://host/{}", "x".repeat(60_000));
        assert_eq!(server_url(&long), Err(InvalidServerUrl::PathTooLong));
    }
}
