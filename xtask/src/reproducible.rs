//! Compiler options that keep the paths and the time of a build out of the program, so that two builds of a commit are identical.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::folder;

/// Adds the options to a build by Cargo for a target.
pub(crate) fn apply(command: &mut Command, target: &str) -> Result<()> {
    let prefixes = prefixes()?;
    let mut flags: Vec<String> =
        prefixes.iter().map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display())).collect();
    // Otherwise the header of the program would contain the time of the build.
    flags.push("-Clink-arg=-Wl,--no-insert-timestamp".to_owned());
    // Cargo adds these flags to those of .cargo/config.toml, but ignores both if RUSTFLAGS is set.
    let flags = serde_json::to_string(&flags)?;
    command.args(["--config", &format!("target.{target}.rustflags={flags}")]);
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    // C code of dependencies contains its file names in assertions and errors.
    let maps: Vec<String> =
        prefixes.iter().map(|(folder, name)| format!("-ffile-prefix-map={}={name}", folder.display())).collect();
    command.env(format!("CFLAGS_{}", target.replace('-', "_")), maps.join(" "));
    Ok(())
}

/// Folders of this machine, and the names that replace them in a program. Later entries have precedence.
fn prefixes() -> Result<Vec<(PathBuf, &'static str)>> {
    let mut prefixes = vec![(folder::root()?, "/hnsproxy"), (folder::target()?, "/target")];
    let sources = cargo_home()?.join("registry/src");
    // The folder of a registry is named after its URL, which can be a mirror. The folder does not exist before the first download.
    let registries = std::fs::read_dir(&sources).with_context(|| format!("cannot list {}", sources.display()))?;
    for registry in registries {
        prefixes.push((registry?.path(), "/registry"));
    }
    Ok(prefixes)
}

fn cargo_home() -> Result<PathBuf> {
    match std::env::var_os("CARGO_HOME") {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => Ok(Path::new(&std::env::var_os("HOME").context("HOME is not set")?).join(".cargo")),
    }
}
