//! Finds what has the form of a secret in any text: keys in PEM, credentials of HTTP, tokens, user information of URLs, and values behind the name
//! of a secret.

mod forms;
mod keys;
mod lines;
mod named;
#[cfg(test)]
mod tests;

use super::REMOVED;

/// The begin and the end of the first secret of a kind from a position on.
type Find = fn(&str, usize) -> Option<(usize, usize)>;

const FINDS: [Find; 14] = [
    forms::bearer,
    forms::basic,
    forms::negotiate,
    forms::object,
    forms::eks_token,
    forms::bootstrap_token,
    forms::userinfo,
    forms::userinfo_in_json,
    forms::userinfo_in_url,
    forms::userinfo_without_scheme,
    keys::encoded,
    keys::encoded_after_one,
    keys::encoded_after_two,
    named::named,
];

/// The text with [`REMOVED`] for each secret.
pub(super) fn without_secrets(text: &str) -> String {
    lines::cleaned(&keys::without_keys(text), line)
}

fn line(text: &str) -> String {
    // What was found is kept until it is passed, so that a long line with many secrets is searched once.
    let mut found = FINDS.map(|find| (find, find(text, 0)));
    let (mut cleaned, mut from) = (String::with_capacity(text.len()), 0);
    while let Some((begin, mut end)) = found.iter().filter_map(|(_, next)| *next).min() {
        // Secrets can overlap, such as a token in a header.
        let overlap = |end| found.iter().filter_map(|(_, next)| *next).filter(move |next| next.0 < end);
        while let Some(further) = overlap(end).map(|next| next.1).max().filter(|further| *further > end) {
            end = further;
        }
        cleaned.push_str(text.get(from..begin).unwrap_or_default());
        cleaned.push_str(REMOVED);
        from = end;
        for (find, next) in &mut found {
            if next.is_some_and(|(begin, _)| begin < from) {
                *next = find(text, from);
            }
        }
    }
    cleaned + text.get(from..).unwrap_or_default()
}
