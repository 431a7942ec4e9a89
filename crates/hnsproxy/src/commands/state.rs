//! `state`: shows the state of HNS.

use hcn::{Features, Generation};

use super::IN_SYNC;
use crate::cli::{OutputForm, StateArgs};
use crate::error::CommandError;
use crate::hns::{Hns, HnsApi};
use crate::{output, view};

pub(super) fn main(args: &StateArgs) -> Result<u8, CommandError> {
    let hns = Hns::open(&args.hns)?;
    let generation = match hns.api() {
        HnsApi::V1 => Generation::V1,
        HnsApi::V2 => Generation::V2,
        HnsApi::Auto if Features::of(hns.client(Generation::V1).version()?).v2 => Generation::V2,
        HnsApi::Auto => Generation::V1,
    };
    let snapshot = view::read(&*hns.hcn(), &hns.client(generation), hns.describe())?;
    match args.output.output {
        OutputForm::Table => output::text(&view::table(&snapshot, &[]))?,
        OutputForm::Json => output::json(&snapshot)?,
    }
    Ok(IN_SYNC)
}
