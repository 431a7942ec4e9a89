//! What a service writes to the event log of Windows: its start and its end, why it failed, and that HNS is unavailable. Everything else is
//! in the log.

use std::sync::Arc;

use cluster_source::error_chain;
use proxy::Liveness;
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;

use crate::status::Status;

/// The source of events in the event log.
#[cfg(windows)]
pub(super) const SOURCE: &str = "hnsproxy";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Information,
    Warning,
    Error,
}

/// Writes an event. Blocks until the event log has it.
#[cfg(windows)]
pub fn report(level: Level, message: &str) {
    let level = match level {
        Level::Information => windows_event_log::Level::Information,
        Level::Warning => windows_event_log::Level::Warning,
        Level::Error => windows_event_log::Level::Error,
    };
    if let Err(error) = windows_event_log::report(SOURCE, level, message) {
        tracing::warn!(%error, "cannot write to the event log");
    }
}

#[cfg(not(windows))]
pub fn report(_level: Level, _message: &str) {}

/// Follows whether HNS is available.
#[derive(Debug, Default)]
struct HnsEvents {
    is_unavailable: bool,
}

impl HnsEvents {
    fn next(&mut self, status: &Status) -> Option<(Level, String)> {
        let is_unavailable = status.liveness == Liveness::Unavailable;
        if is_unavailable == self.is_unavailable {
            return None;
        }
        self.is_unavailable = is_unavailable;
        Some(if is_unavailable {
            let reason = status.audit_error().map_or_else(|| "no answer".to_owned(), |error| error_chain(error));
            (Level::Warning, format!("HNS unavailable: {reason}"))
        } else {
            (Level::Information, "HNS unavailable: resolved".to_owned())
        })
    }
}

/// Reports when HNS becomes unavailable and available, until `stopped`.
pub async fn follow(mut status: watch::Receiver<Arc<Status>>, stopped: oneshot::Receiver<()>, report: fn(Level, &str)) {
    let mut events = HnsEvents::default();
    let follow = async {
        while status.changed().await.is_ok() {
            let event = events.next(&status.borrow_and_update());
            if let Some((level, message)) = event {
                // Its panic has been reported; the next event may not panic.
                let _ = spawn_blocking(move || report(level, &message)).await;
            }
        }
    };
    tokio::select! {
        () = follow => {}
        _ = stopped => {}
    }
}

#[cfg(test)]
mod tests {
    use proxy::{AuditError, Unready};

    use super::*;

    #[test]
    fn hns_is_reported_once_when_it_becomes_unavailable_and_once_when_it_is_back() {
        let absent = AuditError::NetworkAbsent { name: "cbr0".into(), known: Vec::new() };
        let reason = error_chain(&absent);
        let status = |liveness, unready| Status { liveness, unready, ..Status::default() };
        let mut events = HnsEvents::default();
        let mut next = |liveness, unready| events.next(&status(liveness, unready));
        assert_eq!(next(Liveness::Up, Vec::new()), None);
        assert_eq!(next(Liveness::Slow, Vec::new()), None);
        let lost = next(Liveness::Unavailable, vec![Unready::Audit(absent)]);
        assert_eq!(lost, Some((Level::Warning, format!("HNS unavailable: {reason}"))));
        assert_eq!(next(Liveness::Unavailable, Vec::new()), None);
        let back = Some((Level::Information, "HNS unavailable: resolved".to_owned()));
        assert_eq!(next(Liveness::Restarted, Vec::new()), back);
        assert_eq!(next(Liveness::Up, Vec::new()), None);
        let unknown = Some((Level::Warning, "HNS unavailable: no answer".to_owned()));
        assert_eq!(next(Liveness::Unavailable, Vec::new()), unknown);
    }
}
