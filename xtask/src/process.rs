//! Runs other programs, with progress and errors for people.

use std::fmt::Arguments;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::folder;

/// Prints progress to stderr.
pub(crate) fn say(text: Arguments<'_>) {
    // A closed stderr is not a failure of the task.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints a result to stdout.
pub(crate) fn print(text: Arguments<'_>) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("cannot write to stdout")
}

/// Prints the command line of a program and runs it. Any exit status is a result.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    say(format_args!("  $ {}", line(command)));
    command.status().with_context(|| format!("cannot run {}", name(command)))
}

/// Prints the command line of a program and runs it. A failure of the program is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    ensure!(status.success(), "{} failed: {status}", name(command));
    Ok(())
}

/// Cargo for the workspace, without the variables of the cargo that runs this program: crates that read them would be rebuilt each time.
pub(crate) fn cargo() -> Result<Command> {
    let mut command = Command::new("cargo");
    command.current_dir(folder::root()?);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    Ok(command)
}

/// Whether this is CI, where tests must not be skipped.
pub(crate) fn is_in_ci() -> bool {
    std::env::var_os("CI").is_some()
}

/// The longest wait for a running program.
const BOUND: Duration = Duration::from_secs(120);

/// A running program, killed when dropped.
#[derive(Debug)]
pub(crate) struct Guarded(pub(crate) Child);

impl Guarded {
    /// Starts a program without input and output.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        silent.spawn().map(Self).with_context(|| format!("cannot run {}", name(command)))
    }

    /// Waits until a condition holds.
    ///
    /// # Errors
    /// If the program ends, or at the timeout.
    pub(crate) fn until(&mut self, what: &str, so: impl Fn() -> bool) -> Result<()> {
        let start = Instant::now();
        while !so() {
            ensure!(start.elapsed() < BOUND, "timeout waiting for {what}");
            if let Some(status) = self.0.try_wait()? {
                bail!("the program ended while waiting for {what}: {status}");
            }
            // Leave the processor to the program.
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Fails if the program has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Resident memory of a process and its peak, in MB.
pub(crate) fn memory(process: u32) -> Result<[f64; 2]> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let megabytes = |member: &str| -> Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(member)).with_context(|| member.to_owned())?;
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes / 1024.0)
    };
    Ok([megabytes("VmRSS:")?, megabytes("VmHWM:")?])
}

/// Runs a program and returns its output. A failure of the program is an error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", name(command)))?;
    ensure!(status.success(), "{} failed: {status}\n{}", name(command), String::from_utf8_lossy(&stderr).trim_end());
    String::from_utf8(stdout).with_context(|| format!("invalid output of {}: expected UTF-8", name(command)))
}

/// As [`output`], with the command line and stderr of the program shown.
pub(crate) fn output_shown(command: &mut Command) -> Result<String> {
    say(format_args!("  $ {}", line(command)));
    output(command.stderr(Stdio::inherit()))
}

/// The path of a program in PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn line(command: &Command) -> String {
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    let program = command.get_program().to_string_lossy();
    std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")
}
