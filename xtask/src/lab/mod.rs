//! The lab: real programs in network namespaces reach a Service through the model of the virtual switch, which forwards by the objects that
//! hnsproxy writes to an emulated HNS, while pods are replaced.
//!
//! It fails if a request fails, if an address or a pod does not answer, or if hnsproxy ends.

mod advice;
mod cluster;
mod pod;
mod privileges;
mod report;
mod requests;
mod rollout;
mod run;
mod server;
mod world;

pub(crate) use privileges::need_tools;

use std::process::ExitCode;

use anyhow::Result;

use crate::process::{cargo, is_in_ci, output, print, run as run_command, say};
use crate::system;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long clients send requests; a pod is replaced every five seconds, as often as fits
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Keep everything running until Ctrl-C, and print what to try
    #[arg(long)]
    keep: bool,
    /// Only check whether the lab can run here
    #[arg(long, hide = true)]
    check: bool,
    /// This process is in a user namespace that it has created
    #[arg(long, hide = true)]
    in_user_namespace: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    need_tools(!arguments.check)?;
    if !arguments.in_user_namespace && !system::is_root()? {
        return privileges::enter_user_namespace();
    }
    vswitch_lab::tun::check()?;
    if arguments.check {
        return Ok(ExitCode::SUCCESS);
    }
    let failures = run::failures(arguments)?;
    for failure in &failures {
        print(format_args!("FAILED  {failure}"))?;
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the lab for some seconds, as a user does. Skipped if this computer does not permit it, except in CI.
pub(crate) fn test() -> Result<()> {
    if !is_in_ci()
        && let Err(error) = output(cargo()?.args(["xtask", "lab", "--check"]))
    {
        say(format_args!("SKIPPED: the lab: {error}"));
        return Ok(());
    }
    run_command(cargo()?.args(["xtask", "lab", "--seconds", "8"]))
}
