//! Limits of what the API server may send. A proxy or a faulty server may send bodies without an end.

use std::time::Duration;

/// The size limit of a page in bytes. 500 EndpointSlices of 100 endpoints each take about 20 MiB.
pub(super) const MAX_PAGE: usize = 32 << 20;
/// The number of objects in a page, if a server ignores the limit of the request.
pub(super) const MAX_PAGE_OBJECTS: usize = 50_000;
/// The size limit of a list in bytes, all its pages together. A cluster at the limits of Kubernetes, with 10 000 Services and 150 000 Pods,
/// has less than 100 MiB of EndpointSlices.
pub(super) const MAX_LIST: usize = 256 << 20;
/// The size in bytes with which a smaller object counts in [`MAX_LIST`]: in memory, a small object takes more than its text.
pub(super) const MIN_OBJECT: usize = 1 << 10;
/// For a whole page. The API server itself takes at most 60 s.
pub(super) const PAGE_TIMEOUT: Duration = Duration::from_secs(120);
/// The size limit of a watch event in bytes. etcd limits an object to 1.5 MiB by default, in an encoding that takes less than half of the
/// size of JSON.
pub(super) const MAX_LINE: usize = 8 << 20;
/// The size limit of the body of an error in bytes: more than any `Status` object.
pub(super) const MAX_ERROR_BODY: usize = 64 << 10;
/// The number of values in an object, counted as separators. An EndpointSlice of 1000 endpoints, the limit of the API, has less than
/// 20 000; in memory a value takes up to 100 times the size of its text.
pub(super) const MAX_VALUES: usize = 100_000;
/// The size of a text in bytes below which an object is not checked for [`MAX_VALUES`].
pub(super) const SMALL_OBJECT: usize = MAX_VALUES;
/// The number of problems of an object that are reported.
pub(super) const MAX_PROBLEMS: usize = 20;
/// The length of a text of a problem in characters. It may quote a value of any length.
pub(super) const MAX_PROBLEM_TEXT: usize = 300;
