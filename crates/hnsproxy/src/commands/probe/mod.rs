//! `probe`: compares HNS with what is known of its build, so that an operator finds out on a real node which assumptions hold there.

mod check;
mod expectations;
mod foreign;
mod host;
mod inspect;
mod lists;
mod members;
mod networks;
mod policies;
mod raw;
mod survey;
mod table;

use cluster_source::error_chain;

use super::{FAILED, IN_SYNC};
use crate::cli::{OutputForm, ProbeArgs};
use crate::error::CommandError;
use crate::hns::Hns;
use crate::output;
use survey::{Survey, Verdict};

/// Exit code: an answer is not the expected one.
const OTHER: u8 = FAILED;
/// Exit code: HNS could not be probed.
const NOT_PROBED: u8 = 2;

pub(super) fn main(args: &ProbeArgs) -> Result<u8, CommandError> {
    probe(args).or_else(|error| {
        tracing::error!("{}", error_chain(&error));
        Ok(NOT_PROBED)
    })
}

fn probe(args: &ProbeArgs) -> Result<u8, CommandError> {
    let hns = Hns::open(&args.hns)?;
    let of_environment = std::env::var("KUBE_NETWORK").ok();
    let configured = args.network_name.as_deref().or(of_environment.as_deref());
    let survey = inspect::inspect(&hns, configured)?;
    print(args, &survey)?;
    Ok(exit_code(&survey))
}

fn print(args: &ProbeArgs, survey: &Survey) -> Result<(), CommandError> {
    match args.output.output {
        OutputForm::Table => output::text(&table::text(survey))?,
        OutputForm::Json => output::json(survey)?,
    }
    Ok(())
}

fn exit_code(survey: &Survey) -> u8 {
    if survey.findings.iter().any(|finding| finding.verdict == Verdict::Other) { OTHER } else { IN_SYNC }
}
