//! `computenetwork.dll` and `vmcompute.dll` for systems without a Host Networking Service, Wine for instance.
//!
//! **Behind it is an emulator.** The library is installed under both names. It exports all HCN functions that clients load, the
//! registration of notifications, and `HNSCall`. It keeps no objects: each call goes to the service that the environment variable
//! `HNS_EMULATOR` names as `HOST:PORT`. Without the variable or the service, calls fail as those of an unavailable RPC server do.
//!
//! It promises what clients rely on:
//! - texts that it hands out are allocated with `CoTaskMemAlloc`, for the caller to free;
//! - the error record is NULL with every success, and with a failure it is what the service says, or NULL;
//! - every other result is NULL with every failure;
//! - a NULL pointer where a result belongs is refused, never followed; nothing unwinds into the caller.
//!
//! On other systems than Windows it is empty.

#[cfg(windows)]
mod carry;
#[cfg(windows)]
pub mod exports;
#[cfg(windows)]
mod memory;
#[cfg(windows)]
mod registrations;
