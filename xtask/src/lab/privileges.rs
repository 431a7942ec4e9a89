//! What the lab needs of the system: programs, and the rights of root.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::process::{find, output};
use crate::system;

/// The programs that the lab runs, and their Debian packages.
const TOOLS: [(&str, &str); 2] = [("curl", "curl"), ("ip", "iproute2")];

/// Fails if a program is missing and cannot be installed.
pub(crate) fn need_tools(may_install: bool) -> Result<()> {
    let missing = TOOLS.into_iter().filter(|(program, _)| find(program).is_none());
    let (programs, packages): (Vec<&str>, Vec<&str>) = missing.unzip();
    if may_install && !packages.is_empty() {
        return system::need_packages(&packages, "the lab");
    }
    ensure!(programs.is_empty(), "missing programs: {}", programs.join(", "));
    Ok(())
}

/// Runs this program again as root of a new user namespace, in place of this process. Returns only an error.
pub(super) fn enter_user_namespace() -> Result<ExitCode> {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user"]);
        command
    };
    // After the replacement, nothing is left that could say what to do.
    let attempt = output(unshare().arg("true"));
    attempt.context("cannot create a user namespace; run the lab as root: sudo cargo xtask lab")?;
    let program = std::env::current_exe().context("cannot find this program")?;
    let arguments = std::env::args_os().skip(1);
    Err(unshare().arg(program).args(arguments).arg("--in-user-namespace").exec()).context("cannot run unshare")
}
