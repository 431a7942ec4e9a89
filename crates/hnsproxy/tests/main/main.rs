//! The program as a whole: what it prints, logs and leaves behind.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "test code, helpers included: what is not as it should be ends the test"
)]

mod bad_input;
mod explain;
mod hns;
mod http;
mod installers;
mod keep;
mod live;
mod process;
mod program;
mod serve;
mod sources;
#[path = "../support/mod.rs"]
mod support;
