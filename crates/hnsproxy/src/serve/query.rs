//! The parameters of the pages that answer in JSON.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use super::header::{JSON, NOSNIFF, TEXT};

/// How the document is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Form {
    /// On several lines, for people.
    pretty: bool,
}

/// Reads the parameters of a page with `set`, and `pretty` itself.
///
/// # Errors
/// The message for the client.
pub(super) fn read(query: Option<&str>, mut set: impl FnMut(&str, &str) -> Result<(), String>) -> Result<Form, String> {
    let mut form = Form::default();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match (&*name, &*value) {
            ("pretty", "" | "true") => form.pretty = true,
            ("pretty", "false") => form.pretty = false,
            ("pretty", value) => return Err(format!("invalid pretty {value:?} (known: false, true)")),
            (name, value) => set(name, value)?,
        }
    }
    Ok(form)
}

/// For pages that have no other parameters than those of each page.
///
/// # Errors
/// The message for the client.
pub(super) fn no_parameters(name: &str, _: &str) -> Result<(), String> {
    Err(format!("unknown parameter {name:?} (known: pretty)"))
}

/// Reads a number from 1 to `max`.
///
/// # Errors
/// The message for the client.
pub(super) fn limit(value: &str, max: usize) -> Result<usize, String> {
    let limit = value.parse().ok().filter(|limit| (1..=max).contains(limit));
    limit.ok_or_else(|| format!("invalid limit {value:?}: expected 1 to {max}"))
}

/// The page, or code 400 with the reason why its parameters are invalid.
pub(super) fn respond<T: Serialize>(form: Result<Form, String>, page: impl FnOnce() -> T) -> Response {
    match form {
        Ok(form) => ([JSON, NOSNIFF], form.text(&page())).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, [TEXT, NOSNIFF], error + "\n").into_response(),
    }
}

impl Form {
    fn text(self, page: &impl Serialize) -> String {
        let text = if self.pretty { serde_json::to_string_pretty(page) } else { serde_json::to_string(page) };
        text.unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(query: &str) -> Result<(bool, Vec<String>), String> {
        let mut others = Vec::new();
        let form = read(Some(query), |name, value| {
            others.push(format!("{name}={value}"));
            Ok(())
        })?;
        Ok((form.pretty, others))
    }

    #[test]
    fn pretty_is_known_to_each_page() {
        assert_eq!(read_all(""), Ok((false, vec![])));
        assert_eq!(read_all("pretty&q=a%2Fb"), Ok((true, vec!["q=a/b".to_owned()])));
        assert_eq!(read_all("pretty=true&pretty=false"), Ok((false, vec![])));
        assert_eq!(read_all("pretty=1"), Err("invalid pretty \"1\" (known: false, true)".to_owned()));
    }
}
