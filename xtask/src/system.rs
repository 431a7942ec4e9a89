//! The Debian packages that tasks need.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{find, output, run, say};

/// Sees to it that packages of Debian are there: installs what is missing where it may, else says what is missing and what for.
pub(crate) fn need_packages(packages: &[&str], purpose: &str) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if find("apt-get").is_none() {
        bail!("{purpose} needs what Debian has in the packages {list}; install their like on this system");
    }
    if output(Command::new("id").arg("-u"))?.trim() != "0" {
        bail!("{purpose} needs the packages {list}; as root: apt-get install --no-install-recommends {list}");
    }
    say(format_args!("{purpose} needs the packages {list}: installing them"));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.arg("--quiet=2").env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    run(apt().arg("update"))?;
    // What the installation of each package says belongs to nobody who waits for a build.
    run(apt()
        .args(["install", "--yes", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0"])
        .args(&missing)
        .stdout(std::process::Stdio::null()))
    .with_context(|| format!("the packages {list} can't be installed"))
}

/// Whether a package of Debian is installed.
pub(crate) fn installed(package: &str) -> bool {
    let status = output(Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]));
    status.is_ok_and(|status| status == "installed")
}
