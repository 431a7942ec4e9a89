//! Checks the DLLs from a Windows program: many threads, large documents, notifications, and leaks after many calls. `checks [CALLS]`
//! prints one line per check; CALLS is the number of calls of the last one.
//!
//! `HNS_EMULATOR` must have the address of an emulator that no other program uses, with 10 000 endpoints in one network. Exit code 1 if a check
//! failed.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods, reason = "a program for a terminal")]

#[cfg(windows)]
mod usage;
#[cfg(windows)]
mod windows;

use std::process::ExitCode;

#[cfg(windows)]
fn main() -> ExitCode {
    let calls = std::env::args().nth(1).map_or(Some(100_000), |text| text.parse().ok());
    let Some(calls) = calls else {
        eprintln!("usage: checks [CALLS]");
        return ExitCode::FAILURE;
    };
    match windows::run(calls) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

#[cfg(not(windows))]
fn main() -> ExitCode {
    eprintln!("the DLLs need Windows; run this program on Windows or under Wine");
    ExitCode::FAILURE
}
