//! Durations on the command line that are plain seconds, as the flags of hnsproxy's own take them.

use std::time::Duration;

/// Reads a number of seconds above 0, with or without the unit `s`.
///
/// # Errors
/// With what was expected.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.trim_end_matches('s').parse().map_err(|_| "expected a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).ok().filter(|duration| !duration.is_zero()).ok_or("expected more than 0".into())
}
