//! What the observer knows of the job that a thread carries out.

use proxy::Frontend;

use super::difference::Subject;

/// What the job of a thread has done last.
#[derive(Debug, Default)]
pub(super) struct Job {
    /// What the last call has written.
    pub(super) written: Vec<Subject>,
    /// The frontends of the load balancer that the last write deleted, and whether HNS has refused to create its replacement since. If it has, the
    /// next creation restores the old load balancer.
    pub(super) replacing: Option<(Vec<Frontend>, bool)>,
}
