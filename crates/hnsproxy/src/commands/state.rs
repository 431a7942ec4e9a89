//! `state`: shows the state of HNS.

use super::IN_SYNC;
use crate::cli::StateArgs;
use crate::error::CommandError;
use crate::hns::Hns;
use crate::{output, view};

pub(super) fn main(args: &StateArgs) -> Result<u8, CommandError> {
    let hns = Hns::open(&args.hns)?;
    let snapshot = view::read(&*hns.hcn(), &hns.chosen_client()?, hns.description())?;
    output::print(args.output.output, &snapshot, |layout| view::table(&snapshot, None, layout))?;
    Ok(IN_SYNC)
}
