//! Runs random worlds: HNS, cluster and process with faults, each write judged by an observer.

use std::process::ExitCode;

use anyhow::Result;

use crate::folder;
use crate::process::{cargo, run as run_command};

/// How many worlds, or which one.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The number of steps of all worlds together
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    steps: u64,
    /// The seed of the first world; the others follow
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// The number of worlds that run at the same time
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: u64,
    /// Run the world of --seed only, and print what led to its failure, with as few steps as still fail
    #[arg(long)]
    one: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let test = if arguments.one { "oracle::many::one_world_again" } else { "oracle::many::many_worlds" };
    let mut command = cargo()?;
    command.args(["test", "--package", "proxy", "--test", "main", "--", test, "--exact", "--ignored", "--nocapture"]);
    // Optimised, with all assertions, in a folder of its own: the other builds stay as they are.
    command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "2").env("CARGO_TARGET_DIR", folder::target()?.join("chaos"));
    command.env("CHAOS_STEPS", arguments.steps.to_string());
    command.env("CHAOS_SEED", arguments.seed.to_string());
    command.env("CHAOS_THREADS", arguments.threads.to_string());
    run_command(&mut command)?;
    Ok(ExitCode::SUCCESS)
}
