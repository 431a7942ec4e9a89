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
        history.extend(change(what)?.map(|change| (instant(at.saturating_sub(begin)), change)));
    }
    Ok(history)
}

/// A change of the feed; `None` if the switch does not depend on it.
///
/// # Errors
/// If the document of an object is not a JSON object.
pub(crate) fn change(what: &What) -> Result<Option<Change>, InvalidChange> {
    match what {
        What::Stored { kind, id, document } => Change::read(*kind, *id, Some(document)),
        What::Removed { kind, id } => Change::read(*kind, *id, None),
        What::ServiceStopped => Ok(Some(Change::ServiceStopped)),
        What::ServiceStarted => Ok(Some(Change::ServiceStarted)),
        What::InitialStateEnd => Ok(None),
    }
}

pub(crate) fn instant(time: Duration) -> Instant {
    Instant(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}
