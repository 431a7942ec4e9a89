//! `run`: programs HNS, once or until shutdown.

use super::{IN_SYNC, once, open};
use crate::app;
use crate::cli::RunArgs;
use crate::config::Config;
use crate::error::CommandError;
use crate::shutdown::Shutdown;

pub(super) fn main(args: &RunArgs, config: &Config, shutdown: &Shutdown) -> Result<u8, CommandError> {
    let hns = open(&args.proxy.hns, shutdown)?;
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
