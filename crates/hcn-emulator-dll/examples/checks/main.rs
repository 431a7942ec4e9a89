//! Checks of the DLLs as a Windows program meets them: many threads, large documents, notifications, and what is left after very many
//! calls. `checks [CALLS]` prints a line for each; CALLS is how many calls the last one makes.
//!
//! It wants an emulator of its own behind the DLLs, whose service `HNS_EMULATOR` names, with 10 000 endpoints in one network. Exit
//! code 1 where a check failed.
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
    eprintln!("the DLLs are of Windows; run this program there, or under Wine");
    ExitCode::FAILURE
}
