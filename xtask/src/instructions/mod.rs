//! Counts the instructions and allocations of the core for a fixed workload, and compares them with the stored figures. Unlike times, these
//! counts do not depend on the load of the machine. The workload is the example `instructions` of `crates/proxy`; callgrind counts its
//! instructions.

mod figures;
mod work;

use std::process::ExitCode;

use anyhow::Result;

use crate::process::{print, say};
use crate::{folder, system};
use figures::{Comparison, Figures};
use work::{Size, Work};

/// The sizes are small, because the program runs about 50 times slower under callgrind.
const COUNTED: [Size; 2] = [Size { services: 200, backends: 3 }, Size { services: 1_000, backends: 1 }];
const ALLOCATED: [Size; 2] = [Size { services: 2_000, backends: 3 }, Size { services: 10_000, backends: 5 }];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Store the figures instead of comparing them
    #[arg(long, conflicts_with = "sizes")]
    accept: bool,
    /// Only print the instructions for this number of Services and backends per Service, such as 10000x5
    #[arg(long = "size", value_name = "SERVICESxBACKENDS")]
    sizes: Vec<Size>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    system::need_packages(&["valgrind"], "counting instructions")?;
    let work = Work::build()?;
    let mut figures = Figures::of_compiler(work::compiler()?);
    for size in if arguments.sizes.is_empty() { &COUNTED } else { arguments.sizes.as_slice() } {
        figures.add(*size, work.instructions(*size)?);
    }
    if !arguments.sizes.is_empty() {
        print(format_args!("{figures}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    for size in ALLOCATED {
        figures.add(size, work.allocations(size)?);
    }
    let file = folder::root()?.join("xtask/src/instructions/stored.json");
    if arguments.accept {
        figures.store(&file)?;
        say(format_args!("written to {}", file.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let comparison = Comparison::of(Figures::stored(&file)?, figures);
    print(format_args!("{comparison}"))?;
    if let Some(reason) = comparison.not_compared() {
        // The last line, on standard error too: an exit code of 0 must not look like a comparison.
        say(format_args!("{reason}"));
        say(format_args!(
            "nothing was checked; store the figures of this compiler with --accept, at a commit whose figures are known to be good"
        ));
    }
    Ok(if comparison.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
