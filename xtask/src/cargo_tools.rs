//! Programs that `cargo install` builds for tasks, in the target folder.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::folder;
use crate::process::{cargo, find as find_in_path, run, say};

fn root() -> Result<PathBuf> {
    Ok(folder::target()?.join("tools"))
}

/// The program in the target folder, else in PATH.
pub(crate) fn find(program: &str) -> Result<Option<PathBuf>> {
    let own = root()?.join("bin").join(program);
    Ok(if own.is_file() { Some(own) } else { find_in_path(program) })
}

/// Installs a package. `options` are those of `cargo install`.
pub(crate) fn install(package: &str, options: &[&str]) -> Result<()> {
    say(format_args!("installing {package}"));
    run(cargo()?.args(["install", "--locked"]).args(options).args([package, "--root"]).arg(root()?))
}

/// PATH with the programs of the target folder.
pub(crate) fn path() -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(root()?.join("bin")).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).context("invalid PATH")
}
