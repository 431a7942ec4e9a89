//! Servers that are reached without a proxy, as in Go: loopback addresses, and what `NO_PROXY` lists.

use std::net::IpAddr;

use http::Uri;
use ipnet::{IpNet, Ipv4Net};

pub(super) struct NoProxy(Vec<Entry>);

enum Entry {
    All,
    Network(IpNet),
    Address(IpAddr, Option<String>),
    Domain {
        /// Begins with a dot.
        suffix: String,
        /// Whether the name without that dot is meant too.
        itself: bool,
        port: Option<String>,
    },
}

impl NoProxy {
    pub(super) fn new(text: &str) -> Self {
        let entries = text.split(',').map(|entry| entry.trim().to_lowercase());
        Self(entries.filter_map(|entry| Entry::new(&entry)).collect())
    }

    /// Whether no proxy is used for a server.
    pub(super) fn excludes(&self, server: &Uri) -> bool {
        let host = server.host().unwrap_or_default();
        // Compared before the conversion to lower case: in Go, only `localhost` is special, not `LOCALHOST`.
        let is_localhost = host == "localhost";
        let host = host.to_lowercase();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let default = if server.scheme_str() == Some("https") { 443 } else { 80 };
        let port = server.port_u16().unwrap_or(default).to_string();
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        is_localhost
            || address.is_some_and(|address| address.is_loopback())
            || self.0.iter().any(|entry| entry.matches(host, address, &port))
    }
}

impl Entry {
    /// Reads an entry in lower case. One without a host is malformed, and ignored.
    fn new(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::All);
        }
        if let Ok(network) = entry.parse::<IpNet>() {
            return Some(Self::Network(canonical(network)));
        }
        let (host, port) = split_port(entry);
        let port = port.filter(|port| !port.is_empty()).map(str::to_owned);
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical(), port));
        }
        if host.is_empty() {
            return None;
        }
        let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let itself = !host.starts_with('.');
        let suffix = if itself { format!(".{host}") } else { host.to_owned() };
        Some(Self::Domain { suffix, itself, port })
    }

    fn matches(&self, host: &str, address: Option<IpAddr>, port: &str) -> bool {
        let is_port = |wanted: &Option<String>| wanted.as_ref().is_none_or(|wanted| wanted == port);
        match self {
            Self::All => true,
            Self::Network(network) => address.is_some_and(|address| network.contains(&address)),
            Self::Address(wanted, wanted_port) => address == Some(*wanted) && is_port(wanted_port),
            Self::Domain { suffix, itself, port: wanted_port } => {
                let is_domain = host.ends_with(suffix.as_str()) || (*itself && suffix.strip_prefix('.') == Some(host));
                address.is_none() && is_domain && is_port(wanted_port)
            }
        }
    }
}

/// Converts a network of IPv4-mapped IPv6 addresses to a network of IPv4 addresses.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let length = mapped.prefix_len().checked_sub(96);
    let address = mapped.addr().to_ipv4_mapped();
    match length.zip(address).map(|(length, address)| Ipv4Net::new(address, length)) {
        Some(Ok(network)) => IpNet::V4(network),
        _ => network,
    }
}

/// Splits `HOST:PORT` and `[HOST]:PORT`; anything else is a host.
fn split_port(entry: &str) -> (&str, Option<&str>) {
    if let Some((host, port)) = entry.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        return (host, Some(port));
    }
    match entry.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_15h_servers_are_excluded_as_by_go() {
        let table = [
            ("", "https://10.0.0.1", false),
            ("", "https://127.0.0.1:6443", true),
            ("", "https://127.8.9.1", true),
            ("", "https://localhost", true),
            ("", "https://LOCALHOST", false),
            ("LocalHost", "https://LOCALHOST", true),
            ("", "https://[::1]:6443", true),
            ("", "https://[::ffff:127.0.0.1]", true),
            ("", "https://localhost.example", false),
            ("*", "https://10.0.0.1", true),
            ("x, * ,y", "https://api.example", true),
            ("*", "https://[fd00::1]", true),
            ("10.0.0.1", "https://10.0.0.1:6443", true),
            ("10.0.0.1", "https://10.0.0.11", false),
            ("10.0.0.1:6443", "https://10.0.0.1:6443", true),
            ("10.0.0.1:443", "https://10.0.0.1", true),
            ("10.0.0.1:80", "http://10.0.0.1", true),
            ("10.0.0.1:6444", "https://10.0.0.1:6443", false),
            ("10.0.0.1:", "https://10.0.0.1:6443", true),
            (" 10.0.0.2 , 10.0.0.1 ", "https://10.0.0.1", true),
            ("10.0.0.0/8", "https://10.200.0.1:6443", true),
            ("10.0.0.0/8", "https://11.0.0.1", false),
            ("10.0.0.0/8", "https://10.example", false),
            ("fd00::/8", "https://[fd00::1]:6443", true),
            ("fd00::1", "https://[fd00::1]:6443", true),
            ("[fd00::1]:6443", "https://[fd00::1]:6443", true),
            ("[fd00::1]:6444", "https://[fd00::1]:6443", false),
            ("::ffff:10.0.0.1", "https://10.0.0.1", true),
            ("example.com", "https://example.com:6443", true),
            ("example.com", "https://api.example.com", true),
            ("example.com", "https://apiexample.com", false),
            (".example.com", "https://api.example.com", true),
            (".example.com", "https://example.com", false),
            ("*.example.com", "https://api.example.com", true),
            ("*.example.com", "https://example.com", false),
            ("example.com:6443", "https://api.example.com:6443", true),
            ("example.com:6443", "https://api.example.com", false),
            ("EXAMPLE.com", "https://Api.Example.COM", true),
            ("com", "https://example.com", true),
            (":6443", "https://10.0.0.1:6443", false),
            (":1", "https://example.com", false),
            (",,", "https://10.0.0.1", false),
            ("0.0.1", "https://10.0.0.1", false),
            (".1", "https://10.0.0.1", false),
            ("::ffff:10.0.0.0/104", "https://10.0.0.1", true),
            ("::ffff:10.0.0.0/104", "https://11.0.0.1", false),
            ("::/0", "https://10.0.0.1", false),
            ("0.0.0.0/0", "https://[::ffff:10.0.0.1]", true),
            ("0.0.0.0/0", "https://[fd00::1]", false),
            ("10.0.0.1/8", "https://10.200.0.1", true),
            ("10.0.0.1/33", "https://10.0.0.1", false),
            ("010.0.0.1", "https://10.0.0.1", false),
            ("", "https://[::2]", false),
            ("[fd00::1]", "https://[fd00::1]", false),
            ("[fd00::1]:", "https://[fd00::1]", true),
            ("[10.0.0.1]:443", "https://10.0.0.1", true),
            ("[]:443", "https://10.0.0.1", false),
            ("fd00::45/64", "https://[fd00::123]", true),
            ("fe80::1%eth0", "https://[fe80::1]", false),
            ("*.", "https://example.com", false),
            ("*.", "https://example.com.", true),
            ("*", "https://localhost.example", true),
            ("*ample.com", "https://example.com", false),
            ("*.example.com:443", "https://api.example.com", true),
            ("a.*.com", "https://a.example.com", false),
            ("ample.com", "https://example.com", false),
            ("localhost", "https://local.localhost", true),
            ("example.com.", "https://example.com", false),
            ("https://example.com", "https://example.com", false),
            ("example.com;other", "https://example.com", false),
            ("example.com other", "https://example.com", false),
            ("example.com:https", "https://example.com", false),
            ("example.com:", "https://example.com:6443", true),
            ("xn--fsq092h.com", "https://www.xn--fsq092h.com", true),
        ];
        for (text, server, expected) in table {
            assert_eq!(NoProxy::new(text).excludes(&server.parse().unwrap()), expected, "NO_PROXY={text:?} {server}");
        }
    }
}
