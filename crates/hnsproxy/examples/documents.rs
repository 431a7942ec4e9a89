//! Writes the man pages and completion scripts of hnsproxy to subfolders of a directory. It is an example, so that hnsproxy itself does not
//! contain the generator of man pages.

use std::io::{Error, Result};
use std::path::PathBuf;

use clap::ValueEnum;
use clap_complete::Shell;
use hnsproxy::cli;

fn main() -> Result<()> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from).ok_or_else(|| Error::other("missing directory"))?;
    let (pages, scripts) = (directory.join("man"), directory.join("completions"));
    std::fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(cli::definition(), pages)?;
    std::fs::create_dir_all(&scripts)?;
    for shell in Shell::value_variants() {
        clap_complete::generate_to(*shell, &mut cli::definition(), "hnsproxy", &scripts)?;
    }
    Ok(())
}
