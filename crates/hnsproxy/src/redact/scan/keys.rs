//! Removes private keys in PEM, and what is PEM in base64.

use super::super::REMOVED;
use super::super::known::is_base64;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// Removes private keys in PEM, with line ends or with `\n` as in JSON. One without an end goes to the end of the text. A text may begin inside of one.
pub(super) fn without_keys(text: &str) -> String {
    let mut cleaned = String::new();
    let mut rest = begun_before(text);
    while let Some((before, from)) = rest.split_once(BEGIN) {
        cleaned.push_str(before);
        let label = from.split("-----").next().unwrap_or_default();
        if !label.contains("PRIVATE KEY") {
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
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\n') {
        let line = line.trim();
        if line.starts_with(END) && line.contains("PRIVATE KEY") {
            return after;
        }
        if !line.chars().all(is_base64) {
            break;
        }
        rest = after;
    }
    text
}

/// The first text in base64 that begins with [`BEGIN`]: whether it has keys or only certificates is not known.
pub(super) fn encoded(text: &str, from: usize) -> Option<(usize, usize)> {
    encoded_as("LS0tLS1CRUdJTi", text, from)
}

/// As [`encoded`], with one byte before it.
pub(super) fn encoded_after_one(text: &str, from: usize) -> Option<(usize, usize)> {
    encoded_as("0tLS0tQkVHSU4g", text, from)
}

/// As [`encoded`], with two bytes before it.
pub(super) fn encoded_after_two(text: &str, from: usize) -> Option<(usize, usize)> {
    encoded_as("tLS0tLUJFR0lOI", text, from)
}

/// `form` is [`BEGIN`] in base64, as far as it does not depend on what is before and after it.
fn encoded_as(form: &str, text: &str, from: usize) -> Option<(usize, usize)> {
    let at = from + text.get(from..)?.find(form)?;
    let (before, after) = (text.get(from..at)?, text.get(at..)?);
    let begin = from + before.trim_end_matches(is_base64).len();
    Some((begin, at + after.len() - after.trim_start_matches(is_base64).len()))
}
