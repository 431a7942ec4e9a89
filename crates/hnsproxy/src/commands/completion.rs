//! `completion`: prints a script for a shell, made from the definition of the command line.

use super::IN_SYNC;
use crate::cli::{self, CompletionArgs};
use crate::error::CommandError;
use crate::output;

pub(super) fn main(args: &CompletionArgs) -> Result<u8, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::definition(), "hnsproxy", &mut script);
    output::text(&String::from_utf8_lossy(&script))?;
    Ok(IN_SYNC)
}
