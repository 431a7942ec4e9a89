//! `run`: programs HNS, once or for as long as the process lives.

mod feed;
mod keep;
pub(super) mod once;

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};

use super::CONVERGED;
use crate::background::Background;
use crate::cli::RunArgs;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::error::CommandError;
use crate::hns::Hns;
use crate::metrics::Metrics;
use crate::serve::{ListenError, Question};
use crate::shutdown::Shutdown;
use crate::source;
use crate::status::StatusStore;

/// What wakes the loop.
enum Event {
    /// Files of the source were changed.
    FilesChanged,
    /// An API server tells of the cluster.
    Cluster(feed::Origin, source::Change),
    /// The configuration file was changed.
    Config(config::Change),
    /// HNS told of something.
    Hns(hcn::Event),
    /// Somebody asks about a Service.
    Question(Question),
    /// An address is taken, and that is to end the program.
    ListenFailed(ListenError),
    /// Shutdown was requested.
    Shutdown,
}

/// What wakes the loop is sent here, by any thread. The store says from then on that a change waits, even while the loop is held up.
#[derive(Clone)]
struct Events {
    sender: Sender<Event>,
    store: Arc<StatusStore>,
    metrics: Arc<Metrics>,
    background: Background,
}

impl Events {
    /// Sends an event. The loop outlives its use but for the very end, when nobody needs to be told.
    fn send(&self, event: Event) {
        if matches!(event, Event::FilesChanged | Event::Cluster(..)) {
            self.store.change_queued();
        }
        let _ = self.sender.send(event);
    }
}

pub(super) fn main(args: &RunArgs, config: &Config, shutdown: &Shutdown) -> Result<u8, CommandError> {
    let hns = Hns::open(&args.proxy.hns)?;
    let (sender, received) = mpsc::channel();
    let ended = sender.clone();
    // Nobody is to be told any more where nobody listens.
    shutdown.on_request(move || drop(ended.send(Event::Shutdown)));
    let result = if args.once {
        once::main(args, config, &hns, shutdown, &received)
    } else {
        let background = Background::start().map_err(CommandError::Background)?;
        let events =
            Events { sender, store: Arc::new(StatusStore::new(Clock::new())), metrics: Arc::default(), background };
        keep::main(args, config, &hns, &events, &received)
    };
    if let Some(path) = &args.save_hns {
        hns.save(path)?;
    }
    result.map(|()| CONVERGED)
}
