//! Options of the compilers that keep the folders and the time of a build out of the program, so that two builds of a commit are equal.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::folder;

/// Adds the options to a build by Cargo for a target.
pub(crate) fn apply(command: &mut Command, target: &str) -> Result<()> {
    let prefixes = prefixes()?;
    let mut flags: Vec<String> =
        prefixes.iter().map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display())).collect();
    // The header of a program has the time of the build otherwise.
    flags.push("-Clink-arg=-Wl,--no-insert-timestamp".to_owned());
    // Cargo appends them to those of .cargo/config.toml, but would ignore both if a variable had flags.
    let flags = serde_json::to_string(&flags)?;
    command.args(["--config", &format!("target.{target}.rustflags={flags}")]);
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    // C code of dependencies names its files in assertions and errors.
    let maps: Vec<String> =
        prefixes.iter().map(|(folder, name)| format!("-ffile-prefix-map={}={name}", folder.display())).collect();
    command.env(format!("CFLAGS_{}", target.replace('-', "_")), maps.join(" "));
    Ok(())
}

/// Folders of this machine, and their names in a program. A later one has precedence.
fn prefixes() -> Result<Vec<(PathBuf, &'static str)>> {
    let mut prefixes = vec![(folder::root()?, "/hnsproxy"), (folder::target()?, "/target")];
    let sources = cargo_home()?.join("registry/src");
    // The folder of a registry is named after its address, which may be that of a mirror. It is missing before the first download.
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
