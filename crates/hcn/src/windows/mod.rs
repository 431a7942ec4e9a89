//! The calls carried out by Windows: `computenetwork.dll` for HCN, `vmcompute.dll` for `HNSCall`.
//!
//! [`Windows`] is safe to use from any number of threads. It promises:
//! - a DLL is loaded at its first use, and from System32 only; each function is looked up at its own first use, and one that is not
//!   there is an [`Error::Missing`](crate::Error::Missing), never a crash;
//! - what HNS hands out, handles and texts, has an owner before anything else happens to it, and is given back on every path;
//! - a [`Handle`](crate::call::Handle) that was closed, is of another kind, or was never given out does not reach HNS;
//! - no lock is held while HNS works.
//!
//! The files with unsafe code are `library`, `functions`, `calls`, `object`, `memory` and `subscription`; they parse nothing. The pure parts are
//! compiled and tested on every system.
// UNSAFETY: the functions of HNS are foreign. Each file that needs to opts in by itself.

mod table;
mod text;

#[cfg(windows)]
mod calls;
#[cfg(windows)]
mod functions;
#[cfg(windows)]
mod library;
#[cfg(windows)]
mod memory;
#[cfg(windows)]
mod object;
#[cfg(windows)]
mod subscription;
#[cfg(windows)]
mod system;

#[cfg(windows)]
pub use system::Windows;
