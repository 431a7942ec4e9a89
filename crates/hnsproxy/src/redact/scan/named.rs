//! Finds the value behind the name of a secret in a line, as `token=VALUE`, `"token": "VALUE"`, `--token VALUE`, `Authorization: VALUE`,
//! `<token>VALUE</token>` or `?sig=VALUE`.

use super::super::{REMOVED, is_secret_name};
use super::forms::start;

/// Names that are those of secrets in the query of a URL only, in lower case.
const QUERY_NAMES: [&str; 7] = ["sig", "signature", "key", "code", "auth", "x-amz-signature", "x-goog-signature"];

/// The begin and the end of the first value from a position on.
pub(super) fn named(text: &str, mut from: usize) -> Option<(usize, usize)> {
    while let Some(at) = text.get(from..)?.find(is_name) {
        let begin = from + at;
        let rest = text.get(begin..)?;
        let length = rest.find(|one| !is_name(one)).unwrap_or(rest.len());
        let name = rest.get(..length)?;
        from = begin + length;
        let (before, after) = (text.get(..begin)?, text.get(from..)?);
        if is_secret(before, name)
            && let Some((skipped, length)) = value(after, name, before.ends_with('<'))
        {
            return Some((from + skipped, from + skipped + length));
        }
    }
    None
}

pub(super) fn is_name(one: char) -> bool {
    one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.')
}

fn is_secret(before: &str, name: &str) -> bool {
    if before.ends_with(['?', '&']) && QUERY_NAMES.iter().any(|one| one.eq_ignore_ascii_case(name)) {
        return true;
    }
    // Behind a slash, it is the name of an object: `Service ns/token-web: ...`. A flag of Windows has a blank before its slash.
    let is_of_object =
        before.strip_suffix('/').is_some_and(|before| before.ends_with(|one: char| !one.is_whitespace()));
    !is_of_object && is_secret_name(name)
}

/// Whether a name is that of a flag.
pub(super) fn is_flag(name: &str) -> bool {
    name.trim_start_matches('-').len() < name.len()
}

/// A header has its scheme, its parameters and other cookies up to the end of the line.
fn is_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("authorization") || name.ends_with("cookie")
}

/// The bytes between a name and its value, and those of the value. The text follows the name.
fn value(text: &str, name: &str, is_tag: bool) -> Option<(usize, usize)> {
    let after = text.trim_start_matches(QUOTES).trim_start_matches(BLANKS);
    let rest = match separator(after) {
        Some(rest) => rest.trim_start_matches([':', '=', '>']),
        None if is_tag => text.strip_prefix('>')?,
        // The value of a flag is the next argument, of a text or of a list.
        None if is_flag(name) || is_header(name) => {
            match after.strip_prefix(',').filter(|_| text.starts_with(QUOTES)) {
                Some(rest) => rest,
                None if is_flag(name) && after.len() < text.len() => after,
                None => return None,
            }
        }
        None => return None,
    };
    let rest = rest.trim_start_matches(BLANKS);
    let value = rest.trim_start_matches(QUOTES);
    let quote = rest.get(..rest.len() - value.len())?;
    let length = if !quote.is_empty() {
        quoted(value, quote).unwrap_or(value.trim_end_matches(['\r', '\n']).len())
    } else if is_header(name) {
        value.find(['\r', '\n', '"', '\\']).unwrap_or(value.len())
    } else {
        word(value)
    };
    let is_removed = value.get(..length)?.trim_end() == REMOVED;
    (length > 0 && !is_removed).then_some((text.len() - value.len(), length))
}

/// What is searched for the next name behind a value, in bytes.
const MAX_NAME: usize = 64;
const QUOTES: [char; 3] = ['\\', '"', '\''];
const BLANKS: [char; 2] = [' ', '\t'];

/// What follows the separator between a name and its value, which may be escaped as within a URL.
fn separator(text: &str) -> Option<&str> {
    text.strip_prefix([':', '='])
        .or_else(|| ["%3d", "%3D", "%3a", "%3A"].iter().find_map(|escaped| text.strip_prefix(escaped)))
}

/// The bytes up to the end of a quoted value, if it has one. The quote is `"`, `'` or, inside of a quoted text, `\"`. Two single quotes stand for one, as in YAML.
pub(super) fn quoted(text: &str, quote: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(quote)) {
        let end = from + at;
        let escapes = text.get(..end).map_or(0, |before| before.len() - before.trim_end_matches('\\').len());
        let is_double = quote == "'" && text.get(end + 1..).is_some_and(|rest| rest.starts_with('\''));
        if escapes % 2 == 0 && !is_double {
            return Some(end);
        }
        from = end + quote.len() + usize::from(is_double);
    }
    None
}

/// The bytes up to a blank, or to a quote or a sign behind which something else begins: passwords can have signs. Brackets belong to it as a whole,
/// as in `Some("VALUE")` and `["VALUE", "VALUE"]`.
fn word(text: &str) -> usize {
    let mut open = 0_u32;
    for (at, one) in text.char_indices() {
        let rest = || text.get(at + one.len_utf8()..).unwrap_or_default();
        match one {
            '\r' | '\n' => return at,
            '(' | '[' | '{' if open > 0 || at == 0 || opens(rest()) => open += 1,
            ')' | ']' | '}' if open > 0 => open -= 1,
            _ if open > 0 => {}
            '"' | '\'' | '\\' | '<' => return at,
            _ if one.is_whitespace() => return at,
            ',' | ';' | '&' | ')' | ']' | '}' | '%' if ends(one, rest()) => return at,
            _ => {}
        }
    }
    text.len()
}

/// Whether a bracket before this text is one around a quoted value.
fn opens(text: &str) -> bool {
    text.starts_with(QUOTES)
}

/// Whether what follows a sign is not part of the same word: nothing, a blank, another sign, or the next name with a value.
fn ends(sign: char, rest: &str) -> bool {
    if sign == '%' {
        // `&` within a URL that is part of another one.
        return rest.starts_with("26");
    }
    let rest = start(rest, MAX_NAME);
    let next = rest.trim_start_matches([',', ';', ')', ']', '}', '.', ':']);
    if next.is_empty() || next.starts_with(|one: char| one.is_whitespace() || matches!(one, '"' | '\'' | '\\' | '<')) {
        return true;
    }
    let name = rest.trim_start_matches(is_name);
    name.len() < rest.len() && name.starts_with(['=', ':'])
}
