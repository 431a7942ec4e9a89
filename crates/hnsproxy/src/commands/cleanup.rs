//! `--cleanup`: removes the objects of hnsproxy from HNS, by programming a cluster without Services.

use std::num::NonZeroUsize;

use cluster_source::Catalog;
use hcn::Counts;
use tracing::info;

use super::once::sync;
use super::{IN_SYNC, lock, open};
use crate::cli::ProxyArgs;
use crate::config::Config;
use crate::environment::resolve;
use crate::error::CommandError;
use crate::host_local::HostLocal;
use crate::session::Session;
use crate::shutdown::Shutdown;

pub(super) fn main(args: &ProxyArgs, config: &Config, shutdown: &Shutdown) -> Result<u8, CommandError> {
    let Some(_lock) = lock(args, shutdown)? else { return Err(CommandError::Stopped) };
    let hns = open(&args.hns, shutdown)?;
    let nothing = Catalog::default();
    let (settings, host) = resolve(config, args, &hns, &nothing)?;
    let host_local = HostLocal::new(args.host_local_dir.clone(), args.hns.choice());
    let mut session = Session::new(hns.clone(), settings, host, NonZeroUsize::MIN).with_host_local(host_local);
    info!("{}", session.description());
    session.load(&nothing);
    session.audit()?;
    let Counts { calls, writes } = sync(&mut session, shutdown)?;
    info!(native_calls = calls, writes, "removed all objects of hnsproxy from HNS");
    Ok(IN_SYNC)
}
