//! The conformance suite against the HNS of this system, or against an emulator's service.
//!
//! `conformance` runs it against the DLLs of Windows; `conformance HOST:PORT` against a service over TCP. It creates networks with
//! names that start with `conformance-`, and deletes them.
//!
//! Exit code 1 if a case failed or HNS is unavailable.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod system;

use std::process::ExitCode;

use hcn::{ApiVersion, Client, Features};
use hcn_emulator::conformance::cases;

fn run() -> Result<usize, String> {
    let hcn = system::hns(std::env::args().nth(1))?;
    let version = Client::new(hcn.clone(), ApiVersion::V1).version().map_err(|error| error.to_string())?;
    let features = Features::of(version);
    println!("HNS {version}");
    let (mut passed, mut failed) = (0, 0);
    for case in cases() {
        if !(case.applies)(&features) {
            println!("  n/a   {}", case.name);
            continue;
        }
        match (case.run)(&hcn) {
            Ok(()) => {
                passed += 1;
                println!("  ok    {}", case.name);
            }
            Err(error) => {
                failed += 1;
                println!("  FAIL  {}: {error}", case.name);
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed)
}

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
