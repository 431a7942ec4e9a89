//! Reads a cluster once: the complete list of each kind, and no changes after it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::access::Access;
use super::access_error::AccessError;
use super::list_watch::list_watch;
use super::request_observer::RequestObserver;
use crate::catalog::Catalog;
use crate::change::Change;

/// How long an outage may last. Short, because a user waits for a command that reads once.
const MAX_OUTAGE: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("{reason}; gave up after {} s", MAX_OUTAGE.as_secs())]
    Outage { reason: String },
    #[error("cannot read the cluster: stopped before it was complete")]
    Stopped,
}

/// Reads the cluster that the proxy of a node serves.
///
/// # Errors
/// If the API server is unavailable for longer than 10 s, or `stop` completes first.
pub async fn read(
    access: Arc<Access>,
    node_name: &str,
    observer: Arc<dyn RequestObserver>,
    stop: impl Future<Output = ()>,
) -> Result<Catalog, ReadError> {
    let (sender, received) = unbounded_channel();
    // The receiver is dropped once all lists are complete.
    let emit = move |changes| drop(sender.send(changes));
    tokio::select! {
        result = collect(received) => result,
        () = list_watch(access, node_name, observer, emit) => Err(ReadError::Stopped),
        () = stop => Err(ReadError::Stopped),
    }
}

/// Applies changes until the list of each kind is complete.
async fn collect(mut received: UnboundedReceiver<Vec<Change>>) -> Result<Catalog, ReadError> {
    let mut catalog = Catalog::default();
    let mut missing = [true; 3];
    let mut outage = None;
    while missing.contains(&true) {
        let wait = if outage.is_some() { MAX_OUTAGE } else { Duration::MAX };
        let changes = match timeout(wait, received.recv()).await {
            Ok(Some(changes)) => changes,
            Ok(None) => return Err(ReadError::Stopped),
            Err(_) => return Err(ReadError::Outage { reason: outage.unwrap_or_default() }),
        };
        for change in changes {
            let [services, slices, node] = &mut missing;
            match &change {
                Change::ResetServices(_) => *services = false,
                Change::ResetSlices(_) => *slices = false,
                Change::Node(_) => *node = false,
                Change::Outage(reason) => outage.clone_from(reason),
                _ => {}
            }
            catalog.apply(change);
        }
    }
    Ok(catalog)
}
