//! Retries: writes that failed, and endpoints that the CNI has not created yet.

use std::time::Duration;

use rustc_hash::FxHashSet;

use crate::backoff::Backoff;
use crate::dirty::Subject;
use crate::frontend::Frontend;

#[derive(Debug, Default)]
pub(super) struct Retries {
    /// Frontends and addresses whose last write failed.
    pub(super) failed: Backoff,
    /// Addresses of local backends without an endpoint. The CNI creates it, often after the slice has the address. HNS does
    /// not notify of the creation, at most of the attachment, so the endpoints are listed again when a retry is due.
    pub(super) missing_local: Backoff,
    /// Those of `missing_local` whose retry was due at the start of the run, until a plan has taken them up.
    pub(super) awaited_in_run: Vec<Subject>,
}

impl Retries {
    /// When the next retry is due.
    pub(super) fn next(&self) -> Option<Duration> {
        [self.failed.next(), self.missing_local.next()].into_iter().flatten().min()
    }

    pub(super) fn failed_frontends(&self) -> FxHashSet<Frontend> {
        self.failed.subjects().filter_map(Subject::frontend).collect()
    }
}
