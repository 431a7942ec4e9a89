//! Mutation testing: cargo-mutants changes the code of a package in many small ways, and runs its fast tests for each change. A mutant
//! that no test detects survives.
//!
//! Survivors that are accepted, with their reasons, are in `xtask/src/mutants/accepted.yaml`. It is a failure if another mutant survives,
//! or if an accepted one does not.

mod accepted;
mod mutant;
mod outcomes;

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::process::{cargo, output, print, say, status};
use crate::{cargo_tools, folder};
use accepted::Accepted;
use outcomes::Outcomes;

/// The packages with the decisions of hnsproxy.
const PACKAGES: [&str; 2] = ["proxy", "cluster-source"];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these packages [default: proxy and cluster-source]
    #[arg(short, long = "package", value_name = "PACKAGE", value_parser = PACKAGES)]
    packages: Vec<String>,
    /// Only a part of the mutants: part K of N, from 0
    #[arg(long, value_name = "K/N")]
    shard: Option<String>,
    /// Only mutants of these files
    #[arg(long = "file", value_name = "GLOB")]
    files: Vec<String>,
}

/// The longest time for the tests of one mutant in seconds, also on a busy machine. A mutant with an endless loop is detected by it.
const TIME_LIMIT: &str = "300";
/// The exit codes of cargo-mutants after a complete run: all mutants were caught, some were not, tests of some took too long.
const COMPLETE: [i32; 3] = [0, 2, 3];

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    install()?;
    let folder = folder::target()?.join("mutants");
    std::fs::create_dir_all(&folder)?;
    let build = folder.join("build");
    // Each run builds a copy of the workspace in another folder, whose incremental results are of no use to the next run.
    let _ = std::fs::remove_dir_all(build.join("debug/incremental"));

    let listed = output(cargo_mutants(&arguments.packages)?.args(["--list", "--json"]))?;
    let listed = mutant::listed(&listed)?;
    let mut test = cargo_mutants(&arguments.packages)?;
    test.arg("--output").arg(&folder).args(["--jobs", "1", "--timeout", TIME_LIMIT, "--colors", "never"]);
    test.args(arguments.files.iter().flat_map(|file| ["--file", file]));
    test.args(arguments.shard.iter().flat_map(|shard| ["--shard", shard]));
    test.env("CARGO_TARGET_DIR", &build).env("CARGO_INCREMENTAL", "1").env("NEXTEST_PROFILE", "mutants");
    let exit = status(&mut test)?;
    if !exit.code().is_some_and(|code| COMPLETE.contains(&code)) {
        bail!("cargo mutants failed: {exit}");
    }

    let file = folder.join("mutants.out/outcomes.json");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let outcomes = Outcomes::read(&text, &listed)?;
    let accepted = Accepted::read(&folder::root()?)?;
    let findings = accepted.compare(&listed, &outcomes);
    print(format_args!("{}", outcomes.table(|mutant| accepted.contains(mutant))))?;
    for finding in &findings {
        print(format_args!("{finding}"))?;
    }
    say(format_args!(
        "{} findings; the changes and outputs are in {}",
        findings.len(),
        folder.join("mutants.out").display()
    ));
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `cargo mutants` for packages.
fn cargo_mutants(packages: &[String]) -> Result<Command> {
    let mut command = cargo()?;
    command.env("PATH", cargo_tools::path()?).arg("mutants");
    let all = PACKAGES.map(str::to_owned);
    for package in if packages.is_empty() { &all[..] } else { packages } {
        command.args(["--package", package]);
    }
    Ok(command)
}

/// Installs cargo-mutants in the target folder if cargo does not find it.
fn install() -> Result<()> {
    let is_found = |tool: &str| -> Result<bool> {
        let mut command = cargo()?;
        Ok(output(command.env("PATH", cargo_tools::path()?).args([tool, "--version"])).is_ok())
    };
    if !is_found("nextest")? {
        bail!("missing cargo-nextest for mutation testing: run cargo install --locked cargo-nextest");
    }
    if !is_found("mutants")? {
        cargo_tools::install("cargo-mutants", &[])?;
    }
    Ok(())
}
