//! Runs a program with an emulated HNS of its own: `rig BUILD PROGRAM [ARGUMENT]...`.
//!
//! The program finds the emulator's service in `HNS_EMULATOR`. When it has ended, the calls that it made are counted on stdout. The exit
//! code is the program's.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

use std::process::{Command, ExitCode};
use std::sync::Arc;

use hcn_emulator::{Build, Emulator, Service};

fn run() -> Result<ExitCode, String> {
    let mut arguments = std::env::args().skip(1);
    let build: Build = arguments.next().ok_or("usage: rig BUILD PROGRAM [ARGUMENT]...")?.parse()?;
    let program = arguments.next().ok_or("no program is named")?;
    let emulator = Arc::new(Emulator::new(build));
    let service = Service::bind("127.0.0.1:0", emulator.clone()).and_then(Service::spawn);
    let service = service.map_err(|error| format!("no service: {error}"))?;
    let status = Command::new(&program)
        .args(arguments)
        .env("HNS_EMULATOR", service.address().to_string())
        .status()
        .map_err(|error| format!("{program}: {error}"))?;
    service.stop();
    for (function, count) in emulator.counters() {
        println!("{count:8} {function}");
    }
    println!("{:8} native calls, of which {} writes", emulator.native_calls(), emulator.writes());
    // A code that does not fit here must not become 0.
    Ok(ExitCode::from(status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1))))
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
