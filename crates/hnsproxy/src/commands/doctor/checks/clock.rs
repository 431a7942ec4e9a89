//! Whether the clock of the node agrees with that of the API server.

use super::super::check::{Check, Finding};
use super::super::facts::Facts;

pub(in super::super) const CHECK: Check = Check {
    id: "clock-skew",
    title: "the clock agrees with that of the API server",
    finds: "a warning if the clock of the node differs by 10 s or more from the Date of an answer of the API server; a failure from 5 minutes on.",
    cause: "The Windows time service is stopped, has no time source, or the virtual machine was suspended. New certificates and tokens are not valid yet, or have expired, by the clock of the node. Kubernetes backdates certificates by 5 minutes.",
    cure: "See `w32tm /query /status`. Set a time source and run `w32tm /resync`. Check the clock of the API server, too.",
    run,
};

/// The time in an answer is in whole seconds, and an answer can take seconds.
const WARNING_SECONDS: u64 = 10;
const FAILURE_SECONDS: u64 = 300;

fn run(facts: &Facts) -> Result<Finding, String> {
    let api_server = facts.api_server.as_ref().map_err(Clone::clone)?;
    let ahead = *api_server.clock_ahead_seconds.as_ref().map_err(Clone::clone)?;
    let direction = if ahead < 0 { "behind" } else { "ahead" };
    let line = format!("the clock is {} s {direction}", ahead.unsigned_abs());
    Ok(match ahead.unsigned_abs() {
        FAILURE_SECONDS.. => Finding::Failure(vec![line]),
        WARNING_SECONDS.. => Finding::Warning(vec![line]),
        _ => Finding::Ok(line),
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::{ApiServerFacts, testing};
    use super::*;

    fn with(seconds: i64) -> Result<Finding, String> {
        let api_server = Ok(ApiServerFacts { clock_ahead_seconds: Ok(seconds), ..testing::api_server() });
        run(&Facts { api_server, ..testing::none() })
    }

    #[test]
    fn a_difference_of_seconds_is_ok() {
        assert_eq!(with(-2), Ok(Finding::Ok("the clock is 2 s behind".into())));
    }

    #[test]
    fn larger_differences_are_warnings_and_failures() {
        assert_eq!(with(10), Ok(Finding::Warning(vec!["the clock is 10 s ahead".into()])));
        assert_eq!(with(-300), Ok(Finding::Failure(vec!["the clock is 300 s behind".into()])));
    }
}
