//! The changes of HNS, as the switch takes them.

use std::time::Duration;

use hcn_emulator::Change as Recorded;
use hcn_emulator::feed::What;
use vswitch::{Change, Instant, InvalidChange};

/// The changes with their times since the first one.
///
/// # Errors
/// If the document of an object is not a JSON object.
pub(crate) fn read(changes: &[Recorded]) -> Result<Vec<(Instant, Change)>, InvalidChange> {
    let begin = changes.first().map(|first| first.at).unwrap_or_default();
    let mut history = Vec::new();
    for Recorded { at, what } in changes {
        let change = match what {
            What::Stored { kind, id, document } => Change::read(*kind, *id, Some(document))?,
            What::Removed { kind, id } => Change::read(*kind, *id, None)?,
            What::ServiceStopped => Some(Change::ServiceStopped),
            What::ServiceStarted => Some(Change::ServiceStarted),
            What::InitialStateEnd => None,
        };
        history.extend(change.map(|change| (instant(at.saturating_sub(begin)), change)));
    }
    Ok(history)
}

pub(crate) fn instant(time: Duration) -> Instant {
    Instant(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}
