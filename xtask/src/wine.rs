//! Runs Windows programs under Wine.
//!
//! The prefix is `target/wine` by default, so that programs do not touch other prefixes. Debian's versions of Wine lack
//! `bcryptprimitives.dll`, without which Rust programs do not start: a DLL with the one function that they need is compiled from
//! `bcryptprimitives.c` beside this file and installed in the prefix.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::{Guarded, find, run as run_command, say};
use crate::{folder, system, windows};

/// The program of the Debian package `wine64`, which is not in PATH.
const DEBIAN_WINE: &str = "/usr/lib/wine/wine64";
pub(crate) const PACKAGES: [&str; 2] = ["wine", "wine64"];

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The Wine prefix, created if it is missing [default: target/wine]
    #[arg(long, value_name = "FOLDER")]
    prefix: Option<PathBuf>,
    /// Install this DLL in System32 of the prefix first
    #[arg(long = "dll", value_name = "FILE")]
    dlls: Vec<PathBuf>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM [ARGUMENT]...")]
    program: Vec<OsString>,
}

/// The exit code is that of the program.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let folder = match &arguments.prefix {
        Some(folder) => std::path::absolute(folder)?,
        None => folder::target()?.join("wine"),
    };
    let prefix = Prefix::prepare(folder)?;
    for dll in &arguments.dlls {
        prefix.install(dll)?;
    }
    let status = prefix.command().args(&arguments.program).status().context("cannot run Wine")?;
    // Windows exit codes have 32 bits, those of this system 8: a code other than 0 must not become 0.
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

    /// A prefix in a folder of its own, ready.
    #[cfg(test)]
    pub(crate) fn in_folder(folder: PathBuf) -> Result<Self> {
        Self::prepare(folder)
    }

    /// A prefix with the same drive C but without drive Z, with which Wine resolves paths like `/var` on this system. Programs need their
    /// path on drive C.
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

    /// Removes such a prefix once no program runs in it.
    pub(crate) fn remove_without_drive_z(&self) -> Result<()> {
        if self.folder.exists() {
            self.wait_until_quiet()?;
            fs::remove_dir_all(&self.folder)?;
        }
        Ok(())
    }

    /// Installs Wine and creates the prefix if they are missing.
    fn prepare(folder: PathBuf) -> Result<Self> {
        let wine = match wine() {
            Some(wine) => wine,
            None => {
                system::need_packages(&PACKAGES, "running Windows programs")?;
                wine().context("Wine is installed, but neither wine nor wine64 was found")?
            }
        };
        let prefix = Self { folder, wine };
        // Written last, so that an interrupted setup is repeated.
        let ready = prefix.folder.join("hnsproxy-ready");
        if !ready.exists() {
            say(format_args!("creating a Wine prefix in {}", prefix.folder.display()));
            fs::create_dir_all(&prefix.folder)?;
            // Disables two DLLs that would ask for add-ons in a window.
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

    /// Installs a DLL in System32.
    fn install(&self, dll: &Path) -> Result<()> {
        let Some(name) = dll.file_name() else { bail!("{} is not a file", dll.display()) };
        self.install_as(dll, name)
    }

    /// Installs a DLL in System32 under a name.
    pub(crate) fn install_as(&self, dll: &Path, name: impl AsRef<Path>) -> Result<()> {
        let place = self.system32().join(name);
        fs::copy(dll, &place).with_context(|| format!("cannot copy {} to {}", dll.display(), place.display()))?;
        Ok(())
    }

    /// A Wine command in this prefix, without the program.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.wine);
        command.env("WINEPREFIX", &self.folder).env("WINEARCH", "win64").env("WINEDEBUG", "-all");
        // No program here has a window, and Wine would connect to the display.
        command.env_remove("DISPLAY");
        command
    }

    /// Starts a program that does nothing until it is dropped, and waits until it has started.
    pub(crate) fn start_waiting(&self) -> Result<Guarded> {
        let mut command = self.command();
        // `pause` waits for input that never comes.
        command.args(["cmd", "/c", "pause"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut program = command.spawn().map(Guarded).context("cannot run Wine")?;
        program.0.stdout.as_mut().context("no output")?.read_exact(&mut [0]).context("cmd ended at once")?;
        Ok(program)
    }

    /// Waits until all programs in the prefix have ended, those of Wine included.
    pub(crate) fn wait_until_quiet(&self) -> Result<()> {
        let beside = |name: &str| self.wine.parent().map(|folder| folder.join(name)).filter(|file| file.is_file());
        let server = beside("wineserver64").or_else(|| beside("wineserver")).or_else(|| find("wineserver"));
        let mut command = Command::new(server.context("wineserver not found")?);
        command.arg("-w").env("WINEPREFIX", &self.folder).stdin(Stdio::null());
        command.status().context("cannot run wineserver")?;
        Ok(())
    }

    /// The folder of drive C.
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
    bail!("Wine is not available on this system")
}
