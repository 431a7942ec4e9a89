//! The proxy on the way to the API server: `proxy-url` of the kubeconfig, or one from the environment.
//!
//! The environment has the meaning that Go's programs give it: <https://pkg.go.dev/golang.org/x/net/http/httpproxy>.

mod no_proxy;

use http::Uri;

use self::no_proxy::NoProxy;
use super::server_url::has_host_and_port;
use super::userinfo::hide_userinfo;

/// Where the URL of an unusable proxy comes from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid proxy {proxy:?} ({variable}): expected e.g. http://10.0.0.1:3128, https://… or socks5://…")]
pub struct InvalidProxy {
    proxy: String,
    /// The field of the kubeconfig, or the variable of the environment.
    variable: &'static str,
}

/// The variables of the environment that concern proxies. Empty ones are absent.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Environment {
    http: Option<(&'static str, String)>,
    https: Option<(&'static str, String)>,
    no_proxy: String,
}

impl Environment {
    pub(super) fn read() -> Self {
        Self::of(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Upper case has precedence over lower case. (Windows does not distinguish them.)
    pub(super) fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| Some((name, variable(name).filter(|value| !value.is_empty())?)))
        };
        Self {
            http: first(["HTTP_PROXY", "http_proxy"]),
            https: first(["HTTPS_PROXY", "https_proxy"]),
            no_proxy: first(["NO_PROXY", "no_proxy"]).map(|(_, value)| value).unwrap_or_default(),
        }
    }

    /// The proxy for a server.
    fn proxy_for(&self, server: &Uri) -> Result<Option<Uri>, InvalidProxy> {
        let by_scheme = if server.scheme_str() == Some("https") { &self.https } else { &self.http };
        let Some((variable, proxy)) = by_scheme else { return Ok(None) };
        if NoProxy::new(&self.no_proxy).excludes(server) {
            return Ok(None);
        }
        let url = if proxy.contains("://") { proxy.clone() } else { format!("http://{proxy}") };
        read(&url).map(Some).ok_or_else(|| InvalidProxy { proxy: hide_userinfo(proxy), variable })
    }
}

/// The proxy for a server. `NO_PROXY` does not concern the `proxy-url` of a kubeconfig.
///
/// # Errors
/// If the URL of the proxy is invalid, or has an unsupported scheme.
pub(super) fn choose(
    proxy_url: Option<&str>,
    environment: &Environment,
    server: &Uri,
) -> Result<Option<Uri>, InvalidProxy> {
    match proxy_url {
        // Unlike in the environment, client-go requires a scheme here.
        Some(proxy) => read(proxy)
            .map(Some)
            .ok_or_else(|| InvalidProxy { proxy: hide_userinfo(proxy), variable: "proxy-url in the kubeconfig" }),
        None => environment.proxy_for(server),
    }
}

/// Reads the URL of a proxy. `None` if it is invalid.
fn read(text: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    has_host_and_port(&url).ok()?;
    let scheme = match url.scheme_str()? {
        scheme @ ("http" | "https") => scheme,
        // Names are always resolved by the proxy.
        "socks5" | "socks5h" => "socks5",
        _ => return None,
    };
    let authority = url.authority()?.as_str().trim_end_matches(':');
    // The connector knows the default ports of http and https only.
    let port = if scheme == "socks5" && url.port_u16().is_none() { ":1080" } else { "" };
    Uri::builder().scheme(scheme).authority(format!("{authority}{port}")).path_and_query("/").build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Variables, server, and the proxy or the begin of an error.
    type Row = (&'static [(&'static str, &'static str)], &'static str, Option<&'static str>);

    /// The proxy that is chosen for a server, with these variables.
    fn chosen(proxy_url: Option<&str>, variables: &[(&str, &str)], server: &str) -> Option<String> {
        let value =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        match choose(proxy_url, &Environment::of(value), &server.parse().unwrap()) {
            Ok(proxy) => proxy.map(|proxy| proxy.to_string()),
            Err(error) => Some(error.to_string().split(':').next().unwrap().to_owned()),
        }
    }

    #[test]
    fn case_15h_the_environment_is_read_as_by_go() {
        const SERVER: &str = "https://10.0.0.1:6443";
        let table: [Row; 29] = [
            (&[], SERVER, None),
            (&[("HTTPS_PROXY", "http://p:3128")], SERVER, Some("http://p:3128/")),
            (&[("https_proxy", "http://p:3128")], SERVER, Some("http://p:3128/")),
            (&[("HTTPS_PROXY", "http://a"), ("https_proxy", "http://b")], SERVER, Some("http://a/")),
            (&[("HTTPS_PROXY", ""), ("https_proxy", "http://b")], SERVER, Some("http://b/")),
            (&[("HTTPS_PROXY", "p:3128")], SERVER, Some("http://p:3128/")),
            (&[("HTTPS_PROXY", "p")], SERVER, Some("http://p/")),
            (&[("HTTPS_PROXY", "10.0.0.9:3128")], SERVER, Some("http://10.0.0.9:3128/")),
            (&[("HTTPS_PROXY", "https://p")], SERVER, Some("https://p/")),
            (&[("HTTPS_PROXY", "socks5://p")], SERVER, Some("socks5://p:1080/")),
            (&[("HTTPS_PROXY", "socks5h://p:1081")], SERVER, Some("socks5://p:1081/")),
            (&[("HTTPS_PROXY", "http://user:word@p:3128")], SERVER, Some("http://user:word@p:3128/")),
            (&[("HTTPS_PROXY", "ftp://p")], SERVER, Some("invalid proxy \"ftp")),
            (&[("HTTPS_PROXY", "socks5://user:word@p")], SERVER, Some("socks5://user:word@p:1080/")),
            (&[("HTTPS_PROXY", "//p:3128")], SERVER, Some("invalid proxy \"//p")),
            (&[("HTTPS_PROXY", "localhost")], SERVER, Some("http://localhost/")),
            (&[("HTTPS_PROXY", "cache.corp.example.com:1234")], SERVER, Some("http://cache.corp.example.com:1234/")),
            (&[("HTTPS_PROXY", "http://p:")], SERVER, Some("http://p/")),
            (&[("HTTPS_PROXY", "http://p/path?query")], SERVER, Some("http://p/")),
            (&[("HTTPS_PROXY", "http://s"), ("HTTP_PROXY", "http://p")], "http://10.0.0.1", Some("http://p/")),
            (&[("HTTP_PROXY", "http://p")], SERVER, None),
            (&[("HTTP_PROXY", "http://p")], "http://10.0.0.1", Some("http://p/")),
            (&[("HTTPS_PROXY", "http://p")], "http://10.0.0.1", None),
            (&[("ALL_PROXY", "http://p")], SERVER, None),
            (&[("HTTPS_PROXY", "http://p")], "https://127.0.0.1:6443", None),
            (&[("HTTPS_PROXY", "http://p")], "https://localhost:6443", None),
            (&[("HTTPS_PROXY", "http://p")], "https://[::1]:6443", None),
            (&[("HTTPS_PROXY", "http://p"), ("NO_PROXY", "10.0.0.0/8")], SERVER, None),
            (&[("HTTPS_PROXY", "http://p"), ("no_proxy", "10.0.0.1:6443")], SERVER, None),
        ];
        for (variables, server, expected) in table {
            assert_eq!(chosen(None, variables, server).as_deref(), expected, "{variables:?} {server}");
        }
    }

    #[test]
    fn case_15h_the_proxy_of_a_kubeconfig_is_used_whatever_the_environment_says() {
        let variables = [("HTTPS_PROXY", "http://other"), ("NO_PROXY", "*")];
        for server in ["https://10.0.0.1:6443", "https://127.0.0.1", "http://localhost"] {
            assert_eq!(chosen(Some("http://p:3128"), &variables, server).as_deref(), Some("http://p:3128/"));
        }
        for invalid in ["p:3128", "10.0.0.1:3128", "p", "ftp://p", "http://", "http://p:99999", "http://a b"] {
            let error = chosen(Some(invalid), &[], "https://10.0.0.1").unwrap();
            assert!(error.starts_with("invalid proxy"), "{invalid}: {error}");
        }
    }
}
