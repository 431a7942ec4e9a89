//! `plan`: what would be done, and why.

use std::num::NonZeroUsize;

use super::{CONVERGED, CommandError, DIFFERS, report};
use crate::cli::{OutputForm, PlanArgs, resolve};
use crate::config::Config;
use crate::hns::Hns;
use crate::output;
use crate::source::files::Files;
use crate::sync::Session;
use crate::view::PlanView;

pub(super) fn main(args: &PlanArgs, config: &Config) -> Result<u8, CommandError> {
    let args = &args.proxy;
    let files = Files::open(args.source.from.as_deref().ok_or(CommandError::NoSource)?)?;
    let hns = Hns::open(&args.hns)?;
    let catalog = files.catalog();
    let (settings, host) = resolve(config, args, &hns, &catalog)?;
    let mut session = Session::new(&hns, settings, host, NonZeroUsize::MIN);
    session.load(&catalog);
    session.observe()?;
    let plan = session.plan();
    let view = PlanView::of(&plan, session.note());
    match args.output.output {
        OutputForm::Table => output::text(&view.text())?,
        OutputForm::Json => output::json(&view)?,
    }
    report(&catalog, &mut Vec::new());
    Ok(if plan.steps.is_empty() { CONVERGED } else { DIFFERS })
}
