//! Exceptions from the rules, each with its reason.

/// Files that may be longer than [`MAX_LINES`](super::files::MAX_LINES), each with the reason.
pub(super) const LONG_FILES: &[(&str, &str)] =
    &[("crates/proxy/tests/suite/scenarios.rs", "independent scenarios on one rig, one function each")];
