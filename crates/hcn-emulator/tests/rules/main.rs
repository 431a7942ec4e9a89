//! Tests of the rules of the emulated HNS, and of its reports, one test per rule.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod emulator;
mod evidence;
mod namespaces;
mod objects;
mod page;
mod rig;
mod schema;
mod v1;
