//! Runs the fuzz targets with libFuzzer, which stable Rust can build: each target in turn, with the inputs that an earlier run found.
//!
//! An input that fails is written to `fuzz/regressions/TARGET`, where the tests replay it.

mod report;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::folder;
use crate::process::{Guarded, cargo, output, print, run as run_command, say};
use report::Report;

/// Which targets, and for how long. The time does not include the build.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The time in seconds for all targets together, divided equally
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// End a target after this number of inputs, if that is earlier
    #[arg(long, value_name = "N")]
    inputs: Option<u64>,
    /// Only these targets [default: all folders of fuzz/seeds]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

/// What cargo-fuzz instruments: edges, and the operands of comparisons. Its address sanitizer is left out: it needs nightly Rust, and there is
/// no unsafe code to check.
const INSTRUMENTATION: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
];
/// The longest input in bytes. The limits of the fuzz targets hold for it.
const MAX_INPUT: usize = 64 << 10;
/// In seconds, for an input that never ends. The program itself checks its processor time, which other processes do not prolong.
const HANG: u32 = 60;
/// In MiB, for the whole process. The program itself checks the memory for an input.
const MAX_PROCESS_MEMORY: u32 = 2048;

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let folders = Folders { root: folder::root()?.join("fuzz"), work: folder::target()?.join("fuzz") };
    let known = folders.targets()?;
    let targets = if arguments.targets.is_empty() { known.clone() } else { arguments.targets.clone() };
    for target in &targets {
        ensure!(known.contains(target), "unknown fuzz target {target:?} (known: {})", known.join(", "));
    }
    let program = build(&folders.work)?;
    let each = Duration::from_secs(arguments.seconds) / u32::try_from(targets.len())?;
    let reports: Vec<Report> =
        targets.iter().map(|target| fuzz(&program, &folders, target, each, arguments.inputs)).collect::<Result<_>>()?;
    print(format_args!("{}", report::table(&reports)))?;
    for Report { target, failure, .. } in &reports {
        let Some(failure) = failure else { continue };
        print(format_args!("\n{target}: {}", failure.reason))?;
        if let Some(file) = &failure.file {
            print(format_args!("  input: {file}\n  replay: cargo nextest run -p fuzz {target}::regressions"))?;
        }
    }
    let failed = reports.iter().any(|report| report.failure.is_some());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The folders of the package, and of what runs leave behind.
struct Folders {
    root: PathBuf,
    work: PathBuf,
}

impl Folders {
    fn targets(&self) -> Result<Vec<String>> {
        let folder = self.root.join("seeds");
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name().display().to_string()).collect();
        names.sort();
        Ok(names)
    }
}

/// Builds the program with all targets. The target is named, so that the flags are not those of build scripts and macros.
fn build(work: &Path) -> Result<PathBuf> {
    let version = output(cargo()?.arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("cargo names no host")?;
    let mut command = cargo()?;
    command.args([
        "build",
        "--locked",
        "--profile",
        "fuzz",
        "--package",
        "fuzz",
        "--features",
        "libfuzzer",
        "--bin",
        "fuzz",
    ]);
    command.args(["--target", host]).env("RUSTFLAGS", INSTRUMENTATION.join(" ")).env("CARGO_TARGET_DIR", work);
    run_command(&mut command).context("cannot build the fuzz targets; libFuzzer needs a C++ compiler")?;
    Ok(work.join(host).join("fuzz/fuzz"))
}

fn fuzz(program: &Path, folders: &Folders, target: &str, time: Duration, inputs: Option<u64>) -> Result<Report> {
    let corpus = folders.work.join("corpus").join(target);
    let regressions = folders.root.join("regressions").join(target);
    for folder in [&corpus, &regressions] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let mut command = std::process::Command::new(program);
    command.env("FUZZ_TARGET", target).current_dir(&folders.work);
    // New inputs are written to the first folder. The regressions are not used as seeds: some have the maximum length, and would make all inputs
    // long and slow. Tests replay them.
    command.arg(&corpus).arg(folders.root.join("seeds").join(target));
    command.arg(format!("-max_total_time={}", time.as_secs().max(1)));
    command.args(inputs.map(|inputs| format!("-runs={inputs}")));
    command.arg(format!("-max_len={MAX_INPUT}")).arg(format!("-timeout={HANG}"));
    command.arg(format!("-rss_limit_mb={MAX_PROCESS_MEMORY}")).arg("-print_final_stats=1");
    command.arg(format!("-dict={}", folders.root.join("dictionaries").join(target).with_extension("dict").display()));
    command.arg(format!("-artifact_prefix={}/", regressions.display()));
    say(format_args!("fuzzing {target} for {} s", time.as_secs().max(1)));
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = Guarded(child.with_context(|| format!("cannot run {}", program.display()))?);
    let stderr = child.0.stderr.take().context("the fuzz program has no stderr")?;
    let mut report = Report::new(target);
    for line in BufReader::new(stderr).split(b'\n') {
        report.read(&String::from_utf8_lossy(&line?));
    }
    report.end(child.0.wait()?.success());
    // Fails unless it is empty.
    let _ = fs::remove_dir(&regressions);
    Ok(report)
}
