//! An emulated Host Networking Service, in memory, behind the trait of the real one ([`hcn::Hcn`]).
//!
//! **This is an emulator.** It implements what is published about HNS and what clients of HNS require. Each rejection is an entry of
//! [`rules`] with its evidence; [`rules::assumed`] lists those without. A program that works here may still fail on Windows.
//!
//! One store has two APIs: HCN v2 and HNS v1. Builds of Windows are presets of version and [`Quirks`]. Tests can inject faults, read
//! the journal and counters of all calls, and act as other users of HNS through the methods of [`Emulator`]. [`feed`] publishes each
//! change of an object and of the service, and [`recording`] saves them.
//!
//! [`Service`] serves an emulator over TCP to any number of programs: [`Remote`] makes native calls, and [`Control`] does what the
//! methods of [`Emulator`] do.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "for tests: the journal has times, and faults delay calls")]

pub mod builds;
mod clients;
mod clock;
mod command;
pub mod conformance;
pub mod control;
mod emulator;
mod events;
pub mod faults;
pub mod feed;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod host;
pub mod journal;
pub mod like;
mod object;
mod pool;
pub mod recording;
pub mod remote;
pub mod rules;
mod schema;
pub mod service;
mod session;
mod shared;
mod store;
pub mod testing;
mod v1;
mod v2;
mod wire;

pub use builds::{Build, Pace, Quirks};
pub use control::Control;
pub use emulator::Emulator;
pub use feed::{Change, ChangeFeed};
pub use host::{Host, HostError};
pub use journal::Entry;
pub use remote::Remote;
pub use service::Service;

/// Tests the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
