//! The steps that replace the program of a service, or put it back.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) enum Step {
    /// Copies the program to a file beside it, and compares the hashes.
    KeepOriginal,
    /// The same before an upgrade, where the original is kept already.
    KeepPrevious,
    /// Copies this program beside the other one, and compares the hashes.
    Stage,
    Stop,
    /// Renames the staged copy to the program. The program always exists as a whole.
    Swap,
    Start,
    AwaitReady,
    /// The replacement is complete.
    Complete,
    /// Renames the kept original to the program.
    PutBackOriginal,
    /// The same with the program before an upgrade.
    PutBackPrevious,
    /// Removes the kept files and the record.
    RemoveFiles,
}

impl Step {
    /// Whether it ends a replacement or a rollback, and removes what another attempt needs.
    pub(super) fn is_last(self) -> bool {
        matches!(self, Self::Complete | Self::RemoveFiles)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeepOriginal => "copy the original program to a file beside it",
            Self::KeepPrevious => "copy the previous program to a file beside it",
            Self::Stage => "copy this program beside it",
            Self::Stop => "stop the service",
            Self::Swap => "replace the program with this one",
            Self::Start => "start the service",
            Self::AwaitReady => "wait for /readyz",
            Self::Complete => "mark the replacement as complete",
            Self::PutBackOriginal => "put the original program back",
            Self::PutBackPrevious => "put the previous program back",
            Self::RemoveFiles => "remove the kept files",
        })
    }
}
