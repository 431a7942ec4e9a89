//! Reads a cluster once, as a catalog: the whole of each kind, and no changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::{Access, AccessError, RequestObserver, follow};
use crate::catalog::Catalog;
use crate::change::Change;

/// How long a server that can't be asked is tried.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a cluster could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no way to an API server.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The server could not be asked.
    #[error("{why}; given up after {} s", PATIENCE.as_secs())]
    Trouble {
        /// Why not.
        why: String,
    },
    /// The word to end came before.
    #[error("ended before the cluster was read")]
    Ended,
}

/// Reads the cluster that the proxy of a node serves.
///
/// # Errors
/// Where it can't be read, or `stop` ends before.
pub async fn read(
    access: Arc<Access>,
    node_name: &str,
    observer: Arc<dyn RequestObserver>,
    stop: impl Future<Output = ()>,
) -> Result<Catalog, ReadError> {
    let (sender, received) = unbounded_channel();
    // Nobody is to be told any more where nobody listens.
    let tell = move |changes| drop(sender.send(changes));
    tokio::select! {
        result = collect(received) => result,
        () = follow(access, node_name, observer, tell) => Err(ReadError::Ended),
        () = stop => Err(ReadError::Ended),
    }
}

/// Takes changes until each kind was told as a whole.
async fn collect(mut received: UnboundedReceiver<Vec<Change>>) -> Result<Catalog, ReadError> {
    let mut catalog = Catalog::default();
    let mut missing = [true; 3];
    let mut outage = None;
    while missing.contains(&true) {
        let wait = if outage.is_some() { PATIENCE } else { Duration::MAX };
        let changes = match timeout(wait, received.recv()).await {
            Ok(Some(changes)) => changes,
            Ok(None) => return Err(ReadError::Ended),
            Err(_) => return Err(ReadError::Trouble { why: outage.unwrap_or_default() }),
        };
        for change in changes {
            let [services, slices, node] = &mut missing;
            match &change {
                Change::ResetServices(_) => *services = false,
                Change::ResetSlices(_) => *slices = false,
                Change::Node(_) => *node = false,
                Change::Outage(why) => outage.clone_from(why),
                _ => {}
            }
            catalog.apply(change);
        }
    }
    Ok(catalog)
}
