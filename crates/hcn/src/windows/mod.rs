//! Makes native calls on Windows: `computenetwork.dll` for the HCN API, `vmcompute.dll` for the HNS v1 API.
//!
//! [`Windows`] can be used from any number of threads. Guarantees:
//! - a DLL is loaded at its first use, and from System32 only; each function is looked up at its first use, and a missing one is an
//!   [`Error::Missing`](crate::Error::Missing);
//! - each handle and string of HNS gets an owner before anything else happens, and is released on every path;
//! - a [`Handle`](crate::call::Handle) that was closed, has another kind, or was never returned does not reach HNS;
//! - no lock is held during a call.
//!
//! The files with unsafe code are `library`, `functions`, `calls`, `object`, `memory` and `subscription`; they parse nothing. The other
//! files are compiled and tested on every system.
// Unsafe code: the functions of HNS are foreign. Each file that needs it opts in by itself.

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
