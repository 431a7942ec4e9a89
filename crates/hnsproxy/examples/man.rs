//! Writes the man pages of hnsproxy to a directory. An example, so that the program, which runs on Windows, need not contain the generator.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let directory =
        std::env::args_os().nth(1).map(PathBuf::from).ok_or_else(|| std::io::Error::other("missing directory"))?;
    std::fs::create_dir_all(&directory)?;
    clap_mangen::generate_to(hnsproxy::cli::definition(), directory)
}
