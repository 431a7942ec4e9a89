//! `run`: programs HNS, once or until shutdown.

use std::sync::mpsc::{self, RecvTimeoutError};

use super::{IN_SYNC, once};
use crate::app;
use crate::cli::RunArgs;
use crate::config::Config;
use crate::error::CommandError;
use crate::hns::Hns;
use crate::instance_lock::InstanceLock;
use crate::shutdown::Shutdown;

pub(super) fn main(args: &RunArgs, config: &Config, shutdown: &Shutdown) -> Result<u8, CommandError> {
    let hns = Hns::open(&args.proxy.hns)?;
    let (sender, requested) = mpsc::channel();
    shutdown.on_request(move || {
        // Nobody listens once the lock is acquired.
        let _ = sender.send(());
    });
    let wait = |time| requested.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
    // A shutdown while another process still has the lock: nothing was done.
    let Some(_lock) = InstanceLock::acquire(&args.proxy.hns.hns, wait)? else { return Ok(IN_SYNC) };
    let result = if args.once {
        once::main(args, config, &hns, shutdown)
    } else {
        app::build(args, config, hns.clone(), shutdown).and_then(app::Bound::run)
    };
    // What HNS has is worth keeping after a failure, too.
    if let Some(path) = &args.save_hns {
        hns.save(path)?;
    }
    result.map(|()| IN_SYNC)
}
