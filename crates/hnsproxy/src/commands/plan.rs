//! `plan`: shows what would change, and why.

use std::num::NonZeroUsize;

use super::{DIFFERS, IN_SYNC, log_catalog, read_cluster, unhandled};
use crate::cli::PlanArgs;
use crate::config::Config;
use crate::environment::resolve;
use crate::error::CommandError;
use crate::hns::Hns;
use crate::host_local::HostLocal;
use crate::session::Session;
use crate::view::PlanView;
use crate::{output, view};

pub(super) fn main(args: &PlanArgs, config: &Config) -> Result<u8, CommandError> {
    let args = &args.proxy;
    let hns = Hns::open(&args.hns)?;
    let catalog = read_cluster(args, config, &hns, &unhandled())?;
    let (settings, host) = resolve(config, args, &hns, &catalog)?;
    let host_local = HostLocal::new(args.host_local_dir.clone(), args.hns.choice()).read_only();
    let mut session = Session::new(hns.clone(), settings, host, NonZeroUsize::MIN).with_host_local(host_local);
    session.load(&catalog);
    session.audit()?;
    session.log_host_conditions();
    let plan = session.plan();
    let view = PlanView::of(&plan, session.description());
    output::print(args.output.output, &view, |layout| view::plan(&plan, &view.description, layout))?;
    log_catalog(&catalog, session.node_name());
    Ok(if plan.steps.is_empty() { IN_SYNC } else { DIFFERS })
}
