//! Reads a cluster once, as a catalog: the whole of each kind, and no changes.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::{Access, AccessError, follow};
use crate::background::Background;
use crate::config::Config;
use crate::shutdown::Shutdown;
use crate::source::{Catalog, Change};

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
/// Where it can't be read, or the word to end comes before.
pub fn read(config: &Config, node_name: &str, shutdown: &Shutdown) -> Result<Catalog, ReadError> {
    let (sender, received) = channel();
    let ended = sender.clone();
    // Nobody is to be told any more where nobody listens.
    shutdown.on_request(move || drop(ended.send(None)));
    let tell = move |change| drop(sender.send(Some(change)));
    let access = Arc::new(Access::open(&config.client)?);
    let background = Background::start().map_err(AccessError::Runtime)?;
    let _following = follow(&background, access, config, node_name, &Arc::default(), tell);
    let mut catalog = Catalog::default();
    let mut missing = [true; 3];
    let mut trouble = None;
    while missing.contains(&true) {
        let wait = if trouble.is_some() { PATIENCE } else { Duration::MAX };
        match received.recv_timeout(wait) {
            Ok(Some(Change::Trouble(why))) => trouble = why,
            Ok(Some(change)) => {
                let [services, slices, node] = &mut missing;
                match change {
                    Change::Services(_) => *services = false,
                    Change::Slices(_) => *slices = false,
                    Change::Node(_) => *node = false,
                    _ => {}
                }
                catalog.take(change);
            }
            Err(RecvTimeoutError::Timeout) => return Err(ReadError::Trouble { why: trouble.unwrap_or_default() }),
            Ok(None) | Err(RecvTimeoutError::Disconnected) => return Err(ReadError::Ended),
        }
    }
    Ok(catalog)
}
