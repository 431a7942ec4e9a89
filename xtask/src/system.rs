//! The Debian packages that tasks need.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{find, output, run, say};

/// Installs missing Debian packages if the user is root. Otherwise, the error lists them with their purpose.
pub(crate) fn need_packages(packages: &[&str], purpose: &str) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if find("apt-get").is_none() {
        bail!("missing packages for {purpose}: install the equivalents of the Debian packages {list}");
    }
    if !is_root()? {
        bail!("missing packages for {purpose}: run as root apt-get install --no-install-recommends {list}");
    }
    say(format_args!("installing packages for {purpose}: {list}"));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.arg("--quiet=2").env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    run(apt().arg("update"))?;
    // The output of apt-get would hide that of the build.
    run(apt()
        .args(["install", "--yes", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0"])
        .args(&missing)
        .stdout(std::process::Stdio::null()))
    .with_context(|| format!("cannot install the packages {list}"))
}

pub(crate) fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// Whether a Debian package is installed.
pub(crate) fn installed(package: &str) -> bool {
    let status = output(Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]));
    status.is_ok_and(|status| status == "installed")
}
