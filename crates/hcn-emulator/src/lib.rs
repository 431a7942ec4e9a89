//! An emulated Host Networking Service, in memory, behind the interface of the real one ([`hcn::Hcn`]).
//!
//! **This is an emulator.** It knows what is published of HNS, and what clients of HNS demand; every refusal is an entry of
//! [`rules`] with its evidence, and [`rules::assumed`] lists those for which there is none. That something works here does not
//! show that it works on Windows.
//!
//! One store has two views: HCN v2 and HNS v1. Builds of Windows are presets of version and [`Quirks`]. Faults can be
//! injected, every call is journaled and counted, and methods of [`Emulator`] play the others who use HNS on a host.
//!
//! [`Service`] offers an emulator over TCP, to any number of programs at once: [`Remote`] is HNS to them, and [`Control`] does from
//! outside what the methods of [`Emulator`] do.
#![forbid(unsafe_code)]

pub mod builds;
pub mod conformance;
pub mod control;
mod emulator;
mod events;
pub mod faults;
pub mod host;
pub mod journal;
pub mod remote;
pub mod rules;
pub mod service;
mod session;
mod store;
pub mod testing;
mod v1;
mod v2;
mod wire;

pub use builds::{Build, Quirks};
pub use control::Control;
pub use emulator::Emulator;
pub use host::{Host, HostError};
pub use journal::Entry;
pub use remote::Remote;
pub use service::Service;
