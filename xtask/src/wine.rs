//! Runs Windows programs under Wine.
//!
//! The prefix is our own, `target/wine` if no other is asked for: nothing a program does there touches another. Wine has no
//! `bcryptprimitives.dll` in the versions that Debian ships, and Rust programs do not start without it; a DLL of the one function
//! they want is compiled from `bcryptprimitives.c` beside this file and put in the prefix.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::{Guarded, find, run as run_command, say};
use crate::{folder, system, windows};

/// Where Debian's package `wine64` has its program: not in PATH, since `wine` is meant to be there.
const DEBIAN_WINE: &str = "/usr/lib/wine/wine64";
const PACKAGES: [&str; 2] = ["wine", "wine64"];

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The Wine prefix, made where it is not there [default: target/wine]
    #[arg(long, value_name = "FOLDER")]
    prefix: Option<PathBuf>,
    /// Put this DLL in the prefix's System32 first
    #[arg(long = "dll", value_name = "FILE")]
    dlls: Vec<PathBuf>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM [ARGUMENT]...")]
    program: Vec<OsString>,
}

/// The task. The program's exit code is ours.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let folder = match &arguments.prefix {
        Some(folder) => std::path::absolute(folder)?,
        None => folder::target()?.join("wine"),
    };
    let prefix = Prefix::prepare(folder)?;
    for dll in &arguments.dlls {
        prefix.install(dll)?;
    }
    let status = prefix.command().args(&arguments.program).status().context("can't run Wine")?;
    // Codes of Windows have 32 bits, of which the system here keeps 8; one that is not 0 must not become 0.
    let code = status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1));
    Ok(ExitCode::from(code))
}

/// A prefix that is ready.
#[derive(Debug, Clone)]
pub(crate) struct Prefix {
    folder: PathBuf,
    wine: PathBuf,
}

impl Prefix {
    /// The prefix of the workspace, ready.
    pub(crate) fn own() -> Result<Self> {
        Self::prepare(folder::target()?.join("wine"))
    }

    /// The same drive C in a prefix without drive Z, by which Wine takes paths like `/var` for those of this system. Programs are named by
    /// their place on drive C there.
    pub(crate) fn without_drive_z(&self) -> Result<Self> {
        self.wait_until_quiet()?;
        let other = Self { folder: self.folder.with_extension("c"), wine: self.wine.clone() };
        other.remove_without_drive_z()?;
        let drives = other.folder.join("dosdevices");
        fs::create_dir_all(&drives)?;
        for place in [drives.join("c:"), other.drive_c()] {
            symlink(&self.drive_c(), &place)?;
        }
        for file in ["system.reg", "user.reg", "userdef.reg", ".update-timestamp"] {
            fs::copy(self.folder.join(file), other.folder.join(file)).context(file)?;
        }
        Ok(other)
    }

    /// Takes such a prefix away, once nothing runs there.
    pub(crate) fn remove_without_drive_z(&self) -> Result<()> {
        if self.folder.exists() {
            self.wait_until_quiet()?;
            fs::remove_dir_all(&self.folder)?;
        }
        Ok(())
    }

    /// Installs Wine and makes the prefix, as far as that is still to be done.
    fn prepare(folder: PathBuf) -> Result<Self> {
        let wine = match wine() {
            Some(wine) => wine,
            None => {
                system::need_packages(&PACKAGES, "running Windows programs")?;
                wine().context("Wine is installed, but there is no program wine or wine64")?
            }
        };
        let prefix = Self { folder, wine };
        // Written last, so that what was interrupted is done again.
        let ready = prefix.folder.join("hnsproxy-ready");
        if !ready.exists() {
            say(format_args!("making a Wine prefix in {}", prefix.folder.display()));
            fs::create_dir_all(&prefix.folder)?;
            // Without these two, which would ask for add-ons in a window.
            let mut boot = prefix.command();
            boot.args(["wineboot", "--init"]).env("WINEDLLOVERRIDES", "mscoree,mshtml=");
            run_command(boot.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?;
            let shim = prefix.system32().join("bcryptprimitives.dll");
            if !shim.exists() {
                let source = folder::root()?.join("xtask/src/bcryptprimitives.c");
                windows::compile_dll(&source, &shim, &["advapi32"])?;
            }
            fs::write(&ready, "")?;
        }
        Ok(prefix)
    }

    /// Puts a DLL in System32.
    fn install(&self, dll: &Path) -> Result<()> {
        let Some(name) = dll.file_name() else { bail!("{} is no file", dll.display()) };
        self.install_as(dll, name)
    }

    /// Puts a DLL in System32 under a name.
    pub(crate) fn install_as(&self, dll: &Path, name: impl AsRef<Path>) -> Result<()> {
        let place = self.system32().join(name);
        fs::copy(dll, &place).with_context(|| format!("can't copy {} to {}", dll.display(), place.display()))?;
        Ok(())
    }

    /// A command that runs Wine in this prefix, with the program still to be named.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.wine);
        command.env("WINEPREFIX", &self.folder).env("WINEARCH", "win64").env("WINEDEBUG", "-all");
        // Wine keeps a display it is given busy, and nothing here has a window.
        command.env_remove("DISPLAY");
        command
    }

    /// Starts a program that does nothing until it is dropped, and has all that it needs when this answers.
    pub(crate) fn start_waiting(&self) -> Result<Guarded> {
        let mut command = self.command();
        // Waits for a line that never comes.
        command.args(["cmd", "/c", "pause"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut program = command.spawn().map(Guarded).context("can't run Wine")?;
        program.0.stdout.as_mut().context("no output")?.read_exact(&mut [0]).context("cmd ended at once")?;
        Ok(program)
    }

    /// Waits until the last program in the prefix has ended, and with it what Wine itself runs there.
    pub(crate) fn wait_until_quiet(&self) -> Result<()> {
        let beside = |name: &str| self.wine.parent().map(|folder| folder.join(name)).filter(|file| file.is_file());
        let server = beside("wineserver64").or_else(|| beside("wineserver")).or_else(|| find("wineserver"));
        let mut command = Command::new(server.context("there is no wineserver")?);
        command.arg("-w").env("WINEPREFIX", &self.folder).stdin(Stdio::null());
        command.status().context("can't run wineserver")?;
        Ok(())
    }

    /// The folder that is drive C.
    pub(crate) fn drive_c(&self) -> PathBuf {
        self.folder.join("drive_c")
    }

    fn system32(&self) -> PathBuf {
        self.drive_c().join("windows/system32")
    }
}

/// Whether Wine is installed.
pub(crate) fn tools_are_here() -> bool {
    wine().is_some()
}

fn wine() -> Option<PathBuf> {
    let debian = PathBuf::from(DEBIAN_WINE);
    find("wine64").or_else(|| debian.is_file().then_some(debian)).or_else(|| find("wine"))
}
/// A symbolic link, on systems that Wine runs on.
#[cfg(unix)]
fn symlink(to: &Path, at: &Path) -> Result<()> {
    Ok(std::os::unix::fs::symlink(to, at)?)
}

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> Result<()> {
    bail!("there is no Wine here")
}
