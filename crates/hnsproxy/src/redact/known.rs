//! Finds known secrets in texts: as they are, one by one of their lines, as JSON, URLs and base64 write them, and broken into shorter lines.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, BuildError, Input, MatchKind};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::REMOVED;

/// Shorter values are not searched for: they are parts of other texts.
const MIN_LENGTH: usize = 6;
/// Of a part of a value, in bytes. It is long enough to be in no other text.
const PART: usize = 16;
/// Values of at least this length are also found if they are broken into shorter lines, in bytes.
const MIN_BROKEN: usize = 40;
/// Shorter values have too few characters that do not depend on what is before and after them in base64, in bytes.
const MIN_ENCODED: usize = 8;

/// What URLs escape: all but the unreserved characters of RFC 3986.
const IN_URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What is searched for.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// `None` if nothing is known.
    search: Option<Result<AhoCorasick, BuildError>>,
    /// The number of patterns that are whole values. The others are parts of values in base64.
    whole: usize,
}

impl Known {
    pub(super) fn of(values: impl IntoIterator<Item = String>) -> Self {
        let (mut whole, mut parts) = (BTreeSet::new(), BTreeSet::new());
        for value in values {
            // A key has several lines, and a log has them one by one. The frame of a key is not secret.
            let lines = value.lines().chain([value.as_str()]).map(str::trim);
            for line in lines.filter(|line| line.len() >= MIN_LENGTH && !line.starts_with("-----")) {
                whole.extend(written(line));
                parts.extend(broken(line));
            }
            if value.trim().len() >= MIN_ENCODED {
                for text in BTreeSet::from([value.as_str(), value.trim()]) {
                    parts.extend(encoded(text).into_iter().flat_map(|text| {
                        let broken = broken(&text);
                        broken.into_iter().chain([text])
                    }));
                }
            }
        }
        let patterns: Vec<&String> = whole.iter().chain(parts.difference(&whole)).collect();
        let search = (!patterns.is_empty())
            .then(|| AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns));
        Self { search, whole: whole.len() }
    }

    /// The text with [`REMOVED`] for each known secret.
    pub(super) fn removed_from(&self, text: &str) -> String {
        let search = match &self.search {
            None => return text.to_owned(),
            Some(Ok(search)) => search,
            // Without a search, any text can have a secret.
            Some(Err(_)) => return REMOVED.to_owned(),
        };
        let (mut cleaned, mut from) = (String::with_capacity(text.len()), 0);
        while let Some(found) = search.find(Input::new(text).range(from..)) {
            let (mut begin, mut end) = (found.start(), found.end());
            // What surrounds a part is the rest of the value.
            if found.pattern().as_usize() >= self.whole {
                begin -=
                    text.get(from..begin).map_or(0, |before| before.len() - before.trim_end_matches(is_base64).len());
                end += text.get(end..).map_or(0, |after| after.len() - after.trim_start_matches(is_base64).len());
            }
            cleaned.push_str(text.get(from..begin).unwrap_or_default());
            cleaned.push_str(REMOVED);
            from = end;
        }
        cleaned + text.get(from..).unwrap_or_default()
    }
}

/// Also of base64 for URLs.
pub(super) fn is_base64(one: char) -> bool {
    one.is_ascii_alphanumeric() || matches!(one, '+' | '/' | '=' | '-' | '_')
}

/// How a value can be written: as it is, within a text of JSON, and in a URL.
fn written(value: &str) -> [String; 3] {
    let json = serde_json::Value::from(value).to_string();
    let in_json = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or(value).to_owned();
    [value.to_owned(), in_json, utf8_percent_encode(value, IN_URL).to_string()]
}

/// The value in base64, as far as it does not depend on what is before and after it.
fn encoded(value: &str) -> Vec<String> {
    let at = |offset: usize| {
        let bytes = [vec![0; offset].as_slice(), value.as_bytes()].concat();
        [BASE64_STANDARD_NO_PAD.encode(&bytes), BASE64_URL_SAFE_NO_PAD.encode(&bytes)].map(|text| {
            // A character has 6 bits.
            let (begin, end) = ((offset * 8).div_ceil(6), bytes.len() * 8 / 6);
            text.get(begin..end).unwrap_or_default().to_owned()
        })
    };
    (0..3).flat_map(at).collect()
}

/// The parts of a value, of which each line of 31 or more characters has one, whatever the length of the lines is. None of a value that can be a usual
/// text.
fn broken(value: &str) -> Vec<String> {
    let has = |kind: fn(&char) -> bool| value.chars().any(|one| kind(&one));
    let is_random = has(char::is_ascii_digit) && has(char::is_ascii_lowercase) && has(char::is_ascii_uppercase);
    if value.len() < MIN_BROKEN || !is_random || !value.chars().all(|one| is_base64(one) || one == '.') {
        return Vec::new();
    }
    let last = value.len() - PART;
    let begins = (0..last).step_by(PART).chain([last]);
    begins.filter_map(|begin| value.get(begin..begin + PART)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    /// Looks random, as keys and tokens do.
    const LONG: &str = "Zq3xW8vN1kLr7TyB0sHdFj5mPcUeGa2RoIi9XwQbVnMt4KzDl6uYfECpASJhOg";

    fn lines(text: &str, width: usize, separator: &str) -> String {
        text.as_bytes().chunks(width).map(String::from_utf8_lossy).collect::<Vec<_>>().join(separator)
    }

    #[test]
    fn a_known_value_is_found_however_it_is_written() {
        let quoted = "pa\"ss\\word";
        let known = Known::of([LONG, quoted, "p@ss/word"].map(str::to_owned));
        let text = |text: &str| known.removed_from(text);
        assert_eq!(text(&format!("a {LONG} b")), "a (removed) b");
        assert_eq!(text(r#"{"a": "pa\"ss\\word"}"#), r#"{"a": "(removed)"}"#);
        assert_eq!(text("https://a:p%40ss%2Fword@h/"), "https://a:(removed)@h/");
        for before in ["", "a", "ab", "abc:"] {
            let encoded = BASE64_STANDARD.encode(format!("{before}{LONG}:x"));
            assert_eq!(text(&format!("data: {encoded}.")), "data: (removed).", "{before}");
        }
    }

    #[test]
    fn a_long_value_is_found_in_lines_of_any_length() {
        let known = Known::of([LONG.repeat(4)]);
        for form in [LONG.repeat(4), BASE64_STANDARD.encode(LONG.repeat(4))] {
            for width in [31, 64, 76] {
                let cleaned = known.removed_from(&lines(&form, width, "\n  "));
                let left: String = cleaned.replace(REMOVED, "").split_whitespace().collect();
                // A line at the end may be shorter than a part.
                assert!(left.len() < PART, "{width}: {cleaned}");
            }
        }
    }

    #[test]
    fn usual_texts_are_searched_for_as_a_whole_only() {
        let known = Known::of(["--cluster-name=production-in-the-second-region-of-three".to_owned(), "abc".to_owned()]);
        let text = "the production-in-the-second-region abc";
        assert_eq!(known.removed_from(text), text);
    }
}
