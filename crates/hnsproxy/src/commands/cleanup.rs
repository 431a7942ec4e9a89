//! `--cleanup`: removes from HNS what hnsproxy made, and leaves all else. To HNS it is a cluster without Services.

use std::num::NonZeroUsize;

use hcn::Counts;
use tracing::info;

use super::CONVERGED;
use super::run::once::converge;
use crate::cli::ProxyArgs;
use crate::config::Config;
use crate::environment::resolve;
use crate::error::CommandError;
use crate::hns::Hns;
use crate::source::Catalog;
use crate::sync::Session;

pub(super) fn main(args: &ProxyArgs, config: &Config) -> Result<u8, CommandError> {
    let hns = Hns::open(&args.hns)?;
    let nothing = Catalog::default();
    let (settings, host) = resolve(config, args, &hns, &nothing)?;
    let mut session = Session::new(&hns, settings, host, NonZeroUsize::MIN);
    info!("{}", session.note());
    session.load(&nothing);
    session.observe()?;
    let Counts { calls, writes } = converge(&mut session, |time| {
        std::thread::sleep(time);
        true
    })?;
    info!("HNS holds nothing of hnsproxy's: {calls} native calls, {writes} writes");
    Ok(CONVERGED)
}
