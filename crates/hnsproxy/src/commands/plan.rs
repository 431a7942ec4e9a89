//! `plan`: what would be done, and why.

use std::num::NonZeroUsize;

use super::{CONVERGED, DIFFERS, read_cluster, report};
use crate::cli::{OutputForm, PlanArgs};
use crate::config::Config;
use crate::environment::resolve;
use crate::error::CommandError;
use crate::hns::Hns;
use crate::output;
use crate::shutdown::Shutdown;
use crate::sync::Session;
use crate::view::PlanView;

pub(super) fn main(args: &PlanArgs, config: &Config) -> Result<u8, CommandError> {
    let args = &args.proxy;
    let hns = Hns::open(&args.hns)?;
    // A signal ends the process as it does any other.
    let catalog = read_cluster(args, config, &hns, &Shutdown::default())?;
    let (settings, host) = resolve(config, args, &hns, &catalog)?;
    let mut session = Session::new(&hns, settings, host, NonZeroUsize::MIN);
    session.load(&catalog);
    session.observe()?;
    session.tell_of_host();
    let plan = session.plan();
    let view = PlanView::of(&plan, session.note());
    match args.output.output {
        OutputForm::Table => output::text(&view.text())?,
        OutputForm::Json => output::json(&view)?,
    }
    report(&catalog, &mut Vec::new());
    Ok(if plan.steps.is_empty() { CONVERGED } else { DIFFERS })
}
