//! Finds what has the form of a secret in any text: keys in PEM, credentials of HTTP, tokens (JWT), user information of URLs, and values behind the name
//! of a secret.

use super::{REMOVED, is_secret_name};

/// The text with [`REMOVED`] for each secret.
pub(super) fn without_secrets(text: &str) -> String {
    // Only keys have several lines. What is searched for again after each secret is one line.
    without_keys(text).split_inclusive('\n').map(line).collect()
}

fn line(mut rest: &str) -> String {
    let mut cleaned = String::with_capacity(rest.len());
    while let Some((begin, end)) = next(rest) {
        cleaned.push_str(rest.get(..begin).unwrap_or_default());
        cleaned.push_str(REMOVED);
        rest = rest.get(end..).unwrap_or_default();
    }
    cleaned + rest
}

/// Removes private keys in PEM, with line ends or with `\n` as in JSON. One without an end goes to the end of the text. A text may begin inside of one.
fn without_keys(text: &str) -> String {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    let mut cleaned = String::new();
    let mut rest = begun_before(text);
    while let Some((before, from)) = rest.split_once(BEGIN) {
        cleaned.push_str(before);
        let label = from.split("-----").next().unwrap_or_default();
        if !label.ends_with("PRIVATE KEY") {
            cleaned.push_str(BEGIN);
            rest = from;
            continue;
        }
        cleaned.push_str(REMOVED);
        let end = from.split_once(END).map(|(_, end)| end.split_once("-----").map_or("", |(_, after)| after));
        // Another key begins before the end of this one, which is incomplete.
        let next = from.find(BEGIN).filter(|next| from.find(END).is_none_or(|end| *next < end));
        rest = match next {
            Some(next) => from.get(next..).unwrap_or_default(),
            None => end.unwrap_or_default(),
        };
    }
    cleaned.push_str(rest);
    cleaned
}

/// The text without the rest of a key that begins before it: lines in base64 up to the end of the key.
fn begun_before(text: &str) -> &str {
    let is_base64 =
        |line: &str| line.trim().chars().all(|one| one.is_ascii_alphanumeric() || matches!(one, '+' | '/' | '='));
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\n') {
        if line.starts_with("-----END ") && line.trim().ends_with("PRIVATE KEY-----") {
            return after;
        }
        if !is_base64(line) {
            break;
        }
        rest = after;
    }
    text
}

/// The begin and the end of the first secret.
fn next(text: &str) -> Option<(usize, usize)> {
    let found = [scheme(text, "bearer "), scheme(text, "basic "), token(text), userinfo(text), named(text)];
    found.into_iter().flatten().min()
}

/// The credentials behind a scheme of HTTP authentication.
fn scheme(text: &str, name: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(at) = find_ignoring_case(text.get(from..)?, name) {
        let begin = from + at + name.len();
        let length = word(text.get(begin..)?);
        // A sentence about "basic authentication" has another form: credentials have a digit, an upper-case letter or a sign.
        let value = text.get(begin..begin + length)?;
        if length >= 8 && !text.get(begin..)?.starts_with(REMOVED) && value.chars().any(|one| !one.is_ascii_lowercase())
        {
            return Some((begin, begin + length));
        }
        from = begin;
    }
    None
}

/// A JWT: three parts in base64url, of which the first is a JSON object.
fn token(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(at) = text.get(from..)?.find("eyJ") {
        let begin = from + at;
        let rest = text.get(begin..)?;
        let is_part = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.' | '=');
        let length = rest.find(|one| !is_part(one)).unwrap_or(rest.len());
        if rest.get(..length)?.matches('.').count() >= 2 {
            return Some((begin, begin + length));
        }
        from = begin + length;
    }
    None
}

/// User and password of a URL.
fn userinfo(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(at) = text.get(from..)?.find("://") {
        let begin = from + at + 3;
        let rest = text.get(begin..)?;
        let authority = rest.find(|one: char| one.is_whitespace() || matches!(one, '/' | '"' | '\'' | '?' | '#' | '<'));
        let authority = rest.get(..authority.unwrap_or(rest.len()))?;
        match authority.rfind('@') {
            // Removed already.
            Some(at) if authority.get(..at) != Some("***") && authority.get(..at) != Some(REMOVED) => {
                return Some((begin, begin + at));
            }
            _ => from = begin,
        }
    }
    None
}

/// The value behind a name, as `token=VALUE`, `"token": "VALUE"`, `--token VALUE` or `Authorization: VALUE`.
fn named(text: &str) -> Option<(usize, usize)> {
    let is_name = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.');
    let mut from = 0;
    while let Some(at) = text.get(from..)?.find(is_name) {
        let begin = from + at;
        let rest = text.get(begin..)?;
        let length = rest.find(|one| !is_name(one)).unwrap_or(rest.len());
        let name = rest.get(..length)?;
        from = begin + length;
        // Behind a slash, it is the name of an object: `Service ns/token-web: ...`.
        if !is_secret_name(name) || text.get(..begin)?.ends_with('/') {
            continue;
        }
        if let Some((skipped, value)) = value(rest.get(length..)?, name) {
            return Some((from + skipped, from + skipped + value));
        }
    }
    None
}

/// The bytes between a name and its value, and those of the value. The text follows the name.
fn value(text: &str, name: &str) -> Option<(usize, usize)> {
    let quotes = |text: &str| text.len() - text.trim_start_matches(['\\', '"', '\'']).len();
    let mut skipped = quotes(text);
    let rest = text.get(skipped..)?;
    let blanks = rest.len() - rest.trim_start_matches(' ').len();
    match rest.get(blanks..)?.chars().next()? {
        ':' | '=' => {
            skipped += blanks + 1;
            let rest = text.get(skipped..)?;
            skipped += rest.len() - rest.trim_start_matches([' ', '\t']).len();
        }
        // A flag: its value follows a blank.
        _ if name.starts_with("--") && blanks > 0 => skipped += blanks,
        _ => return None,
    }
    let opened = quotes(text.get(skipped..)?);
    let quote = text.get(skipped..skipped + opened)?;
    skipped += opened;
    let rest = text.get(skipped..)?;
    let length = if !quote.is_empty() {
        quoted(rest, quote)
    } else if name.to_ascii_lowercase().ends_with("authorization") {
        // With its scheme and its parameters.
        rest.find(['\r', '\n', '"', '\\']).unwrap_or(rest.len())
    } else {
        word(rest)
    };
    (length > 0 && !rest.starts_with(REMOVED)).then_some((skipped, length))
}

/// The bytes up to the end of a quoted value. The quote is `"`, `'` or, inside of a quoted text, `\"`.
fn quoted(text: &str, quote: &str) -> usize {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(quote)) {
        let end = from + at;
        let escapes = text.get(..end).map_or(0, |before| before.len() - before.trim_end_matches('\\').len());
        if escapes % 2 == 0 {
            return end;
        }
        from = end + quote.len();
    }
    text.len()
}

/// The bytes up to a blank, a quote or a separator.
fn word(text: &str) -> usize {
    text.find(|one: char| one.is_whitespace() || matches!(one, '"' | '\'' | '\\' | ',' | ';' | '&' | ')' | '}' | ']'))
        .unwrap_or(text.len())
}

fn find_ignoring_case(text: &str, lower: &str) -> Option<usize> {
    let (text, lower) = (text.as_bytes(), lower.as_bytes());
    text.windows(lower.len()).position(|window| window.eq_ignore_ascii_case(lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_the_form_of_a_secret_is_removed() {
        let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjF9.c2lnbmF0dXJl";
        for (text, expected) in [
            ("I1130 Authorization: Bearer abc123XYZ\nnext", "I1130 Authorization: (removed)\nnext"),
            ("header bearer abc123XYZ, other", "header bearer (removed), other"),
            ("Basic YWRtaW46eA==", "Basic (removed)"),
            (&format!("got {jwt}."), "got (removed)"),
            ("proxy=\"http://admin:p@ss@10.0.0.1:3128/\"", "proxy=\"http://(removed)@10.0.0.1:3128/\""),
            ("password=hunter2 user=a", "password=(removed) user=a"),
            ("{\"client_secret\": \"x\\\" y\", \"a\": 1}", "{\"client_secret\": \"(removed)\", \"a\": 1}"),
            ("{\\\"id-token\\\":\\\"x\\\"}", "{\\\"id-token\\\":\\\"(removed)\\\"}"),
            ("args: --token x9 --region eu", "args: --token (removed) --region eu"),
            ("a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nb", "a (removed)\nb"),
            ("-----BEGIN PRIVATE KEY-----\\nMII", "(removed)"),
            (
                "-----BEGIN PRIVATE KEY-----\nMII\n-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\nb",
                "(removed)(removed)\nb",
            ),
            ("MIIabc\nMII=\n-----END PRIVATE KEY-----\nnext", "next"),
            ("two: password=a secret=b", "two: password=(removed) secret=(removed)"),
        ] {
            assert_eq!(without_secrets(text), expected, "{text}");
            assert_eq!(without_secrets(expected), expected, "again: {expected}");
        }
    }

    #[test]
    fn other_texts_stay() {
        for text in [
            "basic authentication is not supported",
            "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----",
            "https://10.0.0.1:6443/api/v1/services?watch=1",
            "https://***@10.0.0.1/",
            "Service ns/vault-token-web: 10.96.0.1:80/TCP",
            "hnsproxy_hns_calls_total{function=\"HcnOpenEndpoint\"} 7",
            "the token file cannot be read",
            "eyJ is no token; é and ü stay",
        ] {
            assert_eq!(without_secrets(text), text);
        }
    }
}
