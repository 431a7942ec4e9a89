//! What the configuration says that has no effect, is outdated or cannot be used.

use tracing::Level;

use super::super::check::{Check, Finding};
use super::super::facts::Facts;

pub(in super::super) const CHECK: Check = Check {
    id: "configuration",
    title: "configuration",
    finds: "a warning for each warning about the given configuration; a failure if the running hnsproxy cannot use a changed configuration file.",
    cause: "A flag or a field is unknown, has no effect on Windows, or was removed from kube-proxy, or the file was changed to something invalid.",
    cure: "Correct what the lines name. configuration.md has all flags and fields.",
    run,
};

fn run(facts: &Facts) -> Result<Finding, String> {
    if let Some(error) = facts.process.as_ref().ok().and_then(|process| process.configuration.error.clone()) {
        return Ok(Finding::Failure(vec![error]));
    }
    // The order of levels is from the most to the least severe.
    let warnings = facts.notes.iter().filter(|note| note.level <= Level::WARN).map(|note| note.text.clone());
    Ok(Finding::warning_unless_empty(warnings.collect(), "no warning"))
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::{ProcessFacts, StatusError, testing};
    use super::*;
    use crate::config::Note;

    fn with(level: Level) -> Facts {
        Facts { notes: vec![Note { level, text: "why".into() }], ..testing::none() }
    }

    #[test]
    fn a_configuration_without_warnings_is_ok() {
        assert_eq!(run(&with(Level::INFO)), Ok(Finding::Ok("no warning".into())));
    }

    #[test]
    fn a_warning_is_a_warning() {
        assert_eq!(run(&with(Level::WARN)), Ok(Finding::Warning(vec!["why".into()])));
    }

    #[test]
    fn a_changed_file_that_cannot_be_used_is_a_failure() {
        let configuration = StatusError { error: Some("line 3".into()) };
        let facts = Facts { process: Ok(ProcessFacts { configuration, ..ProcessFacts::default() }), ..testing::none() };
        assert_eq!(run(&facts), Ok(Finding::Failure(vec!["line 3".into()])));
    }
}
