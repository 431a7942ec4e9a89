//! `run`: programs HNS, once or until shutdown.

use cluster_source::error_chain;
use tracing::warn;

use super::{IN_SYNC, lock, once, open};
use crate::app;
use crate::bundle_file::is_bundle;
use crate::cli::RunArgs;
use crate::config::Config;
use crate::error::CommandError;
use crate::shutdown::Shutdown;

pub(super) fn main(args: &RunArgs, config: &Config, shutdown: &Shutdown) -> Result<u8, CommandError> {
    if let Some(path) = args.proxy.source.from.as_ref().filter(|path| !args.once && is_bundle(path)) {
        return Err(CommandError::BundleNeedsOnce(path.clone()));
    }
    let Some(_lock) = lock(&args.proxy, shutdown)? else {
        // Nothing was done. That is no failure of a process which runs until its shutdown.
        return if args.once { Err(CommandError::Stopped) } else { Ok(IN_SYNC) };
    };
    let hns = open(&args.proxy.hns, shutdown)?;
    let result = if args.once {
        once::main(args, config, &hns, shutdown)
    } else {
        app::build(args, config, hns.clone(), shutdown).and_then(app::Bound::run)
    };
    // What HNS has is worth keeping after a failure, too.
    let saved = args.save_hns.as_ref().map_or(Ok(()), |path| hns.save(path));
    match (result, saved) {
        (Ok(()), saved) => saved?,
        (Err(error), Ok(())) => return Err(error),
        // The command fails with one error, which is the cause.
        (Err(error), Err(not_saved)) => {
            warn!("{}", error_chain(&not_saved));
            return Err(error);
        }
    }
    Ok(IN_SYNC)
}
