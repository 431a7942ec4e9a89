//! The switch with real programs around it, in real time: each host is a network namespace of Linux with a TUN device.
//!
//! Creating namespaces and devices requires root privileges, on the host or in a user namespace. The namespaces have no names, so the kernel
//! removes them and their devices when the process ends, even by SIGKILL.

mod attached;
mod driver;
mod error;
mod namespace;
mod shared;

pub use attached::Attached;
pub use driver::Driver;
pub use error::TunError;
pub use namespace::Namespace;

/// Checks whether a host can be attached: creates one, and removes it.
///
/// # Errors
/// If its namespace or its device cannot be created.
pub fn check() -> Result<(), TunError> {
    attached::device(&Namespace::new()?, [192, 0, 2, 1].into()).map(drop)
}
