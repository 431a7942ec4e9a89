//! Builds the workload program, and runs it with and without callgrind.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::folder;
use crate::process::{cargo, output, run, status};

/// The number of Services, and the number of backends of each Service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) services: u32,
    pub(super) backends: u32,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.services, self.backends)
    }
}

impl FromStr for Size {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (services, backends) = text.split_once('x').context("expected e.g. 10000x5")?;
        Ok(Self { services: services.parse()?, backends: backends.parse()? })
    }
}

/// A name of a figure, and the figure.
pub(super) type Figure = (String, u64);

/// What the program prints after each phase.
#[derive(Deserialize)]
struct Phase {
    phase: String,
    allocations: u64,
    /// The allocated bytes of the proxy at the end of the phase.
    bytes: u64,
}

pub(super) struct Work {
    program: PathBuf,
    folder: PathBuf,
}

/// The version of the compiler.
pub(super) fn compiler() -> Result<String> {
    Ok(output(Command::new("rustc").arg("--version"))?.trim().to_owned())
}

impl Work {
    pub(super) fn build() -> Result<Self> {
        run(cargo()?
            .args(["build", "--locked", "--profile", "instructions", "--package", "proxy"])
            .args(["--example", "instructions"]))?;
        let target = folder::target()?;
        let folder = target.join("callgrind");
        std::fs::create_dir_all(&folder)?;
        Ok(Self { program: target.join("instructions/examples/instructions"), folder })
    }

    /// The instructions of each phase, without those of the emulated HNS.
    pub(super) fn instructions(&self, size: Size) -> Result<Vec<Figure>> {
        let profile = self.folder.join(size.to_string());
        let printed = self.folder.join(format!("{size}.jsonl"));
        let mut command = Command::new("valgrind");
        command.args(["--quiet", "--tool=callgrind", "--collect-atstart=no"]);
        // Each toggle inverts the state: `collect_on` starts the collection, and `collect_off`, which is called only inside it, stops it.
        // The names are complete, because callgrind treats all functions that match one pattern as one function.
        command.args(["on", "off"].map(|name| format!("--toggle-collect=instructions::collect::collect_{name}")));
        // Each phase is a separate part. The dump is at the end of `measure`, because a dump at `collect_on` would invert the collection.
        command.arg("--dump-after=instructions::measure").arg(format!("--callgrind-out-file={}", profile.display()));
        command.arg(&self.program).args(arguments(size)).stdout(std::fs::File::create(&printed)?);
        ensure!(status(&mut command)?.success(), "callgrind failed");
        let part = |(number, phase): (usize, Phase)| {
            let file = PathBuf::from(format!("{}.{}", profile.display(), number + 1));
            let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let total = text.lines().find_map(|line| line.strip_prefix("totals: ")).context("missing totals")?;
            Ok((format!("{}: instructions", phase.phase), total.trim().parse()?))
        };
        phases(&std::fs::read_to_string(&printed)?)?.into_iter().enumerate().map(part).collect()
    }

    /// The number of allocations of each phase, and the allocated bytes at its end.
    pub(super) fn allocations(&self, size: Size) -> Result<Vec<Figure>> {
        let printed = output(Command::new(&self.program).args(arguments(size)))?;
        let figures = |Phase { phase, allocations, bytes }| {
            [(format!("{phase}: allocations"), allocations), (format!("{phase}: bytes at the end"), bytes)]
        };
        Ok(phases(&printed)?.into_iter().flat_map(figures).collect())
    }
}

fn arguments(size: Size) -> [String; 2] {
    [size.services, size.backends].map(|number| number.to_string())
}

fn phases(printed: &str) -> Result<Vec<Phase>> {
    printed.lines().map(|line| serde_json::from_str(line).context("cannot read a phase")).collect()
}
