//! Prints the version of the Host Networking Service of this system, and whether it has the HCN API.
//!
//! Exit code 1 if HNS is unavailable.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

use std::process::ExitCode;

#[cfg(windows)]
fn main() -> ExitCode {
    use hcn::call::Call;
    use hcn::{ApiVersion, Client, Hcn, Kind, Windows};

    let windows = std::sync::Arc::new(Windows::new());
    let version = Client::new(windows.clone(), ApiVersion::V1).version();
    match &version {
        Ok(version) => println!("HNS version: {version:?}"),
        Err(error) => eprintln!("HNS version: {error}"),
    }
    let networks = windows.call(&Call::Enumerate { kind: Kind::Network, query: String::new() });
    match &networks {
        Ok(_) => println!("HCN: available"),
        Err(error) => eprintln!("HCN: {error}"),
    }
    if version.is_ok() && networks.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(not(windows))]
fn main() -> ExitCode {
    eprintln!("HNS is part of Windows, and not available on this system");
    ExitCode::FAILURE
}
