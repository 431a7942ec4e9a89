//! Asks the Host Networking Service of this system for its version, and tells whether it has the HCN interface.
//!
//! Exit code 1 where HNS could not be asked.
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
        Ok(_) => println!("HCN: there"),
        Err(error) => eprintln!("HCN: {error}"),
    }
    if version.is_ok() && networks.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(not(windows))]
fn main() -> ExitCode {
    eprintln!("HNS is a part of Windows; this system is another one.");
    ExitCode::FAILURE
}
