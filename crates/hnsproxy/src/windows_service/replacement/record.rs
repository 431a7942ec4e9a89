//! The record of a replaced program: a small file beside the program, written before each step, so that `service restore` knows what to do
//! after the end of a process at any step.
//!
//! It is in the folder of the program, not below `%ProgramData%`: whoever may write there may replace the program anyway.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::step::Step;
use crate::saved_file;

/// A program that is kept beside the one in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Kept {
    /// What it is, such as `kube-proxy (Kubernetes v1.36.2)`.
    pub(in super::super) description: String,
    pub(in super::super) is_kube_proxy: bool,
    pub(in super::super) sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Record {
    pub(in super::super) service: String,
    /// The program before the first replacement.
    pub(in super::super) original: Kept,
    /// The program before an upgrade that is not complete.
    #[serde(default)]
    pub(in super::super) previous: Option<Kept>,
    /// Whether the service ran then.
    pub(in super::super) was_running: bool,
    /// The hash of the program that replaces it.
    pub(in super::super) replacement_sha256: String,
    /// The step that began last. None once the replacement is complete.
    pub(in super::super) step: Option<Step>,
}

/// The files of one replaced program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Files {
    pub(in super::super) program: PathBuf,
    pub(in super::super) original: PathBuf,
    /// The program before an upgrade, which is not the original.
    pub(in super::super) previous: PathBuf,
    pub(in super::super) staged: PathBuf,
    pub(in super::super) record: PathBuf,
    pub(super) lock: PathBuf,
}

impl Files {
    pub(in super::super) fn beside(program: &Path) -> Self {
        let beside = |suffix: &str| {
            let mut path = program.as_os_str().to_owned();
            path.push(suffix);
            PathBuf::from(path)
        };
        Self {
            program: program.to_owned(),
            original: beside(".original"),
            previous: beside(".previous"),
            staged: beside(".staged"),
            record: beside(".hnsproxy.json"),
            lock: beside(".lock"),
        }
    }

    /// None without a record.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(in super::super) fn read_record(&self) -> io::Result<Option<Record>> {
        match fs::read(&self.record) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn write_record(&self, record: &Record) -> io::Result<()> {
        saved_file::save(&self.record, &serde_json::to_vec_pretty(record)?)
    }
}
