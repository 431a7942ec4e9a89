//! The recordings of changes that kube-proxy makes.

use std::path::{Path, PathBuf};

use hcn_emulator::Change;
use hcn_emulator::recording::{self, ReadError};
use vswitch_lab::timeline::Timeline;

/// The folder of the recordings.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings/kube-proxy-1.36")
}

/// The changes of HNS from the beginning of a timeline until its end.
///
/// # Errors
/// If the recording cannot be read.
pub(crate) fn changes(timeline: &Timeline) -> Result<Vec<Change>, ReadError> {
    recording::open(&folder().join(timeline.file_name()))?.collect()
}
