//! The cluster's way into a session: from files, or from an API server.

mod files;
mod live;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use self::files::FileFeed;
use self::live::LiveFeed;
use super::Context;
use crate::cli::ProxyArgs;
use crate::config::Config;
use crate::error::CommandError;
use crate::hns::Hns;
use crate::kubernetes::node::Node;
use crate::session::Session;
use crate::source::Change;
use crate::source::cluster::{Access, AccessError, NodeError};

/// Which of the feeds that there may have been one after the other tells of a change.
pub(super) type Origin = Arc<()>;

/// What all feeds are opened with.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) args: &'a ProxyArgs,
    pub(super) config: &'a Config,
    pub(super) hns: &'a Hns,
}

/// Where the cluster comes from.
pub enum Source {
    /// From the files in a place.
    Files(PathBuf),
    /// From an API server.
    ApiServer(Arc<Access>),
}

impl Source {
    /// The source that is asked for.
    ///
    /// # Errors
    /// Where no way to an API server is known.
    pub fn of(args: &ProxyArgs, config: &Config) -> Result<Self, AccessError> {
        Ok(match &args.source.from {
            Some(root) => Self::Files(root.clone()),
            None => Self::ApiServer(Arc::new(Access::open(&config.client)?)),
        })
    }
}

/// The cluster on its way, until this is dropped.
pub(super) enum Feed {
    Files(FileFeed),
    Live(LiveFeed),
}

/// What a feed has to say before a run.
pub(super) enum Turn {
    /// What is known can be programmed. There is more to do at this time.
    Ready(Option<Duration>),
    /// Something is waited for before anything is programmed, until this time where there is a bound.
    Waits(String, Option<Duration>),
}

impl Feed {
    /// Begins to read the cluster, and has changes told as events.
    ///
    /// # Errors
    /// Where files can't be read, or not be followed.
    pub(super) fn open(
        place: Place<'_>,
        node_name: &str,
        source: &Source,
        context: &Context<'_>,
    ) -> Result<Self, CommandError> {
        Ok(match source {
            Source::Files(root) => Self::Files(FileFeed::open(root, context)?),
            Source::ApiServer(access) => Self::Live(LiveFeed::open(place, node_name, access, context)),
        })
    }

    /// The own Node, as far as it is known.
    pub(super) fn node(&self, name: &str) -> Option<Node> {
        match self {
            Feed::Files(files) => files.node(name),
            Feed::Live(live) => live.node().cloned(),
        }
    }

    /// Hands over what is known.
    pub(super) fn load(&mut self, session: &mut Session) {
        match self {
            Feed::Files(files) => files.load(session),
            Feed::Live(_) => {}
        }
    }

    /// Notes that files were changed.
    pub(super) fn files_changed(&mut self, now: Duration) {
        match self {
            Feed::Files(files) => files.changed(now),
            Feed::Live(_) => {}
        }
    }

    /// Takes what an API server tells.
    pub(super) fn take(&mut self, origin: &Origin, change: Change, session: &mut Session) {
        match self {
            Feed::Live(live) if live.is(origin) => live.take(change, session),
            Feed::Live(_) | Feed::Files(_) => {}
        }
    }

    /// Why the cluster can't be asked for changes at present.
    pub(super) fn outage(&self) -> Option<String> {
        match self {
            Feed::Files(_) => None,
            Feed::Live(live) => live.outage().cloned(),
        }
    }

    /// Hands over what is due.
    ///
    /// # Errors
    /// Where it does not go on.
    pub(super) fn tick(&mut self, place: Place<'_>, session: &mut Session) -> Result<Turn, NodeError> {
        match self {
            Feed::Files(files) => {
                files.tick(session);
                Ok(Turn::Ready(files.due()))
            }
            Feed::Live(live) => live.tick(place, session),
        }
    }
}
