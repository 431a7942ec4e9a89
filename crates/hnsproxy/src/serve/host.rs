//! The names by which clients may address the pages that show more than health.
//!
//! A web site can let its own name resolve to the address of this node, and read pages through the browser of a visitor (DNS rebinding). The
//! browser then sends the name of the web site in the header Host. A request without that header does not come from a browser.

use std::net::IpAddr;

use http::header::{self, HeaderMap};
use http::uri::{Authority, Uri};

/// Whether a request may be answered. An IP address, localhost and a name of `names` are allowed, with any port.
pub(super) fn is_allowed<'a>(uri: &Uri, headers: &HeaderMap, names: impl Iterator<Item = &'a str> + Clone) -> bool {
    let of_header = |value: &http::HeaderValue| {
        let authority = Authority::try_from(value.as_bytes()).ok();
        authority.is_some_and(|authority| is_allowed_name(authority.host(), names.clone()))
    };
    headers.get_all(header::HOST).iter().all(of_header)
        && uri.host().is_none_or(|host| is_allowed_name(host, names.clone()))
}

fn is_allowed_name<'a>(host: &str, mut names: impl Iterator<Item = &'a str>) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let name = host.strip_suffix('.').unwrap_or(host);
    address.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.any(|allowed| !allowed.is_empty() && name.eq_ignore_ascii_case(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(uri: &'static str, hosts: &[&'static str]) -> bool {
        let hosts = hosts.iter().map(|host| (header::HOST, http::HeaderValue::from_static(host)));
        is_allowed(&Uri::from_static(uri), &hosts.collect(), ["win-1", ""].into_iter())
    }

    #[test]
    fn addresses_localhost_and_names_of_the_node_are_allowed() {
        for host in ["127.0.0.1", "10.0.0.7:10249", "[::1]:10249", "[fe80::1]", "localhost:10249", "LocalHost."] {
            assert!(allows("/metrics", &[host]), "{host}");
        }
        assert!(allows("/metrics", &["WIN-1:10249"]) && allows("http://win-1/metrics", &[]) && allows("/metrics", &[]));
    }

    #[test]
    fn other_names_are_not_allowed() {
        for host in ["rebound.example", "win-1.rebound.example", "10.0.0.7.rebound.example:10249", "", "a b", "[win-1]"]
        {
            assert!(!allows("/metrics", &[host]), "{host}");
        }
        assert!(!allows("/metrics", &["win-1", "rebound.example"]) && !allows("http://rebound.example/", &["win-1"]));
    }
}
