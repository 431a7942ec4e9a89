//! An error with its causes, in one line.

use std::error::Error;

/// The messages of the error and of its sources, joined by `: `. A source whose message the text already ends with is left out: many
/// libraries repeat the message of the source in their own.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let message = error.to_string();
        if !text.ends_with(&message) {
            text += &format!(": {message}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{message}")]
    struct Failure {
        message: &'static str,
        source: Option<Box<Failure>>,
    }

    #[test]
    fn sources_follow_and_a_repeated_one_is_left_out() {
        let source = Failure { message: "connection refused", source: None };
        let middle = Failure { message: "cannot connect: connection refused", source: Some(Box::new(source)) };
        let error = Failure { message: "cannot list Services", source: Some(Box::new(middle)) };
        assert_eq!(chain(&error), "cannot list Services: cannot connect: connection refused");
    }
}
