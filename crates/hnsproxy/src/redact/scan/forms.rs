//! Finds what has the form of a secret, without a name before it: credentials of HTTP, tokens, and user information of URLs. Each function returns the
//! begin and the end of the first one from a position on.

use super::super::REMOVED;

type Found = Option<(usize, usize)>;

/// What is searched of a URL for the end of user and password, in bytes.
const MAX_USERINFO: usize = 4096;

/// A JWT or another object in base64url of at least this length is removed, in bytes.
const MIN_OBJECT: usize = 40;

pub(super) fn bearer(text: &str, from: usize) -> Found {
    scheme(text, from, "bearer")
}

pub(super) fn basic(text: &str, from: usize) -> Found {
    scheme(text, from, "basic")
}

pub(super) fn negotiate(text: &str, from: usize) -> Found {
    scheme(text, from, "negotiate")
}

/// The credentials behind a scheme of HTTP authentication.
fn scheme(text: &str, mut from: usize, name: &str) -> Found {
    while let Some(at) = find_ignoring_case(text.get(from..)?, name) {
        from += at + name.len();
        let rest = text.get(from..)?;
        let value = rest.trim_start_matches([' ', '\t', '+']);
        let value = value.strip_prefix("%20").unwrap_or(value);
        let begin = from + rest.len() - value.len();
        if begin == from {
            continue;
        }
        let length = value.find(|one: char| {
            one.is_whitespace() || matches!(one, '"' | '\'' | '\\' | ',' | ';' | '&' | ')' | '}' | ']')
        });
        let value = value.get(..length.unwrap_or(value.len()))?;
        // A sentence about "basic authentication" has another form: credentials have a digit, an upper-case letter or a sign.
        let is_credentials = value.len() >= 8 && value.chars().any(|one| !one.is_ascii_lowercase());
        if is_credentials && !value.starts_with("(removed") {
            return Some((begin, begin + value.len()));
        }
    }
    None
}

/// A JWT, or another JSON object in base64url: its parts are not known to be no secrets.
pub(super) fn object(text: &str, mut from: usize) -> Found {
    while let Some(at) = text.get(from..)?.find("eyJ") {
        let begin = from + at;
        let rest = text.get(begin..)?;
        let is_part = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.' | '=');
        let length = rest.find(|one| !is_part(one)).unwrap_or(rest.len());
        if length >= MIN_OBJECT || rest.get(..length)?.matches('.').count() >= 2 {
            return Some((begin, begin + length));
        }
        from = begin + length;
    }
    None
}

/// A token of EKS.
pub(super) fn eks_token(text: &str, mut from: usize) -> Found {
    const PREFIX: &str = "k8s-aws-v1.";
    loop {
        let begin = from + text.get(from..)?.find(PREFIX)? + PREFIX.len();
        let rest = text.get(begin..)?;
        let is_part = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '=');
        let length = rest.find(|one| !is_part(one)).unwrap_or(rest.len());
        if length > 0 {
            return Some((begin, begin + length));
        }
        from = begin;
    }
}

/// A [bootstrap token](https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/): 6 and 16 characters with a dot.
pub(super) fn bootstrap_token(text: &str, mut from: usize) -> Found {
    let is_part = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit();
    let is_part_of_a_name = |one: char| one.is_ascii_alphanumeric() || matches!(one, '.' | '-' | '_');
    while let Some(at) = text.get(from..)?.find('.') {
        let (before, after) = (text.get(..from + at)?, text.get(from + at + 1..)?);
        let id = before.len() - before.trim_end_matches(is_part).len();
        let secret = after.len() - after.trim_start_matches(is_part).len();
        let is_whole = !before.trim_end_matches(is_part).ends_with(is_part_of_a_name)
            && !after.trim_start_matches(is_part).starts_with(is_part_of_a_name);
        // A name has hardly a digit in such a part.
        if id == 6 && secret == 16 && is_whole && after.get(..secret)?.contains(|one: char| one.is_ascii_digit()) {
            return Some((from + at - id, from + at + 1 + secret));
        }
        from += at + 1;
    }
    None
}

/// User and password of a URL.
pub(super) fn userinfo(text: &str, from: usize) -> Found {
    in_urls(text, from, "://", "@")
}

/// As [`userinfo`], with escaped slashes as in JSON.
pub(super) fn userinfo_in_json(text: &str, from: usize) -> Found {
    in_urls(text, from, ":\\/\\/", "@")
}

/// As [`userinfo`], escaped as within another URL.
pub(super) fn userinfo_in_url(text: &str, from: usize) -> Found {
    in_urls(text, from, "%3a%2f%2f", "%40")
}

fn in_urls(text: &str, mut from: usize, begin: &str, end: &str) -> Found {
    while let Some(at) = find_ignoring_case(text.get(from..)?, begin) {
        from += at + begin.len();
        let rest = start(text.get(from..)?, MAX_USERINFO);
        let rest = rest.split(|one: char| one.is_whitespace() || matches!(one, '"' | '\'' | '<')).next()?;
        let authority = rest.split(['/', '?', '#', '\\']).next()?;
        // A password can have a slash that is not escaped. A port is a number.
        let is_port = |text: &str| text.chars().all(|one| one.is_ascii_digit());
        let has_port = authority.starts_with('[') || authority.split_once(':').is_none_or(|(_, port)| is_port(port));
        let searched = if has_port { authority } else { rest };
        if let Some(at) = searched.rfind(end)
            && at > 0
            && !is_removed(searched.get(..at)?)
        {
            return Some((from, from + at));
        }
    }
    None
}

fn is_removed(userinfo: &str) -> bool {
    ["***", REMOVED].contains(&userinfo)
}

/// User and password before a host, without the scheme of a URL, as in `HTTPS_PROXY=user:password@proxy:3128`.
pub(super) fn userinfo_without_scheme(text: &str, mut from: usize) -> Found {
    while let Some(at) = text.get(from..)?.find('@') {
        let (before, host) = (text.get(from..from + at)?, text.get(from + at + 1..)?);
        let is_end = |one: char| one.is_whitespace() || matches!(one, '"' | '\'' | '=' | '/' | '(' | '<' | ',' | '\\');
        let begin = before.rfind(is_end).map_or(0, |end| end + 1);
        let userinfo = before.get(begin..)?;
        let has_password =
            userinfo.split_once(':').is_some_and(|(user, password)| !user.is_empty() && !password.is_empty());
        // The digest of an image follows its tag.
        if has_password
            && !is_removed(userinfo)
            && host.starts_with(|one: char| one.is_ascii_alphanumeric() || one == '[')
            && !host.starts_with("sha256:")
        {
            return Some((from + begin, from + at));
        }
        from += at + 1;
    }
    None
}

/// The start of a text, of at most a number of bytes.
pub(super) fn start(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

fn find_ignoring_case(text: &str, lower: &str) -> Option<usize> {
    let (text, lower) = (text.as_bytes(), lower.as_bytes());
    text.windows(lower.len()).position(|window| window.eq_ignore_ascii_case(lower))
}
