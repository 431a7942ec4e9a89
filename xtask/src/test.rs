//! Runs tests on this system, or as Windows programs under Wine.

use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};

use crate::book;
use crate::process::{self, output, run as run_command, say, status};
use crate::soak;
use crate::tools;
use crate::windows::{self, Built};
use crate::wine::{self, Prefix};
use crate::wine_bench;

/// What to test.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these packages, without documentation tests
    #[arg(short, long = "package", value_name = "PACKAGE")]
    packages: Vec<String>,
    /// As Windows programs under Wine, without documentation tests
    #[arg(long)]
    wine: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.wine {
        under_wine(&arguments.packages)?
    } else {
        here(&arguments.packages)?
    }
    Ok(ExitCode::SUCCESS)
}

fn here(packages: &[String]) -> Result<()> {
    #[cfg(target_os = "linux")]
    if process::is_in_ci() {
        crate::lab::need_tools(true)?;
    }
    if process::is_in_ci() {
        tools::ALL.iter().try_for_each(tools::Tools::need)?;
    }
    let cargo = |task: &[&str]| -> Result<Command> {
        let mut command = process::cargo()?;
        command.args(task);
        if packages.is_empty() {
            command.arg("--workspace");
        }
        for package in packages {
            command.args(["--package", package]);
        }
        Ok(command)
    };
    if output(Command::new("cargo").args(["nextest", "--version"])).is_ok() {
        run_command(&mut cargo(&["nextest", "run"])?)?;
    } else {
        say(format_args!("cargo-nextest not found; using cargo test, which is slower"));
        run_command(cargo(&["test"])?.args(["--lib", "--bins", "--tests", "--examples"]))?;
    }
    // cargo-nextest does not show the output of a test that succeeds.
    for tools in tools::ALL.iter().filter(|tools| !tools.are_here()) {
        say(format_args!("{}", tools.skipped()));
    }
    if packages.is_empty() {
        run_command(cargo(&["test"])?.arg("--doc"))?;
        let failures = soak::failures(&soak::Arguments::brief())?;
        ensure!(failures.is_empty(), "soak test: {}", failures.join("; "));
        #[cfg(target_os = "linux")]
        crate::lab::test()?;
        if !book::test()? {
            say(format_args!("SKIPPED: the book; cargo xtask book installs its tools"));
        }
        // In CI, missing tools are installed. Elsewhere they are not, since they take about 1 GB.
        if process::is_in_ci() || windows::tools_are_here() && wine::tools_are_here() {
            wine_bench::run(&wine_bench::Arguments::default())?;
        } else {
            say(format_args!("SKIPPED: tests under Wine; cargo xtask wine-bench installs the tools"));
        }
    }
    // cargo test --doc fails for a package without a library.
    Ok(())
}

fn under_wine(packages: &[String]) -> Result<()> {
    let tests: Vec<Built> =
        windows::build(&windows::Arguments::tests_of(packages))?.into_iter().filter(|built| built.is_test).collect();
    ensure!(!tests.is_empty(), "no test program was built");
    let prefix = Prefix::own()?;
    let mut failed = Vec::new();
    for test in &tests {
        // As in cargo test: tests read files of their package from the current folder.
        if !status(prefix.command().arg(&test.file).current_dir(&test.package))?.success() {
            failed.push(test.file.display().to_string());
        }
    }
    ensure!(failed.is_empty(), "{} of {} test programs failed: {}", failed.len(), tests.len(), failed.join(", "));
    Ok(())
}
