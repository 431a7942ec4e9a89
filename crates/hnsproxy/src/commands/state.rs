//! `state`: shows the state of HNS.

use super::IN_SYNC;
use crate::cli::{OutputForm, StateArgs};
use crate::error::CommandError;
use crate::hns::Hns;
use crate::{output, view};

pub(super) fn main(args: &StateArgs) -> Result<u8, CommandError> {
    let hns = Hns::open(&args.hns)?;
    let snapshot = view::read(&*hns.hcn(), &hns.chosen_client()?, hns.description())?;
    match args.output.output {
        OutputForm::Table => output::text(&view::table(&snapshot, None))?,
        OutputForm::Json => output::json(&snapshot)?,
    }
    Ok(IN_SYNC)
}
