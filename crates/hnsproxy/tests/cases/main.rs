//! One test for each scenario and each installer, and one for each recording and property.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "test code, helpers included: a panic is a failed test"
)]

mod installers;
mod manifest;
mod recordings;
mod scenario;
mod scenarios;
#[path = "../support/mod.rs"]
mod support;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = scenarios::trials().chain(recordings::trials()).chain(installers::trials()).collect();
    libtest_mimic::run(&arguments, trials).exit();
}
