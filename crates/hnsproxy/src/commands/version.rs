//! `version`: shows the version of the program.

use super::IN_SYNC;
use crate::cli::VersionArgs;
use crate::error::CommandError;
use crate::view::Version;
use crate::{output, view};

pub(super) fn main(args: &VersionArgs) -> Result<u8, CommandError> {
    let version = Version::of_this_program();
    output::print(args.output.output, &version, |layout| view::version(&version, layout))?;
    Ok(IN_SYNC)
}
