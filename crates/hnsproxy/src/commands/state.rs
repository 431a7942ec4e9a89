//! `state`: shows the state of HNS.

use hcn::ApiVersion;

use super::IN_SYNC;
use crate::cli::{OutputForm, StateArgs};
use crate::error::CommandError;
use crate::hns::{Hns, HnsApi};
use crate::{output, view};

pub(super) fn main(args: &StateArgs) -> Result<u8, CommandError> {
    let hns = Hns::open(&args.hns)?;
    let api_version = match hns.api() {
        HnsApi::V1 => ApiVersion::V1,
        HnsApi::V2 => ApiVersion::V2,
        HnsApi::Auto => hns.api_version(hns.client(ApiVersion::V1).version()?),
    };
    let snapshot = view::read(&*hns.hcn(), &hns.client(api_version), hns.description())?;
    match args.output.output {
        OutputForm::Table => output::text(&view::table(&snapshot, None))?,
        OutputForm::Json => output::json(&snapshot)?,
    }
    Ok(IN_SYNC)
}
