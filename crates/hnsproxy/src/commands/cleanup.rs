//! `--cleanup`: removes the objects of hnsproxy from HNS, by programming a cluster without Services.

use std::num::NonZeroUsize;

use cluster_source::Catalog;
use hcn::Counts;
use tracing::info;

use super::IN_SYNC;
use super::once::sync;
use crate::cli::ProxyArgs;
use crate::config::Config;
use crate::environment::resolve;
use crate::error::CommandError;
use crate::hns::Hns;
use crate::instance_lock::InstanceLock;
use crate::session::Session;

pub(super) fn main(args: &ProxyArgs, config: &Config) -> Result<u8, CommandError> {
    let hns = Hns::open(&args.hns)?;
    let wait = |time| {
        #[allow(clippy::disallowed_methods, reason = "only the program sleeps")]
        std::thread::sleep(time);
        true
    };
    let _lock = InstanceLock::acquire(&args.hns.hns, wait)?;
    let nothing = Catalog::default();
    let (settings, host) = resolve(config, args, &hns, &nothing)?;
    let mut session = Session::new(hns.clone(), settings, host, NonZeroUsize::MIN);
    info!("{}", session.description());
    session.load(&nothing);
    session.audit()?;
    let Counts { calls, writes } = sync(&mut session, wait)?;
    info!(native_calls = calls, writes, "removed all objects of hnsproxy from HNS");
    Ok(IN_SYNC)
}
