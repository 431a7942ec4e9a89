//! Prints an error with its causes.

use std::error::Error;

/// An error and its causes in one line, each cause after `: `. A cause is left out if the text so far already has it: a message that ends
/// with a hint contains the cause before the hint.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text += &format!(": {more}");
        }
        cause = error.source();
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
    fn causes_follow_and_a_repeated_cause_is_left_out() {
        let source = Failure { message: "connection refused", source: None };
        let middle = Failure { message: "cannot connect: connection refused", source: Some(Box::new(source)) };
        let error = Failure { message: "cannot list Services", source: Some(Box::new(middle)) };
        assert_eq!(error_chain(&error), "cannot list Services: cannot connect: connection refused");
    }

    #[test]
    fn a_cause_before_a_hint_is_not_repeated() {
        let source = Failure { message: "in use", source: None };
        let error =
            Failure { message: "cannot listen: in use; stop the other program", source: Some(Box::new(source)) };
        assert_eq!(error_chain(&error), "cannot listen: in use; stop the other program");
    }
}
