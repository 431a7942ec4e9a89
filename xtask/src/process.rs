//! Other programs: run with progress shown, and failures named.

use std::fmt::Arguments;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::folder;

/// Tells a person something.
pub(crate) fn say(text: Arguments<'_>) {
    // Where stderr is gone there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Gives a result to whoever reads stdout.
pub(crate) fn print(text: Arguments<'_>) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("can't write to stdout")
}

/// Runs a program after telling so; how it ended is an answer.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    say(format_args!("  $ {}", line(command)));
    command.status().with_context(|| format!("can't run {}", name(command)))
}

/// Runs a program after telling so; it has to succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    ensure!(status.success(), "{} failed: {status}", name(command));
    Ok(())
}

/// Cargo for the workspace, without what the cargo that runs this program has told it of itself: crates that look at that would be
/// built anew each time, by this one and by that one in turn.
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

/// What a program at work has not done by then it will not do.
const BOUND: Duration = Duration::from_secs(120);

/// A program at work, which is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Guarded(pub(crate) Child);

impl Guarded {
    /// Starts a program that is given nothing to read, and whose words are not wanted.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        silent.spawn().map(Self).with_context(|| format!("can't run {}", name(command)))
    }

    /// Waits until something is so.
    pub(crate) fn until(&mut self, what: &str, so: impl Fn() -> bool) -> Result<()> {
        let start = Instant::now();
        while !so() {
            ensure!(start.elapsed() < BOUND, "in vain waited for: {what}");
            if let Some(status) = self.0.try_wait()? {
                bail!("waiting for: {what}, but the program ended: {status}");
            }
            // Others need the processor more.
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // It may have ended.
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

/// Runs a program for what it prints, without a word; it has to succeed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().with_context(|| format!("can't run {}", name(command)))?;
    ensure!(status.success(), "{} failed: {status}\n{}", name(command), String::from_utf8_lossy(&stderr).trim_end());
    String::from_utf8(stdout).with_context(|| format!("{} does not print text", name(command)))
}

/// Runs a program after telling so, for what it prints; what it says on stderr is shown. It has to succeed.
pub(crate) fn output_shown(command: &mut Command) -> Result<String> {
    say(format_args!("  $ {}", line(command)));
    output(command.stderr(Stdio::inherit()))
}

/// The file of a program, where PATH has it.
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
