//! `run`: programs HNS, once or for as long as the process lives.

mod feed;
mod keep;
pub(super) mod once;

use std::sync::mpsc;

use super::{CONVERGED, CommandError};
use crate::cli::RunArgs;
use crate::config::{self, Config};
use crate::end::End;
use crate::hns::Hns;

/// What wakes the loop.
enum Event {
    /// Files of the source were changed.
    FilesChanged,
    /// The configuration file was changed.
    Config(config::Change),
    /// HNS told of something.
    Hns(hcn::Event),
    /// The word to end.
    End,
}

pub(super) fn main(args: &RunArgs, config: &Config, end: &End) -> Result<u8, CommandError> {
    let hns = Hns::open(&args.proxy.hns)?;
    let (events, received) = mpsc::channel();
    let ended = events.clone();
    // The receiver outlives its use but for the very end, when nobody needs to be told.
    end.when_told(move || drop(ended.send(Event::End)));
    let result = if args.once {
        once::main(args, config, &hns, &received)
    } else {
        keep::main(args, config, &hns, &events, &received)
    };
    if let Some(path) = &args.save_hns {
        hns.save(path)?;
    }
    result.map(|()| CONVERGED)
}
