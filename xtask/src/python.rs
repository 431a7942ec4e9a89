//! Python packages that tasks need, each set in an environment of its own below `target/`.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::folder;
use crate::process::{output, run, say};
use crate::system;

#[derive(Debug)]
pub(crate) struct Environment {
    /// The name of its folder.
    pub(crate) name: &'static str,
    /// All packages with their versions, in the format of pip.
    pub(crate) requirements: &'static str,
}

impl Environment {
    fn folder(&self) -> Result<PathBuf> {
        Ok(folder::target()?.join(self.name))
    }

    /// Has the requirements, once they are installed.
    fn stamp(&self) -> Result<PathBuf> {
        Ok(self.folder()?.join("requirements.txt"))
    }

    pub(crate) fn is_here(&self) -> bool {
        let installed = self.stamp().and_then(|stamp| Ok(fs::read_to_string(stamp)?));
        installed.is_ok_and(|requirements| requirements == self.requirements)
    }

    /// Installs the packages if they are missing, and Python if root runs this.
    pub(crate) fn need(&self, purpose: &str) -> Result<()> {
        if self.is_here() {
            return Ok(());
        }
        if output(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_err() {
            system::need_packages(&["python3-venv"], purpose)?;
        }
        let folder = self.folder()?;
        say(format_args!("installing Python packages for {purpose} in {}", folder.display()));
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let wanted = folder.join("wanted.txt");
        fs::write(&wanted, self.requirements)?;
        let options =
            ["--quiet", "--disable-pip-version-check", "--no-compile", "--only-binary=:all:", "--requirement"];
        run(Command::new(folder.join("bin/pip")).arg("install").args(options).arg(&wanted))?;
        fs::rename(wanted, self.stamp()?)?;
        Ok(())
    }

    /// Runs a script with JSON as its input and output.
    pub(crate) fn ask<A: DeserializeOwned>(&self, script: &str, request: &impl Serialize) -> Result<A> {
        let mut command = Command::new(self.folder()?.join("bin/python"));
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut program = command.spawn().context("cannot run Python")?;
        let request = serde_json::to_vec(request)?;
        // The scripts read all of it before they write.
        program.stdin.take().context("missing stdin of Python")?.write_all(&request)?;
        let output = program.wait_with_output()?;
        anyhow::ensure!(output.status.success(), "Python failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        serde_json::from_slice(&output.stdout).context("invalid answer of a Python script")
    }
}
