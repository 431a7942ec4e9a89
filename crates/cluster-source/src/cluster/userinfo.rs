//! The user and the password in a URL, which no message, log line or page may have.

use http::Uri;
use http::uri::{Authority, Parts};

/// The URL without the user and the password before its host. They are not used: nothing but the kubeconfig's `user` authenticates.
pub(super) fn without_userinfo(url: Uri) -> Uri {
    let host = |authority: &Authority| authority.as_str().rsplit_once('@').and_then(|(_, host)| host.parse().ok());
    let Some(host) = url.authority().and_then(host) else { return url };
    let mut parts = Parts::from(url.clone());
    parts.authority = Some(host);
    Uri::from_parts(parts).unwrap_or(url)
}

/// The text of a URL for messages, valid or not, without the user and the password before its host.
pub fn hide_userinfo(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let separator = if scheme.is_empty() { "" } else { "://" };
    match rest.rsplit_once('@') {
        Some((_, rest)) => format!("{scheme}{separator}***@{rest}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_user_and_password() {
        let shown = ["https://a:b@c:6443/x", "a:b@c", "https://a:p@ss@c d", "https://c:6443", "c"].map(hide_userinfo);
        assert_eq!(shown, ["https://***@c:6443/x", "***@c", "https://***@c d", "https://c:6443", "c"]);
        let stripped =
            ["https://a:b@c:6443/x", "https://c"].map(|url| without_userinfo(url.parse().unwrap()).to_string());
        assert_eq!(stripped, ["https://c:6443/x", "https://c/"]);
    }
}
