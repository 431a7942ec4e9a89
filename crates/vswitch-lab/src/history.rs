//! The changes of a film, as the switch takes them.

use std::time::Duration;

use hcn_emulator::Change as Recorded;
use hcn_emulator::feed::What;
use vswitch::{Change, Instant, InvalidChange};

/// The changes of a film with their times since its first change.
///
/// # Errors
/// If the document of an object is not a JSON object.
pub(crate) fn read(film: &[Recorded]) -> Result<Vec<(Instant, Change)>, InvalidChange> {
    let begin = film.first().map(|first| first.at).unwrap_or_default();
    let mut changes = Vec::new();
    for Recorded { at, what } in film {
        let change = match what {
            What::Stored { kind, id, document } => Change::read(*kind, *id, Some(document))?,
            What::Removed { kind, id } => Change::read(*kind, *id, None)?,
            What::ServiceStopped => Some(Change::ServiceStopped),
            What::ServiceStarted => Some(Change::ServiceStarted),
            What::InitialStateEnd => None,
        };
        changes.extend(change.map(|change| (instant(at.saturating_sub(begin)), change)));
    }
    Ok(changes)
}

pub(crate) fn instant(time: Duration) -> Instant {
    Instant(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}
