//! `computenetwork.dll` and `vmcompute.dll` for systems without a Host Networking Service, Wine for instance.
//!
//! **The calls go to an emulator.** The library is installed under both names. It exports all HCN functions that clients load, the
//! registration of notifications, and `HNSCall`. It has no objects: each call goes to the service of an emulator, whose `HOST:PORT` is in
//! the environment variable `HNS_EMULATOR`. Without the variable or the service, calls fail as with an unavailable RPC server.
//!
//! Guarantees that clients rely on:
//! - returned strings are allocated with `CoTaskMemAlloc`, and the caller frees them;
//! - the error record is NULL with every success; with a failure it is that of the service, or NULL;
//! - every other result is NULL with every failure;
//! - a NULL out parameter is rejected; nothing unwinds into the caller.
//!
//! The library is empty on systems other than Windows.

#[cfg(windows)]
mod carry;
#[cfg(windows)]
pub mod exports;
#[cfg(windows)]
mod memory;
#[cfg(windows)]
mod registrations;
