//! Removes values that have several lines, as in YAML: block scalars, quoted and plain texts over several lines, and what base64 breaks.

use super::super::known::is_base64;
use super::super::{REMOVED, is_secret_name};
use super::named::{is_flag, is_name, quoted};

/// A value of at least this length in base64 can go on in the next line, in bytes.
const MIN_BROKEN: usize = 40;
/// A text in base64 of at least this length is not a word, in bytes.
const MIN_LINE: usize = 16;

/// What the next line can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Other,
    /// Lines with a greater indentation are part of the value, whatever they have.
    Block {
        indentation: usize,
    },
    /// As [`Block`](Self::Block), but not other fields. The value can be a list, if it does not begin in the line of its name.
    Plain {
        indentation: usize,
        list: bool,
    },
    /// The value of a flag, or the field `value` beside a name.
    Argument,
    /// More of a text in base64.
    Base64,
}

/// The text without values of several lines, with each other line changed.
pub(super) fn cleaned(text: &str, line: impl Fn(&str) -> String) -> String {
    let mut next = Next::Other;
    let mut cleaned = String::with_capacity(text.len());
    for one in text.split_inclusive('\n') {
        let content = one.trim();
        if content.is_empty() {
            cleaned.push_str(one);
            continue;
        }
        if is_part(one, next) {
            push_removed(&mut cleaned, one, marks(one));
            // The value of a flag is one line.
            if next == Next::Argument {
                next = Next::Other;
            }
            continue;
        }
        let (kept, follows) = field(one);
        match (kept, follows) {
            (Some(kept), _) => push_removed(&mut cleaned, one, kept),
            (None, Next::Other) => cleaned.push_str(&line(one)),
            // The value follows.
            (None, _) => cleaned.push_str(one),
        }
        next = if follows == Next::Other && ends_in_base64(content) && cleaned.trim_end().ends_with(REMOVED) {
            Next::Base64
        } else {
            follows
        };
    }
    cleaned
}

/// Adds the first bytes of a line, [`REMOVED`], and the end of the line.
fn push_removed(cleaned: &mut String, line: &str, kept: usize) {
    cleaned.push_str(line.get(..kept).unwrap_or_default());
    cleaned.push_str(REMOVED);
    cleaned.push_str(line.get(line.trim_end().len()..).unwrap_or_default());
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The bytes of a line before its content: blanks, and the marks of a list.
fn marks(line: &str) -> usize {
    line.len() - without_marks(line).len()
}

fn without_marks(line: &str) -> &str {
    let mut rest = line.trim_start();
    while let Some(item) = rest.strip_prefix('-').filter(|item| item.starts_with([' ', '\t'])) {
        rest = item.trim_start();
    }
    rest
}

/// Whether a line continues the value of lines before.
fn is_part(line: &str, next: Next) -> bool {
    let content = line.trim();
    match next {
        Next::Other => false,
        Next::Block { indentation: of } => indentation(line) > of,
        Next::Plain { indentation: of, list } => {
            let is_item = list && content.starts_with("- ") && indentation(line) >= of;
            (indentation(line) > of || is_item) && !is_field(content)
        }
        Next::Argument => {
            let content = without_marks(content);
            !is_field(content) || content.trim_start_matches(['"', '\'']).starts_with("value")
        }
        Next::Base64 => is_rest_of_base64(content),
    }
}

/// Whether a line is another field, and no text.
fn is_field(content: &str) -> bool {
    content.ends_with(':') || content.contains(": ")
}

fn is_rest_of_base64(content: &str) -> bool {
    let is_word = content.len() < MIN_LINE && content.chars().all(|one| one.is_ascii_lowercase());
    content.chars().all(is_base64) && !is_word
}

/// Whether the line ends in a long text in base64.
fn ends_in_base64(content: &str) -> bool {
    content.len() - content.trim_end_matches(|one| is_base64(one) || one == '.').len() >= MIN_BROKEN
}

/// Of a line that begins with the name of a secret, as a field of YAML does: the bytes that are kept if the rest is removed, and what can follow.
fn field(line: &str) -> (Option<usize>, Next) {
    let other = (None, Next::Other);
    let content = without_marks(line);
    // The first field of an item of a list is indented as far as the next ones.
    let indentation = marks(line);
    let unquoted = content.trim_start_matches(['"', '\'']);
    let quotes = content.len() - unquoted.len();
    let name = unquoted.get(..unquoted.find(|one| !is_name(one)).unwrap_or(unquoted.len())).unwrap_or_default();
    let after = unquoted.get(name.len()..).unwrap_or_default().trim_start_matches(['"', '\'']);
    if is_flag(name) && is_secret_name(name) && ["", ","].contains(&after.trim()) {
        return (None, Next::Argument);
    }
    let Some(value) =
        after.strip_prefix(':').filter(|value| value.is_empty() || value.starts_with(char::is_whitespace))
    else {
        return other;
    };
    let value = without_tags(value);
    if name == "name" && is_secret_name(value.trim()) && value.trim().chars().all(|one| is_name(one) || one == '"') {
        return (None, Next::Argument);
    }
    if !is_secret_name(name) {
        return other;
    }
    let kept = line.len() - value.len();
    let quote = ["\"", "'"].into_iter().find(|quote| value.starts_with(quote));
    if let Some(quote) = quote {
        let is_closed = value.get(1..).and_then(|value| quoted(value, quote)).is_some();
        return if is_closed { other } else { (Some(kept), Next::Block { indentation }) };
    }
    match value.trim().chars().next() {
        None => (None, Next::Plain { indentation, list: true }),
        Some('|' | '>') if is_indicator(value.trim()) => (None, Next::Block { indentation }),
        Some('[' | '{') => other,
        // A field in JSON ends with a comma.
        Some(_) if quotes > 0 => other,
        Some(_) if value.trim() == REMOVED => other,
        Some(_) => (Some(kept), Next::Plain { indentation, list: false }),
    }
}

/// The value without blanks, tags (`!!binary`) and anchors (`&name`) before it.
fn without_tags(value: &str) -> &str {
    let mut rest = value.trim_start_matches([' ', '\t']);
    while rest.starts_with(['!', '&']) {
        let Some((_, after)) = rest.split_once([' ', '\t']) else { break };
        rest = after.trim_start_matches([' ', '\t']);
    }
    rest
}

/// Whether a value is the begin of a block scalar, such as `|`, `>-` or `|2 # comment`.
fn is_indicator(value: &str) -> bool {
    let value = value.split_once('#').map_or(value, |(value, _)| value).trim_end();
    value.chars().skip(1).all(|one| one.is_ascii_digit() || matches!(one, '+' | '-'))
}
